"""Intervals from draws and residuals: they cover as often as they say when what they assume holds."""

from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.errors import ShapeError
from dicmor_lib.evaluation.intervals import covered, prediction_interval, residual_quantiles


@pytest.mark.parametrize("level", (0.5, 0.8, 0.95))
def test_the_coverage_is_the_level_when_draws_and_residuals_have_the_right_law(level):
    rng = np.random.default_rng(0)
    spread = rng.uniform(0.1, 2.0, 4000)  # what is missing matters more in some clips than in others
    labels = spread * rng.normal(size=4000) + rng.normal(size=4000)
    draws = spread * rng.normal(size=(64, 4000))
    residuals = residual_quantiles(np.zeros(3000), rng.normal(size=3000))
    interval = prediction_interval(draws, residuals, level)
    assert covered(interval, labels).mean() == pytest.approx(level, abs=0.025)
    width = interval[:, 1] - interval[:, 0]
    assert np.corrcoef(width, spread)[0, 1] > 0.8


def test_without_spread_the_interval_is_that_of_the_residuals():
    residuals = residual_quantiles(np.zeros(1000), np.linspace(-1, 1, 1000))
    interval = prediction_interval(np.full((5, 2), 3.0), residuals, 0.8)
    np.testing.assert_allclose(interval, [[2.2, 3.8]] * 2, atol=0.02)
    assert covered(interval, np.array([interval[0, 0], 3.9])).tolist() == [True, False]


def test_lists_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="two equally long lists"):
        residual_quantiles(np.zeros(3), np.zeros(4))
