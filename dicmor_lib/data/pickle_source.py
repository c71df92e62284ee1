"""The bytes of a pickle and its literals: numbers, text and raw bytes, for protocols 0 to 5.

Every length that the file declares is compared with what is left of the file before anything is
allocated, so a file of a few bytes cannot ask for gigabytes. Large raw bytes, which are the insides of
arrays, need not be allocated at all: a mapped source hands out windows onto the file. The opcodes are those
of Python's own `pickletools`, where each is documented.
"""

from __future__ import annotations

import codecs
import mmap
import struct
from collections.abc import Callable
from typing import BinaryIO

from dicmor_lib.data.pages import ascii_only

WINDOW_BYTES = 2**20
"""Raw bytes of at least this size are handed out as windows by a mapped source; smaller ones are copied."""


class Truncated(Exception):
    """The file ends inside the pickle."""


class Damaged(Exception):
    """The bytes do not describe data; the message says what was found."""


class Source:
    """The file, read in order; `left` is the number of bytes not read yet.

    mapped: `raw` gives large payloads as read-only windows (memoryview) onto the file mapped into memory, which
    live as long as somebody holds them and must not outlast a change of the file.
    """

    def __init__(self, handle: BinaryIO, size: int, mapped: bool = False) -> None:
        self.handle = handle
        self.size = size
        self.left = size
        self.map = _map(handle, size) if mapped else None

    @property
    def position(self) -> int:
        return self.size - self.left

    def take(self, count: int) -> bytes:
        """Exactly `count` bytes."""
        if not 0 <= count <= self.left:
            raise Truncated
        data = self.handle.read(count)
        if len(data) != count:  # the file shrank since it was opened
            raise Truncated
        self.left -= count
        return data

    def raw(self, count: int) -> bytes | memoryview:
        """As `take`; large ones as a window onto the file if it is mapped."""
        return self.take(count) if self.map is None or count < WINDOW_BYTES else self._window(count)

    def _window(self, count: int) -> memoryview:
        if not 0 <= count <= self.left:
            raise Truncated
        window = memoryview(self.map)[self.position : self.position + count]  # type: ignore[arg-type]
        self.handle.seek(count, 1)
        self.left -= count
        return window

    def take_array(self, count: int) -> bytearray | memoryview:
        """As `raw`, but what is copied becomes a bytearray, without a second copy."""
        if self.map is not None and count >= WINDOW_BYTES:
            return self._window(count)
        if not 0 <= count <= self.left:
            raise Truncated
        data = bytearray(count)
        if self.handle.readinto(data) != count:  # type: ignore[attr-defined]
            raise Truncated
        self.left -= count
        return data

    def line(self) -> bytes:
        """The bytes up to the next newline, without it."""
        data = self.handle.readline(self.left)
        if not data.endswith(b"\n"):
            raise Truncated
        self.left -= len(data)
        return data[:-1]

    def unsigned(self, width: int) -> int:
        """A little-endian integer of `width` bytes that cannot be negative."""
        return int.from_bytes(self.take(width), "little")

    def signed(self, width: int) -> int:
        """A little-endian two's complement integer of `width` bytes."""
        return int.from_bytes(self.take(width), "little", signed=True)


def _map(handle: BinaryIO, size: int) -> mmap.mmap | None:
    """The file mapped into memory; None where the file system does not offer it: then everything is copied."""
    try:
        return mmap.mmap(handle.fileno(), size, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None


def _python2_string(data: bytes | memoryview) -> str | bytes | memoryview:
    """A Python 2 `str` is text or raw bytes; nothing in the file says which. ASCII is taken as text."""
    return str(data, "ascii") if ascii_only(data) else data


def _quoted(source: Source) -> str | bytes | memoryview:
    line = source.line().rstrip(b"\r")
    if len(line) < 2 or line[0] != line[-1] or line[:1] not in (b"'", b'"'):
        raise Damaged("a string without quotes")
    return _python2_string(codecs.escape_decode(line[1:-1])[0])


def _decimal(source: Source) -> int | bool:
    line = source.line()
    return {b"00": False, b"01": True}[line] if line in (b"00", b"01") else int(line)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


Literal = Callable[[Source], object]

LITERALS: dict[bytes, Literal] = {
    b"N": lambda s: None,
    b"\x88": lambda s: True,
    b"\x89": lambda s: False,
    b"I": _decimal,
    b"J": lambda s: s.signed(4),
    b"K": lambda s: s.unsigned(1),
    b"M": lambda s: s.unsigned(2),
    b"L": lambda s: int(s.line().rstrip(b"L")),
    b"\x8a": lambda s: s.signed(s.unsigned(1)),
    b"\x8b": lambda s: s.signed(s.signed(4)),
    b"F": lambda s: float(s.line()),
    b"G": lambda s: struct.unpack(">d", s.take(8))[0],
    b"S": _quoted,
    b"T": lambda s: _python2_string(s.raw(s.signed(4))),
    b"U": lambda s: _python2_string(s.take(s.unsigned(1))),
    b"V": lambda s: s.line().decode("raw-unicode-escape"),
    b"X": lambda s: _text(s.take(s.unsigned(4))),
    b"\x8c": lambda s: _text(s.take(s.unsigned(1))),
    b"\x8d": lambda s: _text(s.take(s.unsigned(8))),
    b"B": lambda s: s.raw(s.unsigned(4)),
    b"C": lambda s: s.take(s.unsigned(1)),
    b"\x8e": lambda s: s.raw(s.unsigned(8)),
    b"\x96": lambda s: s.take_array(s.unsigned(8)),
    b"]": lambda s: [],
    b"}": lambda s: {},
    b")": lambda s: (),
    b"\x8f": lambda s: set(),
}
"""Opcode -> the value that it pushes on the stack."""
