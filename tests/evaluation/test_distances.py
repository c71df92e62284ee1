from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from dicmor_lib.errors import ConfigError, DataError, ShapeError
from dicmor_lib.evaluation.distances import clip_vectors, distances_by_target, distances_to_real
from dicmor_lib.evaluation.frame import ShallowFrame
from dicmor_lib.evaluation.two_sample import STATISTICS, median_bandwidth, two_sample


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
    assert two_sample(x, y, "sliced_wasserstein", 0).value == pytest.approx(
        expected, rel=1e-9 if m == 30 else 0.05
    )


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
