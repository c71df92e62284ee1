"""The map of standardisation for one modality: x -> (x - mean) / sd, within a bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dicmor_lib.errors import DataError
from dicmor_lib.modalities import MODALITIES


@dataclass(frozen=True)
class Scaling:
    """x -> (x - mean) / sd per channel; with a `limit`, values beyond +-limit are set to it.

    mean, sd: (d,) float64. modality: 0, 1, 2 for language, audio, vision; for messages.
    """

    mean: np.ndarray
    sd: np.ndarray
    limit: float | None
    modality: int

    def apply(self, x: np.ndarray, lengths: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Features x (n, T, d) with their valid steps scaled, in float64 and rounded to float32; 0 elsewhere.

        lengths: (n,) valid steps. out: zeros of the shape of x, or x itself.

        Raises:
            DataError: if a value lies so far from the training data that it overflows.
        """
        out = np.zeros(x.shape, np.float32) if out is None else out
        valid = np.arange(x.shape[1]) < lengths[:, None]
        with np.errstate(over="ignore"):
            steps = x[valid] - self.mean  # (valid steps, d) float64
            steps /= self.sd
            if self.limit is not None:
                np.clip(steps, -self.limit, self.limit, out=steps)
            out[valid] = steps
        if not np.isfinite(out).all():
            channel = int(np.flatnonzero(~np.isfinite(out).all(axis=(0, 1)))[0])
            raise DataError(
                f"channel {channel} of {MODALITIES[self.modality]} has values that overflow when standardised: "
                "they lie too far from the training data; look at the file with `dicmor data check`"
            )
        return out


@dataclass(frozen=True)
class Moments:
    """Mean, standard deviation and "does not vary" of every channel of one modality, each (d,)."""

    mean: np.ndarray
    sd: np.ndarray
    constant: np.ndarray

    def scaling(self, limit: float | None, modality: int) -> Scaling:
        """The map that standardises: a channel that does not vary has sd 1, so that it becomes 0, not noise."""
        return Scaling(self.mean, np.where(self.constant, 1.0, self.sd), limit, modality)


@dataclass(frozen=True)
class KnownMoments(Moments):
    """Moments that a store keeps of its training features, and how many values stand at `limit` once scaled."""

    limit: float
    clipped: int

    def count_clipped(self, scaling: Scaling) -> int | None:
        """How many values `scaling` sets to its limit; None if that is not known, being another map."""
        own = self.scaling(self.limit, scaling.modality)
        same = np.array_equal(own.mean, scaling.mean) and np.array_equal(own.sd, scaling.sd)
        return self.clipped if same and own.limit == scaling.limit else None
