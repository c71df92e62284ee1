"""What one coupling layer does: its wiring, a picture warped and brought back, volumes, Jacobians."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Rectangle

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.plots.drawing import INK, MUTED, arrow, box, canvas, write
from dicmor_lib.plots.style import HouseFigure, describe, house_figure, new_figure

KEPT, MOVED = "#0072B2", "#D55E00"
"""Colours of the half that a layer keeps and of the half that it transforms."""
PICTURE_COLOURS: tuple[str, ...] = ("#cfd8e3", "#E69F00", "#24292f")
DIVERGING = "PuOr"


@house_figure
def coupling_diagram() -> HouseFigure:
    """Draw the wiring of a coupling layer and of its inverse: the network runs the same way in both."""
    figure, axes = canvas(11.6, 4.5)
    _wiring(axes, 0.45, ("x", "y"), r"$s \cdot x_b + t$", "forward, Eq. (1)")
    _wiring(axes, 6.1, ("x", "y"), r"$(y_b - t)\,/\,s$", "inverse, Eq. (2)", backwards=True)
    axes.plot([5.8, 5.8], [0.5, 4.0], color="#d0d7de", lw=1.2)
    figure.alt = (
        "Two wiring diagrams. Forward: x_a goes unchanged to y_a and into a network, whose outputs s and t turn x_b into "
        "y_b = s x_b + t. Inverse: y_a goes unchanged back to x_a and into the same network, in the same direction, and "
        "its s and t turn y_b back into x_b = (y_b - t) / s."
    )
    return figure


@house_figure
def warped_pictures(
    points: np.ndarray, parts: np.ndarray, warped: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> HouseFigure:
    """Plot a picture made of points, what layers with several networks make of it, and what comes back.

    Args:
        points: (n, 2), columns x_a and x_b.
        parts: (n,) whole numbers 0 (ground), 1 (figure), 2 (lines) that give a point its colour.
        warped: name of the network -> (n, 2) after the layer and (n, 2) after its inverse.

    Returns:
        The picture at the left; beside it a column per network, above after Eq. (1), below after Eq. (2). The title
        of a lower panel gives the largest distance of a point to where it started.

    Raises:
        DataError: if there is no network.
        ShapeError: if points do not fit together.
    """
    if not warped:
        raise DataError("there is nothing to plot: give at least one network")
    for name, pair in warped.items():
        if any(np.shape(p) != points.shape for p in (*pair, np.stack([parts, parts], 1))) or points.ndim != 2:
            raise ShapeError(f"{name!r}: points before, after and back must all be (n, 2), with (n,) parts")
    columns = len(warped)
    figure = new_figure(2.75 * (columns + 1), 6.8)
    reach = 1.05 * max(np.abs(after).max() for after, _ in warped.values())
    layout = [["x", *(f"y{i}" for i in range(columns))], ["x", *(f"b{i}" for i in range(columns))]]
    panels = figure.subplot_mosaic(layout, height_ratios=[reach, 1.1])
    _picture(panels["x"], points, parts, 1.1, r"the picture $x$", wide=1.3)
    panels["x"].set(ylabel=r"$x_b$: moved by the layer", xlabel=r"$x_a$: kept")
    told = []
    for i, (name, (after, back)) in enumerate(warped.items()):
        error = np.abs(back - points).max()
        _picture(panels[f"y{i}"], after, parts, reach, name)
        _picture(panels[f"b{i}"], back, parts, 1.1, f"back, error {_scientific(error)}")
        told.append(
            f"{name} moves points by up to {np.abs(after - points)[:, 1].max():.1f} and comes back to {error:.0e}"
        )
    figure.alt = (
        f"A face of {len(points)} points, above what a coupling layer makes of it with {columns} networks, all moves "
        f"vertical, below the inverse, the face again each time. {describe(told).replace(chr(10), ' ')}."
    )
    return figure


@house_figure
def volume_change(before: np.ndarray, after: np.ndarray, log_s: np.ndarray) -> HouseFigure:
    """Plot the cells of a grid before and after a layer on two channels, coloured by log s.

    Args:
        before, after: (rows + 1, columns + 1, 2) corners of the cells, x_a and x_b.
        log_s: (columns,) the logarithm of the scale in each column of cells, which is log abs det there.

    Returns:
        Two panels. The factor s is written below each third column of the right one.

    Raises:
        ShapeError: if corners and columns do not fit.
    """
    if (
        before.shape != after.shape
        or before.ndim != 3
        or (before.shape[1] - 1, 2) != (*log_s.shape, before.shape[2])
    ):
        raise ShapeError(
            f"corners (rows + 1, columns + 1, 2) and log s (columns,) are needed, not {before.shape}, "
            f"{after.shape} and {log_s.shape}"
        )
    figure = new_figure(10.4, 4.9)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    limit = np.abs(log_s).max()
    shade = np.broadcast_to(log_s, (before.shape[0] - 1, len(log_s)))
    for panel, corners, title in zip(
        panels, (before, after), ("before: cells of equal area", "after: area times s")
    ):
        look = dict(cmap=DIVERGING, vmin=-limit, vmax=limit, edgecolors="#555555", linewidth=0.6)
        cells = panel.pcolormesh(corners[..., 0], corners[..., 1], shade, **look)
        panel.set(title=title, xlabel=r"$x_a$, kept")
        panel.grid(False)
    panels[0].set_ylabel(r"$x_b$, moved")
    middles, low = (after[0, 1:, 0] + after[0, :-1, 0]) / 2, min(before[..., 1].min(), after[..., 1].min())
    for column in range(1, len(log_s), 3):
        for panel, factor in zip(panels, (1.0, np.exp(log_s[column]))):
            panel.text(
                middles[column], low - 0.25, f"×{factor:.1f}", ha="center", va="top", size=11, color=INK
            )
    panels[0].set_ylim(low - 0.75, None)
    figure.colorbar(cells, ax=panels, label="log s (orange shrinks, purple stretches)", shrink=0.85)
    figure.alt = (
        f"A grid of {shade.size} equal cells before a coupling layer, and after it: columns stay columns, each is "
        f"shifted and scaled as a whole, by factors between {np.exp(log_s.min()):.2f} and {np.exp(log_s.max()):.2f}; "
        "the colour of a cell is the logarithm of its change in area."
    )
    return figure


@house_figure
def jacobian_maps(jacobians: Mapping[str, np.ndarray], moved: Mapping[str, str] | None = None) -> HouseFigure:
    """Plot Jacobians of maps of one time step as heat maps; exact zeros are grey.

    The colour follows the square root of an entry's size (orange below 0, purple above), so that small ones show.

    Args:
        jacobians: title -> (d, d), row i the gradient of output i.
        moved: title -> "second" or "first", the half that a coupling layer transforms; its blocks are outlined
            and named. Titles that are left out are drawn without blocks.

    Raises:
        DataError: if there is nothing to plot, or a half is called otherwise.
        ShapeError: if a Jacobian is not square with an even number of channels.
    """
    if not jacobians:
        raise DataError("there is no Jacobian to plot; give at least one")
    moved = moved or {}
    figure = new_figure(4.05 * len(jacobians), 4.7)
    told = []
    for panel, (title, jacobian) in zip(
        figure.subplots(1, len(jacobians), squeeze=False)[0], jacobians.items()
    ):
        if jacobian.ndim != 2 or jacobian.shape[0] != jacobian.shape[1] or len(jacobian) % 2:
            raise ShapeError(f"the Jacobian of {title!r} must be (d, d) with even d, not {jacobian.shape}")
        d, zeros = len(jacobian), jacobian == 0
        shown = np.sign(jacobian) * np.sqrt(np.abs(jacobian))
        panel.imshow(np.where(zeros, np.nan, shown), cmap=DIVERGING, vmin=-1.25, vmax=1.25)
        panel.imshow(np.where(zeros, 0.0, np.nan), cmap=ListedColormap(["#e4e4e4"]))
        panel.set_xticks(np.arange(d + 1) - 0.5, [""] * (d + 1))
        panel.set_yticks(np.arange(d + 1) - 0.5, [""] * (d + 1))
        panel.grid(color="white", linewidth=0.8)
        panel.set_axisbelow(False)
        panel.tick_params(length=0)
        off = zeros.sum() / (d * d - d)
        panel.set(title=title, xlabel="input channel")
        if title in moved:
            _blocks(panel, d, moved[title])
        told.append(
            f"{title}: {off:.0%} of the {d * d - d} off-diagonal entries are exactly zero".replace("\n", ", ")
        )
    figure.axes[0].set_ylabel("output channel")
    figure.alt = f"Heat maps of Jacobians of one time step, exact zeros in grey. {'; '.join(told)}."
    return figure


def _blocks(panel: Axes, d: int, half: str) -> None:
    """Outline and name the four blocks of a coupling layer's Jacobian."""
    if half not in ("first", "second"):
        raise DataError(
            f"a coupling layer transforms the 'first' or the 'second' half, not {half!r}; choose one of them"
        )
    h = d // 2
    kept, changed = (0, h) if half == "second" else (h, 0)
    named = {(kept, kept): r"$I$", (kept, changed): r"$0$", (changed, changed): r"diag $s$"}
    named[changed, kept] = r"$\partial y_b/\partial x_a$"
    for (row, column), name in named.items():
        panel.add_patch(Rectangle((column - 0.5, row - 0.5), h, h, fill=False, ec=INK, lw=1.6, zorder=5))
        plate = dict(boxstyle="round,pad=0.2", fc="white", ec="none", alpha=0.9)
        # off the diagonal, which is what one wants to see
        x, y = column + 0.74 * h - 0.5, row + (0.16 if row == column else 0.5) * h - 0.5
        at = (x, y) if row == column else (column + h / 2 - 0.5, y)
        panel.text(*at, name, ha="center", va="center", size=14, bbox=plate, zorder=6)


