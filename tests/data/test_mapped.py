"""Features on disk answer like an array, and selecting, joining and standardising them reads nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicmor_lib.data import mapped
from dicmor_lib.data.mapped import MappedFeatures
from dicmor_lib.data.pages import release
from dicmor_lib.data.scaling import KnownMoments, Moments, Scaling
from dicmor_lib.errors import DataError

N, T, D = 9, 6, 4


def make(tmp_path: Path, count: int = N, steps: int = T, seed: int = 0) -> tuple[MappedFeatures, np.ndarray]:
    """Features in a mapped file, and the same in memory."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, steps + 1, count)
    x = rng.normal(3, 2, (count, steps, D)).astype(np.float32)
    x[np.arange(steps) >= lengths[:, None]] = 0
    np.save(tmp_path / f"{seed}.npy", x)
    return MappedFeatures(
        [np.load(tmp_path / f"{seed}.npy", mmap_mode="r")], np.arange(count), lengths
    ), x.copy()


INDICES: dict[str, Any] = {
    "number": 3,
    "negative": -1,
    "slice": slice(2, 7, 2),
    "list": [3, 0, 3],
    "array": np.array([8, -2]),
    "mask": np.arange(N) % 2 == 0,
    "nothing": [],
    "cut": (np.array([1, 5]), slice(None, 3)),
    "cut beyond": (slice(None), slice(None, 99)),
    "last steps": (slice(1, 4), slice(-2, None)),
    "every second step": (slice(None), slice(None, None, 2)),
    "one step": ([0, 4], 2),
    "channels": ([0, 4], slice(1, 5), slice(None, None, 3)),
    "number, steps": (3, slice(1, 4)),
    "pairs": (np.arange(N), np.arange(N) % T),
    "pairs from the end": ([0, 1, 5], [-1, 0, -T]),
    "pairs, channel": (np.arange(N), np.zeros(N, int), 2),
}


@pytest.mark.parametrize("name", list(INDICES))
def test_indexing_is_that_of_an_array(name: str, tmp_path: Path) -> None:
    features, x = make(tmp_path)
    found = features[INDICES[name]]
    np.testing.assert_array_equal(found, x[INDICES[name]])
    assert type(found) is np.ndarray and found.dtype == np.float32
    if found.size:
        found[...] = 99  # a copy: what is on disk cannot be written
        np.testing.assert_array_equal(features[INDICES[name]], x[INDICES[name]])


def test_it_looks_like_an_array(tmp_path: Path) -> None:
    features, x = make(tmp_path)
    assert features.shape == (N, T, D) and len(features) == N and features.ndim == 3
    assert features.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(features), x)
    np.testing.assert_array_equal(np.array(features, dtype=np.float64), x.astype(np.float64))
    for wrong in ([N], (0, T + 3), (slice(None), [T])):
        with pytest.raises(IndexError):
            features[wrong]
    for unclear in (None, Ellipsis, (Ellipsis, 0), ([0, 1], [0, 1], [0, 1]), ([[0, 1]], [[0, 1]])):
        with pytest.raises(IndexError, match="rows"):
            features[unclear]
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(features, copy=False)


def test_views_of_views_and_of_several_files(tmp_path: Path) -> None:
    """With other T, clips in memory, and clips that lack the modality."""
    features, x = make(tmp_path)
    longer, y = make(tmp_path, 4, T + 3, seed=1)
    absent = np.zeros((3, 0, 0), np.float32)
    inside = np.arange(2 * T * D, dtype=np.float32).reshape(2, T, D) + 1
    joined = features.select(np.array([8, 1, 1])).append(
        longer.select(np.array([2, 0])), longer.lengths[[2, 0]]
    )
    joined = joined.append(absent, np.zeros(3, int)).append(inside, np.full(2, T))
    wanted = np.zeros((10, T + 3, D), np.float32)
    wanted[:3, :T], wanted[3:5], wanted[8:, :T] = x[[8, 1, 1]], y[[2, 0]], inside
    np.testing.assert_array_equal(np.asarray(joined), wanted)
    order = np.array([9, 4, 0, 6, 3])
    view = joined.select(order)
    np.testing.assert_array_equal(view[:], wanted[order])
    np.testing.assert_array_equal(view[1:4, :2], wanted[order][1:4, :2])
    steps = np.array([0, T + 2, 3, 1, T])
    np.testing.assert_array_equal(view[np.arange(5), steps], wanted[order, steps])
    assert view.lengths.tolist() == [T, longer.lengths[0], features.lengths[8], 0, longer.lengths[2]]


