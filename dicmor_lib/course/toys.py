"""Toy data in the plane: two spirals whose density is known, and two "modalities" with seven classes."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


class TwoSpirals:
    """Points along two arms that wind around each other, with normal noise.

    Args:
        noise: deviation of a point from its place on the arm, in each direction.
        places: per arm, over which `log_density` averages.
    """

    def __init__(self, noise: float = 0.12, places: int = 300) -> None:
        self.noise = noise
        at = self._arms((np.arange(places) + 0.5) / places)
        self.places = torch.from_numpy(at.reshape(-1, 2))

    @staticmethod
    def _arms(t: np.ndarray) -> np.ndarray:
        """The two curves at t in [0, 1]: (2, n, 2)."""
        angle, radius = 4 * t, 0.35 + 1.5 * t
        arm = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
        return np.stack([arm, -arm])

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Tensor, np.ndarray]:
        """Return points (n, 2), float32, and the arm of each, 0 or 1."""
        arm = rng.integers(2, size=n)
        points = self._arms(rng.random(n))[arm, np.arange(n)] + self.noise * rng.normal(size=(n, 2))
        return torch.from_numpy(points).float(), arm

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p(x) of points (n, 2) in nats: a mean of small Gaussians along the arms."""
        squared = (torch.cdist(x.double(), self.places) / self.noise).square()
        each = -0.5 * squared - math.log(2 * math.pi * self.noise**2)
        return (each.logsumexp(dim=1) - math.log(len(self.places))).to(x.dtype)


def wheel(label: np.ndarray, rng: np.random.Generator, noise: float = 0.1) -> Tensor:
    """Return points (n, 2) on the arms of a wheel, one arm for each class -3..3."""
    t = rng.random(len(label))
    angle, radius = np.pi / 2 - 0.75 * label + 1.2 * (t - 0.5), 0.4 + 1.6 * t
    return _noisy(radius * np.cos(angle), radius * np.sin(angle), rng, noise)


def waves(label: np.ndarray, rng: np.random.Generator, noise: float = 0.1) -> Tensor:
    """Return points (n, 2) on waves above each other, one for each class -3..3."""
    across = rng.uniform(-1.7, 1.7, len(label))
    return _noisy(across, 0.5 * label + 0.6 * np.sin(2 * across), rng, noise)


def _noisy(first: np.ndarray, second: np.ndarray, rng: np.random.Generator, noise: float) -> Tensor:
    points = np.stack([first, second], axis=1)
    return torch.from_numpy(points + noise * rng.normal(size=points.shape)).float()
