"""The figures of chapter 10: every difference has a place, and what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.errors import DataError
from dicmor_lib.plots.departures import PLACES, departures_map, score_spread, switch_effects


def test_every_difference_has_exactly_one_place():
    numbers = sorted(n for *_, each in PLACES for n in each)
    assert numbers == list(range(1, 17))
    figure = departures_map()
    drawn = {text.get_text() for text in figure.axes[0].texts}
    assert {str(n) for n in numbers} <= drawn
    assert "16 differences" in figure.alt and "F^m 1, 2, 3 and 12" in figure.alt


def test_spread_says_how_far_scores_move():
    rng = np.random.default_rng(0)
    narrow, wide = 0.7 + 0.001 * rng.standard_normal(400), 0.7 + 0.02 * rng.standard_normal(400)
    figure = score_spread({"per sample": narrow, "per batch": wide}, "Acc-2")
    assert [
        f"{100 * s.std():.2f} points" in p.get_title(loc="left") for p, s in zip(figure.axes, (narrow, wide))
    ] == [
        True,
        True,
    ]
    assert f"{wide.std():.4f}" in figure.alt
    assert sum(patch.get_height() for patch in figure.axes[0].patches) == 400
    for wrong in ({}, {"one": np.array([0.5])}):
        with pytest.raises(DataError):
            score_spread(wrong, "Acc-2")


def test_effects_are_drawn_where_they_are():
    effects = {"mae": {"no mixing": [0.1, 0.3], "sigmoid": [-0.2, -0.4]}}
    figure = switch_effects(effects, {"mae": "MAE"})
    bars = [
        line.get_xdata()[0]
        for line in figure.axes[0].lines
        if len(set(line.get_xdata())) == 1 and line.get_lw() == 3.5
    ]
    np.testing.assert_allclose(bars, [0.2, -0.3])
    assert "no mixing +0.200" in figure.alt and "sigmoid -0.300" in figure.alt
    with pytest.raises(DataError):
        switch_effects(effects | {"error": {"no mixing": [0.0]}}, {"mae": "MAE", "error": "error"})
