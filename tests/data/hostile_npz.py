"""Members of an .npz file that declare what they do not hold, or hold what is not data."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator


def npy(header: str, data: bytes = b"") -> bytes:
    """An .npy member with a header of our choice."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


HOSTILE = {
    "huge shape": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}", b"1234"),
    "overflowing shape": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"),
    "negative shape": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", b"1234"),
    "two negatives": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1)}", b"1234"),
    "empty axis beside a huge one": npy(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 10000000000)}"
    ),
    "endless empty text": npy("{'descr': '<U0', 'fortran_order': False, 'shape': (10000000000,)}"),
    "code in the header": npy("{'descr': __import__('os').getcwd(), 'fortran_order': False, 'shape': ()}"),
    "objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"cos\nsystem\n."),
    "deep header": npy("(" * 5000 + ")" * 5000),
    "no such character": npy("{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}", b"\xff" * 4),
    "not an array": b"hello",
    "other version": b"\x93NUMPY\x09\x00",
    "empty": b"",
}


def hostile_npz() -> Iterator[tuple[str, bytes]]:
    """Each of them as the only array of a file, by name; and a zip bomb."""
    shape = "{'descr': '<f4', 'fortran_order': False, 'shape': (20000000,)}"
    for name, member in [*HOSTILE.items(), ("bomb", npy(shape, bytes(80_000_000)))]:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("audio.npy", member)
        yield name, buffer.getvalue()
