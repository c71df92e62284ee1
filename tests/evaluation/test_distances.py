from __future__ import annotations

import csv

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from dicmor_lib.errors import ConfigError, DataError, ShapeError
from dicmor_lib.evaluation import distances as module
from dicmor_lib.evaluation.distances import clip_vectors, distances_by_target, distances_to_real, halves
from dicmor_lib.evaluation.frame import ShallowFrame
from dicmor_lib.evaluation.render import distances_to_text
from dicmor_lib.evaluation.table_files import write_distances
from dicmor_lib.evaluation.two_sample import STATISTICS, median_bandwidth, two_sample, two_sample_tests


def normal(n: int, seed: int, shift: float = 0.0, scale: float = 1.0, d: int = 4) -> np.ndarray:
    return shift + scale * np.random.default_rng(seed).normal(size=(n, d))


def test_mmd_equals_its_definition():
    x, y = normal(12, 0), normal(9, 1, shift=0.5)
    h = median_bandwidth(np.concatenate([x, y]))

    def k(a, b):
        return np.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / (2 * h**2))

    xx, yy = k(x, x), k(y, y)
    expected = (xx.sum() - 12) / (12 * 11) + (yy.sum() - 9) / (9 * 8) - 2 * k(x, y).mean()
    assert two_sample(x, y, "mmd", 0).value == pytest.approx(expected)


def test_the_median_heuristic_is_the_median_distance():
    assert median_bandwidth(np.array([[0.0], [1.0], [3.0]])) == 2.0
    assert median_bandwidth(np.zeros((3, 1))) == 1.0  # all equal: any scale will do


@pytest.mark.parametrize("m", [30, 21])
def test_sliced_wasserstein_in_one_dimension_is_the_wasserstein_distance(m):
    x, y = normal(30, 0, d=1), normal(m, 1, shift=0.7, d=1)
    expected = wasserstein_distance(x[:, 0], y[:, 0])
    assert two_sample(x, y, "sliced_wasserstein", 0).value == pytest.approx(expected, rel=1e-6)


def test_sliced_wasserstein_of_a_shift_is_its_mean_projection():
    x = normal(300, 0, d=3)
    value = two_sample(x, x + np.array([2.0, 0, 0]), "sliced_wasserstein", 0).value
    assert value == pytest.approx(1.0, abs=0.15)  # E|u_1| = 1/2 for a random direction in three dimensions


def test_the_classifier_is_at_chance_or_sees_everything():
    assert abs(two_sample(normal(150, 0), normal(150, 1), "classifier", 0).value) < 0.12
    assert two_sample(normal(60, 0), normal(60, 1, shift=9), "classifier", 0).value == 0.5
    assert abs(two_sample(normal(200, 0), normal(40, 1), "classifier", 0).value) < 0.12  # unequal sizes


@pytest.mark.parametrize("statistic", STATISTICS)
def test_p_values_are_small_where_laws_differ(statistic):
    assert two_sample(normal(50, 0), normal(50, 1, shift=1.0), statistic, 99).p_value <= 0.02
    assert two_sample(normal(60, 0), normal(60, 1, scale=3.0), statistic, 99).p_value <= 0.02  # same mean


@pytest.mark.parametrize("statistic", STATISTICS)
def test_p_values_keep_their_level_where_laws_are_equal(statistic):
    p = [
        two_sample(normal(15, 2 * s, d=2), normal(15, 2 * s + 1, d=2), statistic, 39, s).p_value
        for s in range(100)
    ]
    assert np.mean(np.array(p) <= 0.1) <= 0.18  # .1 expected; .18 is 2.7 standard errors away
    assert 0.4 < np.mean(p) < 0.65


def test_the_collapse_to_the_mean_is_seen():
    """A conditional mean has the right mean and too little spread: error likes it, a distance must not."""
    real = normal(120, 0)
    rows = distances_to_real(
        {"mean": np.zeros_like(real), "draw": normal(120, 5)}, real, "audio", permutations=49
    )
    for statistic in STATISTICS:
        found = {row.method: row for row in rows if row.statistic == statistic}
        assert found["mean"].p_value <= 0.05 < found["draw"].p_value
        assert found["mean"].value > 3 * abs(found["draw"].value)
        assert found["real"].p_value > 0.05 and found["real"].n == 60


