"""Masks are data: of the right shares, seeded, saved, named by a hash; the impossible is refused."""

from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.data.missingness import (
    PROTOCOLS,
    fixed_masks,
    frame_masks,
    law_hash,
    load_masks,
    mask_hash,
    missing_count_shares,
    missing_masks,
    pattern_shares,
    published_batch_masks,
    realised_shares,
    save_masks,
)
from dicmor_lib.errors import ConfigError, DataError, PatternError, ShapeError
from dicmor_lib.modalities import PATTERNS, mask_pattern


def _counts(masks: np.ndarray) -> np.ndarray:
    """How many samples lack 0, 1, 2, 3 modalities."""
    return np.bincount((~masks).sum(1), minlength=4)


@pytest.mark.parametrize(
    ("protocol", "two", "one", "none"),
    [
        ("dicmor", 0.70, 0.10, 0.20),
        ("imder", 0.70, 0.10, 0.20),
        ("gcnet", 0.57, 0.37, 0.06),
        ("independent", 0.43, 0.43, 0.14),
        ("mplmm", 0.25, 0.25, 0.50),
    ],
)
def test_missing_rate_one_half_means_what_each_paper_means(protocol, two, one, none) -> None:
    shares = pattern_shares(protocol, 0.5)
    got = [sum(s for p, s in shares.items() if len(p) == k) for k in (1, 2, 3)]
    # the printed table rounds to two digits, and .5625 to .57
    np.testing.assert_allclose(got, [two, one, none], atol=0.0076)


@pytest.mark.parametrize(
    ("rate", "two", "one"),
    [(0, 0, 0), (0.1, 0.1, 0.1), (0.2, 0.2, 0.2), (0.3, 0.3, 0.3), (0.4, 0.5, 0.2)]
    + [(0.5, 0.7, 0.1), (0.6, 0.9, 0.0), (0.7, 1.0, 0.0)],
)
def test_dicmor_schedule(rate: float, two: float, one: float) -> None:
    assert missing_count_shares("dicmor", rate) == pytest.approx((1 - one - two, one, two), abs=1e-12)
    counts = _counts(missing_masks("dicmor", rate, 1000, seed=1))
    assert counts.tolist() == [round(1000 * (1 - one - two)), round(1000 * one), round(1000 * two), 0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.7])
def test_shares_sum_to_one_and_masks_realise_them(protocol: str, rate: float) -> None:
    shares = pattern_shares(protocol, rate)
    assert tuple(shares) == PATTERNS
    assert sum(shares.values()) == pytest.approx(1) and min(shares.values()) >= 0
    masks = missing_masks(protocol, rate, 3000, seed=0)
    assert masks.shape == (3000, 3) and masks.dtype == bool and masks.any(1).all()
    for pattern, share in realised_shares(masks).items():
        assert abs(share - shares[pattern]) < 4 * (0.25 / 3000) ** 0.5
    exact = 3000 * np.array([*missing_count_shares(protocol, rate), 0])
    assert np.abs(_counts(masks) - exact).max() < 1


def test_independent_and_gcnet_shares_equal_simulation() -> None:
    """The same protocols written down as their papers describe them: one random event per modality."""
    rng, n, rate = np.random.default_rng(0), 200_000, 0.4
    independent = rng.random((n, 3)) >= rate
    independent = independent[independent.any(1)]
    gcnet = rng.random((n, 3)) >= 1.5 * rate
    gcnet[np.arange(n), rng.integers(0, 3, n)] = True
    for protocol, masks in (("independent", independent), ("gcnet", gcnet)):
        simulated = realised_shares(masks)
        for pattern, share in pattern_shares(protocol, rate).items():
            assert abs(share - simulated[pattern]) < 0.005


@pytest.mark.parametrize(("protocol", "two"), [("independent", 1.0), ("gcnet", 1.0), ("mplmm", 0.5)])
def test_rate_one_leaves_at_least_one_modality(protocol: str, two: float) -> None:
    assert missing_count_shares(protocol, 1.0) == pytest.approx((0, 1 - two, two))
    assert missing_masks(protocol, 1.0, 50, seed=0).any(1).all()


def test_rate_zero_means_nothing_missing() -> None:
    for protocol in PROTOCOLS:
        assert missing_masks(protocol, 0.0, 40, seed=3).all()


@pytest.mark.parametrize("n", [1, 2, 3, 7, 11])
def test_small_samples_keep_their_size_and_at_least_one_modality(n: int) -> None:
    for protocol in PROTOCOLS:
        masks = missing_masks(protocol, 0.5, n, seed=n)
        assert masks.shape == (n, 3) and masks.any(1).all()