def test_sequences_are_put_back_where_they_began(tmp_path: Path) -> None:
    features, x = make(tmp_path)
    first = T - features.lengths  # padded at the front
    back = MappedFeatures(features.sources, features.rows, np.full(N, T), first=first)
    wanted = np.stack([np.roll(row, shift, axis=0) for row, shift in zip(x, first)])
    np.testing.assert_array_equal(back[:], wanted)
    np.testing.assert_array_equal(back[:, :3], wanted[:, :3])
    np.testing.assert_array_equal(
        back[np.arange(N), np.arange(N) % T], wanted[np.arange(N), np.arange(N) % T]
    )
    np.testing.assert_array_equal(back.select(np.array([5, 2]))[:], wanted[[5, 2]])


@pytest.mark.parametrize("limit", [None, 0.7])
def test_standardising_is_lazy_and_equal(limit: float | None, tmp_path: Path) -> None:
    features, x = make(tmp_path)
    lengths = features.lengths
    scaling = Scaling(np.linspace(1, 4, D), np.linspace(0.5, 2, D), limit, 0)
    wanted = scaling.apply(x, lengths)
    valid = np.arange(T) < lengths[:, None]
    assert not wanted[~valid].any() and np.abs(wanted[valid]).min() > 0
    view = features.scaled(scaling)
    np.testing.assert_array_equal(view[:], wanted)
    np.testing.assert_array_equal(view[[4, 1], :2], wanted[[4, 1], :2])
    np.testing.assert_array_equal(
        view[np.arange(N), np.arange(N) % T], wanted[np.arange(N), np.arange(N) % T]
    )
    np.testing.assert_array_equal(view.select(np.array([7, 3]))[:], wanted[[7, 3]])
    twice = scaling.apply(wanted, lengths)
    np.testing.assert_array_equal(view.scaled(scaling)[:], twice)
    np.testing.assert_array_equal(features[:], x)  # the first view is as it was
    with pytest.raises(ValueError, match="before they are standardised"):
        view.append(features, lengths)


def test_what_overflows_is_named_when_it_is_read(tmp_path: Path) -> None:
    features, x = make(tmp_path)
    view = features.scaled(Scaling(np.zeros(D), np.array([1, 1, 1e-39, 1]), None, 2))
    with pytest.raises(DataError, match="channel 2 of vision"):
        view[:]


def test_a_known_count_holds_for_the_very_same_map_only() -> None:
    mean, sd = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    known = KnownMoments(mean, sd, np.array([False, True]), limit=10.0, clipped=7)
    assert known.count_clipped(known.scaling(10.0, 0)) == 7
    assert known.scaling(10.0, 0).sd.tolist() == [3, 1]
    assert known.count_clipped(known.scaling(9.0, 0)) is None
    assert known.count_clipped(Moments(mean + 1e-12, sd, known.constant).scaling(10.0, 0)) is None


def test_pages_are_given_back_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = []
    monkeypatch.setattr(mapped, "release", lambda array: (released.append(array), release(array)))
    features, x = make(tmp_path)
    for row in range(N):
        np.testing.assert_array_equal(features[row], x[row])
    assert len(released) == N and all(array is features.sources[0] for array in released)
