"""A cloud of one modality's features on its way through two flows to the place of another modality's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.evaluation.distances import FLOOR, distances_to_real
from dicmor_lib.plots.classes import class_handles, scatter_by_class
from dicmor_lib.plots.principal import principal_plane
from dicmor_lib.plots.style import HouseFigure, describe, house_figure, new_figure

COLUMNS = 4
STRONG_ON_TOP = (0, -1, 1, -2, 2, -3, 3)
REAL_COLOUR, ELLIPSE_COLOUR = "#b5b5b5", "#009E73"
ELLIPSE = 1.8
"""Semi-axes in standard deviations: such an ellipse holds four of five points of a normal cloud."""


@house_figure
def moving_clouds(
    stages: Mapping[str, np.ndarray],
    real: np.ndarray,
    label: np.ndarray,
    target: str = "vision",
    followed: Sequence[int] = (),
) -> HouseFigure:
    """Plot one set of clips at several stages of a transfer, over the real features it should end on.

    Args:
        stages: title -> (N, d), the same clips in the same order, in the units of `real`.
        real: (N, d) real features of the target modality, one vector per clip.
        label: (N,) sentiment; its class gives colour and marker.
        target: name of the target modality.
        followed: a few clips to mark with numbers in every panel.

    Returns:
        One panel per stage. All have the same two axes, the principal components of `real`, so equal places mean
        equal vectors; `real` lies in grey in each. Ellipses show mean and covariance in the plane, dashed those of
        `real`. Titles give MMD^2 to `real` by `distances_to_real`.
    """
    real, label = np.asarray(real, dtype=np.float64), np.asarray(label)
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in stages.items()}
    if not arrays:
        raise DataError("there is no stage to plot; give at least one")
    for name, values in arrays.items():
        if real.ndim != 2 or values.shape != real.shape or label.shape != (len(real),):
            raise ShapeError(
                f"real vectors (N, d), those of {name!r} and labels (N,) must fit together, not {real.shape}, "
                f"{values.shape} and {label.shape}"
            )
    rows = distances_to_real(arrays, real, target, statistics=("mmd",), permutations=0)
    found = {row.method: row.value for row in rows}
    centre, axes, _ = principal_plane(real)
    places = {name: (values - centre) @ axes.T for name, values in arrays.items()}
    beneath = (real - centre) @ axes.T
    figure = new_figure(13, 3.5 * math.ceil(len(arrays) / COLUMNS) + 0.8)
    panels = figure.subplots(math.ceil(len(arrays) / COLUMNS), COLUMNS, squeeze=False).ravel()
    reach = np.quantile(np.abs(np.concatenate([beneath, *places.values()])), 0.997, axis=0) * 1.1
    for panel, (name, points) in zip(panels, places.items()):
        panel.scatter(*beneath.T, s=14, color=REAL_COLOUR, linewidths=0)
        scatter_by_class(panel, points, label, STRONG_ON_TOP, s=18, alpha=0.75)
        panel.plot(*_ellipse(beneath), color="black", linestyle="--", linewidth=2)
        panel.plot(*_ellipse(points), color=ELLIPSE_COLOUR, linewidth=2.6)
        for number, clip in enumerate(followed, 1):
            _numbered(panel, points[clip], number)
        panel.set(xlim=(-reach[0], reach[0]), ylim=(-reach[1], reach[1]), xticks=[], yticks=[])
        panel.set_title(f"{name}\nMMD² to real {target} {_rounded(found[name])}", fontsize=13)
    for panel in panels[len(arrays) :]:
        panel.set_axis_off()
    figure.legend(handles=_handles(target), loc="outside lower center", ncols=9, columnspacing=1.4)
    told = [f"{name}: {_rounded(found[name])}" for name in arrays]
    figure.alt = (
        f"Scatter plots of {len(real)} clips in the plane of the first two principal components of real {target} "
        f"features, which lie in grey in every panel. MMD² to them, panel by panel: {describe(told)}; real against "
        f"real {_rounded(found[FLOOR])}."
    )
    return figure


def _ellipse(points: np.ndarray) -> np.ndarray:
    """The curve (2, 100) at `ELLIPSE` standard deviations from the mean of points (N, 2)."""
    turn = np.linspace(0, 2 * np.pi, 100)
    size, axes = np.linalg.eigh(np.cov(points.T))
    circle = np.stack([np.cos(turn), np.sin(turn)])
    return points.mean(axis=0)[:, None] + ELLIPSE * axes @ (np.sqrt(np.maximum(size, 0))[:, None] * circle)


def _numbered(panel: Axes, place: np.ndarray, number: int) -> None:
    panel.plot(*place, "o", ms=17, color="black", mec="white", mew=1.4, zorder=5)
    panel.text(
        *place,
        str(number),
        color="white",
        ha="center",
        va="center_baseline",
        size=12,
        weight="bold",
        zorder=6,
    )


def _rounded(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}"  # never "-0.000"


def _handles(target: str) -> list[Line2D]:
    return [
        *class_handles(),
        Line2D(
            [],
            [],
            marker="o",
            linestyle="--",
            color="black",
            markerfacecolor=REAL_COLOUR,
            markeredgewidth=0,
            label=f"real {target}",
        ),
        Line2D([], [], color=ELLIPSE_COLOUR, linewidth=2.6, label="the moving cloud"),
    ]
