from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.modalities import MODALITIES, PATTERNS, pattern_mask
from dicmor_lib.plots.missing import COST_COLOURS, DARK, going_dark, mask_strips, pattern_costs
from dicmor_lib.plots.style import MODALITY_COLOURS, figure_alt

REACHED = dict(zip(PATTERNS, (0.9, 1.4, 1.5, 0.8, 0.85, 1.3, 0.7)))
BEST = dict(zip(PATTERNS, (0.8, 1.2, 1.3, 0.7, 0.7, 1.1, 0.6)))


def clip(time: int = 12) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(time, d)) for d in (5, 3, 4)]


def colours(axes, kind=None) -> list[str]:
    return [to_hex(patch.get_facecolor()) for patch in axes.patches]


class TestGoingDark:
    def test_what_is_missing_is_dark_on_the_right_and_drawn_on_the_left(self):
        figure = going_dark(clip(), [9, 9, 7], (True, True, False), "one")
        panels = np.array(figure.axes).reshape(3, 2)
        for row, x in enumerate(clip()):
            n = (9, 9, 7)[row]
            np.testing.assert_array_equal(np.asarray(panels[row, 0].images[0].get_array()), x[:n].T)
            assert bool(panels[row, 1].images) == (row < 2)
            assert (DARK in colours(panels[row, 1])) == (row == 2)
            assert panels[row, 0].patches[0].get_x() == n  # padding starts where the sequence ends
        assert [p.get_ylabel() for p in panels[:, 0]] == list(MODALITIES)

    def test_its_text_says_how_long_and_what_is_dark(self):
        alt = figure_alt(going_dark(clip(), [9, 9, 7], (True, False, False)))
        assert "vision 7 of 12" in alt and "audio and vision dark" in alt
        assert "may see: everything" in figure_alt(going_dark(clip(), [9, 9, 7], (True,) * 3))

    def test_a_name_with_dollars_is_no_formula(self):
        going_dark(clip(), [9, 9, 7], (True,) * 3, "mmmo014$_$0").draw_without_rendering()

    def test_bad_shapes_are_refused(self):
        for wrong in (
            (clip()[:2], [1, 1], [True] * 2),
            (clip(), [13, 1, 1], [True] * 3),
            (clip(), [1] * 3, [True]),
        ):
            with pytest.raises(ShapeError, match="three arrays"):
                going_dark(*wrong)


class TestPatternCosts:
    def test_tiles_are_lit_where_a_modality_is_available(self):
        tiles = pattern_costs(REACHED).axes[0]
        lit = [
            MODALITY_COLOURS[m] if on else DARK
            for p in PATTERNS
            for m, on in zip(MODALITIES, pattern_mask(p))
        ]
        assert colours(tiles) == [colour.lower() for colour in lit]

    def test_bars_are_cut_into_what_is_unknown_dark_and_missed(self):
        bars = pattern_costs(REACHED, BEST, constant=1.6).axes[1]
        heights = np.array([[b.get_height() for b in container] for container in bars.containers])
        np.testing.assert_allclose(heights.sum(0), list(REACHED.values()))
        np.testing.assert_allclose(heights[0], 0.6)
        np.testing.assert_allclose(heights[1], np.array(list(BEST.values())) - 0.6)
        assert [to_hex(c[0].get_facecolor()) for c in bars.containers] == [c.lower() for c in COST_COLOURS]
        assert bars.lines[0].get_ydata()[0] == 1.6

    def test_a_predictor_that_beats_the_best_by_chance_has_no_negative_bar(self):
        bars = pattern_costs(BEST, REACHED).axes[1]
        assert min(b.get_height() for b in bars.containers[2]) == 0

    def test_without_a_law_there_is_one_bar_each(self):
        figure = pattern_costs(REACHED)
        assert len(figure.axes[1].containers) == 1 and not figure.legends

    def test_its_text_has_the_numbers_and_says_synthetic(self):
        alt = figure_alt(pattern_costs(REACHED, BEST, 1.6, "zero-fill", synthetic=True))
        assert "av 1.30 (best possible 1.10)" in alt and "synthetic" in alt and "1.60" in alt
        assert "best possible" not in figure_alt(pattern_costs(REACHED))

    def test_all_seven_patterns_are_needed(self):
        with pytest.raises(DataError, match="each of the patterns l, a, v"):
            pattern_costs({"l": 1.0})
        with pytest.raises(DataError, match="each of the patterns"):
            pattern_costs(REACHED, {"l": 1.0})


class TestMaskStrips:
    def test_a_cell_is_dark_where_a_modality_may_not_be_seen(self):
        mask = np.array([pattern_mask(p) for p in PATTERNS])
        panel = mask_strips({"all seven": mask}).axes[0]
        expected = [
            MODALITY_COLOURS[m] if on else DARK for row, m in enumerate(MODALITIES) for on in mask[:, row]
        ]
        assert colours(panel) == [colour.lower() for colour in expected]

    def test_its_text_counts_patterns_and_changes(self):
        blocks = np.repeat([pattern_mask("la"), pattern_mask("v")], 4, axis=0)
        alt = figure_alt(mask_strips({"blocks": blocks}, clips=8))
        assert "blocks: 2 patterns, 1 changes" in alt

    def test_no_more_clips_are_drawn_than_asked(self):
        assert len(mask_strips({"m": np.ones((50, 3), bool)}, clips=10).axes[0].patches) == 30

    def test_bad_shapes_are_refused(self):
        for wrong in ({}, {"m": np.ones((4, 2), bool)}, {"m": np.ones(3, bool)}):
            with pytest.raises(ShapeError, match="\\(N, 3\\)"):
                mask_strips(wrong)
