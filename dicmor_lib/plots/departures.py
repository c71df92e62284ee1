"""Paper against published code: where on the way they part, and what that does to a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from dicmor_lib.errors import DataError
from dicmor_lib.plots.drawing import FAINT, INK, MUTED, arrow, box, canvas, write
from dicmor_lib.plots.style import (
    SERIES_COLOURS,
    SERIES_MARKERS,
    HouseFigure,
    describe,
    house_figure,
    new_figure,
)

PLACES: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("masks", "who lacks what", (4, 5, 14)),
    ("$C^m$", "shallow features", (7, 8, 16)),
    ("$F^m$", "flows and prior", (1, 2, 3, 12)),
    ("transfer", "merge, gradient", (9, 11)),
    ("$D^m$", "recovery", (10,)),
    ("$T$", "fusion", (6, 15)),
    ("optimiser", "micro-batches", (13,)),
)
"""Places on the way through the system, and the numbers of the differences found there."""


@house_figure
def departures_map() -> HouseFigure:
    """Draw the system as a row of boxes, with the numbers of the differences between paper and code under each."""
    figure, axes = canvas(12.6, 3.5)
    width, gap, top = 1.5, 0.26, 2.05
    for i, (name, what, numbers) in enumerate(PLACES):
        x = 0.24 + i * (width + gap)
        box(axes, (x, top, width, 1.1), face="#f3f6fa", edge=INK, radius=0.1)
        write(axes, x + width / 2, top + 0.72, name, 15, weight="bold")
        write(axes, x + width / 2, top + 0.33, what, 10.5, color=MUTED)
        if i + 1 < len(PLACES):
            arrow(axes, (x + width + 0.02, top + 0.55), (x + width + gap - 0.01, top + 0.55), MUTED)
        axes.plot([x + width / 2] * 2, [top, 1.62], color=FAINT, lw=1.5, zorder=1)
        for k, number in enumerate(numbers):
            across = x + width / 2 + (k % 2 - 0.5 * min(1, len(numbers) - 1)) * 0.62
            if len(numbers) % 2 and k == len(numbers) - 1:
                across = x + width / 2
            _numbered(axes, across, 1.32 - 0.62 * (k // 2), number)
    count = sum(len(numbers) for *_, numbers in PLACES)
    figure.alt = (
        f"The system as {len(PLACES)} boxes in a row, {count} differences between paper and published code below: "
        + (
            "; ".join(
                f"{name.strip('$')} {describe([str(n) for n in numbers])}" for name, _, numbers in PLACES
            )
            + "."
        )
    )
    return figure


def _numbered(axes: Axes, x: float, y: float, number: int) -> None:
    box(
        axes, (x - 0.25, y - 0.25, 0.5, 0.5), face="#fff4ec", edge=SERIES_COLOURS[2], radius=0.25, linewidth=2
    )
    write(axes, x, y - 0.01, str(number), 15, color="#9c4300", weight="bold")


@house_figure
def score_spread(scores: Mapping[str, np.ndarray], what: str) -> HouseFigure:
    """Plot how far one model's score moves when nothing but the draw of the masks changes.

    Args:
        scores: name of the way to draw -> one score for each draw.
        what: the score's name, for the axis.

    Raises:
        DataError: if there is nothing to plot, or a way has fewer than two draws.
    """
    if not scores or any(np.ndim(s) != 1 or len(s) < 2 for s in scores.values()):
        raise DataError("give at least one way to draw, each with at least two scores")
    figure = new_figure(10, 1.5 + 1.15 * len(scores))
    panels = np.atleast_1d(figure.subplots(len(scores), 1, sharex=True, sharey=True))
    everything = np.concatenate([np.asarray(s) for s in scores.values()])
    bins = np.linspace(everything.min(), everything.max(), 50)
    for i, (panel, (name, values)) in enumerate(zip(panels, scores.items())):
        panel.hist(values, bins, color=SERIES_COLOURS[1 + i], alpha=0.85)
        panel.axvline(np.mean(values), color=INK, lw=1.6)
        panel.set_title(f"{name}: standard deviation {100 * np.std(values):.2f} points", fontsize=13)
        panel.set_yticks([])
        panel.grid(axis="y", visible=False)
    panels[-1].set_xlabel(f"{what} of one model")
    told = "; ".join(
        f"{name}: mean {np.mean(v):.3f}, standard deviation {np.std(v):.4f}" for name, v in scores.items()
    )
    figure.alt = f"Histograms of one model's {what} over draws of the masks, one below the other. {told}."
    return figure


@house_figure
def switch_effects(
    effects: Mapping[str, Mapping[str, Sequence[float]]], measures: Mapping[str, str]
) -> HouseFigure:
    """Plot what one switch does: variant minus default, a dot for each seed and a bar for their mean.

    Args:
        effects: measure -> variant -> difference to the default model of the same seed, one for each seed.
        measures: measure -> title of its panel (below 0 is better in all of them).

    Raises:
        DataError: if a measure is missing, or the panels do not have the same variants.
    """
    variants = list(next(iter(effects.values()), {}))
    if not variants or set(effects) != set(measures) or any(list(e) != variants for e in effects.values()):
        raise DataError("give every measure the same variants, and every measure a title")
    figure = new_figure(11, 1.6 + 0.5 * len(variants))
    panels = np.atleast_1d(figure.subplots(1, len(measures), sharey=True))
    rows = np.arange(len(variants))[::-1]
    for panel, (measure, title) in zip(panels, measures.items()):
        for row, variant in zip(rows, variants):
            values = np.asarray(effects[measure][variant], dtype=float)
            panel.plot(values, [row] * len(values), SERIES_MARKERS[1], color=SERIES_COLOURS[1], alpha=0.75)
            panel.plot([values.mean()] * 2, [row - 0.3, row + 0.3], color=SERIES_COLOURS[2], lw=3.5)
        panel.axvline(0, color=INK, lw=1.4)
        panel.set_title(title, fontsize=13)
        panel.set_xlabel("minus the default (below 0: better)")
        panel.set_yticks(rows, variants)
        panel.set_ylim(-0.6, len(variants) - 0.4)
        panel.grid(axis="y", visible=False)
    told = "; ".join(
        f"{title}: "
        + ", ".join(f"{variant} {np.mean(effects[measure][variant]):+.3f}" for variant in variants)
        for measure, title in measures.items()
    )
    figure.alt = f"Dots for seeds and a bar for their mean, variant minus default. {told}."
    return figure
