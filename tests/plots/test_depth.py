from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.bootstrap import Estimate
from dicmor_lib.plots.depth import depth_figure
from dicmor_lib.plots.style import figure_alt

NONE = Estimate(np.nan, np.nan, np.nan)
SERIES = {
    "RCABs": [Estimate(0.8, 0.79, 0.81), Estimate(0.75, 0.74, 0.76)],
    "frozen": [NONE, Estimate(0.76, 0.75, 0.77)],
}


def test_values_intervals_and_gaps_are_drawn():
    figure = depth_figure((0, 3), SERIES, (3, 15), {"a model": 0.9})
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].get_lines()}
    np.testing.assert_allclose(lines["RCABs"], [0.8, 0.75])
    np.testing.assert_allclose(lines["frozen"], [0.76])
    low_high = [np.array(part)[:, 1] for part in figure.axes[0].collections[0].get_segments()]
    np.testing.assert_allclose(low_high, [[0.79, 0.81], [0.74, 0.76]])
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["0\n(3 steps)", "3\n(15 steps)"]


def test_the_alternative_text_holds_what_is_drawn():
    alt = figure_alt(depth_figure((0, 3), SERIES, (3, 15), {"a model": 0.9}, title="Vision"))
    assert "RCABs: 0.800 with 0, 0.750 with 3; frozen: 0.760 with 3, a model 0.900." in alt


def test_series_of_another_length_are_refused():
    with pytest.raises(DataError, match="RCABs"):
        depth_figure((0, 1, 3), SERIES, (3, 7, 15))
    with pytest.raises(DataError, match="reaches"):
        depth_figure((0, 3), SERIES, (3,))
    with pytest.raises(DataError):
        depth_figure((), {}, ())
