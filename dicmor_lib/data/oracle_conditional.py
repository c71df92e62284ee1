"""Exact answers about clips of the oracle: class posteriors, conditional densities, means and samples.

Every function takes clips as the library stores them: features (three arrays (B, T, d_m)), `available` (B, 3)
bool and `lengths`. Only valid steps of available modalities are read. Clips with the same pattern are
computed together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, logsumexp

from dicmor_lib.data.oracle_labels import CLASS_SHARES
from dicmor_lib.data.oracle_law import Law, class_log_densities, condition
from dicmor_lib.errors import DataError, PatternError, ShapeError
from dicmor_lib.modalities import MODALITIES

Features = Sequence[np.ndarray]
"""Language, audio and vision, each (B, T, d_m)."""
STEPS_AT_ONCE = 100_000
"""Sampling works on as many draws at once as make about this many time steps, to bound its memory."""


@dataclass(frozen=True)
class Clips:
    """Checked input: masks (B, 3) bool, lengths (B,), class indices 0..6 (B,) or None."""

    features: tuple[np.ndarray, ...]
    available: np.ndarray
    target: np.ndarray
    lengths: np.ndarray
    sentiment: np.ndarray | None = None

    @property
    def time(self) -> int:
        """Steps of the arrays, padding included."""
        return self.features[0].shape[1]

    def groups(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(available (3,), target (3,), the rows of the clips with both) for each combination that occurs."""
        both, inverse = np.unique(np.hstack([self.available, self.target]), axis=0, return_inverse=True)
        for k, row in enumerate(both):
            yield row[:3], row[3:], np.flatnonzero(inverse.ravel() == k)


def check_clips(
    law: Law,
    features: Features,
    available: np.ndarray,
    lengths: np.ndarray,
    target: np.ndarray | None = None,
    sentiment: np.ndarray | None = None,
) -> Clips:
    """Check shapes and values of a call's arguments; `target` defaults to everything that is not available.

    Raises:
        ShapeError, PatternError, DataError: one sentence each.
    """
    features = tuple(np.asarray(x) for x in features)
    available = np.asarray(available, dtype=bool)
    if len(features) != 3 or available.ndim != 2 or available.shape[1] != 3:
        raise ShapeError(
            "give three feature arrays (language, audio, vision) and an available mask of shape (clips, 3)"
        )
    batch, time = len(available), features[0].shape[1] if features[0].ndim == 3 else 0
    for name, x, part in zip(MODALITIES, features, law.slices):
        if x.shape != (batch, time, part.stop - part.start) or time > len(law.course):
            raise ShapeError(
                f"{name} has shape {x.shape}; this oracle needs (clips, time, {part.stop - part.start}) with "
                f"the mask's {batch} clips and one time of at most {len(law.course)} steps for all modalities"
            )
    if not available.any(1).all():
        raise PatternError("a clip has no available modality; at least one of the three must be available")
    target = ~available if target is None else np.asarray(target, dtype=bool)
    if target.shape != available.shape or (target & available).any():
        raise PatternError(
            "the target mask must have the available mask's shape and name only unavailable modalities"
        )
    if sentiment is not None:
        sentiment = np.asarray(sentiment).astype(int) + 3
        if sentiment.shape != (batch,) or (sentiment < 0).any() or (sentiment > 6).any():
            raise ShapeError(f"sentiment must hold one class from -3 to 3 for each of the {batch} clips")
    clips = Clips(features, available, target, _clip_lengths(lengths, available, time), sentiment)
    _check_finite(clips)
    return clips


def _clip_lengths(lengths: np.ndarray, available: np.ndarray, time: int) -> np.ndarray:
    """One length per clip from (B,) or (B, 3); of the latter only available modalities are read."""
    lengths = np.asarray(lengths)
    if lengths.shape == available.shape:
        longest = np.where(available, lengths, 0).max(1)
        if (available & (lengths != longest[:, None])).any():
            raise ShapeError(
                "the modalities of one clip have different lengths; give clips of the oracle, which have one length"
            )
        lengths = longest
    if lengths.shape != (len(available),) or (lengths < 1).any() or (lengths > time).any():
        raise ShapeError(
            f"lengths must hold one whole number from 1 to {time} for each of the {len(available)} clips"
        )
    return lengths.astype(np.int64)


def _check_finite(clips: Clips) -> None:
    valid = np.arange(clips.time) < clips.lengths[:, None]
    for m, name in enumerate(MODALITIES):
        seen = valid & clips.available[:, m, None]
        if not np.isfinite(clips.features[m][seen]).all():
            raise DataError(
                f"{name} holds NaN or infinite values at steps that are available; mark them unavailable"
            )


