"""A store: a data set as a folder of plain arrays, which stay on disk and are mapped into memory.

| file                                  | content                                                               |
|---------------------------------------|-----------------------------------------------------------------------|
| meta.json                             | format and version, source and its SHA-256, the reader's report,      |
|                                       | shapes, statistics of the training features, size and SHA-256 of each |
|                                       | file below                                                            |
| SPLIT/text.npy, audio.npy, vision.npy | (N, T, d) float32, cleaned, from step 0 on; none for an empty array   |
| SPLIT/first.npy, lengths.npy          | (N, 3) int64: where each sequence began in the source, and its length |
| SPLIT/labels.npy, tokens.npy          | (N,) float32; (N, 3, T) int64, only if the source has token ids       |
| SPLIT/ids.json                        | one name per sample                                                   |

The arrays are NumPy's own `.npy` files, so any program can read them. File names are fixed: `meta.json` names none
that is opened. `convert` writes stores; this module opens them, and believes nothing that it can check quickly.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dicmor_lib.data import fields
from dicmor_lib.data.dataset import Features, MultimodalData, Split
from dicmor_lib.data.files import show
from dicmor_lib.data.layouts import FEATURE_KEYS, SPLITS
from dicmor_lib.data.mapped import MappedFeatures
from dicmor_lib.data.parts import all_steps, put_together
from dicmor_lib.data.report import ReadReport
from dicmor_lib.data.scaling import KnownMoments
from dicmor_lib.data.store_files import META, Spoilt, StoreFiles
from dicmor_lib.errors import DataError


def open_store(path: str | os.PathLike[str], *, published_layout: bool = False) -> MultimodalData:
    """The data set in a store: the same as reading its source, but the features stay on disk.

    Sizes, shapes, types, lengths, labels and ids are checked; the features themselves are not read (`check_sums`
    does). While the data is in use the store must not be changed.

    Raises:
        DataError: if it is damaged, incomplete, or of a later version.
    """
    name = show(path, 300)
    with _told(name):
        return _Opening(StoreFiles(Path(path)), published_layout).data(name)


def check_sums(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Compare every file of a store with its SHA-256, which reads all of it; returns their number and bytes.

    Raises:
        DataError: if one differs.
    """
    with _told(show(path, 300)):
        return StoreFiles(Path(path)).check_sums()


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except Spoilt as spoilt:
        raise DataError(
            f"the store {name} cannot be used: {spoilt}; make it again with `dicmor data convert`"
        ) from None


