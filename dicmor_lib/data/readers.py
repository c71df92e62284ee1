"""Reading data files: the MMSA pickle, the MulT/MultiBench pickle, and `.npz`; the content decides.

| format              | keys of each of train, valid, test                                                |
|---------------------|-----------------------------------------------------------------------------------|
| MMSA pickle         | text, audio, vision, regression_labels; optional id, text_bert, *_lengths         |
| MulT, MultiBench    | text, audio, vision, labels; optional id                                          |
| .npz with splits    | as MMSA, split in front: "train/text"; a modality may lack; about/synthetic       |
| .npz of loose clips | regression_labels and at least one of text, audio, vision: all of it is for train |

Loose clips may also come as a pickle of one dict.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dicmor_lib.data import fields
from dicmor_lib.data.dataset import MultimodalData, Split
from dicmor_lib.data.files import file_sha256, open_data_file, show
from dicmor_lib.data.report import ModalityReport, ReadReport, SplitReport
from dicmor_lib.data.safe_npz import load_npz
from dicmor_lib.data.safe_pickle import load
from dicmor_lib.errors import DataError

SPLITS = ("train", "valid", "test")
FEATURE_KEYS = ("text", "audio", "vision")  # in the order language, audio, vision
LABEL_KEYS = ("regression_labels", "labels")
NOT_DATA = {
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip archive, unpack it first",
    b"version https://git-lfs": "a Git LFS pointer, fetch the real file",
    b"<!DOCTYPE": "a web page, so the download did not work",
    b"<html": "a web page, so the download did not work",
}


@dataclass
class _Raw:
    """What a file holds, before any field is looked at."""

    splits: dict[str, dict[str, Any]]
    format: str
    may_lack_modalities: bool
    synthetic: bool = False


def read(path: str | os.PathLike[str], *, published_layout: bool = False) -> MultimodalData:
    """Read a data file; see the table above for what it may hold.

    Features become float32; NaN and infinite values become 0 and are counted in the report. Each sequence
    is shifted to start at step 0 and its length is found from its values (`padding`); stored lengths are
    compared, not trusted. A sequence of zeros is not observed; a sample without any observed modality is
    dropped and counted.

    published_layout: read as the published code does: nothing is shifted, every length is T, all is observed.

    Raises:
        DataError: if the file is missing, damaged, incomplete or holds impossible values.
        UnsafePickleError: if a pickle asks for anything but data; nothing of it is run.
    """
    name = show(path, 300)
    raw = _load(path, name)
    report = ReadReport(format=raw.format, published_layout=published_layout)
    splits = {}
    for split_name in SPLITS:
        content = raw.splits.pop(split_name, None)
        if content is not None:
            place = _Place(name, split_name, Path(path).stem)
            splits[split_name], report.splits[split_name] = _read_split(
                content, raw, place, published_layout, report
            )
    _match_dims(splits, name)
    train = splits["train"]
    if len(train) == 0:
        stored = report.splits["train"].samples
        why = "every modality of its samples is zero" if stored else "it has no samples"
        raise DataError(f"{name}: the train split is empty ({why}); there is nothing to learn from")
    nothing = train.select([])
    return MultimodalData(
        train=train,
        valid=splits.get("valid", nothing),
        test=splits.get("test", nothing),
        source=show(Path(path).name, 200),
        sha256=file_sha256(path),
        synthetic=raw.synthetic,
        report=report,
    )


def _load(path: str | os.PathLike[str], name: str) -> _Raw:
    with open_data_file(path) as (handle, _):
        head = handle.read(32)
    for magic, what in NOT_DATA.items():
        if head.startswith(magic):
            raise DataError(f"{name} is {what}; expected an MMSA or MulT pickle or an .npz file")
    if head.startswith(b"PK"):
        return _npz_splits(load_npz(path), name)
    content = load(path)
    if not isinstance(content, dict):
        raise DataError(
            f"{name} holds a {type(content).__name__}; expected a dict with train, valid and test"
        )
    if any(split in content for split in SPLITS):
        return _pickle_splits(content, name)
    if any(key in content for key in FEATURE_KEYS):
        return _Raw({"train": content}, "pickle of loose clips", may_lack_modalities=True)
    raise DataError(f"{name} has no split 'train'{_it_has(content)}; expected train, valid and test")


def _pickle_splits(content: dict, name: str) -> _Raw:
    splits = {}
    for split in SPLITS:
        if split not in content:
            raise DataError(
                f"{name} has no split {split!r}{_it_has(content)}; expected train, valid and test"
            )
        if not isinstance(content[split], dict):
            raise DataError(
                f"{name}: split {split!r} is a {type(content[split]).__name__}, not a dict of arrays"
            )
        splits[split] = dict(content[split])
    mmsa = LABEL_KEYS[0] in splits["train"]
    return _Raw(splits, "MMSA pickle" if mmsa else "MulT/MultiBench pickle", may_lack_modalities=False)


def _npz_splits(arrays: dict[str, np.ndarray], name: str) -> _Raw:
    if not any("/" in key for key in arrays):
        return _Raw({"train": arrays}, ".npz of loose clips", may_lack_modalities=True)
    splits: dict[str, dict[str, Any]] = {}
    for key, array in arrays.items():
        split, _, field = key.partition("/")
        splits.setdefault(split, {})[field] = array
    synthetic = bool(np.any(splits.pop("about", {}).get("synthetic", False)))
    missing = [split for split in SPLITS if split not in splits]
    if missing:
        raise DataError(
            f"{name} has no arrays {missing[0]!r}{_it_has(splits)}; expected train/, valid/ and test/"
        )
    kind = ".npz with splits, synthetic" if synthetic else ".npz with splits"
    return _Raw(splits, kind, may_lack_modalities=True, synthetic=synthetic)


def _it_has(content: dict) -> str:
    keys = ", ".join(show(key, 30) for key in list(content)[:12])
    return f" (it has: {keys})" if keys else " (it is empty)"


@dataclass
class _Place:
    """Where in which file, for messages and generated names."""

    file: str
    split: str
    stem: str

    def of(self, key: str) -> str:
        return f"{self.file}: {key!r} of split {self.split!r}"

    def require(self, content: dict, keys: tuple[str, ...]) -> str:
        """The first of `keys` that the split has."""
        for key in keys:
            if key in content:
                return key
        raise DataError(
            f"{self.file}: split {self.split!r} has no {' or '.join(map(repr, keys))}{_it_has(content)}"
        )


def _read_split(
    content: dict[str, Any], raw: _Raw, place: _Place, published_layout: bool, report: ReadReport
) -> tuple[Split, SplitReport]:
    label_key = place.require(content, LABEL_KEYS)
    if raw.may_lack_modalities:
        place.require(content, FEATURE_KEYS)
    else:
        for key in FEATURE_KEYS:
            place.require(content, (key,))
    ids = fields.read_ids(content["id"], place.of("id")) if content.get("id") is not None else None
    labels = fields.read_labels(content[label_key], ids, place.of(label_key))
    count = len(labels)
    ids = [f"{place.stem}/{place.split}/{row}" for row in range(count)] if ids is None else ids
    if len(ids) != count:
        raise DataError(f"{place.of('id')} names {len(ids)} samples, but {label_key!r} has {count}")
    tokens = content.get("text_bert")
    tokens = None if tokens is None else fields.read_tokens(tokens, count, place.of("text_bert"))

    features, lengths, found = [], np.zeros((count, 3), np.int64), SplitReport(samples=count)
    modalities = []
    for m, key in enumerate(FEATURE_KEYS):
        stored = fields.read_lengths(content.get(f"{key}_lengths"), count)
        if f"{key}_lengths" in content and stored is None:
            report.notes.append(f"{place.split}: {key}_lengths is not {count} numbers and was ignored.")
        value = content.pop(key, None)  # popped, so that the file's copy is freed once converted
        if value is None:
            x, modality = np.zeros((count, 0, 0), np.float32), ModalityReport(absent=count)
        else:
            x, lengths[:, m], modality = _sequences(
                value, stored, count, label_key, published_layout, place.of(key)
            )
        features.append(x)
        modalities.append(modality)
    found.modalities = tuple(modalities)  # type: ignore[assignment]
    split = Split(tuple(features), lengths, lengths > 0, labels, ids, tokens)  # type: ignore[arg-type]
    kept = split.observed.any(axis=1)
    found.dropped = count - int(kept.sum())
    return (split.select(kept) if found.dropped else split), found


def _sequences(
    value: Any, stored: np.ndarray | None, count: int, label_key: str, published_layout: bool, where: str
) -> tuple[np.ndarray, np.ndarray, ModalityReport]:
    samples = len(value) if isinstance(value, np.ndarray) and value.ndim else count
    if samples != count:
        raise DataError(f"{where} has {samples} samples, but {label_key!r} has {count}")
    return fields.read_sequences(value, stored, published_layout, where)


def _match_dims(splits: dict[str, Split], name: str) -> None:
    """A modality has the same channels in every split that has it; splits without it get an empty array."""
    for m, key in enumerate(FEATURE_KEYS):
        dims = {
            split_name: split.feature_dims[m] for split_name, split in splits.items() if split.feature_dims[m]
        }
        if len(set(dims.values())) > 1:
            found = ", ".join(f"{dim} in {split_name}" for split_name, dim in dims.items())
            raise DataError(
                f"{name}: {key!r} has a different number of channels from split to split ({found})"
            )
        for split in splits.values():
            if dims and not split.feature_dims[m]:
                empty = np.zeros((len(split), 0, next(iter(dims.values()))), np.float32)
                split.features = (*split.features[:m], empty, *split.features[m + 1 :])