def test_a_perfect_recovery_reaches_the_noise_floor():
    real = normal(80, 0)
    rows = distances_to_real({"perfect": real.copy()}, real, "audio", permutations=19)
    for statistic in STATISTICS:
        floor, perfect = (row for row in rows if row.statistic == statistic)
        assert (floor.method, perfect.method) == ("real", "perfect")
        assert (floor.value, floor.p_value) == (perfect.value, perfect.p_value)


def test_clip_vectors_read_valid_steps_only():
    x = np.full((50, 6, 2), np.nan)
    lengths = np.arange(50) % 6 + 1
    for i, n in enumerate(lengths):
        x[i, :n] = np.arange(n)[:, None]
    step = clip_vectors(x, lengths, "step", seed=1)
    assert np.isfinite(step).all() and (step[:, 0] < lengths).all() and len(np.unique(step)) == 6
    assert np.array_equal(step, clip_vectors(x, lengths, "step", seed=1))
    np.testing.assert_allclose(clip_vectors(x, lengths, "mean")[:, 0], (lengths - 1) / 2)
    with pytest.raises(ConfigError, match="'step' or 'mean'"):
        clip_vectors(x, lengths, "last")
    with pytest.raises(DataError, match="without a valid step"):
        clip_vectors(x, lengths - 1)


def test_distances_cover_missing_modalities_pooled_and_per_class_in_training_units():
    rng = np.random.default_rng(0)
    real = 5 * rng.normal(size=(3, 90, 4, 2)) + 3
    lengths, observed = np.full((90, 3), 4), np.ones((90, 3), dtype=bool)
    available = np.tile([True, False, True], (90, 1))
    label = np.repeat([-1.0, 0.2, 2.8], [30, 40, 20])
    frame = ShallowFrame.fit(real, lengths, observed)
    estimates = {"mean-fill": np.broadcast_to(frame.mean[:, None, None], real.shape)}
    rows = distances_by_target(estimates, real, lengths, observed, available, frame, label, permutations=9)
    assert {row.target for row in rows} == {"audio"}
    assert {row.group for row in rows} == {"pooled", "-1", "0", "+3"}
    assert {row.method for row in rows} == {"real", "mean-fill"}
    pooled = next(
        r for r in rows if (r.group, r.method, r.statistic) == ("pooled", "mean-fill", "sliced_wasserstein")
    )
    assert pooled.value == pytest.approx(np.sqrt(2 / np.pi), abs=0.15)  # E|z| of a standard normal
    observed[80:, 1] = False
    fewer = distances_by_target(estimates, real, lengths, observed, available, frame, permutations=0)
    assert {row.n for row in fewer} == {40} and all(np.isnan(row.p_value) for row in fewer)


def test_only_the_steps_that_may_be_compared_are_read():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(3, 40, 6, 2))
    lengths, observed = np.full((40, 3), 6), np.ones((40, 3), dtype=bool)
    available = np.tile([True, False, True], (40, 1))
    frame = ShallowFrame.fit(real, lengths, observed)
    broken = real.copy()
    broken[:, :, [0, 1, 5]] = np.nan  # as a convolution without padding leaves the borders
    inside = np.zeros((3, 40, 6), dtype=bool)
    inside[:, :, 2:5] = True
    arguments = ({"same": broken}, real, lengths, observed, available, frame)
    rows = distances_by_target(*arguments, inside=inside, permutations=9)
    floor, same = (row for row in rows if row.statistic == "mmd")
    assert (floor.method, same.method, same.space) == ("real", "same", "feature")
    assert same.value == floor.value
    with pytest.raises(DataError, match="NaN"):
        distances_by_target(*arguments, permutations=9)


def test_drawn_steps_are_valid_ones_and_all_of_them_come_up():
    inside = np.zeros((400, 6), dtype=bool)
    inside[:, [1, 4, 5]] = True
    step = clip_vectors(np.tile(np.arange(6.0)[:, None], (400, 1, 1)), inside, "step", seed=3)
    assert {1.0, 4.0, 5.0} == set(step[:, 0]) and min(np.unique(step, return_counts=True)[1]) > 90


