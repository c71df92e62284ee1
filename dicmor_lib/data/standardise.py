"""Zero mean and unit variance per channel, from the training samples alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dicmor_lib.data.dataset import Features, MultimodalData, Split
from dicmor_lib.data.mapped import MappedFeatures
from dicmor_lib.data.scaling import Moments, Scaling
from dicmor_lib.errors import DataError, ShapeError

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

    >>> from dicmor_lib.data import Oracle
    >>> data = Oracle(sizes=(40, 10, 10)).dataset()
    >>> standardiser = Standardiser.fit(data)  # on the training split alone
    >>> audio, lengths = standardiser.apply(data).train.features[1], data.train.lengths[:, 1]
    >>> round(float(audio.sum() / lengths.sum()), 5) == 0  # mean of the valid steps; padding is 0
    True
    """

    mean: tuple[np.ndarray, np.ndarray, np.ndarray]
    sd: tuple[np.ndarray, np.ndarray, np.ndarray]
    limit: float | None = LIMIT

    @classmethod
    def fit(cls, data: MultimodalData | Split, limit: float | None = LIMIT) -> Standardiser:
        """Fitted on the valid steps of the observed sequences of the train split (or of the split given)."""
        split = data.train if isinstance(data, MultimodalData) else data
        moments = [channel_moments(x, split.lengths[:, m]) for m, x in enumerate(split.features)]
        scalings = [found.scaling(limit, m) for m, found in enumerate(moments)]
        return cls(tuple(one.mean for one in scalings), tuple(one.sd for one in scalings), limit)  # type: ignore[arg-type]

    @property
    def feature_dims(self) -> tuple[int, int, int]:
        """Channels of (language, audio, vision)."""
        return tuple(len(mean) for mean in self.mean)  # type: ignore[return-value]

    def apply(self, data: MultimodalData) -> MultimodalData:
        """All splits standardised; `data` itself is left as it is.

        Features in memory are copied; those of a store are standardised whenever they are read, to the same values.

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

    def _standardised(self, modality: int, x: Features, lengths: np.ndarray) -> Features:
        scaling = Scaling(self.mean[modality], self.sd[modality], self.limit, modality)
        if isinstance(x, MappedFeatures):
            return x.scaled(scaling)
        out = np.zeros(x.shape, np.float32)
        for rows in _chunks(x):
            scaling.apply(x[rows], lengths[rows], out[rows])
        return out

    def clipped(self, split: Split) -> tuple[int, int, int]:
        """How many values of each modality of a *standardised* split stand at the limit."""
        if self.limit is None:
            return 0, 0, 0
        return tuple(count_clipped(x, self.limit) for x in split.features)  # type: ignore[return-value]

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
                "the standardiser is not stored as three lists of numbers each for mean and sd, and a limit; restore config.json or train again"
            ) from None
        good = all(
            len(a) == len(b) and np.isfinite(a).all() and np.isfinite(b).all() and (b > 0).all()
            for a, b in zip(mean, sd)
        )
        if not good or (limit is not None and not limit > 0):
            raise DataError(
                "the stored standardiser has values that are not finite means, positive deviations and a limit above 0; restore config.json or train again"
            )
        return cls(mean, sd, limit)


def _three_rows(rows: Sequence[Sequence[float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    arrays = [np.asarray(row, dtype=np.float64) for row in rows]
    if len(arrays) != 3 or any(array.ndim != 1 for array in arrays):
        raise ValueError("not three lists")
    return tuple(arrays)  # type: ignore[return-value]


def _chunks(x: Features) -> Iterator[slice]:
    """Slices of samples."""
    for start in range(0, len(x), CHUNK):
        yield slice(start, start + CHUNK)


def _valid_steps(x: Features, lengths: np.ndarray) -> Iterator[np.ndarray]:
    """All valid steps, (steps, d) for each chunk of samples."""
    steps = np.arange(x.shape[1])
    for rows in _chunks(x):
        yield x[rows][steps < lengths[rows, None]]


def count_clipped(x: Features, limit: float) -> int:
    """How many values of x (N, T, d) lie at or beyond +-limit; a store knows it of its standardised training data."""
    if isinstance(x, MappedFeatures) and x.clipped is not None:
        return x.clipped
    return sum(int((np.abs(x[rows]) >= np.float32(limit)).sum()) for rows in _chunks(x))


def channel_moments(x: Features, lengths: np.ndarray) -> Moments:
    """Mean, standard deviation and "does not vary" of each channel over the valid steps of x (N, T, d).

    Those of a store's training features are known from its conversion; all others are computed, a chunk at a time.
    """
    if isinstance(x, MappedFeatures) and x.moments is not None and not x.scalings:
        return x.moments
    total, count = np.zeros(x.shape[2]), max(int(lengths.sum()), 1)
    for steps in _valid_steps(x, lengths):
        total += steps.sum(0, dtype=np.float64)
    mean = total / count  # two passes, in float64: one pass would lose small variances beside large means
    squares = np.zeros(x.shape[2])
    for steps in _valid_steps(x, lengths):
        squares += np.square(steps - mean).sum(0)
    sd = np.sqrt(squares / count)
    # float32 keeps 7 digits: variation below that of the mean is rounding, not signal.
    constant = (sd <= 1e-6 * np.abs(mean)) | (sd < 1e-20)
    return Moments(mean, sd, constant)
