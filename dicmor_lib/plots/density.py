"""Densities and what they are densities of: change of variables in one dimension, and panels in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.plots.classes import class_handles
from dicmor_lib.plots.style import CLASS_COLOURS, CLASS_MARKERS, HouseFigure, house_figure, new_figure

STRIP_COLOURS = ("#0072B2", "#A6CEE3")
POINT_COLOUR = "#D55E00"
GROUP_COLOURS, GROUP_MARKERS = ("#0072B2", "#D55E00"), ("o", "^")


@house_figure
def change_of_variables(x: np.ndarray, z: np.ndarray, density: np.ndarray, strips: int = 8) -> HouseFigure:
    """Draw how a rising map z = F(x) to a standard normal z makes a density of x.

    Args:
        x, z, density: (n,) rising x, F(x) and p(x).
        strips: of equal probability, drawn under both densities.

    Raises:
        ShapeError: if the three do not have one length.
        DataError: if z does not rise.
    """
    x, z, density = (np.asarray(v, dtype=float) for v in (x, z, density))
    if x.ndim != 1 or not x.shape == z.shape == density.shape:
        raise ShapeError(f"x, z and density must be (n,) each, not {x.shape}, {z.shape} and {density.shape}")
    if not (np.diff(x) > 0).all() or not (np.diff(z) > 0).all():
        raise DataError("x and z must rise: the strips are drawn between neighbouring quantiles")
    figure = new_figure(9.0, 6.2)
    grid = figure.add_gridspec(2, 2, width_ratios=(2.6, 1), height_ratios=(1, 1.7))
    curve = figure.add_subplot(grid[1, 0])
    top, side = figure.add_subplot(grid[0, 0], sharex=curve), figure.add_subplot(grid[1, 1], sharey=curve)
    normal = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    reached = np.concatenate([[0], np.cumsum(0.5 * (normal[1:] + normal[:-1]) * np.diff(z))])
    edges = np.interp(np.linspace(0, reached[-1], strips + 1), reached, x)
    for k, (left, right) in enumerate(zip(edges, edges[1:])):
        inside, colour = np.linspace(left, right, 80), STRIP_COLOURS[k % 2]
        up = np.interp(inside, x, z)
        top.fill_between(inside, np.interp(inside, x, density), color=colour, linewidth=0)
        side.fill_betweenx(up, np.exp(-0.5 * up**2) / np.sqrt(2 * np.pi), color=colour, linewidth=0)
    for edge in edges[1:-1]:
        height = np.interp(edge, x, z)
        curve.plot([edge, edge, x[-1]], [z[-1], height, height], color="#8c8c8c", linewidth=0.9, zorder=1)
    curve.plot(x, z, color="black", zorder=3)
    curve.set(xlabel="$x$, data", ylabel="$z = F(x)$, latent", xlim=(x[0], x[-1]), ylim=(z[0], z[-1]))
    top.plot(x, density, color="black", linewidth=1.6)
    side.plot(normal, z, color="black", linewidth=1.6)
    top.set(ylabel="$p(x)$", ylim=(0, None), title="Where $F$ is steep, the data are dense")
    side.set(xlabel="$p(z)$", xlim=(0, None))
    top.tick_params(labelbottom=False)
    side.tick_params(labelleft=False)
    for panel in (curve, top, side):
        panel.grid(False)
    widths, peaks = np.diff(edges), _peaks(density)
    figure.alt = (
        f"A rising curve z = F(x) carries a density of x (above) with {peaks} peak{'s' * (peaks != 1)} to the "
        f"standard normal of z (right). {strips} strips of equal probability under both are between {widths.min():.2f} and "
        f"{widths.max():.2f} wide on the x axis: narrow where the curve is steep."
    )
    return figure


@dataclass(frozen=True)
class Plane:
    """One panel in the plane: any of a density, points and lines.

    Attributes:
        title: above the panel.
        density: (n, n) over (first, second) coordinate, on `axis` (n,) in both; None for none.
        points: (k, 2), such as samples.
        group: (k,) of points: sentiment classes -3..3, or 0 and 1 for two groups of data; None for one colour.
        lines, dashed: polylines (m, 2).
        limit: the panel shows [-limit, limit] in both coordinates; default: that of the axis, else of the points.
    """

    title: str
    density: np.ndarray | None = None
    axis: np.ndarray | None = None
    points: np.ndarray | None = None
    group: np.ndarray | None = None
    lines: Sequence[np.ndarray] = ()
    dashed: Sequence[np.ndarray] = ()
    limit: float | None = None

    def __post_init__(self) -> None:
        for name in ("density", "axis", "points"):  # tensors are welcome too
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=float))
        if self.density is not None and (
            self.axis is None or np.shape(self.density) != (len(self.axis), len(self.axis))
        ):
            raise ShapeError(f"the density of {self.title!r} must be (n, n) with an axis (n,)")
        if self.points is not None and (np.ndim(self.points) != 2 or np.shape(self.points)[1] != 2):
            raise ShapeError(f"the points of {self.title!r} must be (k, 2), not {np.shape(self.points)}")
        count = 0 if self.points is None else len(self.points)
        if self.group is not None and len(self.group) != count:
            raise ShapeError(f"{self.title!r} has {count} points and {len(self.group)} groups")

    def tell(self) -> str:
        """What the panel shows, in words and numbers."""
        name = self.title.replace("\n", ", ").replace("$", "")
        if self.density is not None:
            heights = np.sort(np.asarray(self.density).ravel())[::-1]
            share = (np.cumsum(heights) < 0.9 * heights.sum()).mean()
            return f"{name}: 90% of the mass lies on {share:.0%} of the area"
        points = np.asarray(self.points)
        centre, spread = points.mean(axis=0), points.std(axis=0)
        return f"{name}: points with deviations {spread[0]:.2f} and {spread[1]:.2f} around ({centre[0]:.1f}, {centre[1]:.1f})"


@house_figure
def planes(panels: Sequence[Plane], columns: int, intro: str, sentiment: bool = False) -> HouseFigure:
    """Draw panels in rows. All densities have one scale, so that equal shades mean equal densities.

    Args:
        intro: a sentence for the alternative text that says what the panels have in common.
        sentiment: groups are sentiment classes, and a legend names them.

    Raises:
        DataError: if there is no panel, or one without anything to draw.
    """
    if not panels or any(panel.density is None and panel.points is None for panel in panels):
        raise DataError("every panel needs a density or points")
    rows = -(-len(panels) // columns)
    side = min(3.6, 16 / columns)
    figure = new_figure(side * columns, (side + 0.42) * rows + 0.6 * sentiment)
    figure.get_layout_engine().set(h_pad=0.08)
    top = max((float(np.max(p.density)) for p in panels if p.density is not None), default=1.0)
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for place, panel in zip(places, panels):
        _draw(place, panel, PowerNorm(0.5, 0, top), sentiment)
    for place in places[len(panels) :]:
        place.set_axis_off()
    if sentiment:
        figure.legend(handles=class_handles(), loc="outside lower center", ncols=8, title="sentiment class")
    figure.alt = f"{intro} {'; '.join(panel.tell() for panel in panels)}."
    return figure


def ellipse(mean: np.ndarray, sd: np.ndarray, times: float = 2.0) -> np.ndarray:
    """Return the outline (100, 2) of a diagonal Gaussian at so many standard deviations, for `Plane.lines`."""
    turn = np.linspace(0, 2 * np.pi, 100)
    return np.asarray(mean) + times * np.asarray(sd) * np.stack([np.cos(turn), np.sin(turn)], axis=1)


@house_figure
def nll_curve(history: Sequence[float], floor: float, named: str) -> HouseFigure:
    """Draw the loss of every step in training and, as a dashed line, the least it can come to.

    Raises:
        DataError: if there are no steps.
    """
    if not len(history):
        raise DataError("there are no steps to plot; give at least one")
    figure = new_figure(8, 3.6)
    axes = figure.subplots()
    axes.plot(history, color=GROUP_COLOURS[0], linewidth=1.6, label="a batch in training")
    axes.axhline(floor, color="black", linestyle="--", label=named)
    axes.set(
        xlabel="step", ylabel="bits per dimension", title="The loss sinks towards the entropy of the data"
    )
    axes.legend(loc="upper right")
    last = float(np.mean(history[-50:]))
    figure.alt = (
        f"The NLL falls from {history[0]:.2f} to {last:.2f} bits per dimension (mean of the last {min(50, len(history))} "
        f"steps), towards a dashed line at {floor:.2f}: {named}."
    )
    return figure


@house_figure
def class_scores(matrices: Sequence[tuple[str, np.ndarray]], label: str) -> HouseFigure:
    """Draw square matrices over sentiment classes: a row per true class, a column per class that is tried.

    The best column of a row bears a dot, the true one a ring, so a dot inside a ring is a class that was found.

    Raises:
        ShapeError: if a matrix is not (7, 7).
    """
    matrices = [(title, np.asarray(m, dtype=float)) for title, m in matrices]
    if not matrices or any(np.shape(m) != (7, 7) for _, m in matrices):
        raise ShapeError(f"(7, 7) matrices are needed, not {[np.shape(m) for _, m in matrices]}")
    figure = new_figure(4.3 * len(matrices) + 1.2, 4.9)
    places = figure.subplots(1, len(matrices), squeeze=False)[0]
    low = min(float(np.min(m)) for _, m in matrices)
    names = [f"{c:+d}" if c else "0" for c in range(-3, 4)]
    told = []
    for place, (title, matrix) in zip(places, matrices):
        image = place.imshow(
            matrix, cmap="Blues", vmin=low, vmax=max(0.0, *(float(np.max(m)) for _, m in matrices))
        )
        best = np.argmax(matrix, axis=1)
        place.scatter(best, range(7), s=60, color=POINT_COLOUR, zorder=3)
        place.scatter(
            range(7), range(7), s=230, facecolors="none", edgecolors="black", linewidths=1.6, zorder=4
        )
        place.set(xticks=range(7), yticks=range(7), xticklabels=names, yticklabels=names, title=title)
        place.set(xlabel="class tried")
        place.grid(False)
        told.append(f"{title}: the best class is the true one in {(best == np.arange(7)).sum()} of 7 rows")
    places[0].set_ylabel("true class of the clips")
    figure.colorbar(image, ax=list(places), label=label, shrink=0.8)
    figure.alt = f"Heat maps, true sentiment class by class tried, shade: {label}. {'; '.join(told)}."
    return figure


def _draw(place: Axes, panel: Plane, norm: PowerNorm, sentiment: bool) -> None:
    if panel.density is not None:
        place.pcolormesh(
            panel.axis, panel.axis, np.asarray(panel.density).T, cmap="Blues", norm=norm, rasterized=True
        )
    if panel.points is not None:
        points = np.asarray(panel.points)
        size = 10 if panel.density is not None else 12
        if panel.group is None:
            place.scatter(*points.T, s=size, color=POINT_COLOUR, linewidths=0)
        for g in () if panel.group is None else np.unique(panel.group):
            at = int(g) + 3 if sentiment else int(g)
            colours, markers = (CLASS_COLOURS, CLASS_MARKERS) if sentiment else (GROUP_COLOURS, GROUP_MARKERS)
            edge = dict(edgecolors="white", linewidths=0.3) if sentiment else dict(linewidths=0)
            chosen = points[np.asarray(panel.group) == g]
            place.scatter(*chosen.T, s=size + 8 * sentiment, color=colours[at], marker=markers[at], **edge)
    for lines, style in ((panel.lines, "-"), (panel.dashed, "--")):
        for line in lines:
            place.plot(*np.asarray(line).T, color="black", linewidth=1.5, linestyle=style, zorder=4)
    own = (
        np.abs(panel.axis).max() if panel.axis is not None else 1.06 * np.abs(np.asarray(panel.points)).max()
    )
    limit = float(panel.limit or own)
    place.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
    place.set_title(panel.title, fontsize=13)
    place.spines[["top", "right"]].set_visible(True)
    place.grid(False)


def _peaks(density: np.ndarray) -> int:
    inner = density[1:-1]
    return int(((inner > density[:-2]) & (inner >= density[2:])).sum())
