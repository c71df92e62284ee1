"""Every layout is read into the same structure."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicmor_lib.data.readers import read

Content = dict[str, dict[str, Any]]


def mult(content: Content, label_shape: tuple = (-1, 1, 1)) -> Content:
    """The same data in the MulT layout, with (video, start, end) ids as bytes."""
    return {
        split: {
            "text": fields["text"].astype(np.float64),
            "audio": fields["audio"],
            "vision": fields["vision"],
            "labels": fields["regression_labels"].reshape(label_shape),
            "id": np.array([[f"{split}{i}", "0.5", "1.5"] for i in range(len(fields["id"]))], dtype="S10"),
        }
        for split, fields in content.items()
    }


def test_the_mmsa_layout(mmsa_content: Content, write_pickle: Any) -> None:
    path = write_pickle(mmsa_content)
    data = read(path)
    assert data.feature_dims == (6, 4, 5) and not data.synthetic
    assert [len(split) for split in data.splits.values()] == [8, 3, 4]
    assert data.source == "data.pkl" and data.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    for name, split in data.splits.items():
        for x, key in zip(split.features, ("text", "audio", "vision")):
            np.testing.assert_array_equal(x, mmsa_content[name][key])
            assert x.dtype == np.float32 and x.flags.writeable
        np.testing.assert_array_equal(split.labels, mmsa_content[name]["regression_labels"])
        np.testing.assert_array_equal(split.tokens, mmsa_content[name]["text_bert"])
        assert split.tokens.dtype == np.int64 and split.labels.dtype == np.float32
        assert split.ids == mmsa_content[name]["id"]
        assert split.observed.all() and (split.lengths == 7).all() and split.lengths.dtype == np.int64
    assert data.report.format == "MMSA pickle" and data.report.sentences() == []
    assert data.report.splits["train"].modalities[1].stored_lengths_right == 1.0


@pytest.mark.parametrize("label_shape", [(-1, 1, 1), (-1, 1), (-1,)])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_the_mult_layout(mmsa_content: Content, write_pickle: Any, label_shape: tuple, protocol: int) -> None:
    data = read(write_pickle(mult(mmsa_content, label_shape), protocol))
    assert data.report.format == "MulT/MultiBench pickle" and data.train.tokens is None
    assert data.test.ids[1] == "test1$_$0.5$_$1.5"
    np.testing.assert_array_equal(data.test.labels, mmsa_content["test"]["regression_labels"])
    np.testing.assert_array_equal(data.valid.features[0], mmsa_content["valid"]["text"])


def test_a_pickle_of_loose_clips(mmsa_content: Content, write_pickle: Any) -> None:
    del mmsa_content["test"]["text"]
    data = read(write_pickle(mmsa_content["test"]))
    assert data.report.format == "pickle of loose clips" and data.feature_dims == (0, 4, 5)
    assert [len(split) for split in data.splits.values()] == [4, 0, 0]
    assert data.train.ids == mmsa_content["test"]["id"] and not data.train.observed[:, 0].any()


def test_ids_of_every_kind(mmsa_content: Content, write_pickle: Any) -> None:
    kinds = {
        "bytes": ([b"a", b"\xc3\xa9", b"\xff"], ["a", "é", "\ufffd"]),
        "numbers": (np.arange(3), ["0", "1", "2"]),
        "object array": (np.array(["a", b"b", 3], dtype=object), ["a", "b", "3"]),
        "tuples": ([("v", 0.5, b"x")] * 3, ["v$_$0.5$_$x"] * 3),
        "control characters": (["a\nb", "\x1b[31m", "ok"], ["a?b", "?[31m", "ok"]),
        "nothing": (None, ["data/valid/0", "data/valid/1", "data/valid/2"]),
    }
    for ids, wanted in kinds.values():
        mmsa_content["valid"]["id"] = ids
        assert read(write_pickle(mmsa_content)).valid.ids == wanted
    del mmsa_content["valid"]["id"]
    assert read(write_pickle(mmsa_content)).valid.ids == kinds["nothing"][1]


def test_padding_on_any_side_is_shifted_away(mmsa_content: Content, write_pickle: Any) -> None:
    audio = mmsa_content["train"]["audio"]
    whole = audio.copy()
    audio[0, :3] = 0  # front
    audio[1, 5:] = 0  # back
    audio[2, [0, 6]] = 0  # both
    audio[3, 3] = 0  # inside: stays
    data = read(write_pickle(mmsa_content))
    assert data.train.lengths[:, 1].tolist() == [4, 5, 5, 7, 7, 7, 7, 7]
    assert (data.train.lengths[:, [0, 2]] == 7).all()
    np.testing.assert_array_equal(data.train.features[1][0, :4], whole[0, 3:])
    np.testing.assert_array_equal(data.train.features[1][2, :5], whole[2, 1:6])
    np.testing.assert_array_equal(data.train.features[1][3], audio[3])
    assert not data.train.features[1][0, 4:].any()
    found = data.report.splits["train"].modalities[1]
    assert found.padding == {"none": 5, "front": 1, "back": 1, "both": 1}
    assert found.inner_zero_steps == 1 and found.lengths == (4, 7.0, 7)
    assert found.stored_lengths_right == 5 / 8


def test_published_layout_changes_nothing_but_what_is_not_finite(
    mmsa_content: Content, write_pickle: Any
) -> None:
    audio = mmsa_content["train"]["audio"]
    audio[0, :3], audio[1] = 0, 0
    audio[2, 4, 1] = -np.inf
    data = read(write_pickle(mmsa_content), published_layout=True)
    wanted = audio.copy()
    wanted[2, 4, 1] = 0
    np.testing.assert_array_equal(data.train.features[1], wanted)
    assert (data.train.lengths == 7).all() and data.train.observed.all()
    assert data.report.published_layout and data.report.nonfinite_total == 1


def test_nonfinite_values_become_zero_and_are_counted(mmsa_content: Content, write_pickle: Any) -> None:
    audio, vision = mmsa_content["train"]["audio"], mmsa_content["test"]["vision"].astype(np.float64)
    audio[0, 2, :3] = [np.nan, np.inf, -np.inf]
    audio[1, 0] = np.nan  # a step at the edge with nothing else: padding
    audio[2, 3] = -np.inf  # the same inside: stays, as zeros
    vision[3, 1, 0] = 1e300  # beyond float32
    mmsa_content["test"]["vision"] = vision
    data = read(write_pickle(mmsa_content))
    assert data.train.features[1][0, 2].tolist() == [0, 0, 0, audio[0, 2, 3]]
    assert data.train.lengths[:3, 1].tolist() == [7, 6, 7]
    assert not data.train.features[1][2, 3].any() and data.test.features[2][3, 1, 0] == 0
    assert data.report.splits["train"].modalities[1].nonfinite == 11
    assert data.report.splits["test"].modalities[2].nonfinite == 1
    assert data.report.nonfinite_total == 12
    assert "train: 11 audio values were NaN or infinite and were replaced by 0." in data.report.sentences()
    assert all(np.isfinite(x).all() for split in data.splits.values() for x in split.features)


def test_a_sequence_of_zeros_is_not_observed_and_a_sample_of_them_is_dropped(
    mmsa_content: Content, write_pickle: Any
) -> None:
    train = mmsa_content["train"]
    train["text"][1] = 0
    train["vision"][2] = np.nan
    for key in ("text", "audio", "vision"):
        train[key][4] = 0
    data = read(write_pickle(mmsa_content))
    assert data.train.ids == [f"train$_${i}" for i in (0, 1, 2, 3, 5, 6, 7)]
    assert data.train.observed[1].tolist() == [False, True, True]
    assert data.train.observed[2].tolist() == [True, True, False]
    assert data.train.lengths[2].tolist() == [7, 7, 0] and data.train.observed.sum() == 19
    found = data.report.splits["train"]
    assert (found.samples, found.dropped) == (8, 1) and [m.absent for m in found.modalities] == [2, 1, 2]
    assert any("1 samples without any" in sentence for sentence in data.report.sentences())


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4", np.int16, np.uint8])
def test_any_number_type_becomes_float32(mmsa_content: Content, write_pickle: Any, dtype: Any) -> None:
    for split in mmsa_content.values():
        split["text"] = np.asfortranarray(np.ceil(split["text"]).astype(dtype))
    data = read(write_pickle(mmsa_content))
    assert data.train.features[0].dtype == np.float32
    np.testing.assert_array_equal(data.train.features[0], mmsa_content["train"]["text"].astype(np.float32))


def test_float16_labels_at_the_edge_are_kept_inside(mmsa_content: Content, write_pickle: Any) -> None:
    mmsa_content["train"]["regression_labels"] = [-3.0005, 3.0005, 0, 1, 2, -1, -2, 2.5]
    labels = read(write_pickle(mmsa_content)).train.labels
    assert labels.tolist() == [-3.0, 3.0, 0, 1, 2, -1, -2, 2.5]


def test_useless_stored_lengths_are_ignored_and_said(mmsa_content: Content, write_pickle: Any) -> None:
    mmsa_content["train"]["audio_lengths"] = [7] * 5
    mmsa_content["valid"]["vision_lengths"] = ["a", None, 10**400]
    report = read(write_pickle(mmsa_content)).report
    assert report.notes == [
        "train: audio_lengths is not 8 numbers and was ignored.",
        "valid: vision_lengths is not 3 numbers and was ignored.",
    ]


def test_empty_valid_and_test_splits_are_allowed(mmsa_content: Content, write_pickle: Any) -> None:
    for key, value in mmsa_content["valid"].items():
        mmsa_content["valid"][key] = value[:0]
    data = read(write_pickle(mmsa_content))
    assert len(data.valid) == 0 and data.valid.feature_dims == (6, 4, 5)


# --- the real files ---------------------------------------------------------------------------------


def test_ict_mmmo(shared_data: Path) -> None:
    data = read(shared_data / "ict_mmmo_aligned_20.pkl")
    assert [len(split) for split in data.splits.values()] == [70, 20, 30]
    assert data.feature_dims == (300, 74, 36) and data.report.format == "MMSA pickle"
    assert data.train.observed.all() and data.report.nonfinite_total == 0
    found = data.report.splits["train"].modalities[2]
    assert found.padding["front"] > 0 and found.padding["back"] > 0  # padding on either side
    assert found.inner_zero_steps > 50 and found.stored_lengths_right < 0.5
    assert max(np.abs(x).max() for x in data.train.features) == 255  # raw audio
    for split in data.splits.values():
        for m, x in enumerate(split.features):
            rows = np.arange(len(split))
            assert x[rows, 0].any(axis=1).all() and x[rows, split.lengths[:, m] - 1].any(axis=1).all()
            assert not x[np.arange(20) >= split.lengths[:, m, None]].any()


def test_ict_mmmo_without_language(shared_data: Path) -> None:
    data = read(shared_data / "ict_mmmo_no_language.npz")
    assert [len(split) for split in data.splits.values()] == [220, 0, 0]
    assert data.feature_dims == (0, 74, 36) and data.report.format == ".npz of loose clips"
    assert not data.train.observed[:, 0].any() and data.train.observed[:, 1:].all()
    assert (data.train.lengths[:, 0] == 0).all()


def test_mosi_context(shared_data: Path) -> None:
    data = read(shared_data / "mosi_context_16.pkl")
    assert [len(split) for split in data.splits.values()] == [1447, 202, 550]
    assert data.feature_dims == (100, 73, 100)
    found = data.report.splits["train"].modalities
    assert all(m.dtype == "float16" and m.padding["back"] == m.padding["both"] == 0 for m in found)
    assert all(m.padding["front"] > 800 for m in found[1:])  # front-padded
    assert found[1].stored_lengths_right == found[2].stored_lengths_right == 1.0
    assert data.train.lengths.min() == 1 and data.train.lengths.max() == 16
    assert data.train.features[0].dtype == np.float32
