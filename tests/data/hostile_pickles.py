"""Malicious pickles: calls that would leave a marker if anything ran them, in every place a pickle has for them."""

from __future__ import annotations

import builtins
import importlib
import os
import pickle
import posixpath
import shutil
import struct
import subprocess
from collections import Counter, OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

PROTOCOLS = range(6)


class Call:
    """Pickled as the call of `function` with `args`."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple:
        return self.call


def marked(marker: Path) -> dict[str, tuple[Call, str]]:
    """Calls that would create `marker`, and the name that each must be refused by."""
    shell, code = f"touch '{marker}'", f"open({str(marker)!r}, 'w').close()"
    return {
        "os.system": (Call(os.system, shell), f"{os.system.__module__}.system"),
        "os.popen": (Call(os.popen, shell), "os.popen"),
        "subprocess.Popen": (Call(subprocess.Popen, ["touch", str(marker)]), ".Popen"),
        "subprocess.run": (Call(subprocess.run, ["touch", str(marker)]), ".run"),
        "eval": (Call(eval, code), "eval"),
        "exec": (Call(exec, code), "exec"),
        "getattr": (Call(getattr, builtins.str, "join"), "getattr"),
        "open": (Call(open, str(marker), "w"), "open"),
        "__import__": (Call(__import__, "os"), "__import__"),
        "import_module": (Call(importlib.import_module, "os"), "import_module"),
        "copyfile": (Call(shutil.copyfile, __file__, str(marker)), "shutil.copyfile"),
        "mkdir": (Call(os.mkdir, str(marker)), "mkdir"),
        "loads": (Call(pickle.loads, pickle.dumps(Call(os.system, shell))), "loads"),
        "np.save": (Call(np.save, str(marker), [1]), "numpy.save"),
        "np.memmap": (Call(np.memmap, str(marker), "u1", "w+", 0, (1,)), "memmap"),
        "np.dtype.type": (Call(np.float64, 1.0), "numpy.float64"),
        "path": (Call(Path, str(marker)), "Path"),
        "join": (Call(posixpath.join, "a", "b"), "posixpath.join"),
        "Counter": (Call(Counter, "ab"), "collections.Counter"),
        "Exception": (Call(KeyboardInterrupt), "KeyboardInterrupt"),
    }


NESTED = {
    "list": lambda call: [1, [2, [call]]],
    "dict value": lambda call: {"train": {"text": call}},
    "tuple": lambda call: (1, (call,)),
    "dict key": lambda call: {call: 1},
    "set": lambda call: {call},
    "object array": lambda call: np.array([call, None], dtype=object),
    "ordered dict": lambda call: OrderedDict(a=call),
    "after real data": lambda call: {"train": {"text": np.ones((2, 3, 4)), "id": ["a", call]}},
    "last of many": lambda call: [*range(5000), call],
}


def named(module: str, name: str) -> bytes:
    """STACK_GLOBAL of any two texts, dots included."""
    return b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name)) + b"\x93"


RAW_ATTACKS = {
    "INST": (b"(S'touch MARKER'\nios\nsystem\n.", "os.system"),
    "OBJ": (b"(cos\nsystem\nS'touch MARKER'\no.", "os.system"),
    "REDUCE": (b"cos\nsystem\n(S'touch MARKER'\ntR.", "os.system"),
    "dotted": (b"\x80\x04" + named("builtins", "getattr.__class__") + b".", "builtins.getattr.__class__"),
    "dotted numpy": (b"\x80\x04" + named("numpy", "ndarray.tofile") + b".", "numpy.ndarray.tofile"),
    "numpy's runstring": (b"cnumpy.testing._private.utils\nrunstring\n(S'x'\n}tR.", "runstring"),
    "torch storage": (b"ctorch._utils\n_rebuild_tensor_v2\n(tR.", "torch._utils._rebuild_tensor_v2"),
    "torch load": (b"ctorch.storage\n_load_from_bytes\n(C\x01atR.", "torch.storage._load_from_bytes"),
    "persistent text": (b"Pstorage\n.", "persistent id"),
    "persistent stack": (b"\x80\x02(U\x07storageU\x010tQ.", "persistent id"),
    "extension 1": (b"\x80\x02\x82\x01.", "entry 1 of the copyreg extension registry"),
    "extension 2": (b"\x80\x02\x83\x01\x01.", "entry 257 of"),
    "extension 4": (b"\x80\x02\x84\x01\x00\x00\x00.", "copyreg extension"),
    "buffer": (b"\x80\x05\x97.", "outside the file"),
    "read-only buffer": (b"\x80\x05\x97\x98.", "outside the file"),
    "NEWOBJ": (b"\x80\x02cnumpy\nndarray\nK\x05\x85\x81.", "an instance of numpy.ndarray"),
    "NEWOBJ_EX": (b"\x80\x04cnumpy\nndarray\n)}\x92.", "an instance of numpy.ndarray"),
    "INST of an allowed name": (b"(icollections\nOrderedDict\n.", "an instance of collections.OrderedDict"),
    "call of ndarray": (b"cnumpy\nndarray\n(K\x05\x85tR.", "a call of numpy.ndarray"),
    "state of a dict": (b"\x80\x02}}X\x01\x00\x00\x00aK\x01sb.", "attributes set on a dict"),
    "state of an OrderedDict": (b"ccollections\nOrderedDict\n(tR}b.", "attributes set on a OrderedDict"),
    "copyreg": (b"ccopy_reg\n_reconstructor\n(tR.", "copy_reg._reconstructor"),
    "code object": (b"ctypes\nCodeType\n(tR.", "types.CodeType"),
    "partial": (b"cfunctools\npartial\n(tR.", "functools.partial"),
    "line break in a name": (b"\x80\x04" + named("os\nevil", "system") + b".", "os?evil.system"),
    "endless name": (
        b"\x80\x04\x8c\x02os" + b"X" + struct.pack("<I", 9999) + b"x" * 9999 + b"\x93.",
        "os.xxx",
    ),
}


def malicious_pickles(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Every attack of this module by name, in every protocol that it can be written in; `marker` is its aim."""
    for protocol in PROTOCOLS:
        for name, (call, _) in marked(marker).items():
            yield f"{name}, protocol {protocol}", pickle.dumps(call, protocol)
        for place, nest in NESTED.items():
            content = nest(Call(os.system, f"touch '{marker}'"))
            yield f"in a {place}, protocol {protocol}", pickle.dumps(content, protocol)
    for name, (content, _) in RAW_ATTACKS.items():
        yield name, content.replace(b"MARKER", str(marker).encode())
