"""What is drawn for the conditional law of the joint prior: a class and standard normal noise for each draw.

Fixed draws are the same few for every clip, whatever stands beside it in a batch: the class by its quantiles, the
noise from a table in pairs of opposite sign. An average over them errs less than one over as many independent draws,
and the same clip always gets the same answer.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

TABLE_SEED = 0


def draw_classes(
    posterior: Tensor, draws: int, fixed: bool = False, generator: torch.Generator | None = None
) -> Tensor:
    """Return class numbers (draws, batch) from probabilities (batch, classes).

    Fixed: draw k takes the class at the quantile (k + 1/2) / draws of the cumulated probabilities.
    """
    if fixed:
        level = (torch.arange(draws, device=posterior.device) + 0.5)[:, None].expand(
            -1, len(posterior)
        ) / draws
    else:
        level = torch.rand(draws, len(posterior), generator=generator, device=posterior.device)
    cumulated = posterior.cumsum(1)
    below = level[..., None].to(posterior.dtype) * cumulated[:, -1:] > cumulated  # (draws, batch, classes)
    return below.sum(-1).clamp(max=posterior.shape[1] - 1)


def draw_noise(
    draws: int, like: Tensor, fixed: bool = False, generator: torch.Generator | None = None
) -> Tensor:
    """Return standard normal noise (draws, batch, time, 3 d) for latents `like` (3, batch, time, d)."""
    groups, batch, time, channels = like.shape
    if not fixed:
        shape = (draws, batch, time, groups * channels)
        return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)
    table = torch.from_numpy(_table(draws, time, groups * channels))
    return table.to(like)[:, None].expand(-1, batch, -1, -1)


@functools.lru_cache(maxsize=8)
def _table(draws: int, time: int, channels: int) -> np.ndarray:
    """Noise (draws, time, channels) whose first steps do not depend on `time`, so that padding changes nothing."""
    half = np.random.default_rng(TABLE_SEED).standard_normal((time, -(-draws // 2), channels))
    half = half.transpose(1, 0, 2)
    return np.stack([half, -half], axis=1).reshape(-1, time, channels)[:draws]