def _latent(
    law: Law, features: Features, mask: np.ndarray, rows: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Latent paths (b, steps, D_mask) of the modalities in `mask`, zero on padding, cut to the longest."""
    valid = np.arange(lengths[rows].max()) < lengths[rows, None]
    path = np.zeros((*valid.shape, len(law.columns(mask))))
    path[valid] = np.concatenate(
        [
            warp.inverse(x[rows, : valid.shape[1]][valid].astype(np.float64))
            for x, warp, on in zip(features, law.warps, mask)
            if on
        ],
        axis=-1,
    )
    return path


def _warp_log_det(law: Law, path: np.ndarray, mask: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """log |det dx/dw| over valid steps and the modalities in `mask`: path (b, steps, D_mask) -> (b,)."""
    valid = np.arange(path.shape[1]) < lengths[:, None]
    total, start = np.zeros(len(path)), 0
    for warp, on in zip(law.warps, mask):
        if on:
            size = len(warp.sine)
            total += (warp.log_det(path[..., start : start + size]) * valid).sum(1)
            start += size
    return total


def _log_posterior(
    law: Law, path: np.ndarray, mask: np.ndarray, clips: Clips, rows: np.ndarray
) -> np.ndarray:
    """log p(c | the available path), (b, 7); all mass on the given class where `sentiment` is known."""
    if clips.sentiment is not None:
        return np.where(np.arange(7) == clips.sentiment[rows, None], 0.0, -np.inf)
    columns = law.columns(mask)
    densities = class_log_densities(
        law, path, law.means[:, columns], law.covariance[np.ix_(columns, columns)], clips.lengths[rows]
    )
    return log_softmax(np.log(CLASS_SHARES) + densities, axis=1)


def class_posterior(law: Law, clips: Clips) -> np.ndarray:
    """p(c | available features), (B, 7). The warps' log-determinants do not depend on c and cancel."""
    posterior = np.zeros((len(clips.lengths), 7))
    for available, _, rows in clips.groups():
        path = _latent(law, clips.features, available, rows, clips.lengths)
        posterior[rows] = np.exp(_log_posterior(law, path, available, clips, rows))
    return posterior


def log_density(law: Law, clips: Clips) -> np.ndarray:
    """log p(available features) in nats, (B,): log sum_c p(c) N(w; c) - log |det dx/dw|."""
    result = np.zeros(len(clips.lengths))
    for available, _, rows in clips.groups():
        path, lengths = _latent(law, clips.features, available, rows, clips.lengths), clips.lengths[rows]
        columns = law.columns(available)
        densities = class_log_densities(
            law, path, law.means[:, columns], law.covariance[np.ix_(columns, columns)], lengths
        )
        if clips.sentiment is None:
            result[rows] = logsumexp(np.log(CLASS_SHARES) + densities, axis=1)
        else:
            result[rows] = densities[np.arange(len(rows)), clips.sentiment[rows]]
        result[rows] -= _warp_log_det(law, path, available, lengths)
    return result


def log_conditional(law: Law, clips: Clips, missing: Features) -> np.ndarray:
    """log p(target features | available features) in nats, (B,): a mixture over classes."""
    result = np.zeros(len(clips.lengths))
    for available, target, rows in clips.groups():
        if not target.any():
            continue
        lengths = clips.lengths[rows]
        seen = _latent(law, clips.features, available, rows, clips.lengths)
        asked = _latent(law, missing, target, rows, clips.lengths)
        law_given = condition(law, available, target)
        residual = asked - seen @ law_given.gain.T
        densities = class_log_densities(law, residual, law_given.offsets, law_given.covariance, lengths)
        weights = _log_posterior(law, seen, available, clips, rows)
        result[rows] = logsumexp(weights + densities, axis=1) - _warp_log_det(law, asked, target, lengths)
    return result


def conditional_mean(law: Law, clips: Clips) -> tuple[np.ndarray, ...]:
    """E[target features | available features]: three float32 arrays (B, T, d_m), zero elsewhere."""
    result = tuple(np.zeros(x.shape, np.float32) for x in clips.features)
    for available, target, rows in clips.groups():
        path = _latent(law, clips.features, available, rows, clips.lengths)
        steps = path.shape[1]
        weights = np.exp(_log_posterior(law, path, available, clips, rows))
        valid = np.arange(steps) < clips.lengths[rows, None]
        for m in np.flatnonzero(target):
            given = condition(law, available, np.arange(3) == m)
            base = path @ given.gain.T
            total = np.zeros_like(base)
            for c in range(7):  # E[x] = sum_c p(c | available) E[g(w) | c], each term exact
                centre = base + law.course[:steps, None] * given.offsets[c]
                total += weights[:, c, None, None] * law.warps[m].mean(centre, given.covariance)
            result[m][rows, :steps] = total * valid[..., None]
    return result


def conditional_sample(law: Law, clips: Clips, n: int, seed: int) -> tuple[np.ndarray, ...]:
    """`n` draws of the target features given the available ones: three float32 arrays (n, B, T, d_m)."""
    result = tuple(np.zeros((n, *x.shape), np.float32) for x in clips.features)
    rng = np.random.default_rng([seed, 3])
    for available, target, rows in clips.groups():
        if not target.any():
            continue
        path = _latent(law, clips.features, available, rows, clips.lengths)
        steps = path.shape[1]
        cumulative = np.exp(_log_posterior(law, path, available, clips, rows)).cumsum(1)
        given = condition(law, available, target)
        base, factor = path @ given.gain.T, np.linalg.cholesky(given.covariance)
        valid = (np.arange(steps) < clips.lengths[rows, None])[..., None]
        chunk = max(1, STEPS_AT_ONCE // (len(rows) * steps))
        for draws in np.array_split(np.arange(n), -(-n // chunk)):
            uniform = rng.random((len(draws), len(rows), 1)) * cumulative[:, -1:]
            classes = (uniform > cumulative).sum(-1)  # (draws, b)
            noise = rng.normal(size=(len(draws), *base.shape))
            paths = law.time_factor[:steps, :steps] @ noise @ factor.T  # covariance K x S
            paths += base + law.course[:steps, None] * given.offsets[classes][:, :, None]
            start = 0
            for m in np.flatnonzero(target):
                size = len(law.warps[m].sine)
                x = law.warps[m].forward(paths[..., start : start + size])
                result[m][np.ix_(draws, rows, np.arange(steps))] = x * valid
                start += size
    return result
