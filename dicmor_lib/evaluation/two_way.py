"""Bootstrap over clips *and* training seeds: would a difference survive new clips and a new training run?

Every resample draws clips (the same for all seeds and methods, so that what hits all alike cancels in a
difference) and seeds. A value is the mean over seeds of a number that is computed on the clips; its resampled
values come from

    theta*_r = mean over the drawn seeds s of  number(seed s, on the drawn clips)

S - 1 of the S seeds are drawn, with replacement: drawing S of so few would make their part of the variance too
small by (S - 1) / S (McCarthy and Snowden 1985, "The bootstrap and finite population sampling"). Where the
randomness of clips and seeds interacts, resampling both is a little too cautious (Owen 2007, "The pigeonhole
bootstrap"). With three to five seeds an interval is rough; with one it speaks about clips only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dicmor_lib.errors import ShapeError
from dicmor_lib.evaluation.bootstrap import LEVEL, RESAMPLES, Estimate, resample_counts, summarise
from dicmor_lib.evaluation.metrics import METRICS, metrics_of_sums


@dataclass(frozen=True)
class Spread:
    """A number, and its value in each of R resamples (R,); those of one `TwoWay` can be subtracted and mixed."""

    value: float
    resampled: np.ndarray

    def __sub__(self, other: Spread) -> Spread:
        return Spread(self.value - other.value, self.resampled - other.resampled)

    def estimate(self, level: float = LEVEL) -> Estimate:
        """The value with the central interval of its resampled values."""
        return summarise(self.value, self.resampled, level)

    def p_value(self) -> float:
        """Two-sided, for "the number is 0": twice the share of resamples on the far side of 0."""
        known = self.resampled[~np.isnan(self.resampled)]
        if np.isnan(self.value) or not len(known):
            return float("nan")
        tail = min((known <= 0).sum(), (known >= 0).sum())
        return float(min(1.0, 2 * (1 + tail) / (1 + len(known))))


def mixture(parts: Sequence[Spread], weights: Sequence[float] | None = None) -> Spread:
    """Return the weighted mean of several numbers; all weigh the same by default."""
    share = np.full(len(parts), 1 / len(parts)) if weights is None else np.asarray(weights)
    used = [(w, part) for w, part in zip(share, parts) if w]  # 0 * NaN would be NaN
    value = sum(w * part.value for w, part in used)
    return Spread(float(value), np.sum([w * part.resampled for w, part in used], axis=0))


@dataclass(frozen=True)
class TwoWay:
    """The resamples: how often each clip (R, N) and each seed (R, S) was drawn."""

    clips: np.ndarray
    seeds: np.ndarray

    @classmethod
    def draw(cls, clips: int, seeds: int, resamples: int = RESAMPLES, seed: int = 0) -> TwoWay:
        """Draw `resamples` times from so many clips and seeds."""
        rng = np.random.default_rng([seed, 1])
        drawn = rng.integers(0, seeds, (resamples, max(seeds - 1, 1)))
        counts = (drawn[:, :, None] == np.arange(seeds)).sum(axis=1)
        return cls(resample_counts(clips, resamples, seed), counts.astype(np.float64))

    def metrics(self, sums: Sequence[np.ndarray]) -> dict[str, Spread]:
        """Every metric, from the sums of each seed (1 + R, K): `pattern_sums` of a pattern, or mixed with shares.

        Their first row is for the clips as they are, the others for the drawn ones, as in `weights`.
        """
        found = [metrics_of_sums(each) for each in sums]
        return {name: self.over_seeds(np.stack([each[name] for each in found])) for name in METRICS}

    @property
    def weights(self) -> np.ndarray:
        """(1 + R, N): every clip once, then the drawn counts."""
        return np.vstack([np.ones(self.clips.shape[1]), self.clips])

    def mean(self, values: np.ndarray) -> Spread:
        """The mean of values (S, N), one per seed and clip; a clip that is NaN for a seed is left out."""
        shape = (self.seeds.shape[1], self.clips.shape[1])
        if values.shape != shape:
            raise ShapeError(f"values must have shape {shape}, one row per seed, not {values.shape}")
        rows = np.flatnonzero(np.isfinite(values).all(axis=0))
        counts = self.weights[:, rows]
        with np.errstate(invalid="ignore", divide="ignore"):  # a resample may hold none of these clips
            return self.over_seeds(values[:, rows] @ counts.T / counts.sum(axis=1))

    def over_seeds(self, values: np.ndarray) -> Spread:
        """Values (S, 1 + R) averaged over the seeds: the first column over all, the others over those drawn."""
        share = self.seeds.T / self.seeds.sum(axis=1)  # (S, R)
        drawn = np.where(share > 0, values[:, 1:] * share, 0.0).sum(axis=0)  # 0 * NaN would be NaN
        return Spread(float(values[:, 0].mean()), drawn)
