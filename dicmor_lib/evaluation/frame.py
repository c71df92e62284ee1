"""The common frame of all comparisons of features: which steps count, and in which units.

Distances and errors are measured in shallow features standardised by the *real training* features, per
modality and channel. A mean squared error of 1 is then what filling in the training mean costs on data like
the training data, and 1 - error is the share of variance explained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.modalities import MODALITIES


def valid_steps(lengths: np.ndarray, steps: int) -> np.ndarray:
    """Return which steps lie inside each sequence: lengths (...) -> (..., steps) bool."""
    return np.arange(steps) < np.asarray(lengths)[..., None]


def effective_lengths(lengths: np.ndarray, available: np.ndarray) -> np.ndarray:
    """Return lengths (N, 3) in which a missing modality gets the longest available one's.

    How long the missing sequence was is not known; nothing about it is read.
    """
    lengths, available = np.asarray(lengths), np.asarray(available, dtype=bool)
    longest = np.where(available, lengths, 0).max(axis=1, keepdims=True)
    return np.where(available, lengths, longest)


def inside_steps(lengths: np.ndarray, mask: np.ndarray, steps: int) -> np.ndarray:
    """Return (3, N, steps) bool: inside the sequence, of modalities that the mask (N, 3) has."""
    return valid_steps(np.where(mask, lengths, 0), steps).transpose(1, 0, 2)


def comparable_steps(
    lengths: np.ndarray, observed: np.ndarray, available: np.ndarray, steps: int
) -> np.ndarray:
    """Return (3, N, steps) bool: where a missing modality is real and every method fills it in.

    That is inside the real sequence (lengths, observed (N, 3)) and inside the longest available source.
    """
    recovered = effective_lengths(lengths, available)  # every method fills in this many steps
    missing = observed & ~available & available.any(axis=1, keepdims=True)
    return inside_steps(np.minimum(lengths, recovered), missing, steps)


@dataclass(frozen=True)
class ShallowFrame:
    """Mean and standard deviation (3, d) of real training shallow features; a constant channel has sd 1."""

    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def fit(cls, shallow: np.ndarray, lengths: np.ndarray, observed: np.ndarray) -> ShallowFrame:
        """Learn from shallow (3, N, T, d), valid steps of observed sequences only.

        Raises:
            DataError: if a modality is observed in no sample.
        """
        shallow, lengths, observed = check_shallow(shallow, lengths, observed, "observed")
        inside = inside_steps(lengths, observed, shallow.shape[2])
        for modality, steps in zip(MODALITIES, inside):
            if not steps.any():
                raise DataError(
                    f"{modality} is observed in no training sample, so nothing can learn to fill it in; "
                    "add training samples that have it"
                )
        mean = np.stack([shallow[m][inside[m]].mean(axis=0, dtype=np.float64) for m in range(3)])
        sd = np.stack([shallow[m][inside[m]].std(axis=0, dtype=np.float64) for m in range(3)])
        return cls(mean, np.where(sd > 1e-8, sd, 1.0))

    def standardise(self, features: np.ndarray, modality: int) -> np.ndarray:
        """Return features (..., d) of one modality in units of this frame."""
        return (features - self.mean[modality]) / self.sd[modality]


def check_shallow(
    shallow: np.ndarray, lengths: np.ndarray, mask: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the three as arrays; `ShapeError` unless they are (3, N, T, d), (N, 3) and (N, 3)."""
    shallow, lengths, mask = np.asarray(shallow), np.asarray(lengths), np.asarray(mask, dtype=bool)
    if shallow.ndim != 4 or shallow.shape[0] != 3:
        raise ShapeError(f"shallow features must have shape (3, N, T, d), not {shallow.shape}")
    for label, array in (("lengths", lengths), (name, mask)):
        if array.shape != (shallow.shape[1], 3):
            raise ShapeError(
                f"{label} must have shape ({shallow.shape[1]}, 3), one row per sample, not {array.shape}"
            )
    if lengths.size and lengths.max() > shallow.shape[2]:
        raise ShapeError(
            f"a length of {lengths.max()} is longer than the {shallow.shape[2]} steps of the features"
        )
    return shallow, lengths, mask
