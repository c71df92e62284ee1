from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.errors import ConfigError, DataError, ShapeError
from dicmor_lib.evaluation.bootstrap import (
    mean_estimate,
    metric_estimates,
    paired_differences,
    resample_counts,
)
from dicmor_lib.evaluation.metrics import METRICS, sentiment_metrics


def scored(seed: int, n: int = 120, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = np.clip(rng.normal(0, 1.5, n), -3, 3)
    return label + rng.normal(0, noise, n), label


def test_counts_are_seeded_and_each_row_draws_n_samples():
    counts = resample_counts(30, 50, seed=1)
    assert counts.shape == (50, 30) and (counts.sum(axis=1) == 30).all()
    assert np.array_equal(counts, resample_counts(30, 50, seed=1))
    assert not np.array_equal(counts, resample_counts(30, 50, seed=2))


def test_groups_are_drawn_whole():
    groups = np.array(["a", "b", "a", "c", "b", "a"])
    counts = resample_counts(6, 40, seed=0, groups=groups)
    for name in "abc":
        assert (np.ptp(counts[:, groups == name], axis=1) == 0).all()
    assert len(set(counts.sum(axis=1))) > 1


def test_grouped_intervals_are_wider_when_samples_repeat_each_other():
    rng = np.random.default_rng(0)
    values, groups = np.repeat(rng.normal(size=20), 10), np.repeat(np.arange(20), 10)
    alone = mean_estimate(values, resample_counts(200, 500, 0))
    grouped = mean_estimate(values, resample_counts(200, 500, 0, groups))
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_estimates_hold_the_point_value_inside_the_interval():
    prediction, label = scored(0)
    estimates, values = metric_estimates(prediction, label), sentiment_metrics(prediction, label)
    for name in METRICS:
        assert estimates[name].value == values[name]
        assert estimates[name].low < values[name] < estimates[name].high


def test_intervals_of_a_known_law_cover_it_about_as_often_as_they_say():
    # Acc-2 of a predictor that is right with probability .7: 300 data sets, true value inside 95 % intervals.
    rng, n, hits = np.random.default_rng(0), 150, 0
    counts = resample_counts(n, 400, seed=0)
    label = np.where(rng.random(n) < 0.5, -1.0, 1.0)
    for draw in range(300):
        right = rng.random(n) < 0.7
        spread = counts @ right / n
        low, high = np.quantile(spread, [0.025, 0.975])
        hits += low <= 0.7 <= high
        if draw == 0:
            ours = metric_estimates(np.where(right, label, -label), label, counts)["acc2"]
            assert (ours.low, ours.high) == pytest.approx((low, high))
    assert 0.90 <= hits / 300 <= 0.98


def test_paired_differences_are_tighter_than_the_difference_of_two_intervals():
    prediction, label = scored(1)
    better = prediction + 0.3 * (label - prediction)
    difference = paired_differences(better, prediction, label)["mae"]
    one, two = metric_estimates(better, label)["mae"], metric_estimates(prediction, label)["mae"]
    assert difference.value == pytest.approx(one.value - two.value) and difference.excludes_zero
    assert difference.high - difference.low < 0.6 * ((one.high - one.low) + (two.high - two.low))


def test_a_method_does_not_differ_from_itself():
    prediction, label = scored(2)
    for estimate in paired_differences(prediction, prediction, label).values():
        assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0) and not estimate.excludes_zero


def test_what_does_not_exist_is_nan_and_its_interval_too():
    estimate = metric_estimates(np.ones(10), np.linspace(-3, 3, 10))["pearson"]
    assert np.isnan([estimate.value, estimate.low, estimate.high]).all()


def test_bad_input_is_one_clear_sentence():
    with pytest.raises(ConfigError, match="resamples is 1"):
        resample_counts(5, 1)
    with pytest.raises(DataError, match="no sample"):
        resample_counts(0)
    with pytest.raises(ShapeError, match="groups"):
        resample_counts(5, 10, groups=np.zeros(4))
    with pytest.raises(ConfigError, match="level"):
        metric_estimates(*scored(0), level=95)
    with pytest.raises(DataError, match="finite"):
        mean_estimate(np.array([1.0, np.nan]))