class _Opening:
    """Makes the data set from the files; every method raises `Spoilt` if something is wrong."""

    def __init__(self, files: StoreFiles, published_layout: bool) -> None:
        self.files, self.meta, self.published = files, files.meta, published_layout

    def data(self, name: str) -> MultimodalData:
        """All of it."""
        meta = self.meta
        try:
            report = ReadReport.from_dict(meta["report"])
            shapes = {split: _shapes(meta["splits"][split]) for split in SPLITS if split in meta["splits"]}
            source, sha256 = show(meta["source"], 200), str(meta["sha256"])
            if "train" not in shapes or list(report.splits) != list(shapes):
                raise ValueError
            if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
                raise ValueError
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise Spoilt(f"{META} is incomplete or holds impossible values") from None
        report.published_layout = self.published
        splits = {split: self.split(split, of_split, report) for split, of_split in shapes.items()}
        return put_together(splits, report, name, source, sha256, bool(meta.get("synthetic")))

    def split(self, split: str, shapes: list[tuple[int, int, int]], report: ReadReport) -> Split:
        """One split, without the samples in which nothing is observed; their number goes into the report."""
        count = shapes[0][0]
        first, found = (
            self.files.array(f"{split}/{what}.npy", (count, 3), np.int64) for what in ("first", "lengths")
        )
        steps = all_steps(shapes)
        if (first < 0).any() or (found < 0).any() or (found > steps).any() or (first > steps - found).any():
            raise Spoilt(f"the lengths of split {split!r} do not fit its arrays")
        lengths = steps if self.published else found
        kept = np.flatnonzero((lengths > 0).any(axis=1))
        report.splits[split].dropped = count - len(kept)
        features = []
        for m, (key, shape) in enumerate(zip(FEATURE_KEYS, shapes)):
            moved = first[kept, m] if self.published else None
            features.append(
                self.features(split, m, f"{split}/{key}.npy", shape, kept, lengths[kept, m], moved)
            )
        ids = self.ids(f"{split}/ids.json", count)
        labels, tokens = self.labels(split, count), self.tokens(split, count)
        return Split(
            features=tuple(features),  # type: ignore[arg-type]
            lengths=lengths[kept],
            observed=lengths[kept] > 0,
            labels=labels[kept],
            ids=[ids[row] for row in kept],
            tokens=None if tokens is None else tokens[kept],
        )

    def features(
        self,
        split: str,
        modality: int,
        file: str,
        shape: tuple[int, int, int],
        kept: np.ndarray,
        lengths: np.ndarray,
        first: np.ndarray | None,
    ) -> Features:
        """One modality: on disk, or an empty array."""
        if 0 in shape:
            return np.zeros((len(kept), *shape[1:]), np.float32)
        moments = self.moments(modality, shape[2]) if split == "train" and not self.published else None
        return MappedFeatures(
            [self.files.map(file, shape, np.float32)], kept, lengths, shape[1], first, moments=moments
        )

    def moments(self, modality: int, channels: int) -> KnownMoments | None:
        """What the conversion found in the training features."""
        known = self.meta.get("statistics")
        if not known:
            return None
        try:
            values = known[modality]
            mean, sd = (np.array(values[key], dtype=np.float64) for key in ("mean", "sd"))
            constant = np.array(values["constant"], dtype=bool)
            found = KnownMoments(mean, sd, constant, float(values["limit"]), int(values["clipped"]))
        except (KeyError, IndexError, TypeError, ValueError, OverflowError):
            raise Spoilt(f"the statistics in {META} cannot be read") from None
        right = all(x.shape == (channels,) for x in (mean, sd, constant))
        if not right or not np.isfinite(mean).all() or not (np.isfinite(sd) & (constant | (sd > 0))).all():
            raise Spoilt(f"the statistics in {META} are not one mean and deviation per channel")
        return found

    def ids(self, file: str, count: int) -> list[str]:
        """The names of all samples."""
        with self.files.open(file) as handle:
            try:
                ids = fields.read_ids(json.load(handle), file)
            except (ValueError, RecursionError, DataError):
                raise Spoilt(f"{file} is not a list of names") from None
        if len(ids) != count:
            raise Spoilt(f"{file} names {len(ids)} samples, not {count}")
        return ids

    def labels(self, split: str, count: int) -> np.ndarray:
        """All labels, (N,) float32."""
        file = f"{split}/labels.npy"
        labels = self.files.array(file, (count,), np.float32)
        if not (np.abs(labels) <= 3).all():
            raise Spoilt(f"{file} holds labels outside [-3, 3]")
        return labels

    def tokens(self, split: str, count: int) -> np.ndarray | None:
        """All token ids, (N, 3, T) int64, if there are any."""
        file = f"{split}/tokens.npy"
        steps = self.meta["splits"][split].get("tokens")
        if steps is None:
            return None
        if type(steps) is not int or not 0 < steps < 2**31:
            raise Spoilt(f"{META} says {show(steps)} tokens")
        tokens = self.files.array(file, (count, 3, steps), np.int64)
        if ((tokens < 0) | (tokens >= 2**31)).any():
            raise Spoilt(f"{file} holds values that are not token ids")
        return tokens


def _shapes(values: dict[str, Any]) -> list[tuple[int, int, int]]:
    """Three shapes (N, T, d) of one N."""
    shapes: list[tuple[int, int, int]] = [tuple(shape) for shape in values["shapes"]]  # checked just below
    sizes = [size for shape in shapes for size in shape]
    good = len(shapes) == 3 and all(len(shape) == 3 and shape[0] == shapes[0][0] for shape in shapes)
    if not good or not all(type(size) is int and 0 <= size < 2**40 for size in sizes):
        raise ValueError("not three shapes")
    return shapes
