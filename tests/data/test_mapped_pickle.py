"""The safe unpickler over a mapped file: the same values, the same refusals, and no copy of large arrays."""

from __future__ import annotations

import mmap
import pickle
import random
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest

from dicmor_lib.data import pickle_source
from dicmor_lib.data.pages import ascii_only, chunks, release
from dicmor_lib.data.safe_pickle import load
from dicmor_lib.errors import DataError, DicmorError, UnsafePickleError
from tests.data.test_pickle_bombs import BOMBS, FORGED
from tests.data.test_safe_pickle import ARRAYS, PLAIN, assert_same, mutated


def owner(array: np.ndarray) -> object:
    """What the memory of an array belongs to."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base.obj if isinstance(base, memoryview) else base


@pytest.mark.parametrize("protocol", range(6))
def test_the_same_values(protocol: int, write_pickle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every array of numbers and text is a window from protocol 3 on, however small."""
    path = write_pickle({"plain": PLAIN, "arrays": ARRAYS}, protocol)
    assert_same(load(path, mapped=True), load(path))
    monkeypatch.setattr(pickle_source, "WINDOW_BYTES", 1)
    arrays = load(write_pickle(ARRAYS, protocol), mapped=True)
    assert_same(arrays, load(write_pickle(ARRAYS, protocol)))


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_large_arrays_are_windows(protocol: int, write_pickle: Any) -> None:
    x = np.random.default_rng(0).normal(size=(700, 400))
    path = write_pickle({"a": x, "b": np.asfortranarray(x), "c": x[:2]}, protocol)
    tracemalloc.start()
    try:
        found = load(path, mapped=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20 < x.nbytes
    for name in ("a", "b"):
        assert isinstance(owner(found[name]), mmap.mmap) and not found[name].flags.writeable
        np.testing.assert_array_equal(found[name], x)
        release(found[name])
        np.testing.assert_array_equal(found[name], x)
    assert not isinstance(owner(found["c"]), mmap.mmap)
    release(found["c"])  # which is no file's: nothing happens


def test_strings_of_python_2(write_pickle: Any) -> None:
    """Large raw bytes are a window, large text is text."""
    for data, kind in ((b"a" * 2**21, str), (b"a" * 2**21 + b"\xff", memoryview)):
        found = load(write_pickle(b"\x80\x02T" + struct.pack("<i", len(data)) + data + b"."), mapped=True)
        assert type(found) is kind and (found if kind is str else bytes(found)) == (
            data.decode() if kind is str else data
        )
    assert ascii_only(b"abc") and not ascii_only(b"\x80") and ascii_only(memoryview(b""))


def test_forgeries_and_bombs_are_refused(write_pickle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_source, "WINDOW_BYTES", 1)
    of_bytes = {name: bomb for name, bomb in BOMBS.items() if "byte" in name}
    assert len(of_bytes) == 6
    for case in (FORGED | of_bytes).values():
        with pytest.raises(DataError) as refused:
            load(write_pickle(case), mapped=True)
        assert "data.pkl" in str(refused.value) and "\n" not in str(refused.value)


def test_windows_are_no_keys_and_no_calls(write_pickle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_source, "WINDOW_BYTES", 1)
    for code in (b"\x80\x03}C\x01aB\x02\x00\x00\x00bbK\x01s.", b"\x80\x03B\x02\x00\x00\x00bb\x85R."):
        with pytest.raises(DataError):
            load(write_pickle(code), mapped=True)
    with pytest.raises(UnsafePickleError, match="builtins.print"):
        load(write_pickle(b"\x80\x03cbuiltins\nprint\nB\x02\x00\x00\x00bb\x85R."), mapped=True)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_mutated_pickles_give_one_sentence(
    protocol: int, write_pickle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickle_source, "WINDOW_BYTES", 8)
    rng, refused = random.Random(protocol), 0
    whole = pickle.dumps({"plain": PLAIN, "arrays": ARRAYS}, protocol)
    for _ in range(60):
        try:
            load(write_pickle(mutated(whole, rng)), mapped=True)
        except DicmorError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 600
    assert refused > 10


def test_a_file_that_cannot_be_mapped_is_copied(write_pickle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_pickle({"a": np.arange(300_000.0)})

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("not here")

    monkeypatch.setattr(pickle_source.mmap, "mmap", fail)
    np.testing.assert_array_equal(load(path, mapped=True)["a"], np.arange(300_000.0))


def test_chunks_cover_all_rows_once() -> None:
    for shape in ((10, 50, 768), (0, 4, 4), (7, 0, 3), (3, 10**4, 10**3), (100_000, 3)):
        rows = [row for part in chunks(shape) for row in range(part.start, part.stop)]
        assert rows == list(range(shape[0]))
    assert max(part.stop - part.start for part in chunks((1000, 50, 768))) * 50 * 768 * 4 <= 8 * 2**20
