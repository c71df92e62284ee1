"""Intervals from draws and residuals: they cover as often as they say when what they assume holds."""

from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.errors import ShapeError
from dicmor_lib.evaluation import intervals
from dicmor_lib.evaluation.intervals import Residuals, covered, prediction_interval

LEVELS = (0.5, 0.8, 0.95)


@pytest.mark.parametrize("level", LEVELS)
def test_the_coverage_is_the_level_when_draws_and_residuals_have_the_right_law(level):
    rng = np.random.default_rng(0)
    spread = rng.uniform(0.1, 2.0, 4000)  # what is missing matters more in some clips than in others
    labels = spread * rng.normal(size=4000) + rng.normal(size=4000)
    draws = spread * rng.normal(size=(64, 4000))
    validation = rng.normal(size=3000) * 2
    known = Residuals.of(validation, validation + rng.normal(size=3000))
    interval = prediction_interval(draws, known, level)
    assert covered(interval, labels).mean() == pytest.approx(level, abs=0.025)
    width = interval[:, 1] - interval[:, 0]
    assert np.corrcoef(width, spread)[0, 1] > 0.8


@pytest.mark.parametrize("level", LEVELS)
def test_where_residuals_depend_on_the_prediction_the_coverage_holds_everywhere(level):
    rng = np.random.default_rng(1)

    def clips(n):
        prediction = rng.uniform(-3, 3, n)
        return prediction, prediction + (0.2 + np.abs(prediction)) * rng.normal(size=n) - prediction / 3

    known = Residuals.of(*clips(5000))
    predictions, labels = clips(6000)
    hit = covered(prediction_interval(predictions[None], known, level), labels)
    for low in (
        -3,
        -1,
        1,
    ):  # residuals of all clips alike would cover the middle always and the ends too rarely
        there = (predictions >= low) & (predictions < low + 2)
        assert hit[there].mean() == pytest.approx(level, abs=0.06)


def test_without_spread_the_interval_is_that_of_the_residuals():
    known = Residuals.of(np.zeros(1000), np.linspace(-1, 1, 1000))
    assert known.near(np.array(3.0), count=1000).shape == (1000,)
    whole = Residuals.of(np.zeros(20), np.linspace(-1, 1, 20))  # as many as are near at least
    interval = prediction_interval(np.full((5, 2), 3.0), whole, 0.8)
    np.testing.assert_allclose(interval, [[2.2, 3.8]] * 2, atol=0.02)
    assert covered(interval, np.array([interval[0, 0], 3.9])).tolist() == [True, False]


def test_neighbours_lie_around_a_prediction_and_at_an_end_within_the_list():
    known = Residuals.of(np.arange(10.0)[::-1], np.arange(10.0)[::-1] * 2)  # the residual is the prediction
    assert known.near(np.array([5.1]), 4).tolist() == [[4, 5, 6, 7]]
    assert known.near(np.array([-9.0, 99.0]), 3).tolist() == [[0, 1, 2], [7, 8, 9]]
    assert known.near(np.zeros((2, 3))).shape == (2, 3, 10)  # of ten clips, all are near


def test_many_clips_are_worked_through_in_parts(monkeypatch):
    rng = np.random.default_rng(2)
    known = Residuals.of(rng.normal(size=50), rng.normal(size=50))
    draws = rng.normal(size=(3, 41))
    at_once = prediction_interval(draws, known, 0.8)
    monkeypatch.setattr(intervals, "_CHUNK", 200)
    np.testing.assert_array_equal(prediction_interval(draws, known, 0.8), at_once)


def test_lists_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="two equally long lists"):
        Residuals.of(np.zeros(3), np.zeros(4))
