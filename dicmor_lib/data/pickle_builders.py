"""What a data pickle may ask for by name, and how this library builds it itself.

A pickle names a callable and its arguments. Nothing named by a file is ever looked up or called:
the few names below stand for functions of this module, which check every argument. In
particular an array is made from bytes that are really in the file, of exactly the declared size.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dicmor_lib.data.pickle_source import Damaged

MIB = 2**20
NUMBERS = {"?", "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}
OBJECT_ITEMS = (str, bytes, int, float, np.generic, type(None))


class Oversized(Exception):
    """The pickle declares far more data than its file holds; the message says what."""


class Budget:
    """Bytes that a pickle may still turn into arrays; honest files stay far below eight times their size."""

    def __init__(self, file_size: int) -> None:
        self.limit = 8 * file_size + 64 * MIB
        self.left = self.limit

    def spend(self, count: int, what: str) -> None:
        self.left -= count
        if self.left < 0:
            raise Oversized(what)


@dataclass
class Allowed:
    """A name on the list. `build(args, budget)` makes its value; None: it may be mentioned, not called."""

    name: str
    build: Callable[[tuple, Budget], Any] | None = None


class Pending:
    """An array or dtype between its REDUCE (which makes it empty) and its BUILD (which fills it)."""

    def __init__(self, fill: Callable[[tuple, Budget], Any], value: Any = None) -> None:
        self.fill = fill
        self.value = value
        self.filled = False

    def build(self, state: object, budget: Budget) -> Any:
        if self.filled or not isinstance(state, tuple):
            raise Damaged("an array is filled twice, or not with a tuple")
        self.value = self.fill(state, budget)
        self.filled = True
        return self.value


def make_array(
    shape: object, dtype: np.dtype, order: Literal["C", "F"], data: object, budget: Budget
) -> np.ndarray:
    """An array over `data`, not a copy: exactly the right bytes or, for dtype object, a list of text and numbers."""
    if not isinstance(shape, tuple) or len(shape) > 32:
        raise Damaged("a shape that is not a tuple of at most 32 sizes")
    if not all(type(size) is int and 0 <= size < 2**62 for size in shape):
        raise Damaged("a shape with something else than sizes in it")
    # Empty axes count as 1: an array of shape (0, 2**60) holds nothing, but would break its users.
    declared = math.prod(max(size, 1) for size in shape) * max(dtype.itemsize, 1)
    budget.spend(declared, f"an array of shape {shape}")
    count = math.prod(shape)
    if dtype.hasobject:
        if not isinstance(data, list) or len(data) != count:
            raise Damaged("an object array whose list has another length")
        if not all(isinstance(item, OBJECT_ITEMS) for item in data):
            raise Damaged("an object array that holds something else than text and numbers")
        array = np.empty(count, dtype=object)
        array[:] = data
        return array.reshape(shape, order=order)
    data = data.encode("latin-1") if isinstance(data, str) else data
    if not isinstance(data, (bytes, bytearray, memoryview)) or len(data) != count * dtype.itemsize:
        raise Damaged("an array whose bytes do not match its shape")
    if count * dtype.itemsize == 0:
        return np.zeros(shape, dtype)
    array = np.frombuffer(data, dtype)
    if dtype.kind == "U" and array.view(dtype.byteorder + "u4").max() > 0x10FFFF:
        raise Damaged("text with a character that does not exist")
    return array.reshape(shape, order=order)


def plain_dtype(value: object) -> np.dtype:
    """The finished dtype behind an array's description."""
    value = value.value if isinstance(value, Pending) else value
    if not isinstance(value, np.dtype):
        raise Damaged("an array without a dtype")
    return value


def _dtype(args: tuple, budget: Budget) -> Pending:
    """`numpy.dtype(code, align, copy)`: numbers, text and object; no structures, no void, no dates."""
    code = args[0].decode("ascii") if isinstance(args[0], bytes) else args[0]
    if code in NUMBERS or (isinstance(code, str) and re.fullmatch(r"[SU]\d{1,9}", code)):
        dtype = np.dtype(code)
    elif code in ("O", "O4", "O8"):
        dtype = np.dtype(object)
    else:
        raise Damaged(f"the NumPy type {code!r}, which is neither numbers nor text")

    def fill(state: tuple, budget: Budget) -> np.dtype:
        version, byte_order, *structure = state[:5]
        order: Any = byte_order.decode("ascii") if isinstance(byte_order, bytes) else byte_order
        if version not in (3, 4) or order not in ("<", ">", "|", "=") or structure != [None, None, None]:
            raise Damaged("a NumPy type with a structure")
        return dtype.newbyteorder("<" if order == "=" else order)

    return Pending(fill, dtype)