def test_masks_depend_on_the_seed_alone_and_not_on_the_position() -> None:
    first, again, other = (missing_masks("dicmor", 0.5, 600, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    halves = [_counts(half)[2] for half in (first[:300], first[300:])]
    assert abs(halves[0] - halves[1]) < 60  # not the first samples first, as the published quotas


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: missing_masks("mmin", 0.5, 10, 0), "mmin"),
        (lambda: missing_masks("gcnet", 1.2, 10, 0), "1.2"),
        (lambda: missing_masks("gcnet", -0.1, 10, 0), "-0.1"),
        (lambda: missing_masks("gcnet", float("nan"), 10, 0), "nan"),
        (lambda: missing_masks("gcnet", 0.5, 0, 0), "at least 1"),
        (lambda: missing_masks("gcnet", 0.5, 3, -1), "seed"),
        (lambda: missing_masks("dicmor", 0.45, 10, 0), "0.45"),
        (lambda: missing_masks("imder", 0.8, 10, 0), "0.8"),
        (lambda: fixed_masks("l", 0), "at least 1"),
        (lambda: frame_masks(2, 3, 5, np.full(3, 5), 0), "frames"),
        (lambda: published_batch_masks(0.5, 10, 0, 0), "batch size"),
    ],
)
def test_impossible_requests_are_refused_in_one_sentence(call, word: str) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_fixed_masks_are_the_pattern() -> None:
    for pattern in PATTERNS:
        masks = fixed_masks(pattern, 4)
        assert masks.shape == (4, 3) and {mask_pattern(tuple(row)) for row in masks} == {pattern}
    with pytest.raises(PatternError):
        fixed_masks("", 4)
    with pytest.raises(PatternError):
        fixed_masks("x", 4)


def test_frame_masks_drop_the_stated_share_of_valid_steps() -> None:
    lengths = np.random.default_rng(0).integers(0, 21, (400, 3))
    masks = frame_masks(0.3, 400, 20, lengths, seed=1)
    valid = np.arange(20)[:, None] < lengths[:, None]
    assert masks.shape == (400, 20, 3) and masks.dtype == bool
    assert not masks[~valid].any()
    dropped = (valid & ~masks).sum(1)
    assert np.abs(dropped - 0.3 * lengths).max() < 1
    assert abs(dropped.sum() / valid.sum() - 0.3) < 0.01
    full = lengths[:, 0] == 20
    assert np.ptp(masks[full, :, 0].mean(0)) < 0.6  # every step can be the one that is dropped
    np.testing.assert_array_equal(masks, frame_masks(0.3, 400, 20, lengths, seed=1))
    np.testing.assert_array_equal(frame_masks(0, 400, 20, lengths, seed=1), valid)
    assert not frame_masks(1, 400, 20, lengths, seed=1).any()


def test_frame_masks_take_one_length_per_clip_and_refuse_others() -> None:
    masks = frame_masks(0.5, 2, 6, np.array([6, 2]), seed=0)
    assert masks.sum(1).tolist() == [[3, 3, 3], [1, 1, 1]]
    with pytest.raises(ShapeError, match="lengths"):
        frame_masks(0.5, 2, 6, np.array([7, 2]), seed=0)
    with pytest.raises(ShapeError, match="lengths"):
        frame_masks(0.5, 2, 6, np.array([3, 2, 1]), seed=0)


def test_published_drawing_is_per_batch_and_in_order() -> None:
    masks = published_batch_masks(0.5, 100 * 4, 4, seed=0)
    per_batch = masks.reshape(100, 4, 3)
    assert (per_batch == per_batch[:, :1]).all()
    missing = (~per_batch[:, 0]).sum(1)
    assert missing.tolist() == [2] * 70 + [1] * 10 + [0] * 20
    # 96 batches count as 100, so the last kind comes out short
    assert np.bincount((~published_batch_masks(0.5, 96 * 4, 4, seed=0)[::4]).sum(1)).tolist() == [16, 10, 70]


def test_published_drawing_keeps_its_two_faults() -> None:
    assert (~published_batch_masks(0.0, 400, 4, seed=0)).sum(1).min() == 2  # rate 0 runs rate 0.7
    assert published_batch_masks(0.7, 16, 4, seed=0).all()  # four batches are rounded to none


