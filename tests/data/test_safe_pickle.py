"""The safe unpickler reads data as Python's own does, and damaged files become one sentence."""

from __future__ import annotations

import os
import pickle
import random
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dicmor_lib.data.safe_pickle import load
from dicmor_lib.errors import DataError, DicmorError

PROTOCOLS = range(6)


def assert_same(found: Any, wanted: Any) -> None:
    """Equal values of equal types, all the way down."""
    assert type(found) is type(wanted)
    if isinstance(wanted, np.ndarray):
        assert found.dtype == wanted.dtype and found.shape == wanted.shape
        np.testing.assert_array_equal(found, wanted)
    elif isinstance(wanted, (list, tuple)):
        assert len(found) == len(wanted)
        for pair in zip(found, wanted):
            assert_same(*pair)
    elif isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for key in wanted:
            assert_same(found[key], wanted[key])
    else:
        assert found == wanted or (found != found and wanted != wanted)


PLAIN = {
    "numbers": [
        0,
        1,
        -1,
        255,
        256,
        65536,
        -(2**31),
        2**70,
        -(2**300),
        1.5,
        float("inf"),
        2j,
        None,
        True,
        False,
    ],
    "text": ["", "é中", "x" * 300, "line\nbreak", b"", b"\x00\xff", bytearray(b"ab"), bytearray()],
    "containers": [
        (),
        (1,),
        (1, 2),
        (1, 2, 3),
        (1, 2, 3, 4),
        [[]],
        {},
        {1, "a"},
        set(),
        frozenset([2, b"c"]),
    ],
    "ordered": OrderedDict(b=1, a=[2]),
    ("a", 1): "a flat tuple may be a key",
}
ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.arange(6, dtype=np.float16).reshape(2, 3).T,
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.transpose(np.arange(24.0).reshape(2, 3, 4), (1, 0, 2)),
    np.arange(3, dtype=">i4"),
    np.array([True, False]),
    np.array(["one", "dé"]),
    np.array([b"one", b"two"]),
    np.array(["", ""]),
    np.array(["text", b"bytes", 1.5, None], dtype=object),
    np.array([["a", "b"], ["c", "d"]], dtype=object),
    np.array(5.0),
    np.zeros((0, 5), np.float32),
    np.array([1 + 2j]),
    np.float32(2.5),
    np.int64(-3),
    np.str_("scalar"),
    np.str_(""),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("content", [PLAIN, ARRAYS], ids=["plain", "arrays"])
def test_data_is_read_as_pickle_reads_it(content: Any, protocol: int, write_pickle: Any) -> None:
    assert_same(load(write_pickle(content, protocol)), content)


def test_what_is_shared_stays_shared(write_pickle: Any) -> None:
    array, items = np.ones(3), [1]
    first, second, third, fourth = load(write_pickle([array, items, array, items]))
    assert first is third and second is fourth


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary())
NUMBERS = hnp.arrays(
    st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.int64, ">f4", "U3", "S2", bool]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
TREES = st.recursive(
    SCALARS | NUMBERS,
    lambda child: (
        st.lists(child, max_size=4)
        | st.dictionaries(st.text(), child, max_size=4)
        | st.tuples(child, child)
        | st.sets(st.integers() | st.text(), max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=100)
@given(TREES, st.sampled_from(PROTOCOLS))
def test_any_plain_tree_survives(tmp_path_factory: Any, tree: Any, protocol: int) -> None:
    path = tmp_path_factory.getbasetemp() / "tree.pkl"
    path.write_bytes(pickle.dumps(tree, protocol))
    assert_same(load(path), tree)


def python2_array(data: bytes) -> bytes:
    """What Python 2 wrote for {'id': array(['a\\xe9'], 'S2')} in protocol 2: byte strings, no encode()."""
    string = b"U" + bytes([len(data)]) + data
    return (
        b"\x80\x02}U\x02idcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x01\x85cnumpy\ndtype\nU\x02S2K\x00K\x01\x87R(K\x03U\x01|NNNK\x02K\x01K\x00tb\x89"
        + string
        + b"tbs."
    )


def test_python_2_files_are_read(write_pickle: Any) -> None:
    assert_same(load(write_pickle(python2_array(b"a\xe9"))), {"id": np.array([b"a\xe9"])})
    assert_same(
        load(write_pickle(b"(dp0\nS'id'\np1\n(lp2\nS'ab'\np3\naS'\\xe9'\np4\nas.")), {"id": ["ab", b"\xe9"]}
    )
    assert load(write_pickle(b"(I01\nI00\nI-5\nL7L\nF1.5\nVd\\u00e9\ntp0\n.")) == (
        True,
        False,
        -5,
        7,
        1.5,
        "dé",
    )


def test_real_files_are_read_as_pickle_reads_them(shared_data: Path) -> None:
    for name in ("ict_mmmo_aligned_20.pkl", "mosi_context_16.pkl"):
        with open(shared_data / name, "rb") as handle:
            assert_same(load(shared_data / name), pickle.load(handle))  # our own file, known to be harmless


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_cut_anywhere_is_refused(protocol: int, write_pickle: Any) -> None:
    whole = pickle.dumps({"a": ARRAYS[:8], "b": PLAIN["text"]}, protocol)
    for end in range(1, len(whole), 11):
        with pytest.raises(DataError, match="data.pkl"):
            load(write_pickle(whole[:end]))


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to four random edits: a flipped bit, a changed, removed or repeated stretch."""
    edited = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(edited)), rng.randint(1, 12)
        kind = rng.randrange(4)
        if kind == 0:
            edited[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            edited[at : at + length] = rng.randbytes(length)
        elif kind == 2 and len(edited) > 50:
            del edited[at : at + length]
        else:
            edited[at:at] = edited[at : at + length]
    return bytes(edited)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_mutated_pickle_is_read_or_refused(protocol: int, write_pickle: Any) -> None:
    rng = random.Random(protocol)
    whole = pickle.dumps({"plain": PLAIN, "arrays": ARRAYS}, protocol)
    refused = 0
    for _ in range(200):
        try:
            load(write_pickle(mutated(whole, rng)))
        except DicmorError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 600
    assert refused > 40


def test_files_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "empty.pkl").touch()
    os.mkfifo(tmp_path / "pipe.pkl")
    cases = {
        tmp_path / "absent.pkl": "there is no file",
        tmp_path: "is a folder",
        tmp_path / "empty.pkl": "is empty",
        tmp_path / "pipe.pkl": "not a regular file",
        Path("/dev/zero"): "not a regular file",
        tmp_path / ("x" * 5000): "cannot be opened",
        Path("a\0b"): "cannot be opened",
    }
    for path, message in cases.items():
        with pytest.raises(DataError, match=message):
            load(path)


def test_a_truncated_real_file_is_refused(shared_data: Path, tmp_path: Path) -> None:
    whole = (shared_data / "ict_mmmo_aligned_20.pkl").read_bytes()
    path = tmp_path / "cut.pkl"
    for end in (1, 2, 10, 1000, 100_000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"cut\.pkl ends in the middle of the pickle"):
            load(path)
