"""Figures of densities: the alternative text tells numbers of the data, and what is drawn is the data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.plots.density import (
    Plane,
    change_of_variables,
    class_scores,
    ellipse,
    nll_curve,
    planes,
)
from dicmor_lib.plots.style import CLASS_COLOURS, figure_alt

AXIS = np.linspace(-2, 2, 41)
ROUND = np.exp(-0.5 * (AXIS[:, None] ** 2 + AXIS**2)) / (2 * np.pi)


def bent() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = np.linspace(-4, 4, 801)
    z = 0.5 * x + np.tanh(3 * x)
    return x, z, np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) * np.gradient(z, x)


def test_strips_have_equal_areas_and_the_text_tells_their_widths():
    figure = change_of_variables(*bent(), strips=4)
    curve, top, side = figure.axes
    areas = []
    for strip in top.collections:
        corners = strip.get_paths()[0].vertices
        x, y = corners[:, 0], corners[:, 1]
        areas.append(abs(0.5 * np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])))
    np.testing.assert_allclose(areas, 0.25, atol=0.01)
    assert len(side.collections) == 4 and len(curve.lines) == 4  # three inner edges and the curve
    assert "with 1 peak to" in figure_alt(figure)


def test_change_of_variables_refuses_what_it_cannot_draw():
    x, z, density = bent()
    with pytest.raises(ShapeError, match="must be \\(n,\\) each"):
        change_of_variables(x, z[:-1], density)
    with pytest.raises(DataError, match="must rise"):
        change_of_variables(x, -z, density)


def test_densities_share_one_scale_and_are_not_transposed():
    off = np.zeros((41, 41))
    off[30, 10] = 1.0  # first coordinate 1.0, second -1.0
    figure = planes([Plane("one", ROUND, AXIS), Plane("two", off, AXIS)], 2, "Two densities.")
    meshes = [panel.collections[0] for panel in figure.axes]
    assert [mesh.get_clim() for mesh in meshes] == [(0, 1), (0, 1)]
    drawn = meshes[1].get_array().reshape(41, 41)
    assert drawn[10, 30] == 1 and drawn.sum() == 1  # a row of the mesh is the second coordinate
    alt = figure_alt(figure)
    assert (
        alt.startswith("Two densities. one: 90% of the mass lies on ")
        and "two: 90% of the mass lies on 0%" in alt
    )


def test_points_lines_and_classes_are_drawn():
    points, group = torch.randn(70, 2), np.resize(np.arange(-3, 4), 70)
    outline = ellipse(np.array([1.0, 0.0]), np.array([0.5, 2.0]))
    np.testing.assert_allclose(outline.max(0), [2, 4], atol=1e-2)
    panel = Plane("clouds", points=points, group=group, lines=[outline], dashed=[outline], limit=5)
    figure = planes([panel, Plane("plain", points=points)], 3, "Points.", sentiment=True)
    first, second, empty = figure.axes
    assert len(first.collections) == 7 and first.get_xlim() == (-5, 5)
    for c, drawn in zip(range(-3, 4), first.collections):
        np.testing.assert_allclose(drawn.get_offsets(), points.numpy()[group == c])
        assert np.allclose(
            drawn.get_facecolor()[0, :3], [int(CLASS_COLOURS[c + 3][i : i + 2], 16) / 255 for i in (1, 3, 5)]
        )
    assert [line.get_linestyle() for line in first.lines] == ["-", "--"]
    assert second.get_xlim()[1] >= points.abs().max() and not empty.axison
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["-3", "-2", "-1", "0", "+1", "+2", "+3"]
    spread = points.std(0, correction=0)
    assert f"deviations {spread[0]:.2f} and {spread[1]:.2f}" in figure_alt(figure)


def test_planes_refuse_bad_shapes_and_nothing():
    with pytest.raises(ShapeError, match="density of 'a'"):
        Plane("a", ROUND, AXIS[:-1])
    with pytest.raises(ShapeError, match="density of 'a'"):
        Plane("a", ROUND)
    with pytest.raises(ShapeError, match="must be \\(k, 2\\)"):
        Plane("a", points=np.zeros((3, 1)))
    with pytest.raises(ShapeError, match="3 points and 2 groups"):
        Plane("a", points=np.zeros((3, 2)), group=np.zeros(2))
    for panels in ([], [Plane("a")]):
        with pytest.raises(DataError, match="needs a density or points"):
            planes(panels, 2, "Nothing.")


def test_the_curve_tells_where_it_starts_and_ends():
    history = np.linspace(3, 1, 101)
    figure = nll_curve(history, 0.9, "the truth")
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), history)
    assert f"from 3.00 to {history[-50:].mean():.2f} bits" in figure_alt(
        figure
    ) and "0.90: the truth" in figure_alt(figure)
    with pytest.raises(DataError, match="no steps"):
        nll_curve([], 0.9, "the truth")


def test_dots_are_the_best_classes_and_rings_the_true_ones():
    matrix = -np.abs(np.arange(7)[:, None] - np.arange(7)).astype(float)
    matrix[0] = [-1, 0, -1, -2, -3, -4, -5]  # class -3 looks like -2
    figure = class_scores([("language", torch.tensor(matrix)), ("audio", matrix)], "bits")
    dots, rings = (np.asarray(c.get_offsets()) for c in figure.axes[0].collections[:2])
    np.testing.assert_array_equal(dots[:, 0], [1, 1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(rings, np.stack([np.arange(7)] * 2, axis=1))
    assert "language: the best class is the true one in 6 of 7 rows" in figure_alt(figure)
    with pytest.raises(ShapeError, match="\\(7, 7\\)"):
        class_scores([("language", matrix[:3])], "bits")
