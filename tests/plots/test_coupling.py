from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.plots.coupling import coupling_diagram, jacobian_maps, volume_change, warped_pictures


def picture() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (50, 2)), rng.integers(0, 3, 50)


def test_the_diagram_runs_the_network_the_same_way_twice():
    figure = coupling_diagram()
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words.count("network") == words.count("unchanged") == 2
    assert {"forward, Eq. (1)", "inverse, Eq. (2)"} <= set(words)
    assert "the same network, in the same direction" in figure.alt


def test_each_network_has_its_picture_above_and_what_comes_back_below():
    points, parts = picture()
    after = points * [1, 2] + [0, 0.5]
    back = points + [0, 3e-4]
    figure = warped_pictures(points, parts, {"one": (after, points), "other": (points, back)})
    drawn = {panel.get_title(): np.asarray(panel.collections[0].get_offsets()) for panel in figure.axes}
    order = np.argsort(parts, kind="stable")
    np.testing.assert_array_equal(drawn["the picture $x$"], points[order])
    np.testing.assert_array_equal(drawn["one"], after[order])
    np.testing.assert_array_equal(drawn["back, error 0"], points[order])
    np.testing.assert_array_equal(drawn[r"back, error $3\cdot 10^{-4}$"], back[order])
    moved = np.abs(after - points).max()
    assert f"one moves points by up to {moved:.1f} and comes back to 0e+00" in figure.alt
    assert "A face of 50 points" in figure.alt


def test_pictures_that_do_not_fit_are_refused():
    points, parts = picture()
    with pytest.raises(DataError, match="at least one network"):
        warped_pictures(points, parts, {})
    for wrong in ((points[:9], points), (points, points[:, :1])):
        with pytest.raises(ShapeError, match="'one'"):
            warped_pictures(points, parts, {"one": wrong})
    with pytest.raises(ShapeError, match="parts"):
        warped_pictures(points, parts[:9], {"one": (points, points)})


def grid(columns: int = 7, rows: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    before = np.stack(np.meshgrid(np.linspace(-1, 1, columns + 1), np.linspace(-1, 1, rows + 1)), -1)
    return before, before * [1, 1.5], np.linspace(-0.3, 0.5, columns)


def test_the_colour_of_a_cell_is_log_s_and_the_factor_is_written_below():
    before, after, log_s = grid()
    figure = volume_change(before, after, log_s)
    one, other = figure.axes[:2]
    for panel in (one, other):
        np.testing.assert_allclose(panel.collections[0].get_array().reshape(3, 7)[0], log_s)
    assert [text.get_text() for text in other.texts] == [f"×{np.exp(x):.1f}" for x in log_s[1::3]]
    assert {text.get_text() for text in one.texts} == {"×1.0"}
    assert f"{np.exp(-0.3):.2f} and {np.exp(0.5):.2f}" in figure.alt and "21 equal cells" in figure.alt


def test_cells_that_do_not_fit_are_refused():
    before, after, log_s = grid()
    for wrong in ((before, after[1:], log_s), (before, after, log_s[1:]), (before[0], after[0], log_s)):
        with pytest.raises(ShapeError, match="columns"):
            volume_change(*wrong)


def test_exact_zeros_are_told_apart_and_blocks_named():
    dense = np.full((4, 4), 0.25)
    triangular = np.eye(4)
    triangular[2:, :2] = -0.09
    figure = jacobian_maps({"dense": dense, "layer": triangular}, {"layer": "second"})
    assert "dense: 0% of the 12 off-diagonal" in figure.alt and "layer: 67% of the 12" in figure.alt
    left, right = figure.axes
    np.testing.assert_allclose(left.images[0].get_array(), 0.5)  # the root of the size
    assert right.images[0].get_array()[3, 0] == pytest.approx(-0.3)
    np.testing.assert_array_equal(np.ma.getmaskarray(right.images[0].get_array()), triangular == 0)
    assert not left.texts
    names = {text.get_text(): text.get_position() for text in right.texts}
    assert names["$0$"][0] > 1.5 > names["$0$"][1]  # to the right, at the top
    other = jacobian_maps({"layer": triangular.T}, {"layer": "first"}).axes[0]
    names = {text.get_text(): text.get_position() for text in other.texts}
    assert names["$0$"][0] < 1.5 < names["$0$"][1]


def test_bad_jacobians_are_refused():
    with pytest.raises(DataError, match="no Jacobian"):
        jacobian_maps({})
    with pytest.raises(DataError, match="'third'"):
        jacobian_maps({"layer": np.eye(4)}, {"layer": "third"})
    for wrong in (np.eye(3), np.ones((2, 4)), np.ones(4)):
        with pytest.raises(ShapeError, match="'odd'"):
            jacobian_maps({"odd": wrong})
