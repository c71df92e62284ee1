"""Files mapped into memory: a few megabytes at a time are in use, the rest is left to the kernel.

A mapped page counts as resident from its first use until the kernel drops it, which it does only when memory is
short. Whoever walks through gigabytes therefore says when pages are done with: `release`. They stay in the
file cache, where any process may have the room for something else.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import numpy as np

CHUNK_BYTES = 8 * 2**20
"""About how much of an array is worked on at once."""


def chunks(shape: tuple[int, ...], itemsize: int = 4) -> Iterator[slice]:
    """Consecutive rows of an array of this shape, about `CHUNK_BYTES` at a time, at least one."""
    row = max(int(np.prod(shape[1:], dtype=np.int64)) * itemsize, 1)
    step = max(CHUNK_BYTES // row, 1)
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


def release(array: np.ndarray) -> None:
    """Give the pages of the mapped file under `array` back; they are read again when needed. Else does nothing."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    owner = base.obj if isinstance(base, memoryview) else base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)


def ascii_only(data: bytes | memoryview) -> bool:
    """Whether every byte is below 128, found without a copy of more than a chunk."""
    if not isinstance(data, memoryview):
        return data.isascii()
    return all(bytes(data[k : k + CHUNK_BYTES]).isascii() for k in range(0, len(data), CHUNK_BYTES))