def test_saved_masks_come_back_and_are_named_by_their_hash(tmp_path) -> None:
    masks = missing_masks("gcnet", 0.5, 37, seed=5)
    path = tmp_path / "masks.npz"
    digest = save_masks(path, masks, protocol="gcnet", rate=0.5, seed=5)
    loaded, about = load_masks(path)
    np.testing.assert_array_equal(loaded, masks)
    assert about == {"protocol": "gcnet", "rate": 0.5, "seed": 5, "hash": digest}
    assert digest == mask_hash(masks) and len(digest) == 12


def test_one_function_draws_the_masks_of_every_protocol() -> None:
    lengths = np.array([[6, 2, 4], [1, 6, 0]])
    np.testing.assert_array_equal(missing_masks("fixed-la", None, 4, 0), fixed_masks("la", 4))
    frames = missing_masks("frames", 0.5, 2, 3, lengths=lengths, time=6)
    np.testing.assert_array_equal(frames, frame_masks(0.5, 2, 6, lengths, 3))
    assert frames.shape == (2, 6, 3)
    for call, word in (
        (lambda: missing_masks("fixed-la", 0.5, 4, 0), "has no rate; give None, not 0.5"),
        (lambda: missing_masks("gcnet", None, 4, 0), "'gcnet' needs a missing rate"),
        (lambda: missing_masks("frames", 0.5, 4, 0), "need the lengths"),
        (lambda: missing_masks("fixed-x", None, 4, 0), "not a set of the letters"),
    ):
        with pytest.raises((ConfigError, PatternError), match=word):
            call()


@pytest.mark.parametrize("protocol", [*PROTOCOLS, "fixed-av", "frames"])
def test_masks_of_every_protocol_are_saved_reloaded_and_hashed(protocol: str, tmp_path) -> None:
    rate = None if protocol == "fixed-av" else 0.3
    more = {"lengths": np.full((9, 3), 5), "time": 7} if protocol == "frames" else {}
    masks = missing_masks(protocol, rate, 9, 4, **more)
    digest = save_masks(tmp_path / "masks.npz", masks, protocol=protocol, rate=rate, seed=4)
    loaded, about = load_masks(tmp_path / "masks.npz")
    np.testing.assert_array_equal(loaded, missing_masks(protocol, rate, 9, 4, **more))
    assert about == {"protocol": protocol, "rate": rate, "seed": 4, "hash": digest}
    assert mask_hash(loaded) == digest and sorted(p.name for p in tmp_path.iterdir()) == ["masks.npz"]


def test_a_laws_name_sees_every_share_and_not_their_order_or_rounding() -> None:
    law = pattern_shares("gcnet", 0.4)
    assert law_hash(law) == law_hash(dict(reversed(law.items()))) and len(law_hash(law)) == 12
    assert law_hash(law) == law_hash({p: share + 1e-12 for p, share in law.items()})
    assert law_hash({"l": 0.5, "va": 0.5}) == law_hash({"av": 0.5, "l": 0.5, "lav": 0.0})
    names = {
        law_hash(pattern_shares(p, r))
        for p in ("dicmor", "gcnet", "independent", "mplmm")
        for r in (0.3, 0.5)
    }
    names |= {law_hash(law | {a: law[b], b: law[a]}) for a, b in (("l", "la"), ("av", "lav"))}
    assert len(names) == 10


def test_hash_sees_every_bit_and_the_shape() -> None:
    masks = missing_masks("mplmm", 0.6, 24, seed=0)
    flipped = masks.copy()
    flipped[23, 2] ^= True
    assert (
        len({mask_hash(masks), mask_hash(flipped), mask_hash(masks.reshape(12, 6)), mask_hash(masks[:23])})
        == 4
    )
    assert mask_hash(masks) == mask_hash(masks.copy(order="F"))


def test_damaged_mask_files_are_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="no_such"):
        load_masks(tmp_path / "no_such.npz")
    text = tmp_path / "text.npz"
    text.write_text("not a mask")
    with pytest.raises(DataError, match="text.npz"):
        load_masks(text)
    other = tmp_path / "other.npz"
    np.savez(other, masks=np.ones((3, 3), bool))
    with pytest.raises(DataError, match="other.npz"):
        load_masks(other)
    truncated = tmp_path / "cut.npz"
    save_masks(truncated, np.ones((30, 3), bool), protocol="gcnet", rate=0.0, seed=0)
    truncated.write_bytes(truncated.read_bytes()[:200])
    with pytest.raises(DataError, match="cut.npz"):
        load_masks(truncated)
    forged = tmp_path / "forged.npz"
    np.savez(forged, masks=np.ones((3, 3), bool), protocol="gcnet", rate=0.0, seed=0, hash="0" * 12)
    with pytest.raises(DataError, match="hash"):
        load_masks(forged)
