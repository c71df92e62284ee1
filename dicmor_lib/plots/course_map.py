"""A map of the course: the parts of the system in the order of the data, each with the chapter that builds it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Ellipse, Rectangle

from dicmor_lib.errors import ConfigError
from dicmor_lib.modalities import MODALITIES
from dicmor_lib.plots.drawing import FAINT, INK, MUTED, absent, arrow, box, canvas, write
from dicmor_lib.plots.style import CLASS_COLOURS, MODALITY_COLOURS, HouseFigure, describe, house_figure

WIDTH, HEIGHT = 13.0, 6.2  # inches
BUILD, USE = range(1, 7), range(7, 13)
"""Chapters that build the parts, and chapters that use the whole."""
LANGUAGE, AUDIO, VISION = (MODALITY_COLOURS[m] for m in MODALITIES)
CARD_HEIGHT = 2.0
Sketch = Callable[[Axes, float, float], None]


@house_figure
def course_map(titles: Mapping[int, str], there: Collection[int]) -> HouseFigure:
    """Draw chapters 1 to 6 as the path of the data, and 7 to 12 as what is done with the whole.

    Args:
        titles: number of the chapter -> its short title, for 0 to 12.
        there: chapters that are written; the others are drawn dashed and said to come.

    Raises:
        ConfigError: if the titles are not those of chapters 0 to 12.
    """
    if sorted(titles) != list(range(13)):
        raise ConfigError(f"the map has the chapters 0 to 12, the titles are those of {sorted(titles)}")
    figure, axes = canvas(WIDTH, HEIGHT)
    for text, y in (
        ("Build the parts: a clip goes in, its sentiment comes out", 5.8),
        ("Then use the whole", 2.8),
    ):
        write(axes, 0.35, y, text, 17, ha="left", weight="bold")
    for numbers, y in ((BUILD, 3.42), (USE, 0.42)):
        gap = 0.34
        width = (WIDTH - 0.7 - gap * (len(numbers) - 1)) / len(numbers)
        for place, number in enumerate(numbers):
            x = 0.35 + place * (width + gap)
            _card(axes, number, titles[number], (x, y, width, CARD_HEIGHT), number in there)
            if numbers is BUILD and place:
                arrow(axes, (x - gap + 0.02, y + 1.2), (x - 0.02, y + 1.2), INK)
    coming = [str(n) for n in sorted(set(titles) - set(there))]
    built = ", ".join(f"{n} {titles[n]}" for n in BUILD)
    used = ", ".join(f"{n} {titles[n]}" for n in USE)
    still = f" To come: {describe(coming)}." if coming else ""
    figure.alt = (
        f"A map of the course. Chapters that build the parts, in the order of the data: {built}. Chapters that use the "
        f"whole: {used}.{still}"
    )
    return figure


def _card(axes: Axes, number: int, title: str, where: tuple[float, float, float, float], there: bool) -> None:
    x, y, width, height = where
    style: dict[str, Any] = (
        dict(edge=INK, linewidth=1.4) if there else dict(edge=MUTED, linewidth=1.4, linestyle=(0, (4, 3)))
    )
    box(axes, where, face="#f6f8fa" if there else "white", radius=0.12, **style)
    colour = INK if there else MUTED
    SKETCHES[number](axes, x + width / 2, y + 1.3)
    axes.add_patch(Circle((x + 0.24, y + height - 0.02), 0.24, fc=colour, ec="white", lw=1.5, zorder=6))
    write(axes, x + 0.24, y + height - 0.03, str(number), 14, color="white", weight="bold")
    words = title.split(" ")
    lines = [title] if len(title) <= 12 or len(words) == 1 else [words[0], " ".join(words[1:])]
    middle = y + (0.44 if there else 0.54)
    write(axes, x + width / 2, middle, "\n".join(lines), 14, weight="bold", color=colour, linespacing=1.1)
    if not there:
        write(axes, x + width / 2, y + 0.16, "to come", 12, color=MUTED)


# --- the sketches: each centred on (x, y), about 1.3 wide and 0.8 high -------------------------------------------


def _clip(axes: Axes, x: float, y: float) -> None:
    for row, colour in enumerate((LANGUAGE, AUDIO)):
        axes.add_patch(Rectangle((x - 0.6, y + 0.2 - 0.32 * row), 1.2, 0.22, fc=colour, ec="none", zorder=3))
    absent(axes, (x - 0.6, y - 0.44, 1.2, 0.22), "")


def _coupling(axes: Axes, x: float, y: float) -> None:
    for side in (-0.62, 0.38):
        for half, colour in ((0.06, LANGUAGE), (-0.4, AUDIO)):
            axes.add_patch(Rectangle((x + side, y + half), 0.24, 0.34, fc=colour, ec="none", zorder=3))
    arrow(axes, (x - 0.34, y + 0.23), (x + 0.36, y + 0.23), LANGUAGE)
    arrow(axes, (x - 0.34, y - 0.23), (x + 0.36, y - 0.23), AUDIO)
    axes.plot([x - 0.05] * 2, [y + 0.23, y - 0.15], color=LANGUAGE, lw=2.4, zorder=4)
    axes.add_patch(Circle((x - 0.05, y - 0.23), 0.09, fc="white", ec=INK, lw=1.6, zorder=6))


def _clouds(axes: Axes, x: float, y: float) -> None:
    for place, colour in zip((-0.5, -0.17, 0.17, 0.5), (CLASS_COLOURS[i] for i in (0, 2, 4, 6))):
        for size in (1.0, 0.55):
            where = (x + place, y + 0.5 * place)
            axes.add_patch(Ellipse(where, 0.36 * size, 0.6 * size, fc=colour, ec="none", alpha=0.5, zorder=3))


def _transfer(axes: Axes, x: float, y: float) -> None:
    for place, colour in ((-0.42, AUDIO), (0.42, VISION)):
        axes.add_patch(Ellipse((x + place, y - 0.12), 0.46, 0.56, fc=colour, ec="none", alpha=0.75, zorder=3))
    arrow(
        axes,
        (x - 0.4, y + 0.08),
        (x + 0.42, y + 0.06),
        INK,
        turns=((x - 0.3, y + 0.62), (x + 0.34, y + 0.62)),
    )


def _recovery(axes: Axes, x: float, y: float) -> None:
    steps = np.linspace(-0.62, 0.62, 26)
    wave = 0.26 * np.sin(5 * steps)
    noise = np.random.default_rng(3).normal(0, 0.13, len(steps))
    axes.plot(x + steps, y + wave + noise, color=FAINT, lw=2.0, zorder=3)
    axes.plot(x + steps, y + wave, color=VISION, lw=3.4, zorder=4)


def _fusion(axes: Axes, x: float, y: float) -> None:
    for height, colour in zip((0.34, 0.0, -0.34), (LANGUAGE, AUDIO, VISION)):
        turns = ((x - 0.1, y + height), (x - 0.1, y))
        arrow(axes, (x - 0.62, y + height), (x + 0.34, y), colour, turns=turns)
    axes.add_patch(Circle((x + 0.48, y), 0.17, fc=CLASS_COLOURS[6], ec="white", lw=1.5, zorder=6))


def _training(axes: Axes, x: float, y: float) -> None:
    steps = np.linspace(0, 1, 40)
    axes.plot(x - 0.62 + 1.24 * steps, y - 0.34 + 0.72 * np.exp(-4 * steps), color=INK, lw=3.2, zorder=4)
    axes.plot([x - 0.66, x - 0.66, x + 0.66], [y + 0.42, y - 0.42, y - 0.42], color=MUTED, lw=1.6, zorder=3)


def _evaluation(axes: Axes, x: float, y: float) -> None:
    for place, value, colour in zip(
        (-0.45, -0.15, 0.15, 0.45), (0.3, 0.16, -0.02, -0.2), (INK, LANGUAGE, AUDIO, VISION)
    ):
        axes.plot([x + place] * 2, [y + value - 0.2, y + value + 0.14], color=colour, lw=2.2, zorder=3)
        axes.plot([x + place], [y + value - 0.03], "o", color=colour, ms=9, zorder=4)


def _switches(axes: Axes, x: float, y: float) -> None:
    for height, colour, on in zip((0.32, 0.0, -0.32), (LANGUAGE, AUDIO, VISION), (True, True, False)):
        face = colour if on else "#b5b5b5"
        box(axes, (x - 0.3, y + height - 0.12, 0.6, 0.24), face=face, edge="none", radius=0.12, zorder=3)
        axes.add_patch(
            Circle((x + (0.18 if on else -0.18), y + height), 0.085, fc="white", ec="none", zorder=4)
        )


def _sheets(axes: Axes, x: float, y: float) -> None:
    for side, colour in ((-0.62, INK), (0.2, AUDIO)):
        box(
            axes,
            (x + side, y - 0.42, 0.44, 0.84),
            face="white",
            edge=colour,
            radius=0.04,
            linewidth=2,
            zorder=3,
        )
        for line in (0.22, 0.06, -0.1, -0.26):
            axes.plot([x + side + 0.08, x + side + 0.36], [y + line] * 2, color=colour, lw=2, zorder=4)
    write(axes, x + 0.01, y, "\u2260", 20, weight="bold")


def _bars(axes: Axes, x: float, y: float) -> None:
    for place, height in enumerate((0.18, 0.34, 0.54, 0.84)):
        where = (x - 0.6 + 0.32 * place, y - 0.42)
        axes.add_patch(
            Rectangle(where, 0.24, height, fc=LANGUAGE, ec="none", alpha=0.4 + 0.2 * place, zorder=3)
        )


def _cut(axes: Axes, x: float, y: float) -> None:
    for size in (1.0, 0.55):
        axes.add_patch(
            Ellipse((x, y), 1.2 * size, 0.42 * size, angle=32, fc=VISION, ec="none", alpha=0.4, zorder=3)
        )
    axes.plot([x + 0.24] * 2, [y - 0.42, y + 0.46], color=LANGUAGE, lw=2.4, zorder=4)
    axes.plot([x + 0.24] * 2, [y + 0.0, y + 0.3], color=INK, lw=5, zorder=5, solid_capstyle="round")


SKETCHES: dict[int, Sketch] = dict(
    zip(
        [*BUILD, *USE],
        (
            _clip,
            _coupling,
            _clouds,
            _transfer,
            _recovery,
            _fusion,
            _training,
            _evaluation,
            _switches,
            _sheets,
            _bars,
            _cut,
        ),
    )
)
