"""Every public name says what it is, what it takes and gives, and in which shapes."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

import dicmor_lib

PACKAGES = [
    "dicmor_lib",
    *(f"dicmor_lib.{m.name}" for m in pkgutil.iter_modules(dicmor_lib.__path__) if m.ispkg),
]
SHAPE = re.compile(
    r"\((?:[\w.*+ -]+, ?)*(?:[\w.*+' -]+|\.\.\.),? ?\)|\bscalar|\bshape(?:s|d)? (?:as|like|\(|of)"
)
"""(batch, 3), (N,), (3, N, T, d), (..., time) and their like."""


def public_names() -> Iterator[tuple[str, str, Any]]:
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", ()):
            yield package, name, getattr(module, name)


NAMES = list(public_names())
CODE = [(p, n, v) for p, n, v in NAMES if inspect.isclass(v) or inspect.isroutine(v)]


def routines(value: Any) -> list[tuple[str, Any]]:
    """What can be called of a public name: itself, or a class's own public methods and the way to make it."""
    if not inspect.isclass(value):
        return [("", value)]
    found = []
    for name, member in vars(value).items():
        if getattr(member, "__module__", value.__module__) != value.__module__:
            continue  # what another package puts there, as matplotlib does in figures
        member = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        member = member.fget if isinstance(member, property) else member
        made = name == "__init__" and not dataclasses.is_dataclass(value)
        if inspect.isfunction(member) and (made or not name.startswith("_")):
            found.append((name, member))
    return found


def takes_or_gives_arrays(routine: Any) -> bool:
    text = " ".join(map(str, inspect.get_annotations(routine).values()))  # as written: they are not evaluated
    return "Tensor" in text or "ndarray" in text


def undocumented(package: str, name: str, value: Any) -> Iterator[str]:
    text = inspect.getdoc(value) or ""
    if len(text.split()) < 4 or (dataclasses.is_dataclass(value) and text.startswith(f"{name}(")):
        yield f"{package}.{name} has no docstring"
    known = set(dir(nn.Module)) | {
        "__init__",
        "forward",
    }  # what a forward pass does stands in the class's docstring
    for method, routine in routines(value):
        if method and method not in known and not inspect.getdoc(routine):
            yield f"{package}.{name}.{method} has no docstring"


def untyped(package: str, name: str, value: Any) -> Iterator[str]:
    for method, routine in routines(value):
        signature = inspect.signature(routine)
        for parameter in signature.parameters.values():
            if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls"):
                yield f"{package}.{name}.{method}: no type for {parameter.name}"
        if signature.return_annotation is signature.empty:
            yield f"{package}.{name}.{method}: no type for what it returns"


def shapeless(package: str, name: str, value: Any) -> Iterator[str]:
    whole = f"{inspect.getdoc(value) or ''}\n{inspect.getdoc(inspect.getmodule(value)) or ''}"
    for method, routine in routines(value):
        if takes_or_gives_arrays(routine) and not SHAPE.search(f"{inspect.getdoc(routine)}\n{whole}"):
            yield f"{package}.{name}.{method} takes or gives arrays and names no shape"


@pytest.mark.parametrize("check", [undocumented, untyped, shapeless], ids=lambda check: check.__name__)
def test_public_names(check):
    assert [fault for entry in CODE for fault in check(*entry)] == []


def test_every_name_in_all_exists_once():
    for package in PACKAGES:
        listed = getattr(importlib.import_module(package), "__all__", ())
        assert len(set(listed)) == len(listed), package
    assert len(NAMES) > 80


@pytest.mark.parametrize("check", [undocumented, untyped, shapeless], ids=lambda check: check.__name__)
def test_a_bare_function_would_be_found(check):
    def bare(x: Tensor, y) -> np.ndarray:
        return x

    assert list(check("here", "bare", bare))
