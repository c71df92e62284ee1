"""Reading and writing `.npz` files: named arrays in a zip, without pickles.

Sizes are compared before anything is allocated: the zip's with the file's, each array's declared shape with
the bytes that its member holds.
"""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from dicmor_lib.data.files import open_data_file, show
from dicmor_lib.errors import DataError

if TYPE_CHECKING:
    from dicmor_lib.data.dataset import MultimodalData

MAX_EXPANSION = 100
"""Zero padding compresses well, but features do not shrink a hundredfold; a zip bomb does, a thousandfold."""
FREE_BYTES = 64 * 2**20
"""Below this, expansion does no harm."""


class _Refused(Exception):
    """The array cannot be read; the message says why."""


def load_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name.

    Raises:
        DataError: if the file is damaged, holds Python objects, or expands to far more than its size.
    """
    name = show(path, 300)
    with open_data_file(path) as (handle, size):
        member = "its directory"
        try:
            with zipfile.ZipFile(handle) as archive:
                infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
                if not infos:
                    raise _Refused("the zip holds no .npy arrays")
                expanded = sum(info.file_size for info in infos)
                if expanded > MAX_EXPANSION * size + FREE_BYTES:
                    raise _Refused(f"its {size:,} bytes would expand to {expanded:,}")
                arrays = {}
                for info in infos:
                    member = show(info.filename)
                    arrays[info.filename.removesuffix(".npy")] = _read_array(archive, info)
                return arrays
        except _Refused as refused:
            raise DataError(
                f"{name} is not a readable .npz file ({member}): {refused}; write it again"
            ) from None
        except Exception:  # noqa: BLE001  zipfile, zlib and the header parser raise a dozen kinds on damaged bytes
            raise DataError(
                f"{name} is a damaged .npz file: {member} cannot be read; copy or download it again"
            ) from None


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as member:
        version = npy.read_magic(member)
        if version not in ((1, 0), (2, 0)):
            raise _Refused(f"array format {version} is not one of numbers and text")
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read_header(member)
        if dtype.hasobject or dtype.kind not in "biufcSU":
            raise _Refused("it holds Python objects or structures; only arrays of numbers and text are read")
        # Empty axes count as 1: an array of shape (0, 2**60) holds nothing, but would break its users.
        declared = math.prod(max(length, 1) for length in shape) * max(dtype.itemsize, 1)
        stored = info.file_size - member.tell()
        if math.prod(shape) * dtype.itemsize != stored or declared > stored + FREE_BYTES:
            raise _Refused(f"it declares shape {shape} but holds {stored:,} bytes")
        data = member.read(stored)
        member.read(1)  # reaching the end is what makes zipfile compare the checksum
    if len(data) != stored:
        raise _Refused(f"it ends after {len(data):,} of {stored:,} bytes")
    array = np.frombuffer(data, dtype) if stored else np.zeros(math.prod(shape), dtype)
    if dtype.kind == "U" and stored and array.view(dtype.byteorder + "u4").max() > 0x10FFFF:
        raise _Refused("it holds text with a character that does not exist")
    return array.reshape(shape, order="F" if fortran else "C")


def write_npz(path: str | os.PathLike[str], data: MultimodalData) -> None:
    """Write a data set so that `read` gives it back: "train/text", "train/regression_labels", "train/id" ...

    A modality that the data set does not have gets no key. That the data is synthetic is kept, in
    "about/synthetic". The file appears complete or not at all.

    Raises:
        DataError: if the file cannot be written.
    """
    arrays: dict[str, Any] = {
        "about/synthetic": np.array([data.synthetic]),
        "about/source": np.array([data.source]),
    }
    for split_name, split in data.splits.items():
        for key, x in zip(("text", "audio", "vision"), split.features):
            if x.shape[1] and x.shape[2]:
                arrays[f"{split_name}/{key}"] = x
        arrays[f"{split_name}/regression_labels"] = split.labels
        arrays[f"{split_name}/id"] = np.array(split.ids, dtype=np.str_)
        if split.tokens is not None:
            arrays[f"{split_name}/text_bert"] = split.tokens
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        try:
            with open(partial, "wb") as handle:
                np.savez_compressed(handle, **arrays)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{show(path, 300)} cannot be written: {reason}; choose another place") from None
