"""A store gives what its source gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicmor_lib.data import pages, pickle_source
from dicmor_lib.data.check import check_file, render
from dicmor_lib.data.convert import convert
from dicmor_lib.data.dataset import collate
from dicmor_lib.data.mapped import MappedFeatures
from dicmor_lib.data.mixing import mix_in
from dicmor_lib.data.readers import read
from dicmor_lib.data.safe_npz import write_npz
from dicmor_lib.data.standardise import Standardiser
from dicmor_lib.training.config import TrainConfig
from dicmor_lib.training.prepare import prepare
from tests.data.same_data import assert_same_data, assert_same_split

Content = dict[str, Any]


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small arrays are windows too, and are cleaned in several chunks."""
    monkeypatch.setattr(pickle_source, "WINDOW_BYTES", 64)
    monkeypatch.setattr(pages, "CHUNK_BYTES", 500)


def spoilt(content: Content) -> Content:
    """Everything that a reader has to clean at once."""
    train, test = content["train"], content["test"]
    train["audio"][:, :3] = 0  # padding at the front,
    train["vision"][:4, 5:] = 0  # at the back,
    test["audio"][1, [0, 6]] = 0  # on both sides,
    train["text"][2, 3] = 0  # and zeros inside
    train["audio"][0, 4] = [np.nan, np.inf, -np.inf, 1]
    train["audio"][5, 3] = -np.inf
    train["text"][1] = test["vision"][0] = 0  # not observed
    for key in ("text", "audio", "vision"):
        train[key][6] = 0  # dropped
    train["audio_lengths"], train["vision_lengths"] = [9] * 8, ["x"] * 8
    return content


def doubles(content: Content) -> Content:
    for split in content.values():
        split["text"] = np.asfortranarray(split["text"].astype(np.float64))
        split["vision"] = np.ceil(split["vision"]).astype(np.int16)
        split["audio"] = split["audio"].astype(">f2")
    content["test"]["text"][0, 0, 0] = 1e300
    return content


def mult(content: Content) -> Content:
    for split in content.values():
        split["labels"] = split.pop("regression_labels").reshape(-1, 1, 1)
        split["id"] = np.array([["v", "0.5", str(i)] for i in range(len(split["id"]))])
        del split["text_bert"]
    return content


def loose(content: Content) -> Content:
    del content["train"]["text"], content["train"]["id"]
    return content["train"]


def no_valid(content: Content) -> Content:
    content["valid"] = {key: value[:0] for key, value in content["valid"].items()}
    return content


CASES: dict[str, tuple[Callable[[Content], Content], int]] = {
    "plain": (lambda content: content, 4),
    "padding, non-finite, absent, dropped, wrong lengths": (spoilt, 4),
    "protocol 5": (spoilt, 5),
    "protocol 3": (spoilt, 3),
    "protocol 2": (spoilt, 2),
    "other types and orders": (doubles, 5),
    "MulT": (mult, 4),
    "loose clips without language": (loose, 4),
    "no validation": (no_valid, 4),
}


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("case", list(CASES))
def test_reading_the_store_is_reading_the_pickle(
    case: str, published: bool, mmsa_content: Content, write_pickle: Any, tmp_path: Path
) -> None:
    change, protocol = CASES[case]
    path, store = write_pickle(change(mmsa_content), protocol), tmp_path / "data.store"
    convert(path, store)
    ours, theirs = (read(place, published_layout=published) for place in (store, path))
    assert_same_data(ours, theirs)
    assert any(isinstance(x, MappedFeatures) for x in ours.train.features)
    assert all(isinstance(x, np.ndarray) for x in theirs.train.features)
    if not published:
        known, computed = (Standardiser.fit(data) for data in (ours, theirs))
        assert known.to_dict() == computed.to_dict()


