"""Every mistake in a file is one sentence, and a damaged file is read correctly or refused."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicmor_lib.data.readers import read
from dicmor_lib.errors import DataError, UnsafePickleError
from tests.data.soundness import read_or_refuse

Content = dict[str, dict[str, Any]]


def edit(split: str, key: str, change: Callable[[Any], Any]) -> Callable[[Content], None]:
    def apply(content: Content) -> None:
        content[split][key] = change(content[split][key])

    return apply


def put(x: np.ndarray, value: float) -> np.ndarray:
    x = np.array(x)
    x[2] = value
    return x


MISTAKES: dict[str, tuple[Callable[[Content], Any], str]] = {
    "split missing": (lambda c: c.pop("valid"), r"no split 'valid' \(it has: train, test\)"),
    "split not a dict": (lambda c: c.update(test=[1]), "split 'test' is a list"),
    "key missing": (lambda c: c["test"].pop("audio"), "split 'test' has no 'audio'"),
    "labels missing": (lambda c: c["train"].pop("regression_labels"), "no 'regression_labels' or 'labels'"),
    "samples differ": (edit("valid", "vision", lambda x: x[:2]), "'vision' of split 'valid' has 2 samples"),
    "labels differ": (edit("test", "regression_labels", lambda x: x[:-1]), "'test' names 4 samples|has 3"),
    "two axes": (edit("train", "text", lambda x: x[:, 0]), r"float32 \(8, 6\); it must be an array"),
    "not an array": (edit("train", "text", lambda x: x.tolist()), "'text' of split 'train' is a list"),
    "text as features": (edit("train", "text", lambda x: x.astype("U5")), "must be an array of numbers"),
    "no steps": (edit("train", "audio", lambda x: x[:, :0]), "at least one step"),
    "no channels": (edit("train", "audio", lambda x: x[:, :, :0]), "one channel"),
    "channels differ": (edit("test", "audio", lambda x: x[..., :3]), "4 in train, 4 in valid, 3 in test"),
    "label NaN": (
        edit("train", "regression_labels", lambda y: put(y, np.nan)),
        r"nan in row 2 \(train\$_\$2\)",
    ),
    "label inf": (edit("train", "regression_labels", lambda y: put(y, -np.inf)), "-inf in row 2"),
    "label out of range": (edit("test", "regression_labels", lambda y: put(y, 3.2)), r"3\.2 in row 2"),
    "labels of emotions": (edit("train", "regression_labels", lambda y: np.ones((8, 7))), r"shape \(8, 7\)"),
    "labels as text": (edit("train", "regression_labels", lambda y: np.array(["a"] * 8)), "array of numbers"),
    "labels as nested lists": (edit("train", "regression_labels", lambda y: [[1.0]] * 8), "is a list"),
    "labels huge": (edit("train", "regression_labels", lambda y: [10**400] * 8), "array of numbers"),
    "labels a scalar": (edit("train", "regression_labels", lambda y: np.array(1.0)), r"shape \(\)"),
    "ids differ": (edit("train", "id", lambda i: i[:5]), "names 5 samples, but 'regression_labels' has 8"),
    "ids not text": (edit("train", "id", lambda i: [{}] * 8), "holds a dict; sample names must be text"),
    "ids not a list": (edit("train", "id", lambda i: "abcdefgh"), "not a list of sample names"),
    "tokens of another size": (edit("train", "text_bert", lambda t: t[:, :2]), r"must be \(8, 3, tokens\)"),
    "tokens NaN": (edit("train", "text_bert", lambda t: t * np.nan), "not token ids"),
    "tokens negative": (edit("train", "text_bert", lambda t: t - 1000), "not token ids"),
    "train empty": (
        lambda c: c["train"].update({key: value[:0] for key, value in c["train"].items()}),
        r"train split is empty \(it has no samples\)",
    ),
    "train all zero": (
        lambda c: c["train"].update({key: c["train"][key] * 0 for key in ("text", "audio", "vision")}),
        r"train split is empty \(every modality",
    ),
}


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_a_mistake_is_one_sentence(mistake: str, mmsa_content: Content, write_pickle: Any) -> None:
    spoil, message = MISTAKES[mistake]
    content = copy.deepcopy(mmsa_content)
    spoil(content)
    with pytest.raises(DataError, match=message) as refused:
        read(write_pickle(content))
    assert "data.pkl" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list; expected a dict"),
        ({}, "it is empty"),
        ({"training": {}}, "it has: training"),
        ({10**5000: 1, "a\nb": 2}, "too long to print, a.b"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"just some text", "not a pickle"),
        (b"", "is empty"),
    ],
)
def test_a_wrong_file_is_one_sentence(content: Any, message: str, write_pickle: Any) -> None:
    with pytest.raises(DataError, match=message) as refused:
        read(write_pickle(content))
    assert "\n" not in str(refused.value)


def test_a_malicious_data_file_is_refused(mmsa_content: Content, write_pickle: Any, tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple:
            return (print, ("never",), None)

    mmsa_content["train"]["raw_text"] = Attack()
    with pytest.raises(UnsafePickleError, match=r"builtins\.print"):
        read(write_pickle(mmsa_content))


# --- damaged files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_flipped_bits_in_a_small_file(protocol: int, mmsa_content: Content, write_pickle: Any) -> None:
    whole, chance, refused = pickle.dumps(mmsa_content, protocol), random.Random(protocol), 0
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 30)):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        refused += read_or_refuse(write_pickle(bytes(damaged)))
    assert 0 < refused


def test_every_field_replaced_by_every_kind_of_thing(mmsa_content: Content, write_pickle: Any) -> None:
    things = [
        None, 0, -1.5, "text", b"bytes", [], (), {}, {"a": 1}, [[]], [None] * 8, ["x"] * 8, [10**400] * 8,
        np.array(1.0), np.zeros(0), np.zeros((8, 7, 0)), np.zeros((8, 0, 4)), np.full((8, 7, 4), np.nan),
        np.full((8, 7, 4), np.inf, np.float16), np.ones((8, 7, 4), bool), np.ones((8, 7, 4), complex),
        np.full((8, 7, 4), 1e300), np.array(["a"] * 8), np.array([1, "b", None] * 2 + [2, 3], dtype=object),
        np.ones((8, 7, 4, 2)), np.ones((8, 8)), np.full(8, 2**63, np.uint64), np.arange(8) % 3,
        np.ones((9, 7, 4)), True,
    ]  # fmt: skip
    refused = 0
    for key in mmsa_content["train"]:
        for thing in things:
            content = {**mmsa_content, "train": {**mmsa_content["train"], key: thing}}
            refused += read_or_refuse(write_pickle(content))
    assert 100 < refused < len(things) * len(mmsa_content["train"])


def test_damaged_real_files(shared_data: Path, tmp_path: Path) -> None:
    chance, refused, path = random.Random(0), 0, tmp_path / "damaged"
    for name, trials in (("ict_mmmo_aligned_20.pkl", 25), ("ict_mmmo_no_language.npz", 25)):
        whole = (shared_data / name).read_bytes()
        for _ in range(trials):
            damaged = bytearray(whole[: chance.choice([len(whole), chance.randrange(len(whole))])])
            for _ in range(chance.randint(1, 50)):
                at = chance.choice([chance.randrange(len(damaged)), chance.randrange(min(600, len(damaged)))])
                damaged[at] = chance.randrange(256)
            path.write_bytes(damaged)
            refused += read_or_refuse(path)
    assert refused > 30
