"""The pictures of chapter 12 draw and say what the data holds."""

from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.plots import figure_alt
from dicmor_lib.plots.beyond import (
    calibration_curves,
    cut_through_joint,
    draws_over_time,
    truth_and_estimates,
)

RNG = np.random.default_rng(0)


def test_an_estimate_is_told_by_its_correlation_and_its_spread():
    real = RNG.normal(size=400)
    estimates = {"half": real / 2, "wrong way": -real, "noise": RNG.normal(size=400)}
    figure = truth_and_estimates(estimates, real, "vision 1")
    titles = [panel.get_title(loc="left") or panel.get_title() for panel in figure.axes]
    assert titles[0] == "half\ncorrelation 1.00\nspread 0.50"
    assert "half: correlation 1.00, spread 0.50" in figure_alt(figure)
    assert "wrong way: correlation -1.00, spread 1.00" in figure_alt(figure)
    for panel, values in zip(figure.axes, estimates.values()):
        drawn = np.asarray(panel.collections[0].get_offsets())
        order = np.argsort(drawn[:, 0])
        np.testing.assert_allclose(drawn[order], np.stack([real, values], 1)[np.argsort(real)])
        curve = np.asarray(panel.lines[-1].get_data())  # two standard deviations along both axes
        assert np.ptp(curve[0]) == pytest.approx(4 * real.std(ddof=1), rel=0.01)
        assert np.ptp(curve[1]) == pytest.approx(4 * values.std(ddof=1), rel=0.01)


def test_a_cut_has_the_conditional_mean_and_deviation():
    covariance = np.array([[4.0, 1.8], [1.8, 1.0]])
    figure = cut_through_joint(covariance, [-2.0, 3.0])
    left, right = figure.axes
    marks = [bar[0].get_data() for bar in left.containers]
    np.testing.assert_allclose([(x[0], y[0]) for x, y in marks], [(-2, -0.9), (3, 1.35)])
    rest = np.sqrt(1 - 1.8**2 / 4)
    for line in right.lines:
        density, along = line.get_data()
        if len(along) > 1:  # the marginal and the two cuts are densities
            assert np.sum(density) * (along[1] - along[0]) == pytest.approx(1, abs=0.01)
    assert f"standard deviation {rest:.2f}" in figure_alt(figure) and "correlation 0.90" in figure_alt(figure)
    assert "-0.90 at -2" in figure_alt(figure)


def test_the_band_holds_four_of_five_draws():
    real, draws = np.zeros(6), RNG.normal(size=(4000, 6))
    figure = draws_over_time(real, {"one": np.ones((1, 6)), "many": draws}, "vision 1")
    one, many = figure.axes
    assert not one.collections and len(one.lines) == 2 and len(many.lines) == 9
    band = many.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(-1.28, abs=0.12) and band.max() == pytest.approx(1.28, abs=0.12)
    np.testing.assert_array_equal(one.lines[-1].get_ydata(), real)
    assert "one: one line, 1.00 off" in figure_alt(figure) and "holds 6 of 6 steps" in figure_alt(figure)


def test_calibration_is_drawn_in_per_cent_beside_the_band_of_chance():
    figure = calibration_curves([0.5, 0.8], {"ours": [0.52, 0.79], "fixed": [0.4, 0.6]}, n=100)
    (axes,) = figure.axes
    np.testing.assert_allclose(axes.lines[1].get_data(), [[50, 80], [52, 79]])
    band = axes.collections[0].get_paths()[0].vertices
    middle = band[np.abs(band[:, 0] - 50).argsort()[:4], 1]
    np.testing.assert_allclose([middle.min(), middle.max()], [40.2, 59.8], atol=0.4)  # 1.96 deviations
    assert "ours: 52.0 at 50, 79.0 at 80" in figure_alt(figure) and "100 labels" in figure_alt(figure)


def test_what_does_not_fit_is_refused():
    x = RNG.normal(size=20)
    with pytest.raises(ShapeError, match="estimates"):
        truth_and_estimates({"short": x[:9]}, x, "x")
    with pytest.raises(ShapeError, match="estimates"):
        truth_and_estimates({}, x, "x")
    with pytest.raises(ShapeError, match="symmetric"):
        cut_through_joint(np.array([[1.0, 0.2], [0.4, 1.0]]), [0.0])
    with pytest.raises(DataError, match="positive definite"):
        cut_through_joint(np.array([[1.0, 2.0], [2.0, 1.0]]), [0.0])
    with pytest.raises(ShapeError, match="panels"):
        draws_over_time(x, {"flat": x}, "x")
    with pytest.raises(ShapeError, match="one share per level"):
        calibration_curves([0.5], {"ours": [0.5, 0.6]}, 10)
    with pytest.raises(DataError, match="between 0 and 1"):
        calibration_curves([1.0], {"ours": [0.5]}, 10)
