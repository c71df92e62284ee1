"""The files of a store: which there may be, and how they are opened without believing what they say."""

from __future__ import annotations

import json
import math
import mmap
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from dicmor_lib.data.files import file_sha256, show
from dicmor_lib.data.layouts import FEATURE_KEYS, SPLITS

FORMAT, VERSION = "dicmor store", 1
META = "meta.json"
META_BYTES = 64 * 2**20
"""More than any report needs; a larger file is not read."""
ARRAYS = (*FEATURE_KEYS, "first", "lengths", "labels", "tokens")
NAMES = {*(f"{name}.npy" for name in ARRAYS), "ids.json"}
"""The files that the folder of a split may hold."""


class Spoilt(Exception):
    """The store is damaged; the message says where."""


def is_store(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is a folder that claims to be a store."""
    try:
        return stat.S_ISREG(os.lstat(Path(path) / META).st_mode)
    except (OSError, ValueError):
        return False


def read_meta(folder: Path) -> dict[str, Any]:
    """meta.json as a dict of the right format and version."""
    path = folder / META
    try:
        if path.stat().st_size > META_BYTES:
            raise Spoilt(f"{META} is too large")
        meta = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        raise Spoilt(f"{META} cannot be read") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise Spoilt(f"{META} is not that of a store")
    if meta.get("version") != VERSION:
        raise Spoilt(f"it has version {show(meta.get('version'))}, this program reads version {VERSION}")
    if not isinstance(meta.get("files"), dict):
        raise Spoilt(f"{META} lists no files")
    return meta


def inside(file: str) -> tuple[str, str]:
    """Folder and name of a listed file, if it is one that a store may have."""
    split, _, name = file.partition("/")
    if split not in SPLITS or name not in NAMES:
        raise Spoilt(f"{META} lists {show(file)}, which is not a file of a store")
    return split, name


class StoreFiles:
    """Opens the files of one store; every method raises `Spoilt` if something is wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meta = read_meta(folder)

    def array(self, file: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        """A small array, in memory."""
        return np.zeros(shape, dtype) if 0 in shape else np.array(self.map(file, shape, dtype))

    def map(self, file: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        """A file of exactly this shape and type as a read-only mapped array; nothing of it is read yet."""
        stored = np.dtype(dtype).newbyteorder("<")
        with self.open(file) as handle:
            try:
                if npy.read_magic(handle) != (1, 0):
                    raise ValueError("a version that is never written")
                found = npy.read_array_header_1_0(handle)
            except Exception:  # noqa: BLE001  the header parser raises a dozen kinds on damaged bytes
                raise Spoilt(f"{file} is not a .npy array") from None
            if found != (shape, False, stored):
                raise Spoilt(f"{file} holds {show(found[2])} {found[0]}, not {stored} {shape}")
            start, size = handle.tell(), os.fstat(handle.fileno()).st_size
            if size != start + math.prod(shape) * stored.itemsize:
                raise Spoilt(f"{file} is not as long as its shape {shape} says")
            try:
                pages = mmap.mmap(handle.fileno(), size, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                raise Spoilt(f"{file} cannot be mapped into memory ({error})") from None
        return np.frombuffer(pages, stored, math.prod(shape), start).reshape(shape)

    def open(self, file: str) -> BinaryIO:
        """A file of the store, which must be a regular one (no link) of the size that meta.json says."""
        path = self.folder.joinpath(*inside(file))
        try:
            if path.parent.is_symlink() or not stat.S_ISREG(os.lstat(path).st_mode):
                raise Spoilt(f"{file} is not a regular file")
            handle = open(path, "rb")  # noqa: SIM115  (closed by the caller)
        except OSError as error:
            raise Spoilt(f"{file} cannot be opened ({error.strerror or error})") from None
        listed, size = self.meta["files"].get(file), os.fstat(handle.fileno()).st_size
        if not isinstance(listed, dict) or listed.get("bytes") != size:
            handle.close()
            raise Spoilt(f"{file} has {size:,} bytes, which is not what {META} says")
        return handle

    def check_sums(self) -> tuple[int, int]:
        """Compare every file with its SHA-256, which reads all of it; returns their number and bytes."""
        for file, listed in self.meta["files"].items():
            self.open(file).close()
            if file_sha256(self.folder.joinpath(*inside(file))) != listed.get("sha256"):
                raise Spoilt(f"{file} is not what was written (its SHA-256 differs)")
        files = self.meta["files"].values()
        return len(files), sum(listed["bytes"] for listed in files)
