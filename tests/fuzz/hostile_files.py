"""The corpus of hostile and damaged data files, for the check of the whole command."""

from __future__ import annotations

import copy
import io
import pickle
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.data.forged_pickles import BOMBS, FORGED
from tests.data.hostile_npz import hostile_npz
from tests.data.hostile_pickles import malicious_pickles
from tests.fuzz.mutations import damaged
from tests.mmsa import mmsa

Content = dict[str, dict[str, Any]]

STRANGE: dict[str, Any] = {
    "wrong type": lambda x: np.asarray(x).astype("U9"),
    "objects": lambda x: np.array([*np.asarray(x).ravel()[:2], None], dtype=object),
    "complex": lambda x: np.asarray(x, dtype=object) if not isinstance(x, np.ndarray) else x * 1j,
    "a number": lambda x: 3.0,
    "nothing": lambda x: None,
    "nested lists": lambda x: np.asarray(x).tolist(),
    "NaN": lambda x: np.full_like(x, np.nan) if isinstance(x, np.ndarray) else [float("nan")] * len(x),
    "infinite": lambda x: np.full_like(x, -np.inf) if isinstance(x, np.ndarray) else [10**400] * len(x),
    "float64 beyond float32": lambda x: np.full(np.shape(x), 1e300),
    "one sample less": lambda x: x[:-1],
    "no sample": lambda x: x[:0],
    "all the same": lambda x: [x[0]] * len(x) if isinstance(x, list) else np.repeat(x[:1], len(x), axis=0),
    "another axis": lambda x: np.asarray(x)[None],
    "no channels": lambda x: np.asarray(x)[..., :0],
}


def strange_contents(content: Content) -> Iterator[tuple[str, Content]]:
    """The data set with one field after the other replaced by something that it must not, or need not, be."""
    for number, (what, change) in enumerate(STRANGE.items()):
        for key in ("text", "audio", "regression_labels", "id"):
            spoilt = copy.deepcopy(content)
            split = spoilt[("train", "valid", "test")[number % 3]]
            try:
                split[key] = change(split[key])
            except TypeError:  # some names cannot be made complex, and so on
                continue
            yield f"{what} as {key}", spoilt


def npz_bytes(content: Content) -> bytes:
    """The data set as an .npz file; objects are stored as NumPy stores them, pickled."""
    arrays = {f"{split}/{key}": np.asarray(v) for split, part in content.items() for key, v in part.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def synthetic_files() -> Iterator[tuple[str, bytes]]:
    """Damaged and strange files of oracle clips by name (with the suffix that says what it claims to be)."""
    content, chance = mmsa(sizes=(6, 3, 3)), random.Random(0)
    for what, spoilt in strange_contents(content):
        yield f"{what}.pkl", pickle.dumps(spoilt)
        try:
            yield f"{what}.npz", npz_bytes(spoilt)
        except ValueError:  # lists of unequal length are no array
            pass
    twice = copy.deepcopy(content)
    twice["test"]["id"] = twice["train"]["id"][:3]
    yield "the same ids in two splits.pkl", pickle.dumps(twice)
    for protocol in range(6):
        whole = pickle.dumps(content, protocol)
        for number in range(10):
            yield f"damaged, protocol {protocol}, {number}.pkl", damaged(whole, chance)
    whole = npz_bytes(content)
    for number in range(30):
        yield f"damaged {number}.npz", damaged(whole, chance)


def real_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Real files cut short, with flipped bits, and with strange fields."""
    from dicmor_lib.data.safe_pickle import load

    chance = random.Random(1)
    for name, trials in (("ict_mmmo_aligned_20.pkl", 12), ("ict_mmmo_no_language.npz", 12)):
        whole = (folder / name).read_bytes()
        for number in range(trials):
            edited = bytearray(damaged(whole, chance))
            for _ in range(chance.randint(0, 40)):
                edited[chance.randrange(min(len(edited), chance.choice([600, 10**9])))] = chance.randrange(
                    256
                )
            yield f"damaged {number} {name}", bytes(edited)
    few = {}
    for split, part in load(folder / "ict_mmmo_aligned_20.pkl").items():  # type: ignore[attr-defined]
        few[split] = {key: value[:4] for key, value in part.items() if hasattr(value, "__len__")}
    yield "few real clips.pkl", pickle.dumps(few)
    for protocol in (2, 5):
        whole = pickle.dumps(few, protocol)
        for number in range(15):
            yield f"damaged few, protocol {protocol}, {number}.pkl", damaged(whole, chance)
    if "regression_labels" in few["train"]:
        for what, spoilt in strange_contents(few):
            yield f"real, {what}.pkl", pickle.dumps(spoilt)


def malicious_files(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Pickles that call something, forge an array or blow up; `marker` is what they would leave behind."""
    yield from ((f"{name}.pkl", data) for name, data in malicious_pickles(marker))
    yield from ((f"forged, {name}.pkl", data) for name, data in FORGED.items())
    yield from ((f"bomb, {name}.pkl", data) for name, data in BOMBS.items())
    yield from ((f"hostile, {name}.npz", data) for name, data in hostile_npz())
