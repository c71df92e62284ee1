from __future__ import annotations

import pytest

from dicmor_lib.errors import DataError
from dicmor_lib.plots.spread import CORRELATIONS, spread_error_plane
from dicmor_lib.plots.style import figure_alt

POINTS = {"recovered": (0.4, 0.84), "draw": (1.0, 1.6)}


def marks(figure) -> dict[str, tuple[float, float, str]]:
    return {
        line.get_label(): (*line.get_xydata()[0], line.get_markerfacecolor())
        for line in figure.axes[0].get_lines()
        if line.get_label() in POINTS
    }


def test_points_stand_where_they_belong_and_draws_are_hollow():
    found = marks(spread_error_plane(POINTS, draws=["draw"]))
    assert {name: mark[:2] for name, mark in found.items()} == POINTS
    assert found["draw"][2] == "white" and found["recovered"][2] != "white"


def test_a_curve_of_equal_correlation_has_its_lowest_point_on_the_dashed_line():
    lines = spread_error_plane(POINTS).axes[0].get_lines()
    for line, r in zip(lines, CORRELATIONS):
        s, error = line.get_xydata()[line.get_ydata().argmin()]
        assert s == pytest.approx(r, abs=0.01) and error == pytest.approx(1 - r**2, abs=1e-3)


def test_the_alternative_text_holds_the_numbers_and_the_path():
    figure = spread_error_plane(
        POINTS, path=[(1.0, 1.6), (0.6, 0.9)], path_labels=["1", "16"], title="Vision"
    )
    alt = figure_alt(figure)
    assert "recovered spread 0.40, error 0.84" in alt and "(Vision)" in alt
    assert "from spread 1.00 and error 1.60 to spread 0.60 and error 0.90" in alt
    assert {"1", "16"} <= {text.get_text() for text in figure.axes[0].texts}


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="at least one point"):
        spread_error_plane({})
    with pytest.raises(DataError, match="another"):
        spread_error_plane(POINTS, draws=["another"])
    with pytest.raises(DataError, match="labels"):
        spread_error_plane(POINTS, path=[(1, 1)], path_labels=["a", "b"])
