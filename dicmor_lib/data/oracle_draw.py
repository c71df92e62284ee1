"""Drawing clips from the oracle's law, and putting them into the form of a real data set's split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dicmor_lib.data.dataset import Split
from dicmor_lib.data.oracle_labels import draw_labels
from dicmor_lib.data.oracle_law import Law
from dicmor_lib.errors import ShapeError
from dicmor_lib.modalities import MODALITIES

SHORTEST = 3
"""Steps of the shortest clip."""
LENGTH_SPREAD = 0.55
"""Standard deviation of log length: most clips are short and a few are long, as in CMU-MOSI."""


@dataclass(frozen=True)
class Draw:
    """`n` complete clips, with what a real data set never tells.

    Attributes:
        features, latents: three arrays (n, T, d_m) each, float32 and float64, zero from a clip's length on.
        lengths: (n,) int64, the same for the three modalities.
        labels: (n,) float32 in [-3, 3].
        sentiment: (n,) int64, the class -3..3; it is round(label).
    """

    features: tuple[np.ndarray, ...]
    latents: tuple[np.ndarray, ...]
    lengths: np.ndarray
    labels: np.ndarray
    sentiment: np.ndarray


def draw_clips(law: Law, mean_length: float, n: int, rng: np.random.Generator) -> Draw:
    """Draw `n` independent complete clips of the law."""
    time = len(law.course)
    classes, labels = draw_labels(n, rng)
    log_lengths = rng.normal(np.log(mean_length) - LENGTH_SPREAD**2 / 2, LENGTH_SPREAD, n)
    lengths = np.clip(np.rint(np.exp(log_lengths)), SHORTEST, time).astype(np.int64)
    noise = rng.normal(size=(n, time, len(law.covariance)))
    path = law.time_factor @ noise @ np.linalg.cholesky(law.covariance).T  # covariance K x Sigma
    path += law.course[:, None] * law.means[classes][:, None]  # + a(t) mu_c
    path *= (np.arange(time) < lengths[:, None])[..., None]
    latents = tuple(path[..., part] for part in law.slices)
    return Draw(to_features(law, latents, lengths), latents, lengths, labels, classes - 3)


def make_split(draw: Draw, name: str, unobserved_share: float, rng: np.random.Generator) -> Split:
    """A split of the clips; a share of them loses one modality, language, audio and vision equally often."""
    n = len(draw.labels)
    observed = np.ones((n, 3), bool)
    incomplete = rng.permutation(n)[: round(unobserved_share * n)]
    observed[incomplete, np.arange(len(incomplete)) % 3] = False
    language, audio, vision = (x * observed[:, m, None, None] for m, x in enumerate(draw.features))
    return Split(
        features=(language, audio, vision),
        lengths=draw.lengths[:, None] * observed,
        observed=observed,
        labels=draw.labels,
        ids=[f"synthetic-{name}-{i:05d}" for i in range(n)],
    )


def to_features(law: Law, latents: Sequence[np.ndarray], lengths: np.ndarray) -> tuple[np.ndarray, ...]:
    """x = g(w) at valid steps and 0 elsewhere, float32; `lengths` is (B,) or (B, 3)."""
    return tuple(
        _at_valid_steps(warp.forward, w, steps, name, len(warp.sine)).astype(np.float32)
        for warp, w, steps, name in zip(law.warps, latents, _columns(lengths), MODALITIES, strict=True)
    )


def to_latent(law: Law, features: Sequence[np.ndarray], lengths: np.ndarray) -> tuple[np.ndarray, ...]:
    """w = g^-1(x) at valid steps and 0 elsewhere, float64; `lengths` is (B,) or (B, 3)."""
    return tuple(
        _at_valid_steps(warp.inverse, x, steps, name, len(warp.sine))
        for warp, x, steps, name in zip(law.warps, features, _columns(lengths), MODALITIES, strict=True)
    )


def _columns(lengths: np.ndarray) -> np.ndarray:
    """One row of lengths per modality, (3, B)."""
    lengths = np.asarray(lengths)
    return np.tile(lengths, (3, 1)) if lengths.ndim == 1 else lengths.T


def _at_valid_steps(
    function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, lengths: np.ndarray, name: str, size: int
) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 3 or x.shape[2] != size or lengths.shape != (len(x),):
        raise ShapeError(
            f"{name} has shape {x.shape}; this oracle needs (clips, time, {size}) and a length per clip"
        )
    valid = np.arange(x.shape[1]) < lengths[:, None]
    result = np.zeros(x.shape)
    result[valid] = function(x[valid].astype(np.float64))
    return result
