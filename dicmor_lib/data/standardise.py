"""Zero mean and unit variance per channel, from the training samples alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dicmor_lib.data.dataset import MultimodalData, Split
from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.modalities import MODALITIES

LIMIT = 10.0
"""Default bound of standardised values, in training standard deviations."""
CHUNK = 64
"""Samples handled at once, so that working memory does not grow with the data set."""


@dataclass(frozen=True)
class Standardiser:
    """x -> (x - mean) / sd for every valid step of every observed sequence; padding stays 0.

    mean, sd: three float64 arrays (d_m,) for language, audio and vision. A channel that does not vary in
    training has sd 1, so that it becomes 0 instead of noise.
    limit: values beyond +-limit are set to it; None: none are. Audio features of MOSI and ICT-MMMO hold single
    values some 50 deviations out, which the inverse of a flow would amplify without bound. `clipped` counts them.
    """

    mean: tuple[np.ndarray, np.ndarray, np.ndarray]
    sd: tuple[np.ndarray, np.ndarray, np.ndarray]
    limit: float | None = LIMIT

    @classmethod
    def fit(cls, data: MultimodalData | Split, limit: float | None = LIMIT) -> Standardiser:
        """Fitted on the valid steps of the observed sequences of the train split (or of the split given)."""
        split = data.train if isinstance(data, MultimodalData) else data
        moments = [channel_moments(x, split.lengths[:, m]) for m, x in enumerate(split.features)]
        return cls(
            mean=tuple(mean for mean, _, _ in moments),  # type: ignore[arg-type]
            sd=tuple(np.where(constant, 1.0, sd) for _, sd, constant in moments),  # type: ignore[arg-type]
            limit=limit,
        )

    @property
    def feature_dims(self) -> tuple[int, int, int]:
        """Channels of (language, audio, vision)."""
        return tuple(len(mean) for mean in self.mean)  # type: ignore[return-value]

    def apply(self, data: MultimodalData) -> MultimodalData:
        """All splits standardised; `data` itself is left as it is.

        Raises:
            ShapeError: if the channels are not those that were fitted.
            DataError: if a value lies so far from the training data that it overflows.
        """
        return data.replace_splits({name: self.apply_split(split) for name, split in data.splits.items()})

    def apply_split(self, split: Split) -> Split:
        """One split standardised, as `apply`."""
        if len(split) and split.feature_dims != self.feature_dims:
            raise ShapeError(
                f"the data has {split.feature_dims} channels (language, audio, vision), the standardiser was "
                f"fitted on {self.feature_dims}; use the data set that the model was trained on"
            )
        features = tuple(self._standardised(m, x, split.lengths[:, m]) for m, x in enumerate(split.features))
        return Split(features, split.lengths, split.observed, split.labels, split.ids, split.tokens)  # type: ignore[arg-type]

    def _standardised(self, modality: int, x: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        out = np.zeros(x.shape, np.float32)
        for rows, valid in _chunks(x, lengths):
            with np.errstate(over="ignore"):
                steps = (x[rows][valid] - self.mean[modality]) / self.sd[modality]  # (steps, d) float64
                out[rows][valid] = steps if self.limit is None else steps.clip(-self.limit, self.limit)
        if not np.isfinite(out).all():
            channel = int(np.flatnonzero(~np.isfinite(out).all(axis=(0, 1)))[0])
            raise DataError(
                f"channel {channel} of {MODALITIES[modality]} has values that overflow when standardised: "
                "they lie too far from the training data; look at the file with `dicmor data check`"
            )
        return out

    def clipped(self, split: Split) -> tuple[int, int, int]:
        """How many values of each modality of a *standardised* split stand at the limit."""
        if self.limit is None:
            return 0, 0, 0
        return tuple(int((np.abs(x) >= np.float32(self.limit)).sum()) for x in split.features)  # type: ignore[return-value]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, ready for JSON; numbers survive exactly."""
        rows = {"mean": [mean.tolist() for mean in self.mean], "sd": [sd.tolist() for sd in self.sd]}
        return rows | {"limit": self.limit}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Standardiser:
        """The inverse of `to_dict`.

        Raises:
            DataError: if the values are not three lists of finite means and positive deviations.
        """
        try:
            mean, sd = (_three_rows(values[key]) for key in ("mean", "sd"))
            limit = None if values["limit"] is None else float(values["limit"])
        except (KeyError, TypeError, ValueError):
            raise DataError(
                "the standardiser is not stored as three lists of numbers each for mean and sd, and a limit"
            ) from None
        good = all(
            len(a) == len(b) and np.isfinite(a).all() and np.isfinite(b).all() and (b > 0).all()
            for a, b in zip(mean, sd)
        )
        if not good or (limit is not None and not limit > 0):
            raise DataError(
                "the stored standardiser has values that are not finite means, positive deviations and a limit above 0"
            )
        return cls(mean, sd, limit)


def _three_rows(rows: Sequence[Sequence[float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    arrays = [np.asarray(row, dtype=np.float64) for row in rows]
    if len(arrays) != 3 or any(array.ndim != 1 for array in arrays):
        raise ValueError("not three lists")
    return tuple(arrays)  # type: ignore[return-value]


def _chunks(x: np.ndarray, lengths: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Slices of samples with their valid steps, a bool array (samples, T)."""
    steps = np.arange(x.shape[1])
    for start in range(0, len(x), CHUNK):
        rows = slice(start, start + CHUNK)
        yield rows, steps < lengths[rows, None]


def channel_moments(x: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard deviation and "does not vary" (bool), each (d,), over the valid steps of x (N, T, d)."""
    total, count = np.zeros(x.shape[2]), max(int(lengths.sum()), 1)
    for rows, valid in _chunks(x, lengths):
        total += x[rows][valid].sum(0, dtype=np.float64)
    mean = total / count  # two passes, in float64: one pass would lose small variances beside large means
    squares = np.zeros(x.shape[2])
    for rows, valid in _chunks(x, lengths):
        squares += np.square(x[rows][valid] - mean).sum(0)
    sd = np.sqrt(squares / count)
    # float32 keeps 7 digits: variation below that of the mean is rounding, not signal.
    constant = (sd <= 1e-6 * np.abs(mean)) | (sd < 1e-20)
    return mean, sd, constant