def _reconstruct(args: tuple, budget: Budget) -> Pending:
    """`numpy._core.multiarray._reconstruct(ndarray, ...)`; the state ends: shape, dtype, fortran, data."""
    if not isinstance(args[0], Allowed) or args[0].name != "numpy.ndarray":
        raise Damaged("an array of a class other than ndarray")

    def fill(state: tuple, budget: Budget) -> np.ndarray:
        shape, dtype, fortran, data = state[-4:]
        return make_array(shape, plain_dtype(dtype), "F" if fortran else "C", data, budget)

    return Pending(fill)


def _frombuffer(args: tuple, budget: Budget) -> np.ndarray:
    """`numpy._core.numeric._frombuffer(data, dtype, shape, order[, axis_order])` of protocol 5."""
    data, dtype, shape, order, *axes = args
    if order not in ("C", "F", "K") or plain_dtype(dtype).hasobject:
        raise Damaged("an array in an unknown order")
    if order == "K" and axes and axes[0] is not None:
        return make_array(shape, plain_dtype(dtype), "C", data, budget).transpose(axes[0])
    return make_array(shape, plain_dtype(dtype), "F" if order == "F" else "C", data, budget)


def _scalar(args: tuple, budget: Budget) -> Any:
    """`numpy._core.multiarray.scalar(dtype, data)`."""
    return make_array((), plain_dtype(args[0]), "C", args[1], budget)[()]


def _encode(args: tuple, budget: Budget) -> bytes:
    """`_codecs.encode(text, "latin1")`: how protocols 0 to 2 of Python 3 store bytes."""
    text, codec = args
    if not isinstance(text, str) or codec not in ("latin1", "latin-1"):
        raise Damaged("an encoding other than latin1")
    budget.spend(len(text), "repeated bytes")
    return text.encode("latin-1")


def _bytes(args: tuple, budget: Budget) -> bytes:
    if args:
        raise Damaged("bytes with arguments")
    return b""


def _bytearray(args: tuple, budget: Budget) -> bytearray:
    """`bytearray()`, `bytearray(bytes)` or, in old protocols, `bytearray(text, "latin-1")`."""
    if len(args) == 2:
        args = (_encode(args, budget),)
    data = args[0] if args else b""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise Damaged("a bytearray of something else than bytes")
    budget.spend(len(data), "repeated bytes")
    return bytearray(data)


def hashable(value: object) -> object:
    """`value` if it may be a key: a scalar or a flat tuple of them (to hash a deep one can crash Python)."""
    scalars = (str, bytes, int, float, complex, np.generic, type(None))
    if isinstance(value, scalars) or (
        type(value) is tuple and all(isinstance(item, scalars) for item in value)
    ):
        return value
    raise Damaged("a key that is not text or a number")


def _set(kind: type) -> Callable[[tuple, Budget], Any]:
    def build(args: tuple, budget: Budget) -> Any:
        items = args[0] if args else []
        if not isinstance(items, (list, tuple)):
            raise Damaged("a set of something else than a list")
        budget.spend(64 * len(items), "a repeated set")
        return kind(hashable(item) for item in items)

    return build


def _ordered_dict(args: tuple, budget: Budget) -> OrderedDict:
    pairs = args[0] if args else []
    if not isinstance(pairs, list) or not all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs
    ):
        raise Damaged("an OrderedDict of something else than pairs")
    budget.spend(128 * len(pairs), "a repeated OrderedDict")
    return OrderedDict((hashable(key), value) for key, value in pairs)


def _complex(args: tuple, budget: Budget) -> complex:
    if len(args) != 2 or not all(type(part) in (int, float) for part in args):
        raise Damaged("a complex number of something else than two numbers")
    return complex(*args)


def _allowed() -> dict[tuple[str, str], Allowed]:
    table = {
        ("numpy", "ndarray"): Allowed("numpy.ndarray"),
        ("numpy", "dtype"): Allowed("numpy.dtype", _dtype),
    }
    for core in ("numpy.core", "numpy._core"):  # before and since NumPy 2
        table[core + ".multiarray", "_reconstruct"] = Allowed("numpy._reconstruct", _reconstruct)
        table[core + ".multiarray", "scalar"] = Allowed("numpy.scalar", _scalar)
        table[core + ".numeric", "_frombuffer"] = Allowed("numpy._frombuffer", _frombuffer)
    table["_codecs", "encode"] = Allowed("_codecs.encode", _encode)
    table["collections", "OrderedDict"] = Allowed("collections.OrderedDict", _ordered_dict)
    for builtins in ("builtins", "__builtin__"):  # Python 3, Python 2
        table[builtins, "set"] = Allowed("set", _set(set))
        table[builtins, "frozenset"] = Allowed("frozenset", _set(frozenset))
        table[builtins, "complex"] = Allowed("complex", _complex)
        table[builtins, "bytes"] = Allowed("bytes", _bytes)
        table[builtins, "bytearray"] = Allowed("bytearray", _bytearray)
    return table


ALLOWED: dict[tuple[str, str], Allowed] = _allowed()
