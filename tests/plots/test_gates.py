from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.errors import ShapeError
from dicmor_lib.plots.gates import gate_panels
from dicmor_lib.plots.style import figure_alt

GROUPS = {0: ("off", "#67001f", "v"), 1: ("on", "#053061", "^"), 2: ("absent", "#000000", "o")}


def gates() -> tuple[np.ndarray, np.ndarray]:
    group = np.arange(40) % 2
    return np.clip(0.2 + 0.5 * group[:, None] * [1.0, 0.0, 0.5] + [0.1, 0.0, 0.05], 0, 1), group


def test_marks_are_the_groups_means_from_the_lowest_channel_up():
    g, group = gates()
    lines = gate_panels({"block 1": g}, group, GROUPS).axes[0].get_lines()
    drawn = {line.get_marker(): line.get_ydata() for line in lines}
    np.testing.assert_allclose(drawn["v"], g[group == 0].mean(0)[[1, 2, 0]])
    np.testing.assert_allclose(drawn["^"], g[group == 1].mean(0)[[1, 2, 0]])
    assert "o" not in drawn  # a group without clips has no marks


def test_the_bars_hold_nine_tenths_of_the_clips():
    g, group = gates()
    bars = gate_panels({"block 1": g}, group, GROUPS).axes[0].patches
    low, high = np.quantile(g[:, [1, 2, 0]], [0.05, 0.95], axis=0)
    np.testing.assert_allclose([b.get_y() for b in bars], low)
    np.testing.assert_allclose([b.get_height() for b in bars], high - low)


def test_the_alternative_text_says_how_much_gates_vary():
    g, group = gates()
    alt = figure_alt(gate_panels({"block 1": g, "block 2": 0 * g + 0.5}, group, GROUPS, title="Gates"))
    assert f"deviation over clips {g.std(0).mean():.3f}" in alt
    assert "block 2: mean gates from 0.50 to 0.50, deviation over clips 0.000" in alt


def test_gates_that_do_not_fit_are_refused():
    g, group = gates()
    for wrong in ({"b": g[:3]}, {"b": g[:, 0]}, {}):
        with pytest.raises(ShapeError):
            gate_panels(wrong, group, GROUPS)
