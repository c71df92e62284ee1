"""Reading a pickle as data: NumPy arrays and plain containers, and nothing else.

A pickle is a program for a small stack machine, and Python's own machine runs whatever that
program names. This is another machine for the same programs. It knows the opcodes that build
containers and numbers; the ones that would look up or call something reach only the list in
`pickle_builders`, and everything else is refused by name before anything has happened. It works in
a loop, without recursion, and allocates nothing that the file does not hold.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from dicmor_lib.data.files import open_data_file, show
from dicmor_lib.data.pickle_builders import ALLOWED, Allowed, Budget, Oversized, Pending, hashable
from dicmor_lib.data.pickle_source import LITERALS, Damaged, Source, Truncated
from dicmor_lib.errors import DataError, UnsafePickleError

MAX_OPCODES = 2_000_000
"""CMU-MOSEI in the MMSA layout needs about 0.5 million; bounds time and the memory of tiny objects."""


class Unsafe(Exception):
    """The pickle wants something that is not data; the message names it."""


class Machine:
    """The stack machine: `run` executes the pickle in `source` and returns the object that it describes."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.budget = Budget(source.size)
        self.stack: list[object] = []
        self.marked: list[list[object]] = []  # the stacks below each open mark
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        for _ in range(MAX_OPCODES):
            code = self.source.take(1)
            if code == b".":
                return self.stack.pop()
            if code in LITERALS:
                self.stack.append(LITERALS[code](self.source))
            elif code in ACTIONS:
                ACTIONS[code](self)
            else:
                raise Damaged("an unknown opcode")
        raise Oversized(f"more than {MAX_OPCODES:,} separate objects")

    def protocol(self) -> None:
        number = self.source.unsigned(1)
        if number > 5:
            raise Damaged(f"the unknown pickle protocol {number}")

    # --- the stack and the memo ------------------------------------------------------------------
    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[object]:
        items, self.stack = self.stack, self.marked.pop()
        return items

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def duplicate(self) -> None:
        self.stack.append(self.stack[-1])

    def put(self, key: int) -> None:
        self.memo[key] = self.stack[-1]

    def get(self, key: int) -> None:
        value = self.memo[key]
        self.stack.append(value.value if isinstance(value, Pending) and value.filled else value)

    # --- containers ------------------------------------------------------------------------------
    def collect(self, kind: Callable[[list[object]], object]) -> None:
        items = self.pop_mark()
        self.stack.append(kind(items))

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise Damaged("a tuple of more than there is")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def append_to_list(self, items: list[object]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise Damaged("items for something that is not a list")
        target.extend(items)

    def add_to_set(self) -> None:
        items, target = self.pop_mark(), self.stack[-1]
        if type(target) is not set:
            raise Damaged("items for something that is not a set")
        target.update(hashable(item) for item in items)

    def set_items(self, items: list[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise Damaged("items for something that is not a dict")
        for key, value in zip(items[::2], items[1::2]):
            target[hashable(key)] = value

    def make_dict(self) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self.set_items(items)

    # --- names, calls and state: where the danger is -----------------------------------------------
    def name(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise Damaged("a name that is not text")
        if (module, name) not in ALLOWED:
            raise Unsafe(f"{module}.{name}")
        self.stack.append(ALLOWED[module, name])

    def name_from_lines(self) -> None:
        self.name(self.source.line().decode("utf-8"), self.source.line().decode("utf-8"))

    def name_from_stack(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.name(module, name)

    def call(self) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Allowed) or not isinstance(args, tuple):
            raise Damaged("a call of something that cannot be called")
        if function.build is None:
            raise Unsafe(f"a call of {function.name}")
        self.stack.append(function.build(args, self.budget))

    def instance_from_lines(self) -> None:
        self.name_from_lines()
        raise Unsafe(f"an instance of {self.stack[-1].name}")  # type: ignore[attr-defined]

    def instance(self) -> None:
        named = [item for item in self.stack if isinstance(item, Allowed)]
        raise Unsafe(f"an instance of {named[-1].name}" if named else "an instance of a class")

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack.pop()
        if not isinstance(target, Pending):
            raise Unsafe(f"attributes set on a {type(target).__name__}")
        self.stack.append(target.build(state, self.budget))

    def persistent(self, key: object) -> None:
        raise Unsafe(f"an object stored outside the file (persistent id {key!r}, as in PyTorch checkpoints)")

    def extension(self, width: int) -> None:
        raise Unsafe(f"entry {self.source.unsigned(width)} of the copyreg extension registry")

    def outside_buffer(self) -> None:
        raise Unsafe("a buffer stored outside the file")


ACTIONS: dict[bytes, Callable[[Machine], object]] = {
    b"\x80": Machine.protocol,
    b"\x95": lambda m: m.source.take(8),  # FRAME: a hint for buffered reading
    b"(": Machine.mark,
    b"0": Machine.pop,
    b"1": Machine.pop_mark,
    b"2": Machine.duplicate,
    b"p": lambda m: m.put(int(m.source.line())),
    b"q": lambda m: m.put(m.source.unsigned(1)),
    b"r": lambda m: m.put(m.source.unsigned(4)),
    b"\x94": lambda m: m.put(len(m.memo)),
    b"g": lambda m: m.get(int(m.source.line())),
    b"h": lambda m: m.get(m.source.unsigned(1)),
    b"j": lambda m: m.get(m.source.unsigned(4)),
    b"t": lambda m: m.collect(tuple),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"l": lambda m: m.collect(list),
    b"a": lambda m: m.append_to_list([m.stack.pop()]),
    b"e": lambda m: m.append_to_list(m.pop_mark()),
    b"\x90": Machine.add_to_set,
    b"\x91": lambda m: m.collect(lambda items: frozenset(map(hashable, items))),
    b"d": Machine.make_dict,
    b"s": lambda m: m.set_items([m.stack.pop(), m.stack.pop()][::-1]),
    b"u": lambda m: m.set_items(m.pop_mark()),
    b"c": Machine.name_from_lines,
    b"\x93": Machine.name_from_stack,
    b"R": Machine.call,
    b"b": Machine.build,
    b"i": Machine.instance_from_lines,
    b"o": Machine.instance,
    b"\x81": Machine.instance,
    b"\x92": Machine.instance,
    b"P": lambda m: m.persistent(m.source.line()),
    b"Q": lambda m: m.persistent("on the stack"),
    b"\x82": lambda m: m.extension(1),
    b"\x83": lambda m: m.extension(2),
    b"\x84": lambda m: m.extension(4),
    b"\x97": Machine.outside_buffer,
    b"\x98": Machine.outside_buffer,
}


def load(path: str | os.PathLike[str], *, mapped: bool = False) -> object:
    """The object in a pickle file, of any protocol, written by Python 2 or 3.

    It holds None, booleans, numbers, text, bytes, lists, tuples, sets, dicts, NumPy scalars and NumPy arrays
    of numbers and text (arrays may be read-only); object arrays only of text and numbers.

    mapped: large arrays are windows onto the file, mapped into memory and not copied (from protocol 3 on, and
    those of Python 2); they may be unaligned, and the file must stay as it is while they are used. Large bytes
    outside arrays become memoryviews.

    Raises:
        UnsafePickleError: if the pickle names anything else. Nothing of it is looked up, imported or run.
        DataError: if the file is missing, truncated, damaged, no pickle, or declares far more than it holds.
    """
    name = show(path, 300)
    with open_data_file(path) as (handle, size):
        source = Source(handle, size, mapped)
        try:
            return Machine(source).run()
        except Unsafe as unsafe:
            raise UnsafePickleError(
                f"{name} asks for {show(unsafe)}, which is not data: only NumPy arrays and plain containers "
                "are read, and nothing of this file was run"
            ) from None
        except Oversized as oversized:
            raise DataError(
                f"{name} declares far more data than its {size:,} bytes hold ({show(oversized)}); "
                "it is damaged or made to exhaust memory, get it again from its source"
            ) from None
        except Truncated:
            raise DataError(f"{name} ends in the middle of the pickle; copy or download it again") from None
        except Exception as error:  # noqa: BLE001  whatever nonsense the bytes hold, it is one sentence to the user
            what = show(error) if isinstance(error, Damaged) else "bytes that make no sense"
            raise DataError(
                f"{name} is damaged or not a pickle of data: {what}, before byte {source.position:,}; "
                "check that it is the right file, or get it again"
            ) from None
