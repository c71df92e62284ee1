"""The pieces of a diagram: card, chips, arrows, feature strips and icons, all measured in inches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.patches import ArrowStyle, Circle, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle
from matplotlib.path import Path

from dicmor_lib.modalities import MODALITIES
from dicmor_lib.plots.style import HATCHED, MODALITY_COLOURS, MODALITY_MARKERS, HouseFigure

INK = "#24292f"
MUTED = "#57606a"
FAINT = "#d0d7de"
Box = tuple[float, float, float, float]
"""Left, bottom, width and height in inches."""
Point = tuple[float, float]


def canvas(width: float, height: float) -> tuple[HouseFigure, Axes]:
    """Return a figure that is one white card with transparent corners, and its axes in inches.

    The card is solid, so the drawing reads the same on a light and on a dark page.
    """
    figure = HouseFigure(figsize=(width, height))
    figure.set_layout_engine("none")
    figure.patch.set_alpha(0)  # the style's white face colour would fill the corners
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    box(axes, (0.03, 0.03, width - 0.06, height - 0.06), face="white", edge=FAINT, radius=0.18, zorder=0)
    return figure, axes


def box(axes: Axes, where: Box, face: str, edge: str, radius: float = 0.08, **style: Any) -> FancyBboxPatch:
    """Draw a rectangle with round corners of that radius in inches."""
    x, y, width, height = where
    style = {"linewidth": 1.2, "zorder": 2} | style
    patch = FancyBboxPatch(
        (x, y), width, height, boxstyle=f"round,pad=0,rounding_size={radius}", fc=face, ec=edge, **style
    )
    return axes.add_patch(patch)


def write(axes: Axes, x: float, y: float, text: str, size: float = 14, **style: Any) -> None:
    """Write text centred on (x, y), unless `style` says otherwise."""
    style = {"size": size, "ha": "center", "va": "center", "color": INK, "zorder": 8} | style
    axes.text(x, y, text, **style)


def chip(axes: Axes, x: float, y: float, text: str, colour: str, height: float = 0.44) -> None:
    """Draw the name of a map on a white label outlined in its colour."""
    width = 1.08
    where = (x - width / 2, y - height / 2, width, height)
    box(axes, where, face="white", edge=colour, radius=height / 2, linewidth=2, zorder=7)
    write(axes, x, y - 0.01, text, 17, color=colour)


def arrow(
    axes: Axes, start: Point, end: Point, colour: str, turns: tuple[Point, Point] | None = None
) -> None:
    """Draw an arrow whose head touches `end`: straight, or a cubic curve with two control points."""
    head = ArrowStyle("-|>", head_length=0.42, head_width=0.24)
    style = dict(mutation_scale=24, linewidth=3, capstyle="butt", joinstyle="miter", zorder=5)
    axes.add_patch(FancyArrowPatch(path=path_of(start, end, turns), arrowstyle=head, color=colour, **style))


def path_of(start: Point, end: Point, turns: tuple[Point, Point] | None = None) -> Path:
    """Return the straight path between two points, or a cubic curve with two control points."""
    if turns is None:
        return Path([start, end])
    return Path([start, *turns, end], [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])


def strip(axes: Axes, where: Box, values: np.ndarray, colour: str, limit: float) -> None:
    """Draw a sequence (time, channel), a cell per value from light (-limit) to dark, time to the right."""
    x, y, width, height = where
    time, channels = values.shape
    shades = shades_of(colour, 0.92, 0.45)
    across, upwards = np.linspace(x, x + width, time + 1), np.linspace(y, y + height, channels + 1)
    cells = axes.pcolormesh(across, upwards, values.T, cmap=shades, vmin=-limit, vmax=limit)
    cells.set(edgecolor="white", linewidth=1.1, zorder=3)
    # pcolormesh has moved the limits to its own data
    axes.set(xlim=(0, axes.figure.get_figwidth()), ylim=(0, axes.figure.get_figheight()))


def absent(axes: Axes, where: Box, text: str) -> None:
    """Draw the place of a sequence that is not there: hatched, as everywhere in this library."""
    x, y, width, height = where
    axes.add_patch(Rectangle((x, y), width, height, zorder=3, **HATCHED))
    axes.add_patch(Rectangle((x, y), width, height, fc="none", ec=MUTED, ls=(0, (4, 3)), lw=1.6, zorder=4))
    plate = dict(boxstyle="round,pad=0.25", fc="white", ec="none")
    write(axes, x + width / 2, y + height / 2, text, 15, weight="bold", bbox=plate)


def title(axes: Axes, x: float, y: float, modality: str, muted: bool = False) -> None:
    """Write a modality's icon, marker and name, left-aligned at x."""
    colour = MUTED if muted else MODALITY_COLOURS[modality]
    ICONS[modality](axes, x + 0.2, y, colour)
    axes.plot([x + 0.58], [y], MODALITY_MARKERS[modality], color=colour, ms=9, zorder=6)
    write(axes, x + 0.74, y - 0.01, modality, 15, ha="left", color=colour, weight="bold")


