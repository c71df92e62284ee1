"""The pictures of chapter 8: what is drawn is what was given, in words as well, and what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.data.missingness import missing_count_shares
from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.evaluation import Estimate, check_published, published_rows
from dicmor_lib.plots.protocols import (
    leak_figure,
    meanings_figure,
    movers_figure,
    published_figure,
    rate_figure,
)
from dicmor_lib.plots.style import figure_alt, png_bytes

LAWS = {"A": missing_count_shares("dicmor", 0.5), "B": missing_count_shares("mplmm", 0.5), "C": None}
SCORES = {"A": Estimate(0.7, 0.65, 0.75), "B": Estimate(0.8, 0.76, 0.84), "C": Estimate(0.9, 0.88, 0.91)}
RATES = [0.1, 0.4, 0.7]
CURVES = {"DiCMoR": np.array([0.8, 0.7, 0.6]), "zero-fill": np.array([0.79, 0.66, 0.5])}


class TestMeanings:
    def test_each_share_is_a_bar_of_its_length(self):
        figure = meanings_figure(LAWS, 0.5)
        widths = [round(bar.get_width(), 6) for bar in figure.axes[0].patches]
        assert widths == [0.2, 0.1, 0.7, 0.5, 0.25, 0.25, 1.0]
        assert len(figure.axes) == 1
        assert "A has 0.20 complete, 0.10 with one and 0.70 with two missing" in figure_alt(figure)
        assert "C drops steps" in figure_alt(figure)

    def test_scores_get_a_panel_and_words(self):
        figure = meanings_figure(LAWS, 0.5, SCORES, title="one model")
        panel = figure.axes[1]
        values = [float(line.get_xdata()[0]) for line in panel.lines if line.get_marker() == "D"]
        assert values == [0.7, 0.8, 0.9]
        assert "B 80.0 %" in figure_alt(figure) and panel.get_title(loc="left") == "one model"
        assert png_bytes(figure).startswith(b"\x89PNG")

    def test_what_is_no_law_or_does_not_match_is_refused(self):
        with pytest.raises(ShapeError, match="three shares that sum to 1"):
            meanings_figure({"A": (0.5, 0.5, 0.5)}, 0.5)
        with pytest.raises(ShapeError, match="different names"):
            meanings_figure(LAWS, 0.5, {"A": SCORES["A"]})


class TestRates:
    def test_curves_band_and_bound_are_drawn(self):
        band, bound = (CURVES["DiCMoR"] - 0.02, CURVES["DiCMoR"] + 0.02), np.array([0.85, 0.75, 0.65])
        figure = rate_figure(RATES, CURVES, band, bound, title="schedule")
        lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
        np.testing.assert_array_equal(lines["zero-fill"], CURVES["zero-fill"])
        np.testing.assert_array_equal(lines["best possible (Bayes)"], bound)
        assert len(figure.axes[0].collections) == 1
        alt = figure_alt(figure)
        assert "DiCMoR 0.80 to 0.60" in alt and "best possible 0.85 to 0.65" in alt and "0.040 wide" in alt

    def test_neither_band_nor_bound_is_needed_and_ten_methods_can_be_told_apart(self):
        many = {f"method {i}": np.array([0.8, 0.7, 0.6]) - i / 100 for i in range(10)}
        figure = rate_figure(RATES, many)
        lines = figure.axes[0].lines
        looks = {(x.get_color(), x.get_marker(), str(x.get_linestyle())) for x in lines}
        assert len(looks) == len(lines) == 10
        assert "best possible" not in figure_alt(figure) and "band" not in figure_alt(figure)

    def test_another_number_of_rates_is_refused(self):
        with pytest.raises(ShapeError, match=r"zero-fill has shape \(2,\); there are 3"):
            rate_figure(RATES, {**CURVES, "zero-fill": np.zeros(2)})
        with pytest.raises(ShapeError, match="best possible"):
            rate_figure(RATES, CURVES, bound=np.zeros(4))
        with pytest.raises(ShapeError, match="band has"):
            rate_figure(RATES, CURVES, band=(np.zeros(2), np.zeros(3)))


class TestMovers:
    def test_many_draws_are_a_bar_and_few_are_dots(self):
        many, few = np.linspace(0.6, 0.7, 101), np.array([0.64, 0.66, 0.66])
        figure = movers_figure({"masks": many, "seeds": few}, 0.65, "Acc-2")
        bar, middle, dots, line = figure.axes[0].lines
        np.testing.assert_allclose(bar.get_xdata(), np.quantile(many, [0.025, 0.975]))
        np.testing.assert_allclose(middle.get_xdata(), 0.65)
        np.testing.assert_array_equal(dots.get_xdata(), few)
        assert len(set(dots.get_ydata())) == 3 and line.get_xdata()[0] == 0.65
        assert f"seeds {100 * few.std(ddof=1):.1f}" in figure_alt(figure)

    def test_one_score_has_no_spread(self):
        with pytest.raises(ShapeError, match="'seeds' needs at least two scores"):
            movers_figure({"seeds": np.array([0.6])}, 0.6, "Acc-2")


class TestLeak:
    def test_both_ways_to_choose_are_drawn(self):
        test, valid = np.array([0.0, 1.5, 3.0]), np.array([0.1, 0.0, -0.1])
        figure = leak_figure([1, 5, 20], test, valid)
        lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
        np.testing.assert_array_equal(lines["chosen on the test split"], test)
        np.testing.assert_array_equal(lines["chosen on the validation split"], valid)
        assert "from 0.0 to 3.0 points" in figure_alt(figure) and "ends at -0.1" in figure_alt(figure)

    def test_different_lengths_are_refused(self):
        with pytest.raises(ShapeError, match="one length, not 2, 3 and 3"):
            leak_figure([1, 5], np.zeros(3), np.zeros(3))


class TestPublished:
    def test_doubted_columns_stand_out(self):
        rows = published_rows()
        figure = published_figure(rows, check_published(rows))
        assert len(figure.axes) == 4
        labels = {line.get_label() for line in figure.axes[2].lines}
        assert {"MCTN: swapped", "DiCMoR: possibly swapped", "no doubt found"} <= labels
        assert "DiCMoR: swapped" in {line.get_label() for line in figure.axes[3].lines}
        doubted = next(x for x in figure.axes[3].lines if x.get_label() == "DiCMoR: swapped")
        np.testing.assert_allclose(doubted.get_ydata()[-1], 75.4 - 72.2)
        alt = figure_alt(figure)
        assert "DiCMoR on MOSEI (swapped) up to +3.2" in alt and "IMDer" in alt and "ComP" in alt

    def test_without_doubts_everything_is_grey(self):
        figure = published_figure(published_rows(), [])
        named = {line.get_label() for line in figure.axes[0].lines}
        assert named == {"no doubt found"} and "accuracy: none." in figure_alt(figure)

    def test_a_source_without_both_columns_is_refused(self):
        with pytest.raises(DataError, match="both Acc-2 and F1"):
            published_figure(published_rows(), [], source="CyIN (NeurIPS 2025) Table 8")