def test_a_class_gets_fewer_relabellings_and_a_large_split_fewer_clips(monkeypatch):
    monkeypatch.setattr(module, "MOST_CLIPS", 30)
    monkeypatch.setattr(module, "CLASS_PERMUTATIONS", 19)
    for one, other in halves(90, 3, 0):
        assert len(one) == len(other) == 15 and not set(one) & set(other)
    rng = np.random.default_rng(0)
    real = rng.normal(size=(3, 60, 2, 2))
    lengths, observed = np.full((60, 3), 2), np.ones((60, 3), dtype=bool)
    frame = ShallowFrame.fit(real, lengths, observed)
    available = np.tile([True, False, True], (60, 1))
    far = {"far": real + 50}
    rows = distances_by_target(far, real, lengths, observed, available, frame, np.ones(60), permutations=39)
    p = {row.group: row.p_value for row in rows if row.method == "far" and row.statistic == "mmd"}
    assert p == {"pooled": 2 / 40, "+1": 2 / 20}  # twice the smallest p-value there is


def test_methods_are_compared_with_one_kernel():
    """With a bandwidth of its own a far method would widen its kernel, and so look nearer than it is."""
    real = normal(100, 0)
    moved = {"near": real + 3, "far": real + 30, "further": real + 300}
    rows = distances_to_real(moved, real, "audio", statistics=("mmd",), permutations=0)
    floor, near, far, further = (row.value for row in rows)
    assert floor < near < far and further == pytest.approx(far)  # beyond the kernel nothing is near


@pytest.mark.parametrize("statistic", STATISTICS)
def test_pairs_that_are_exchangeable_keep_their_level_and_others_do_not(statistic):
    """The two of a pair share most of what they are; swapping within pairs is still exact."""
    p, q = [], []
    for s in range(60):
        common = 3 * normal(20, 3 * s, d=2)
        x, y = (np.hstack([common, normal(20, 3 * s + k, d=2)]) for k in (1, 2))
        p.append(two_sample_tests(x, y, (statistic,), 39, s, paired=True)[statistic].p_value)
        y[:, 2:] = y[:, 2:] * 0.2 + 1
        q.append(two_sample_tests(x, y, (statistic,), 39, s, paired=True)[statistic].p_value)
    assert np.mean(np.array(p) <= 0.1) <= 0.22 and 0.4 < np.mean(p) < 0.65
    assert np.mean(np.array(q) <= 0.1) > 0.7


def test_all_statistics_at_once_are_the_single_ones():
    x, y = normal(30, 0), normal(25, 1, shift=0.3)
    together = two_sample_tests(x, y, permutations=19, seed=4)
    assert together == {name: two_sample(x, y, name, 19, 4) for name in STATISTICS}
    with pytest.raises(ShapeError, match="pairs need two sets of one size"):
        two_sample_tests(x, y, paired=True)


def test_space_and_noise_floor_are_printed_and_saved(tmp_path):
    real = normal(40, 0)
    rows = [
        row
        for space in ("feature", "latent")
        for row in distances_to_real({"m": real + 1}, real, "audio", permutations=19, space=space)
    ]
    text = distances_to_text(rows, {"synthetic": True})
    assert text.startswith("SYNTHETIC") and "mmd (feature space)" in text and "mmd (latent space)" in text
    for name in ("real", "m"):
        assert sum(line.startswith(f"{name} ") for line in text.splitlines()) == 6  # statistics x spaces
    write_distances(rows, {}, tmp_path / "d.csv")
    saved = list(csv.DictReader((tmp_path / "d.csv").open()))
    assert [(r["space"], r["method"], r["statistic"]) for r in saved] == [
        (r.space, r.method, r.statistic) for r in rows
    ]
    assert [float(r["p_value"]) for r in saved] == [r.p_value for r in rows]


def test_bad_input_is_one_clear_sentence():
    with pytest.raises(ConfigError, match="no statistic 'fid'"):
        two_sample(normal(9, 0), normal(9, 1), "fid")
    with pytest.raises(ShapeError, match="two sets"):
        two_sample(normal(9, 0, d=2), normal(9, 1, d=3))
    with pytest.raises(DataError, match="too few"):
        two_sample(normal(4, 0), normal(9, 1))
    with pytest.raises(DataError, match="NaN"):
        two_sample(normal(9, 0) * np.nan, normal(9, 1))
    with pytest.raises(DataError, match="8 clips are too few"):
        distances_to_real({}, normal(8, 0), "audio")
