"""What is fuzzed: bytes go into a reader, and either sound data comes out or one sentence.

A target is `check(data, folder) -> bool`: whether the bytes were refused. It raises whatever the reader must not
raise, and `AssertionError` if what was read is not what data must be. Nothing here needs atheris.
"""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dicmor_lib.data import safe_pickle
from dicmor_lib.data.convert import convert
from dicmor_lib.data.readers import read
from dicmor_lib.data.store_files import NAMES
from dicmor_lib.errors import DicmorError
from tests.data.soundness import assert_sound, one_sentence

MOST_BYTES = 1 << 13
"""Longer inputs find nothing that shorter ones do not, and slow the fuzzer down."""


def check_pickle(data: bytes, folder: Path) -> bool:
    """A pickle read as a data file, and as a bare object: copied and mapped, with the same outcome."""
    path = folder / "data.pkl"
    path.write_bytes(data)
    found = [
        _outcome(lambda mapped=mapped: safe_pickle.load(path, mapped=mapped)) for mapped in (False, True)
    ]
    assert found[0] == found[1], found
    return _read_or_refuse(path)


def check_npz(data: bytes, folder: Path) -> bool:
    """An .npz file read as a data file."""
    path = folder / "data.npz"
    path.write_bytes(data)
    return _read_or_refuse(path)


def check_store(data: bytes, folder: Path) -> bool:
    """A store in which one file is replaced: the first byte of the input chooses which.

    meta.json learns the new size, for otherwise nothing behind that first check would ever be reached. Features are
    not looked at when a store is opened (their sums are compared by `dicmor data check`), so they are only read.
    """
    store = folder / "store"
    if not store.exists():
        (folder / "source.pkl").write_bytes(pickle.dumps(small_content()))
        convert(folder / "source.pkl", store)
        (folder / "meta.json").write_bytes((store / "meta.json").read_bytes())
    file = STORE_FILES[data[0] % len(STORE_FILES)] if data else "meta.json"
    whole = {name: (store / name).read_bytes() for name in ("meta.json", file)}
    try:
        (store / file).write_bytes(data[1:])
        if file != "meta.json":
            meta = json.loads(whole["meta.json"])
            meta["files"][file]["bytes"] = len(data) - 1
            (store / "meta.json").write_text(json.dumps(meta))
        return _read_or_refuse(store, features=False)
    finally:
        for name, content in whole.items():
            (store / name).write_bytes(content)


STORE_FILES = ["meta.json", *sorted(f"{split}/{name}" for split in ("train", "test") for name in NAMES)]


def _read_or_refuse(path: Path, features: bool = True) -> bool:
    try:
        data = read(path)
    except DicmorError as error:
        one_sentence(error)
        return True
    if features:
        assert_sound(data)
    else:
        for split in data.splits.values():
            assert [np.asarray(x).shape for x in split.features] == [x.shape for x in split.features]
    return False


def _outcome(load: Callable[[], object]) -> str:
    try:
        return type(load()).__name__
    except DicmorError as error:
        one_sentence(error)
        return str(error)


def small_content(seed: int = 0) -> dict[str, dict[str, Any]]:
    """A data set of a few hundred bytes a field, with every field that a file may have."""
    rng, content = np.random.default_rng(seed), {}
    for split, count in (("train", 3), ("valid", 1), ("test", 2)):
        content[split] = {
            "text": rng.normal(size=(count, 2, 2)).astype(np.float32),
            "audio": rng.normal(size=(count, 3, 1)),
            "vision": rng.normal(size=(count, 2, 1)).astype(np.float16),
            "regression_labels": np.linspace(-3, 3, count, dtype=np.float32),
            "id": [f"{split}{row}" for row in range(count)],
            "audio_lengths": [3] * count,
            "text_bert": rng.integers(0, 9, (count, 3, 2)),
        }
    return content


def _npz_bytes(arrays: dict[str, Any], compressed: bool) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def pickle_seeds() -> list[bytes]:
    """Whole data sets and loose clips in every protocol, and one of every forgery and bomb."""
    from tests.data.forged_pickles import BOMBS, FORGED
    from tests.data.hostile_pickles import malicious_pickles

    content = small_content()
    seeds = [pickle.dumps(value, protocol) for value in (content, content["test"]) for protocol in range(6)]
    attacks = [data for _, data in malicious_pickles(Path("/nowhere/marker"))]
    return seeds + [data for data in [*FORGED.values(), *BOMBS.values(), *attacks] if len(data) <= MOST_BYTES]


def npz_seeds() -> list[bytes]:
    """With splits and loose, compressed and not."""
    content = small_content()
    arrays = {
        f"{split}/{key}": np.array(value) for split, part in content.items() for key, value in part.items()
    }
    both = (
        arrays | {"about/synthetic": np.array([True])},
        {k: np.array(v) for k, v in content["test"].items()},
    )
    return [_npz_bytes(one, compressed) for one in both for compressed in (False, True)]


def store_seeds(folder: Path) -> list[bytes]:
    """Every file of a store, as it is."""
    check_store(b"", folder)
    paths = [(number, folder / "store" / file) for number, file in enumerate(STORE_FILES)]
    return [bytes([number]) + path.read_bytes() for number, path in paths if path.exists()]


TARGETS: dict[str, tuple[Callable[[bytes, Path], bool], Callable[[Path], list[bytes]]]] = {
    "pickle": (check_pickle, lambda folder: pickle_seeds()),
    "npz": (check_npz, lambda folder: npz_seeds()),
    "store": (check_store, store_seeds),
}
"""By name: the check, and the seeds that a fuzzer starts from (they may need the folder)."""
