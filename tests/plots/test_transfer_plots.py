from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.plots import figure_alt
from dicmor_lib.plots.transfer import conditional_view, copied_view, law_and_truth, relabellings_view

rng = np.random.default_rng(0)


def test_relabellings_tell_the_p_value_with_the_real_labels_counted():
    values = {"floor": np.arange(99.0), "far": np.arange(99.0)}
    figure = relabellings_view(values, {"floor": 49.5, "far": 1000.0})
    assert [panel.get_title(loc="left") for panel in figure.axes] == [
        "floor: MMD² 49.5000, p 0.500",
        "far: MMD² 1000.0000, p 0.010",
    ]
    low, high = figure.axes[0].get_xlim()
    assert low < 0 and high > 1000
    for panel, measured in zip(figure.axes, (49.5, 1000.0)):
        assert panel.lines[0].get_xdata()[0] == measured
        assert sum(bar.get_height() for bar in panel.patches) == 99
    assert "far 1000.0000, p 0.010" in figure_alt(figure)
    with pytest.raises(DataError, match="each panel"):
        relabellings_view(values, {"floor": 1.0})
    with pytest.raises(ShapeError, match="floor"):
        relabellings_view({"floor": np.zeros((3, 3))}, {"floor": 1.0})


def test_copied_channels_are_white_and_counted():
    source, made = rng.normal(size=(2, 7, 6))
    made[:, :3] = source[:, :3]
    figure = copied_view(source, {"half": made, "all new": made + 1})
    above, below = figure.axes[1], figure.axes[4]
    np.testing.assert_array_equal(above.images[0].get_array(), made.T)
    drawn = np.ma.filled(np.ma.masked_invalid(below.images[0].get_array()), np.nan)
    assert np.isnan(drawn[:3]).all() and np.isfinite(drawn[3:]).all()
    assert [figure.axes[k].get_title(loc="left") for k in (4, 5)] == [
        "3 of 6 channels copied",
        "0 of 6 channels copied",
    ]
    assert "half: 3 of 6; all new: 0 of 6" in figure_alt(figure)
    with pytest.raises(ShapeError, match="'half'"):
        copied_view(source, {"half": made[:4]})
    with pytest.raises(DataError, match="at least one"):
        copied_view(source, {})


def test_the_band_holds_nine_draws_of_ten_of_the_channels_shown():
    widths = np.array([0.5, 3.0, 1.0, 2.0])
    draws = rng.normal(size=(400, 8, 4)) * widths
    true, made = rng.normal(size=(8, 4)) * widths, 100 * np.ones((8, 4))
    figure = conditional_view(draws, np.zeros((8, 4)), true, made)
    assert [p.get_title(loc="left")[:9] for p in figure.axes] == ["channel 0", "channel 3", "channel 1"]
    corners = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    low, high = np.percentile(draws[:, :, 0], (5, 95), axis=0)
    assert corners.min() == pytest.approx(low.min()) and corners.max() == pytest.approx(high.max())
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_ydata(), true[:, 3])
    assert "0% of the transferred" in figure_alt(figure)
    with pytest.raises(ShapeError, match="draws"):
        conditional_view(draws, np.zeros((8, 4)), true[:5], made)


def test_law_and_truth_draws_each_method_once_and_pairs_alike():
    measured = {"a": (0.5, 0.03), "b": (1.9, -0.001), "b, exchanged": (2.0, 0.0)}
    figure = law_and_truth(measured, 0.002, {"b, exchanged": "b"})
    marks = {line.get_label(): line for line in figure.axes[0].lines}
    assert [marks[name].get_xydata()[0].tolist() for name in measured] == [
        [0.5, 0.03],
        [1.9, 0.0],
        [2.0, 0.0],
    ]
    assert marks["b"].get_marker() == marks["b, exchanged"].get_marker() != marks["a"].get_marker()
    assert marks["b, exchanged"].get_markerfacecolor() == "none"
    assert "b error 1.90 and MMD² -0.0010" in figure_alt(figure)
    with pytest.raises(DataError, match="0 methods"):
        law_and_truth({}, 0.1)
    with pytest.raises(ShapeError, match="two numbers"):
        law_and_truth({"a": (1.0,)}, 0.1)
