"""Which layout a data file has, and its splits as dicts of whatever the file holds; the content decides."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from dicmor_lib.data.files import open_data_file, show
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
class RawFile:
    """What a file holds, before any field is looked at."""

    splits: dict[str, dict[str, Any]]
    format: str
    may_lack_modalities: bool
    synthetic: bool = False


def load_raw(path: str | os.PathLike[str], name: str) -> RawFile:
    """The content of a file, called `name` in messages; the arrays of a pickle are windows onto the file."""
    with open_data_file(path) as (handle, _):
        head = handle.read(32)
    for magic, what in NOT_DATA.items():
        if head.startswith(magic):
            raise DataError(f"{name} is {what}; expected an MMSA or MulT pickle or an .npz file")
    if head.startswith(b"PK"):
        return _npz_splits(load_npz(path), name)
    content = load(path, mapped=True)
    if not isinstance(content, dict):
        raise DataError(
            f"{name} holds a {type(content).__name__}; expected a dict with train, valid and test"
        )
    if any(split in content for split in SPLITS):
        return _pickle_splits(content, name)
    if any(key in content for key in FEATURE_KEYS):
        return RawFile({"train": content}, "pickle of loose clips", may_lack_modalities=True)
    raise DataError(f"{name} has no split 'train'{it_has(content)}; expected train, valid and test")


def _pickle_splits(content: dict, name: str) -> RawFile:
    splits = {}
    for split in SPLITS:
        if split not in content:
            raise DataError(f"{name} has no split {split!r}{it_has(content)}; expected train, valid and test")
        if not isinstance(content[split], dict):
            raise DataError(
                f"{name}: split {split!r} is a {type(content[split]).__name__}, not a dict of arrays; write the file as `dicmor_lib.data.readers` describes"
            )
        splits[split] = dict(content[split])
    mmsa = LABEL_KEYS[0] in splits["train"]
    return RawFile(splits, "MMSA pickle" if mmsa else "MulT/MultiBench pickle", may_lack_modalities=False)


def _npz_splits(arrays: dict[str, np.ndarray], name: str) -> RawFile:
    if not any("/" in key for key in arrays):
        return RawFile({"train": arrays}, ".npz of loose clips", may_lack_modalities=True)
    splits: dict[str, dict[str, Any]] = {}
    for key, array in arrays.items():
        split, _, field = key.partition("/")
        splits.setdefault(split, {})[field] = array
    synthetic = bool(np.any(splits.pop("about", {}).get("synthetic", False)))
    missing = [split for split in SPLITS if split not in splits]
    if missing:
        raise DataError(
            f"{name} has no arrays {missing[0]!r}{it_has(splits)}; expected train/, valid/ and test/"
        )
    kind = ".npz with splits, synthetic" if synthetic else ".npz with splits"
    return RawFile(splits, kind, may_lack_modalities=True, synthetic=synthetic)


def it_has(content: dict) -> str:
    keys = ", ".join(show(key, 30) for key in list(content)[:12])
    return f" (it has: {keys})" if keys else " (it is empty)"