def _picture(
    panel: Axes, points: np.ndarray, parts: np.ndarray, reach: float, title: str, wide: float = 1.0
) -> None:
    size = 7.5 * wide**2 * (10_000 / len(points))  # marks that close the gaps of a stretched column
    order = np.argsort(parts, kind="stable")  # the lines on top
    colours = [PICTURE_COLOURS[p] for p in parts[order]]
    panel.scatter(*points[order].T, s=size, c=colours, linewidths=0, marker="s", snap=False)
    panel.set(xlim=(-1.1, 1.1), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
    panel.set_title(title, fontsize=13, loc="center")
    panel.grid(False)
    for side in panel.spines.values():
        side.set_visible(True)


def _scientific(value: float) -> str:
    """0 or a power of ten with one digit, as mathematics: "2·10⁻¹⁶"."""
    if value == 0:
        return "0"
    digit, power = f"{value:.0e}".split("e")
    return rf"${digit}\cdot 10^{{{int(power)}}}$"


def _wiring(
    axes: Axes, left: float, names: tuple[str, str], formula: str, title: str, backwards: bool = False
) -> None:
    """One half of the diagram, 5 inches wide: data at its left, latent at its right."""
    data, latent = left + 0.45, left + 4.55
    top, bottom, middle = 3.05, 0.95, left + 2.5
    write(axes, left, 4.05, title, 15, ha="left", weight="bold")
    for y, half, colour in ((top, "a", KEPT), (bottom, "b", MOVED)):
        for x, name in ((data, names[0]), (latent, names[1])):
            box(axes, (x - 0.42, y - 0.33, 0.84, 0.66), face="white", edge=colour, linewidth=2.2)
            write(axes, x, y, rf"${name}_{half}$", 21, color=colour)
    wide = 1.9
    box(axes, (middle - wide / 2, bottom - 0.36, wide, 0.72), face="#fdf1e7", edge=MOVED, linewidth=1.6)
    write(axes, middle, bottom, formula, 17)
    box(axes, (middle - 0.85, 1.85 - 0.03, 1.7, 0.56), face="#eef4f9", edge=KEPT, linewidth=1.6)
    write(axes, middle, 2.1, "network", 15)
    ends = (data + 0.47, middle - wide / 2 - 0.04), (middle + wide / 2 + 0.04, latent - 0.47)
    if backwards:
        arrow(axes, (latent - 0.47, top), (data + 0.47, top), KEPT)
        for near, far in reversed(ends):
            arrow(axes, (far, bottom), (near, bottom), MOVED)
    else:
        arrow(axes, (data + 0.47, top), (latent - 0.47, top), KEPT)
        for near, far in ends:
            arrow(axes, (near, bottom), (far, bottom), MOVED)
    arrow(axes, (middle, top), (middle, 2.42), KEPT)
    arrow(axes, (middle, 1.8), (middle, bottom + 0.4), KEPT)
    write(axes, middle + 0.2, 1.58, r"$s,\;t$", 15, ha="left")
    write(axes, middle, top + 0.24, "unchanged", 12, color=MUTED)
