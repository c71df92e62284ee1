from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.errors import ShapeError
from dicmor_lib.plots.fills import fills_seen, predictions_seen
from dicmor_lib.plots.style import figure_alt


def features() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    known = rng.normal(size=200)
    real = known + rng.normal(size=200)
    return known, {"real": real, "zero": np.zeros(200), "mean": known, "other": rng.permutation(real)}


class TestFillsSeen:
    def test_each_panel_has_the_real_cloud_and_its_own_fill(self):
        known, fills = features()
        panels = fills_seen(known, fills, "a feature").axes[: len(fills)]
        for i, (panel, x) in enumerate(zip(panels, fills.values())):
            grey, *own = (np.asarray(c.get_offsets()) for c in panel.collections)
            np.testing.assert_allclose(grey, np.stack([known, fills["real"]], 1))
            assert len(own) == (i > 0)
            if own:
                np.testing.assert_allclose(own[0], np.stack([known, x], 1))

    def test_titles_and_text_have_error_spread_and_link(self):
        known, fills = features()
        figure = fills_seen(known, fills, "a feature", synthetic=True)
        real = fills["real"]
        error = ((known - real) ** 2).mean() / real.var()
        told = f"error {error:.2f}, spread {known.std() / real.std():.2f}, r 1.00"
        assert told in figure.axes[2].get_title(loc="left") and f"mean: {told}" in figure_alt(figure)
        assert "zero: error 1.0" in figure_alt(figure) and "spread 0.00, r 0.00" in figure_alt(figure)
        assert "synthetic data" in figure.get_suptitle() and "synthetic data" in figure_alt(figure)

    def test_bad_shapes_are_refused(self):
        known, fills = features()
        for wrong in ((known[:5], fills), (known, {}), (known[:, None], fills)):
            with pytest.raises(ShapeError, match="one n"):
                fills_seen(*wrong, "a feature")


class TestPredictionsSeen:
    def test_every_row_has_its_histogram_and_the_outline_of_the_first(self):
        rng = np.random.default_rng(0)
        label = rng.uniform(-3, 3, 300)
        said = {"real": label + 0.3 * rng.normal(size=300), "zero-fill": 0.2 * label}
        figure = predictions_seen(said, label, "language missing")
        outlines = [panel.patches[-1].get_data().values for panel in figure.axes]
        np.testing.assert_array_equal(*outlines)
        for panel, x in zip(figure.axes, said.values()):
            bars = np.array([bar.get_height() for bar in panel.patches[:-1]])
            np.testing.assert_allclose(
                bars, np.histogram(np.clip(x, -3.4, 3.4), np.linspace(-3.5, 3.5, 36), density=True)[0]
            )
            assert f"spread {x.std():.2f}, MAE {np.abs(x - label).mean():.2f}" in figure_alt(figure)

    def test_predictions_outside_the_axis_are_counted_in_its_last_bar(self):
        panel = predictions_seen({"real": np.array([-9.0, 9.0])}, np.zeros(2), "t").axes[0]
        heights = [bar.get_height() for bar in panel.patches[:-1]]
        assert heights[0] == pytest.approx(2.5) and heights[-1] == pytest.approx(2.5)  # half of all, 0.2 wide

    def test_bad_shapes_are_refused(self):
        for wrong in (
            ({"a": np.ones(4)}, np.ones(3)),
            ({}, np.ones(3)),
            ({"a": np.ones((3, 1))}, np.ones((3, 1))),
        ):
            with pytest.raises(ShapeError, match="one n"):
                predictions_seen(*wrong, "t")
