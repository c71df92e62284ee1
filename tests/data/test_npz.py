"""`.npz` files: with splits, of loose clips, written by us, and hostile ones."""

from __future__ import annotations

import io
import random
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicmor_lib.data.readers import read
from dicmor_lib.data.safe_npz import load_npz, write_npz
from dicmor_lib.errors import DataError, DicmorError
from tests.data.hostile_npz import HOSTILE, npy

Content = dict[str, dict[str, Any]]


def test_a_data_set_written_and_read_is_the_same(
    mmsa_content: Content, write_pickle: Any, tmp_path: Path
) -> None:
    mmsa_content["train"]["audio"][0, :3] = 0
    mmsa_content["train"]["vision"][1] = 0
    data = read(write_pickle(mmsa_content))
    path = tmp_path / "out" / "data.npz"
    path.parent.mkdir()
    write_npz(path, data)
    again = read(path)
    assert again.report.format == ".npz with splits" and list(path.parent.iterdir()) == [path]
    for ours, theirs in zip(data.splits.values(), again.splits.values()):
        for name in ("lengths", "observed", "labels", "tokens"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        for x, y in zip(ours.features, theirs.features):
            np.testing.assert_array_equal(x, y)
        assert ours.ids == theirs.ids


def test_synthetic_data_stays_synthetic(mmsa_content: Content, write_pickle: Any, tmp_path: Path) -> None:
    data = replace(read(write_pickle(mmsa_content)), synthetic=True)
    write_npz(tmp_path / "data.npz", data)
    again = read(tmp_path / "data.npz")
    assert again.synthetic and again.report.format == ".npz with splits, synthetic"
    write_npz(tmp_path / "data.npz", replace(data, synthetic=False))
    assert not read(tmp_path / "data.npz").synthetic


def test_loose_clips_without_language(tmp_path: Path) -> None:
    audio, vision = np.ones((4, 5, 3), np.float32), np.ones((4, 6, 2), np.float32)
    np.savez(tmp_path / "clips.npz", audio=audio, vision=vision, regression_labels=np.zeros(4))
    data = read(tmp_path / "clips.npz")
    assert data.feature_dims == (0, 3, 2) and len(data.train) == 4 and len(data.valid) == len(data.test) == 0
    assert data.train.observed.tolist() == [[False, True, True]] * 4
    assert data.train.lengths.tolist() == [[0, 5, 6]] * 4 and data.train.ids[3] == "clips/train/3"
    assert "train: language is not observed in 4 of 4 samples." in data.report.sentences()
    write_npz(tmp_path / "again.npz", data)
    assert read(tmp_path / "again.npz").train.lengths.tolist() == [[0, 5, 6]] * 4


def test_a_modality_may_lack_in_one_split(tmp_path: Path) -> None:
    arrays = {}
    for split in ("train", "valid", "test"):
        for key, dim in (("text", 3), ("audio", 2)):
            arrays[f"{split}/{key}"] = np.ones((2, 4, dim), np.float32)
        arrays[f"{split}/regression_labels"] = np.zeros(2, np.float32)
    del arrays["test/text"]
    np.savez_compressed(tmp_path / "data.npz", **arrays)
    data = read(tmp_path / "data.npz")
    assert data.test.features[0].shape == (2, 0, 3) and not data.test.observed[:, 0].any()
    assert data.feature_dims == (3, 2, 0)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"regression_labels": np.zeros(2)}, "no 'text' or 'audio' or 'vision'"),
        ({"audio": np.ones((2, 3, 4))}, "no 'regression_labels' or 'labels'"),
        ({"train/audio": np.ones((2, 3, 4)), "train/labels": np.zeros(2)}, "has no arrays 'valid'"),
        ({"audio": np.ones((2, 3, 4)), "labels": np.array([1, None])}, "Python objects"),
        ({"audio": np.ones(2, dtype="f4,f4"), "labels": np.zeros(2)}, "structures"),
        ({"audio": np.ones((2, 3, 4)), "labels": np.zeros(3)}, "has 2 samples, but 'labels' has 3"),
        ({}, "holds no .npy arrays"),
    ],
)
def test_what_is_not_data_is_refused(arrays: dict, message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(DataError, match=message) as refused:
        read(tmp_path / "data.npz")
    assert "data.npz" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("attack", list(HOSTILE))
def test_hostile_members_are_refused(attack: str, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("audio.npy", HOSTILE[attack])
    with pytest.raises(DataError, match="data.npz") as refused:
        load_npz(path)
    assert "audio.npy" in str(refused.value) and "\n" not in str(refused.value)


def test_a_zip_bomb_is_refused_unopened(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    shape = "{'descr': '<f4', 'fortran_order': False, 'shape': (20000000,)}"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("audio.npy", npy(shape, bytes(80_000_000)))
    assert path.stat().st_size < 200_000
    with pytest.raises(DataError, match="would expand to"):
        load_npz(path)


def test_other_zips_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n.")
    with pytest.raises(DataError, match="no .npy arrays"):
        read(path)


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    rng = np.random.default_rng(0)
    arrays = {"audio": rng.normal(size=(6, 4, 3)), "id": np.array(["a"] * 6), "labels": rng.uniform(-3, 3, 6)}
    np.savez_compressed(buffer, **arrays)
    whole, chance = buffer.getvalue(), random.Random(0)
    path, refused = tmp_path / "data.npz", 0
    for trial in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged if trial % 3 else whole[: chance.randrange(1, len(whole))])
        try:
            read(path)
        except DicmorError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 600
    assert refused > 200  # most bytes are covered by a checksum


def test_a_file_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, mmsa_content: Content, write_pickle: Any
) -> None:
    data = read(write_pickle(mmsa_content))
    with pytest.raises(DataError, match="cannot be written"):
        write_npz(tmp_path / "no" / "such" / "folder.npz", data)