def _speech(axes: Axes, x: float, y: float, colour: str) -> None:
    box(axes, (x - 0.2, y - 0.11, 0.4, 0.28), face=colour, edge="none", radius=0.07, zorder=5)
    axes.add_patch(
        Polygon([(x - 0.12, y - 0.08), (x + 0.03, y - 0.08), (x - 0.13, y - 0.21)], fc=colour, zorder=5)
    )
    for line, length in ((0.085, 0.24), (-0.015, 0.15)):
        axes.plot([x - 0.12, x - 0.12 + length], [y + line] * 2, color="white", lw=2.2, zorder=6)


def _sound(axes: Axes, x: float, y: float, colour: str) -> None:
    for i, half in enumerate((0.05, 0.12, 0.19, 0.08, 0.15, 0.06)):
        at = x - 0.19 + 0.076 * i
        axes.plot([at, at], [y - half, y + half], color=colour, lw=3.2, solid_capstyle="round", zorder=5)


def _camera(axes: Axes, x: float, y: float, colour: str) -> None:
    box(axes, (x - 0.21, y - 0.13, 0.28, 0.26), face=colour, edge="none", radius=0.06, zorder=5)
    lens = [(x + 0.09, y - 0.03), (x + 0.21, y - 0.12), (x + 0.21, y + 0.12), (x + 0.09, y + 0.03)]
    axes.add_patch(Polygon(lens, fc=colour, ec="none", zorder=5))
    axes.add_patch(Circle((x - 0.07, y), 0.055, fc="white", ec="none", zorder=6))


def strike(axes: Axes, x: float, y: float, size: float, colour: str) -> None:
    """Strike an icon out, with a white edge so that the stroke stands off what lies below."""
    for width, shade in ((8, "white"), (3.2, colour)):
        ends = [x - size, x + size], [y + size, y - size]
        axes.plot(*ends, color=shade, lw=width, solid_capstyle="round", zorder=7)


def signed(value: float) -> str:
    """Return a sentiment with its sign, which may be a true minus: "+2", "0", "−1", "+1.8"."""
    text = f"{value:+d}" if isinstance(value, int) else f"{value:+.1f}"
    return "0" if value == 0 else minus(text)


def minus(text: str) -> str:
    """Return a text with true minus signs."""
    return text.replace("-", "\u2212")


def shades_of(colour: str, lightest: float, middle: float) -> LinearSegmentedColormap:
    """Return the shades of a colour from light to dark; the two numbers are the shares of white in it, the last is 0."""
    mixed = [
        tuple(white + (1 - white) * channel for channel in to_rgb(colour)) for white in (lightest, middle, 0)
    ]
    return LinearSegmentedColormap.from_list("shades", mixed)


ICONS: dict[str, Callable[[Axes, float, float, str], None]] = dict(
    zip(MODALITIES, (_speech, _sound, _camera))
)
