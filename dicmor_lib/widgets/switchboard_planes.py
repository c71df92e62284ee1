"""The latent space seen in two directions: one plane of all modalities, or one for each where a prior is joint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dicmor_lib.blocks.transfer import Transfer
from dicmor_lib.data.dataset import Split, collate
from dicmor_lib.evaluation.passes import evaluating
from dicmor_lib.modalities import PATTERNS, pattern_mask
from dicmor_lib.model import DiCMoR
from dicmor_lib.plots.clouds import ELLIPSE
from dicmor_lib.plots.principal import principal_plane
from dicmor_lib.widgets.switchboard_layer import REACH

BACKDROP = 300
"""Training clips whose latents fix the plane and lie in grey behind it."""


@dataclass(frozen=True)
class LatentPlane:
    """The latent space seen in two directions, the principal axes of the mean latents of training clips.

    Attributes:
        centre, axes: (d,) and (2, d); a latent z stands at axes (z - centre).
        backdrop: (M, 2) training clips, every modality; with a joint prior the plane's own.
        priors: (classes, 2, 60) ellipses of N(mu_c, Sigma_c), 1.8 standard deviations of the plane.
        latents: (3, n, T, 2) the clips' own latents F^m(X^m) step by step, NaN beyond a sequence; with a joint prior
            NaN for the modalities of the other planes as well.
        merged: pattern -> (n, T, 2) what stands in for the missing: the mean of the available latents, NaN where
            there is none; with a joint prior E[z given seen] of the plane's modality, NaN where it is seen.
        reach: what is shown above and below the centre, in units of the latent space.
    """

    centre: np.ndarray
    axes: np.ndarray
    backdrop: np.ndarray
    priors: np.ndarray
    latents: np.ndarray
    merged: dict[str, np.ndarray]
    reach: float = REACH

    def place(self, sample: int, modality: int) -> np.ndarray:
        """Return where a clip's modality stands, (2,): the mean over its steps; NaN if it is not in the clip."""
        return _mean_place(self.latents[modality, sample])

    def stand_in(self, sample: int, pattern: str) -> np.ndarray:
        """Return where the latent stands that takes the place of what is missing, (2,); NaN without a pattern."""
        return _mean_place(self.merged[pattern][sample]) if pattern else np.full(2, np.nan)


def latent_plane(model: DiCMoR, chosen: Split, train: Split) -> LatentPlane:
    """Return the one plane of a model whose modalities share a latent space and its priors."""
    behind, steps = latents_of(model, train.select(np.arange(min(len(train), BACKDROP))))
    means = behind.sum(2)[steps.any(2)] / steps.sum(2)[steps.any(2)][:, None]  # (M, d); padding is zero
    centre, axes, _ = principal_plane(means.astype(np.float64))
    own, inside = latents_of(model, chosen)
    merged = {}
    for pattern in PATTERNS:
        lengths = chosen.lengths * (chosen.observed & np.array(pattern_mask(pattern)))
        latent = Transfer.merge_latents(torch.from_numpy(own), torch.from_numpy(lengths)).numpy()
        reached = np.arange(own.shape[2]) < lengths.max(axis=1)[:, None]
        merged[pattern] = np.where(reached[..., None], (latent - centre) @ axes.T, np.nan)
    latents = np.where(inside[..., None], (own - centre) @ axes.T, np.nan)
    backdrop = (means - centre) @ axes.T
    prior = model.flow.prior
    mean, sd = (x.detach().double().cpu().numpy() for x in (prior.mean, prior.log_sd.exp()))
    flat = [(axes * s**2) @ axes.T for s in sd]
    priors = np.stack([ellipse((m - centre) @ axes.T, c) for m, c in zip(mean, flat)])
    return LatentPlane(centre, axes, backdrop, priors, latents, merged)


def latents_of(model: DiCMoR, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return Z = F(X) of everything observed, (3, n, T, d), zero on padding, and which steps are none (3, n, T)."""
    with evaluating(model) as device:
        batch = collate(split, np.arange(len(split))).to(device)
        lengths = batch.lengths * batch.observed
        x = model.shallow_features(batch.features, lengths)
        mask = model.step_mask(lengths, x.shape[2])
        z, _ = model.flow(x * mask[..., None], mask)
    return z.float().cpu().numpy(), mask.bool().cpu().numpy()


def ellipse(middle: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return the ellipse of a normal law of the plane, mean (2,) and covariance (2, 2): (2, 60), 1.8 sd out."""
    turn = np.linspace(0, 2 * np.pi, 60)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    size, turned = np.linalg.eigh(covariance)
    return middle[:, None] + ELLIPSE * turned @ (np.sqrt(size)[:, None] * circle)


def _mean_place(steps: np.ndarray) -> np.ndarray:
    there = np.isfinite(steps[:, 0])
    return steps[there].mean(axis=0) if there.any() else np.full(2, np.nan)
