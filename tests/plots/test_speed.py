"""The figures of speed show the numbers they are given, and say them in words."""

from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.errors import DataError
from dicmor_lib.plots.speed import cost_by_batch, rate_curve, time_shares
from dicmor_lib.plots.style import png_bytes


def test_rates_with_the_limit_and_marks():
    figure = rate_curve([32, 256, 2048], [2.0, 50.0, 125.0], {"hidden": 64})
    panel = figure.axes[0]
    np.testing.assert_array_equal(panel.lines[0].get_xydata(), [[32, 2], [256, 50], [2048, 125]])
    assert panel.lines[1].get_ydata()[0] == 125
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["hidden (64)"]
    assert "2 GFLOP/s at 32" in figure.alt and "125 GFLOP/s" in figure.alt and "hidden at 64" in figure.alt
    assert len(png_bytes(figure, dpi=40)) > 1000
    assert "nothing" in rate_curve([1, 2], [1.0, 2.0], {}).alt


def test_cost_by_batch_compares_with_the_last_way():
    figure = cost_by_batch([1, 8], {"loop": [0.02, 0.06], "wide": [0.01, 0.05]}, "three flows")
    left, right = figure.axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), [20, 60])
    np.testing.assert_allclose(right.lines[0].get_ydata(), [2, 1.2])
    assert len(right.lines) == 2 and left.get_yscale() == "log"  # one way, and the line at 1
    assert "loop 2 at the smallest and 1.2 at the largest" in figure.alt


def test_shares_are_stacked_and_told_from_the_largest():
    parts = {"flow": dict(forward=0.1, backward=0.2), "rest": dict(forward=0.5, backward=0.2)}
    profile = dict(preset="mosi", batch=32, parts=parts, kinds={"matrix products": 0.7, "other": 0.3})
    figure = time_shares(profile)
    left, right = figure.axes
    widths = [bar.get_width() for bar in left.patches]
    assert widths == pytest.approx([0.5, 0.1, 0.2, 0.2])  # forward of rest and flow, then backward
    assert [bar.get_x() for bar in left.patches] == pytest.approx([0, 0, 0.5, 0.1])
    assert [bar.get_width() for bar in right.patches] == pytest.approx([0.3, 0.7])
    assert "rest 70% and flow 30%" in figure.alt and "matrix products 70% and other 30%" in figure.alt


def test_what_makes_no_figure_is_refused():
    with pytest.raises(DataError, match="2 sizes and 1 rates"):
        rate_curve([1, 2], [1.0], {})
    with pytest.raises(DataError, match="at least two ways"):
        cost_by_batch([1, 2], {"loop": [1.0, 2.0]}, "")
    with pytest.raises(DataError, match="one time for each batch"):
        cost_by_batch([1, 2], {"loop": [1.0, 2.0], "wide": [1.0]}, "")
