"""Splits, batches, and mixing in clips that lack a modality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dicmor_lib.data.dataset import Batch, MultimodalData, Split, batches, collate
from dicmor_lib.data.mixing import mix_in
from dicmor_lib.data.readers import read
from dicmor_lib.errors import DataError, ShapeError


def make_split(count: int = 5, times: tuple = (6, 9, 4), dims: tuple = (3, 2, 4), name: str = "a") -> Split:
    """Random lengths from 1 to T_m; sample 0 has no audio."""
    rng = np.random.default_rng(count)
    lengths = np.stack([rng.integers(1, time + 1, count) for time in times], axis=1)
    lengths[:1, 1] = 0
    features = []
    for m, (time, dim) in enumerate(zip(times, dims)):
        x = rng.normal(size=(count, time, dim)).astype(np.float32)
        x[np.arange(time) >= lengths[:, m, None]] = 0
        features.append(x)
    labels = np.linspace(-3, 3, count, dtype=np.float32)
    tokens = rng.integers(0, 9, (count, 3, 5))
    return Split(tuple(features), lengths, lengths > 0, labels, [f"{name}{i}" for i in range(count)], tokens)


def make_data(train: Split, source: str = "a.pkl", **splits: Split) -> MultimodalData:
    nothing = train.select([])
    return MultimodalData(
        train, splits.get("valid", nothing), splits.get("test", nothing), source, sha256=source * 3
    )


def test_select_keeps_samples_together() -> None:
    split = make_split()
    for index in ([3, 0, 3], np.array([3, 0, 3])):
        part = split.select(index)
        assert len(part) == 3 and part.ids == ["a3", "a0", "a3"]
        np.testing.assert_array_equal(part.features[2], split.features[2][[3, 0, 3]])
        np.testing.assert_array_equal(part.tokens, split.tokens[[3, 0, 3]])
        np.testing.assert_array_equal(part.lengths, split.lengths[[3, 0, 3]])
    mask = np.array([False, True, False, False, True])
    assert split.select(mask).ids == ["a1", "a4"]
    assert len(split.select([])) == 0 and split.select([]).feature_dims == (3, 2, 4)


def test_a_batch_holds_the_samples_padded_to_one_length() -> None:
    split = make_split()
    batch = collate(split, [4, 0])
    time = int(split.lengths[[4, 0]].max())
    for m, dim in enumerate((3, 2, 4)):
        x = batch.features[m]
        assert x.shape == (2, time, dim) and x.dtype == torch.float32
        for row, sample in enumerate((4, 0)):
            length = split.lengths[sample, m]
            np.testing.assert_array_equal(x[row, :length], split.features[m][sample, :length])
            assert not x[row, length:].any()
    assert batch.lengths.dtype == batch.index.dtype == torch.int64 and batch.observed.dtype == torch.bool
    assert batch.index.tolist() == [4, 0] and batch.observed.tolist() == [[True] * 3, [True, False, True]]
    assert batch.label.tolist() == [3.0, -3.0] and batch.tokens.shape == (2, 3, 5)
    assert batch.label.dtype == torch.float32 and len(batch) == 2


def test_a_batch_is_a_copy() -> None:
    split = make_split()
    before = split.features[0].copy()
    for tensor in (*collate(split, [1, 2]).features, collate(split, [1]).lengths):
        tensor.fill_(99)
    np.testing.assert_array_equal(split.features[0], before)


def test_a_batch_moves_as_a_whole() -> None:
    moved = collate(make_split(), [1, 2]).to("meta")
    assert isinstance(moved, Batch)
    parts = (*moved.features, moved.lengths, moved.observed, moved.label, moved.index, moved.tokens)
    assert all(part.device.type == "meta" for part in parts)


def test_batches_cover_the_order_once() -> None:
    split = make_split(7)
    assert [b.index.tolist() for b in batches(split, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [b.index.tolist() for b in batches(split, 2, [6, 1, 5])] == [[6, 1], [5]]
    assert list(batches(split.select([]), 4)) == []


def test_bad_indices_and_shapes_are_refused() -> None:
    split = make_split()
    with pytest.raises(DataError, match="at least one sample"):
        collate(split, [])
    for index in ([5], [-1]):
        with pytest.raises(ShapeError, match="outside a split of 5"):
            collate(split, index)
    with pytest.raises(ShapeError, match="batch size is 0"):
        next(batches(split, 0))
    with pytest.raises(ShapeError, match="lengths of a split"):
        Split(split.features, split.lengths[:3], split.observed, split.labels, split.ids)
    with pytest.raises(ShapeError, match="audio features"):
        Split(
            (split.features[0], split.features[1][:2], split.features[2]),
            split.lengths, split.observed, split.labels, split.ids,
        )  # fmt: skip
    with pytest.raises(ShapeError, match="4 ids"):
        Split(split.features, split.lengths, split.observed, split.labels, split.ids[:4])


# --- mixing ---------------------------------------------------------------------------------------


def without_language(split: Split) -> Split:
    """The split as a reader gives it for a file that has no language."""
    lengths, observed = split.lengths.copy(), split.observed.copy()
    lengths[:, 0], observed[:, 0] = 0, False
    absent = np.zeros((len(split), 0, 0), np.float32)
    return Split((absent, *split.features[1:]), lengths, observed, split.labels, split.ids)


def test_clips_without_language_are_added_to_train() -> None:
    ours = make_data(make_split(5), valid=make_split(2, name="v"), test=make_split(3, name="t"))
    theirs = make_data(without_language(make_split(4, times=(6, 11, 2), name="x")), source="b.npz")
    mixed = mix_in(ours, theirs)
    assert len(mixed.train) == 9 and mixed.feature_dims == (3, 2, 4)
    assert mixed.valid is ours.valid and mixed.test is ours.test
    assert not mixed.train.observed[5:, 0].any() and not mixed.train.features[0][5:].any()
    assert (mixed.train.lengths[5:, 0] == 0).all() and mixed.train.ids[5:] == ["x0", "x1", "x2", "x3"]
    np.testing.assert_array_equal(mixed.train.features[1][5:], theirs.train.features[1])
    np.testing.assert_array_equal(mixed.train.features[1][:5, :9], ours.train.features[1])
    np.testing.assert_array_equal(mixed.train.features[2][5:, :2], theirs.train.features[2])
    assert mixed.train.features[2].shape[1] == 4 and not mixed.train.features[2][5:, 2:].any()
    np.testing.assert_array_equal(mixed.train.tokens[:5], ours.train.tokens)
    assert not mixed.train.tokens[5:].any()
    assert mixed.source == "a.pkl + b.npz" and mixed.sha256 not in (ours.sha256, theirs.sha256)
    assert any("4 clips of b.npz were added" in sentence for sentence in mixed.report.sentences())
    assert len(ours.train) == 5 and ours.report.sentences() == []


def test_what_does_not_fit_is_not_mixed_in() -> None:
    ours = make_data(make_split(5), test=make_split(3, name="t"))
    with pytest.raises(ShapeError, match="has 7 audio channels, a.pkl has 2"):
        mix_in(ours, make_data(make_split(2, dims=(3, 7, 4), name="x")))
    with pytest.raises(DataError, match="2 clips of the valid or test split"):
        mix_in(ours, make_data(make_split(2, name="t")))


def test_the_220_real_clips_join_the_70(shared_data: Path) -> None:
    ours = read(shared_data / "ict_mmmo_aligned_20.pkl")
    mixed = mix_in(ours, read(shared_data / "ict_mmmo_no_language.npz"))
    assert len(mixed.train) == 290 and mixed.feature_dims == (300, 74, 36)
    assert mixed.train.observed[:, 0].sum() == 70 and mixed.train.observed[:, 1:].all()
    assert [len(split) for split in mixed.splits.values()] == [290, 20, 30]
    batch = collate(mixed.train, np.arange(60, 80))
    assert batch.features[0].shape == (20, 20, 300)
    assert batch.observed[:, 0].tolist() == [True] * 10 + [False] * 10
    assert not batch.features[0][10:].any()


def test_published_layout_batches_keep_every_step(mmsa_content: Any, write_pickle: Any) -> None:
    mmsa_content["train"]["audio"][:, :3] = 0
    split = read(write_pickle(mmsa_content), published_layout=True).train
    batch = collate(split, [0, 1])
    np.testing.assert_array_equal(batch.features[1], mmsa_content["train"]["audio"][:2])
    assert batch.lengths.tolist() == [[7, 7, 7]] * 2 and batch.observed.all()
