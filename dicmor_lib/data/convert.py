"""Turning a data file into a store, a chunk at a time: `dicmor data convert FILE STORE`.

A pickle is mapped, not read: its arrays are cleaned chunk by chunk into the files of the store, so that the memory
needed does not grow with the file. The store is written beside its place, under a hidden name, and renamed when
it is whole; whatever goes wrong before leaves nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from dicmor_lib.data.files import file_sha256, open_data_file, show
from dicmor_lib.data.mapped import MappedFeatures
from dicmor_lib.data.pages import chunks
from dicmor_lib.data.parts import Part
from dicmor_lib.data.readers import read_parts
from dicmor_lib.data.scaling import KnownMoments
from dicmor_lib.data.sequences import Spans, clean
from dicmor_lib.data.standardise import LIMIT, channel_moments, count_clipped
from dicmor_lib.data.store import open_store
from dicmor_lib.data.store_files import FORMAT, META, VERSION, is_store
from dicmor_lib.errors import DataError

Say = Callable[[str], None]


def convert(
    source: str | os.PathLike[str],
    store: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    say: Say | None = None,
) -> None:
    """Write the data set of a file as a store; reading the store then gives what reading the file gives.

    A pickle of protocol 3 or later needs some 100 MB, whatever its size, and so does one of Python 2; of older
    protocols and of `.npz` the compressed arrays are unpacked into memory first.

    overwrite: replace a store that is there. Anything that is not a store is never replaced.
    say: called with a sentence at each step.

    Raises:
        DataError: if the file cannot be read (see `read`), or the store cannot be written.
    """
    source, store = Path(source), Path(store)
    say = say or (lambda sentence: None)
    _refuse_target(source, store, overwrite)
    with open_data_file(source):
        pass  # what is wrong with the source itself is said before anything is written
    with _explained(store), _partial(store) as folder:
        before = _fingerprint(source)
        say(f"reading {show(source, 300)}")
        meta = _write(source, folder)
        say("computing SHA-256 sums and statistics")
        meta["sha256"] = file_sha256(source)
        if _fingerprint(source) != before:
            raise DataError(f"{show(source, 300)} changed while it was read; convert it again")
        _finish(folder, meta)
        _move(folder, store)


def _refuse_target(source: Path, store: Path, overwrite: bool) -> None:
    name = show(store, 300)
    if is_store(source):
        raise DataError(f"{show(source, 300)} is a store already; it can be used as it is")
    if not os.path.lexists(store):
        return
    if not overwrite:
        raise DataError(f"{name} exists already; name another folder, or replace a store with --overwrite")
    if store.is_symlink() or not is_store(store):
        raise DataError(f"{name} exists and is not a store, so it is not overwritten; name another folder")


@contextmanager
def _explained(store: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(
            f"the store {show(store, 300)} cannot be written: {reason}; nothing of it was kept, "
            "choose a folder with enough space"
        ) from None


@contextmanager
def _partial(store: Path) -> Iterator[Path]:
    """A hidden folder beside the store, on the same file system; it is gone afterwards, moved or removed."""
    folder = store.absolute().with_name(f".{store.name}.{os.getpid()}.partial")
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _append(handle: BinaryIO, x: np.ndarray) -> None:
    handle.write(x.data)


def _fingerprint(source: Path) -> tuple[int, int]:
    found = os.stat(source)
    return found.st_size, found.st_mtime_ns


def _write(source: Path, folder: Path) -> dict[str, Any]:
    """Write all arrays; returns meta.json without sums and statistics."""

    def clean_features(split: str, key: str, value: np.ndarray) -> tuple[np.ndarray, Spans]:
        (folder / split).mkdir(exist_ok=True)
        nothing = np.broadcast_to(np.float32(0), value.shape)  # has the shape, takes no memory
        if value.size == 0:
            return nothing, clean(value, lambda rows, x: None)
        _refuse_full_disk(folder, 4 * value.size)
        with open(folder / split / f"{key}.npy", "wb") as handle:
            _header(handle, value.shape, np.float32)
            spans = clean(value, lambda rows, x: _append(handle, x))
            _through(handle)
        return nothing, spans

    parts, report, synthetic = read_parts(source, clean_features)
    for split, part in parts.items():
        _write_small(folder / split, part)
    return {
        "format": FORMAT,
        "version": VERSION,
        "source": show(source.name, 200),
        "synthetic": synthetic,
        "report": report.to_dict(),
        "splits": {split: _describe(part) for split, part in parts.items()},
    }


def _refuse_full_disk(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"the store needs {needed / 1e9:.2f} GB more, but only {free / 1e9:.2f} GB are free in "
            f"{show(folder.parent, 300)}; free some space or choose another folder"
        )


def _describe(part: Part) -> dict[str, Any]:
    tokens = None if part.tokens is None else part.tokens.shape[2]
    return {"shapes": [list(x.shape) for x in part.features], "tokens": tokens}


def _write_small(folder: Path, part: Part) -> None:
    """Everything of a split but its features."""
    folder.mkdir(exist_ok=True)
    arrays = {"first": part.first, "lengths": part.length, "labels": part.labels}
    if part.tokens is not None:
        arrays["tokens"] = part.tokens
    for name, array in arrays.items():
        if array.size:
            with open(folder / f"{name}.npy", "wb") as handle:
                _header(handle, array.shape, array.dtype)
                for rows in chunks(array.shape, array.itemsize):
                    handle.write(np.ascontiguousarray(array[rows]).data)
                _through(handle)
    _write_json(folder / "ids.json", part.ids)


def _header(handle: Any, shape: tuple[int, ...], dtype: Any) -> None:
    """The header of a `.npy` file of format 1.0."""
    descr = npy.dtype_to_descr(np.dtype(dtype))
    npy.write_array_header_1_0(handle, {"descr": descr, "fortran_order": False, "shape": tuple(shape)})


def _write_json(path: Path, value: Any) -> None:
    with open(path, "w", encoding="utf-8") as handle:
        json.dump(value, handle, allow_nan=False)
        _through(handle)


def _through(handle: Any) -> None:
    handle.flush()
    os.fsync(handle.fileno())


def _finish(folder: Path, meta: dict[str, Any]) -> None:
    """Add sums and statistics and write meta.json; the statistics are those of the store as it will be read."""
    files = sorted(path for path in folder.glob("*/*"))
    meta["files"] = {
        f"{path.parent.name}/{path.name}": {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for path in files
    }
    _write_json(folder / META, meta)
    meta["statistics"] = _statistics(folder)
    _write_json(folder / META, meta)


def _statistics(folder: Path) -> list[dict[str, Any] | None]:
    """Moments of the training features of each modality; None for one that is empty."""
    train = open_store(folder).train
    found: list[dict[str, Any] | None] = []
    for m, x in enumerate(train.features):
        if not isinstance(x, MappedFeatures):
            found.append(None)
            continue
        moments = channel_moments(x, train.lengths[:, m])
        clipped = count_clipped(x.scaled(moments.scaling(LIMIT, m)), LIMIT)
        known = KnownMoments(**asdict(moments), limit=LIMIT, clipped=clipped)
        found.append({name: np.asarray(value).tolist() for name, value in asdict(known).items()})
    return found


def _move(folder: Path, store: Path) -> None:
    """Put the finished folder in its place; an older store goes away only then."""
    old = folder.with_suffix(".old")
    if os.path.lexists(store):
        os.rename(store, old)
    try:
        os.rename(folder, store)
    except OSError:
        if old.exists():
            os.rename(old, store)
        raise
    shutil.rmtree(old, ignore_errors=True)
