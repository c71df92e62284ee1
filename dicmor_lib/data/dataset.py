"""A split, a data set of three splits, and the batches that a model is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dicmor_lib.data.mapped import MappedFeatures
from dicmor_lib.data.report import ReadReport
from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.modalities import MODALITIES

Features = np.ndarray | MappedFeatures
FeatureArrays = tuple[Features, Features, Features]


@dataclass
class Split:
    """N samples; every axis or tuple of three is (language, audio, vision).

    features: three arrays (N, T_m, d_m) float32; each sequence starts at step 0 and is 0 from its length on. Those of
        a store stay on disk (`MappedFeatures`): index their rows, numpy.asarray reads all of them.
    lengths: (N, 3) int64, in steps; 0 where the modality is not observed.
    observed: (N, 3) bool: the modality exists in the data. (Whether a model may see it is a mask of its own.)
    labels: (N,) float32, sentiment in [-3, 3].
    ids: one name per sample.
    tokens: (N, 3, T) int64 or None: BERT's token ids, attention mask and segments, if the file has them.

    Raises:
        ShapeError: if the arrays do not belong together.
    """

    features: FeatureArrays
    lengths: np.ndarray
    observed: np.ndarray
    labels: np.ndarray
    ids: list[str]
    tokens: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.labels)
        shapes = {"lengths": (count, 3), "observed": (count, 3), "labels": (count,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ShapeError(
                    f"{name} of a split must have shape {shape}, not {getattr(self, name).shape}"
                )
        for name, x in zip(MODALITIES, self.features, strict=True):
            if x.ndim != 3 or len(x) != count:
                raise ShapeError(
                    f"{name} features of a split must have shape ({count}, time, channels), not {x.shape}"
                )
        if len(self.ids) != count or (self.tokens is not None and len(self.tokens) != count):
            raise ShapeError(
                f"a split of {count} samples needs as many ids and tokens, not {len(self.ids)} ids"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def feature_dims(self) -> tuple[int, int, int]:
        """Channels of (language, audio, vision)."""
        language, audio, vision = (x.shape[2] for x in self.features)
        return language, audio, vision

    def select(self, index: np.ndarray | Sequence[int]) -> Split:
        """The samples at `index` (positions, or a bool mask of N), in that order; what is on disk stays there."""
        index = np.asarray(index)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
        return Split(
            features=tuple(_rows(x, index) for x in self.features),  # type: ignore[arg-type]
            lengths=self.lengths[index],
            observed=self.observed[index],
            labels=self.labels[index],
            ids=[self.ids[i] for i in index],
            tokens=None if self.tokens is None else self.tokens[index],
        )


def _rows(x: Features, index: np.ndarray) -> Features:
    return x.select(index) if isinstance(x, MappedFeatures) else x[index]


@dataclass
class MultimodalData:
    """Three splits and where they come from. Loose clips (a file without splits) are all in `train`."""

    train: Split
    valid: Split
    test: Split
    source: str  # the file's name, or "synthetic oracle (...)"
    sha256: str  # of the file, or of the oracle's settings and seed
    synthetic: bool = False
    report: ReadReport = field(default_factory=ReadReport)
    language: dict[str, Any] | None = None  # the encoder that computed the language features, if one did

    @property
    def splits(self) -> dict[str, Split]:
        """The splits by name."""
        return {"train": self.train, "valid": self.valid, "test": self.test}

    @property
    def feature_dims(self) -> tuple[int, int, int]:
        """Channels of (language, audio, vision); 0 for a modality that the file does not have."""
        return self.train.feature_dims

    def replace_splits(self, splits: dict[str, Split]) -> MultimodalData:
        """The same data set with other splits."""
        changes: dict[str, Any] = dict(splits)
        return dataclasses.replace(self, **changes)


@dataclass
class Batch:
    """What a model is given: B samples, padded to the T of the longest sequence of any modality."""

    features: tuple[Tensor, Tensor, Tensor]  # (B, T, d_m) float32
    lengths: Tensor  # (B, 3) int64
    observed: Tensor  # (B, 3) bool
    label: Tensor  # (B,) float32
    index: Tensor  # (B,) int64, positions in the split
    tokens: Tensor | None = None  # (B, 3, T_tokens) int64

    def __len__(self) -> int:
        return len(self.label)

    def to(self, device: torch.device | str) -> Batch:
        """The batch on `device`."""

        def move(value: Tensor) -> Tensor:
            return value.to(device, non_blocking=True)

        return Batch(
            features=tuple(map(move, self.features)),  # type: ignore[arg-type]
            lengths=move(self.lengths),
            observed=move(self.observed),
            label=move(self.label),
            index=move(self.index),
            tokens=None if self.tokens is None else move(self.tokens),
        )


def collate(split: Split, index: np.ndarray | Sequence[int]) -> Batch:
    """The samples at `index` of a split as one batch.

    >>> from dicmor_lib.data import Oracle
    >>> train = Oracle(sizes=(8, 1, 1)).dataset().train
    >>> batch = collate(train, [0, 3])
    >>> batch.features[0].shape, batch.lengths.amax(dim=1)  # padded to the longer of the two
    (torch.Size([2, 8, 8]), tensor([6, 8]))

    Raises:
        DataError: if `index` is empty.
        ShapeError: if it points outside the split.
    """
    index = np.asarray(index, dtype=np.int64)
    if index.size == 0:
        raise DataError("a batch needs at least one sample; the split or the selection is empty")
    if index.min() < 0 or index.max() >= len(split):
        raise ShapeError(
            f"the index {index.min()}..{index.max()} points outside a split of {len(split)} samples; "
            f"give positions from 0 to {len(split) - 1}"
        )
    lengths = split.lengths[index]
    time = max(int(lengths.max()), 1)
    return Batch(
        features=tuple(_padded(x, index, time) for x in split.features),  # type: ignore[arg-type]
        lengths=torch.from_numpy(lengths),
        observed=torch.from_numpy(split.observed[index]),
        label=torch.from_numpy(split.labels[index]),
        index=torch.from_numpy(index),
        tokens=None if split.tokens is None else torch.from_numpy(split.tokens[index]),
    )


def _padded(x: Features, index: np.ndarray, time: int) -> Tensor:
    """Rows `index` of x (N, T_m, d), cut or padded with zeros to (B, time, d)."""
    rows = x[index, :time]
    if rows.shape[1] < time:
        rows = np.pad(rows, ((0, 0), (0, time - rows.shape[1]), (0, 0)))
    return torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32))


def batches(
    split: Split, batch_size: int, order: np.ndarray | Sequence[int] | None = None
) -> Iterator[Batch]:
    """The split in batches of `batch_size` (the last may be smaller), in the given `order` of positions.

    >>> from dicmor_lib.data import Oracle
    >>> train = Oracle(sizes=(8, 1, 1)).dataset().train
    >>> [len(batch) for batch in batches(train, batch_size=3)]
    [3, 3, 2]
    """
    if batch_size < 1:
        raise ShapeError(f"the batch size is {batch_size}; it must be at least 1")
    order = np.arange(len(split)) if order is None else np.asarray(order, dtype=np.int64)
    for start in range(0, len(order), batch_size):
        yield collate(split, order[start : start + batch_size])
