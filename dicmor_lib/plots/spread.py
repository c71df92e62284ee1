"""How wide an estimate is against how far it is from the truth: means and draws in one plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from dicmor_lib.errors import DataError
from dicmor_lib.plots.style import (
    SERIES_COLOURS,
    SERIES_MARKERS,
    HouseFigure,
    house_figure,
    new_figure,
)

CORRELATIONS: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8)
Point = tuple[float, float]
"""Spread and squared error, both in units of the real features: 1 is their deviation, and their variance."""


@house_figure
def spread_error_plane(
    points: Mapping[str, Point],
    draws: Sequence[str] = (),
    path: Sequence[Point] = (),
    path_labels: Sequence[str] = (),
    title: str = "",
) -> HouseFigure:
    """Plot each method as a point: its spread to the right, its squared error upwards.

    Args:
        points: method -> (spread, error).
        draws: the methods that are draws from a law: hollow marks; the others are filled.
        path: (spread, error) of a method under way from one to another, such as means of 1, 2, 4 ... draws.
        path_labels: what to write beside each of its points.

    Returns:
        Grey curves hold all estimates of one correlation r with the truth, error 1 + s^2 - 2 s r; the dashed line
        joins their lowest points, s = r, where the error is 1 - s^2. The vertical line is the spread of real features.

    Raises:
        DataError: if there is no point, a draw is not among the points, or the path's labels do not fit.
    """
    unknown = [name for name in draws if name not in points]
    if not points or unknown:
        raise DataError(f"give at least one point, and draws among the points, not {unknown}")
    if len(path_labels) not in (0, len(path)):
        raise DataError(
            f"a path of {len(path)} points cannot have {len(path_labels)} labels; give one for each"
        )
    figure = new_figure(11.5, 6.6)
    panel = figure.subplots()
    highest = max(error for _, error in [*points.values(), *path])
    right = max(1.25, max(spread for spread, _ in points.values()) + 0.15)
    top = max(2.1, highest + 0.15)
    _background(panel, right, top)
    if len(path):
        panel.plot(*np.transpose(path), color="#57606a", lw=1.8, marker=".", ms=8, zorder=3)
        for (x, y), label in zip(path, path_labels):
            panel.annotate(label, (x, y), (9, -12), textcoords="offset points", fontsize=12, color="#57606a")
    for i, (name, (spread, error)) in enumerate(points.items()):
        colour = SERIES_COLOURS[i % len(SERIES_COLOURS)]
        face = "white" if name in draws else colour
        style = dict(marker=SERIES_MARKERS[i % len(SERIES_MARKERS)], ms=12, mfc=face, mec=colour, mew=2.4)
        panel.plot([spread], [error], linestyle="", label=name, zorder=5, **style)
    panel.set(xlim=(-0.05, right), ylim=(0, top))
    panel.set_xlabel("spread (1: as wide as real features)")
    panel.set_ylabel("squared error (1: the training mean)")
    if title:
        panel.set_title(title, fontsize=14)
    figure.legend(loc="outside right upper", fontsize=12, title="hollow: draws" if draws else None)
    told = "; ".join(f"{name} spread {s:.2f}, error {e:.2f}" for name, (s, e) in points.items())
    walked = ""
    if len(path):
        walked = (
            f" A path leads from spread {path[0][0]:.2f} and error {path[0][1]:.2f} to spread {path[-1][0]:.2f} and "
            f"error {path[-1][1]:.2f}."
        )
    figure.alt = (
        f"Scatter plot of squared error against spread{f' ({title})' if title else ''}. {told}.{walked}"
    )
    return figure


def _background(panel: Axes, right: float, top: float) -> None:
    """Curves of equal correlation, their lowest points, and the spread of real features."""
    s = np.linspace(0, right, 200)
    for r in CORRELATIONS:
        error = 1 + s**2 - 2 * s * r
        panel.plot(s, error, color="#d0d7de", lw=1.2, zorder=1)
        inside = s[(error < top) & (s <= right)]
        x = min(inside[-1], right) - 0.02
        panel.text(
            x,
            1 + x**2 - 2 * x * r,
            f"r = {r:g}",
            ha="right",
            va="bottom" if r > 0.5 else "center",
            fontsize=12,
            color="#57606a",
            backgroundcolor="white" if r <= 0.5 else "none",
            zorder=2,
        )
    low = s[s <= 1]
    panel.plot(low, 1 - low**2, color="black", lw=1.4, linestyle=(0, (5, 3)), zorder=2)
    panel.text(0.0, 0.52, "dashed: lowest points,\nconditional means", fontsize=12, va="top")
    panel.text(-0.03, 1.03, "training mean", fontsize=12, va="bottom", color="#57606a")
    panel.plot([0], [1], "o", color="#57606a", ms=6, zorder=3)
    panel.axvline(1, color="#8c8c8c", lw=1, zorder=1)
    panel.grid(visible=False)