def test_synthetic_clips_stay_synthetic(mmsa_content: Content, write_pickle: Any, tmp_path: Path) -> None:
    data = read(write_pickle(spoilt(mmsa_content)))
    data.synthetic = True
    write_npz(tmp_path / "clips.npz", data)
    convert(tmp_path / "clips.npz", tmp_path / "store")
    store = read(tmp_path / "store")
    assert_same_data(store, read(tmp_path / "clips.npz"))
    assert store.synthetic and store.report.format == ".npz with splits, synthetic"


def test_what_training_sees_is_bit_identical(
    mmsa_content: Content, write_pickle: Any, tmp_path: Path
) -> None:
    """Selected, standardised and put in batches; a held-out validation split and mixed-in clips included."""
    content = spoilt(mmsa_content)
    path = write_pickle(content)
    convert(path, tmp_path / "store")
    extra = {key: value for key, value in content["test"].items() if key not in ("text", "text_bert")}
    extra["audio"], extra["id"] = np.pad(extra["audio"], ((0, 0), (0, 4), (0, 0)), mode="edge"), list("wxyz")
    convert(write_pickle(extra, name="extra.pkl"), tmp_path / "extra")
    plain = [read(path), mix_in(read(path), read(tmp_path / "extra.pkl"))]
    stored = [read(tmp_path / "store"), mix_in(read(tmp_path / "store"), read(tmp_path / "extra"))]
    half = [
        mix_in(read(path), read(tmp_path / "extra")),
        mix_in(read(tmp_path / "store"), read(tmp_path / "extra.pkl")),
    ]
    pairs = [*zip(plain, stored), (plain[1], half[0]), (plain[1], half[1])]
    nothing = plain[0].train.select([])
    pairs += [
        (one.replace_splits({"valid": nothing}), two.replace_splits({"valid": nothing})) for one, two in pairs
    ]
    for one, two in pairs:
        assert_same_data(two, one)
        ours, theirs = (prepare(data, TrainConfig()) for data in (two, one))
        assert ours.standardiser == theirs.standardiser and ours.notices == theirs.notices
        for name in ("train", "valid"):
            mine, other = getattr(ours, name), getattr(theirs, name)
            assert_same_split(mine, other)
            rows = np.arange(len(mine))[::-2].copy()
            for a, b in zip(collate(mine, rows).features, collate(other, rows).features):
                assert a.shape == b.shape and (a == b).all()
            assert_same_split(mine.select(rows), other.select(rows))
        assert all(isinstance(x, MappedFeatures) for x in ours.train.features[1:])


def test_statistics_of_the_store_spare_reading_it(
    mmsa_content: Content, write_pickle: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = {key: np.concatenate([value] * 20) for key, value in mmsa_content["train"].items()}
    train["text"][3, 0, 0], train["text"][4, 1, :2] = 1e5, -1e5  # beyond ten deviations
    path = write_pickle({**mmsa_content, "train": train})
    convert(path, tmp_path / "store")
    wanted = prepare(read(path), TrainConfig())
    assert "set to that bound: 3 of language" in wanted.notices[0]
    monkeypatch.setattr(MappedFeatures, "_stored", lambda *_: pytest.fail("features were read"))
    prepared = prepare(read(tmp_path / "store"), TrainConfig())
    assert prepared.notices == wanted.notices and prepared.standardiser == wanted.standardiser
    assert len(prepared.train) == 160 and len(prepared.train.select([1, 2])) == 2


def test_what_check_says(mmsa_content: Content, write_pickle: Any, tmp_path: Path) -> None:
    path = write_pickle(spoilt(mmsa_content))
    convert(path, tmp_path / "store")
    ours, theirs = (render(check_file(place)).splitlines() for place in (tmp_path / "store", path))
    assert "all 24 files match their SHA-256" in ours.pop(2) and "A store made from data.pkl" not in theirs
    assert ours[1:] == theirs[1:]


def test_a_real_file(shared_data: Path, tmp_path: Path) -> None:
    for name in ("ict_mmmo_aligned_20.pkl", "ict_mmmo_no_language.npz"):
        convert(shared_data / name, tmp_path / name)
        for published in (False, True):
            assert_same_data(
                *(read(folder / name, published_layout=published) for folder in (tmp_path, shared_data))
            )
