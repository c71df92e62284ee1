"""Pickles that forge an array's insides or declare far more than they hold are refused; oddities are read."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest

from dicmor_lib.data import safe_pickle
from dicmor_lib.data.safe_pickle import load
from dicmor_lib.errors import DataError
from tests.data.forged_pickles import BOMBS, FORGED


@pytest.mark.parametrize("forgery", list(FORGED))
def test_forged_state_is_refused(forgery: str, write_pickle: Any) -> None:
    with pytest.raises(DataError) as refused:
        load(write_pickle(FORGED[forgery]))
    assert "data.pkl" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("bomb", list(BOMBS))
def test_bombs_are_refused_before_they_go_off(
    bomb: str, write_pickle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert safe_pickle.MAX_OPCODES <= 2_000_000  # a list each would take 0.3 GB
    monkeypatch.setattr(safe_pickle, "MAX_OPCODES", 100_000)
    path = write_pickle(BOMBS[bomb])
    tracemalloc.start()
    start = time.monotonic()
    try:
        with pytest.raises(DataError) as refused:
            load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 300 * 2**20, f"{peak / 2**20:.0f} MiB"
    assert time.monotonic() - start < 60
    assert "\n" not in str(refused.value)


def test_harmless_oddities_are_read(write_pickle: Any) -> None:
    """A huge memo number, a list in itself, deep nesting, doubling: dangerous only to other readers."""
    assert load(write_pickle(b"\x80\x02]r\xff\xff\xff\x7f.")) == []
    itself = load(write_pickle(b"\x80\x02]q\x00h\x00a."))
    assert itself[0] is itself
    deep = load(write_pickle(b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"."))
    for _ in range(49_999):
        (deep,) = deep
    assert deep == []
    doubled = load(
        write_pickle(b"\x80\x02]q\x00" + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(90)) + b".")
    )
    assert doubled[0] is doubled[1]  # 2**90 leaves, were they counted
    deep_tuple = load(write_pickle(b"\x80\x02)" + b"\x85" * 100_000 + b"."))
    assert type(deep_tuple) is tuple
