"""What stands in for a missing modality, and what a predictor makes of it, beside the real thing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dicmor_lib.errors import ShapeError
from dicmor_lib.plots.style import HouseFigure, house_figure, new_figure

REAL_COLOUR, FILL_COLOUR = "#8c8c8c", "#D55E00"


@house_figure
def fills_seen(
    known: np.ndarray, fills: Mapping[str, np.ndarray], title: str, synthetic: bool = False
) -> HouseFigure:
    """Plot what stands in for a missing feature against what the available ones say about it.

    Args:
        known: (n,) what the available modalities say about the feature, one value per clip.
        fills: name -> (n,) the feature; the first entry is the real one and lies in grey behind all others.
        title: which feature.
        synthetic: say so in the figure.

    Returns:
        A panel per entry with its histogram at the right, and under its name its squared error and its spread
        in units of the real one's variance and deviation, and its correlation r with `known`.

    Raises:
        ShapeError: if the arrays do not have one shape (n,).
    """
    known, arrays = _of_one_length(known, fills, "what is known and every fill")
    real = next(iter(arrays.values()))
    columns = 3
    lines = -(-len(arrays) // columns)
    figure = new_figure(12, 4.1 * lines + 0.6)
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel()
    low, high = np.quantile(real, (0.002, 0.998)) + np.array([-0.5, 0.5]) * real.std()
    sides = np.quantile(known, (0.002, 0.998)) + np.array([-0.3, 0.3]) * known.std()
    bins = np.linspace(low, high, 41)
    told = []
    for i, (panel, (name, x)) in enumerate(zip(panels, arrays.items())):
        panel.scatter(known, real, s=12, color=REAL_COLOUR, alpha=0.45, linewidths=0)
        if i:
            panel.scatter(
                known, x, s=16, marker="o", facecolors="none", edgecolors=FILL_COLOUR, linewidths=0.9
            )
        side = panel.inset_axes((1.01, 0, 0.2, 1), sharey=panel)
        side.hist(real, bins, orientation="horizontal", color=REAL_COLOUR, alpha=0.6, density=True)
        if i:
            counts, _ = np.histogram(x, bins, density=True)
            top = np.histogram(real, bins, density=True)[0].max()
            side.stairs(counts, bins, orientation="horizontal", color=FILL_COLOUR, linewidth=1.6)
            side.set_xlim(0, 1.6 * top)
        side.set_axis_off()
        measured = _fill_numbers(known, real, x)
        panel.set_title(f"{name}\n{measured}", fontsize=13)
        panel.set(xlim=sides, ylim=(low, high))
        told.append(f"{name}: {measured}")
    for panel in panels[len(arrays) :]:
        panel.set_axis_off()
    figure.suptitle(f"{title}{' (synthetic data)' if synthetic else ''}", fontsize=15)
    figure.supxlabel("what the available modalities say about it (best linear guess)", fontsize=13)
    figure.supylabel("the feature", fontsize=13)
    figure.alt = (
        f"{title}{', synthetic data' if synthetic else ''}. Scatter plots of a feature against the best linear guess from "
        f"what is available, histograms at their sides, the real one in grey behind each: {'; '.join(told)}."
    )
    return figure


def _fill_numbers(known: np.ndarray, real: np.ndarray, fill: np.ndarray) -> str:
    error = ((fill - real) ** 2).mean() / real.var()
    spread = fill.std() / real.std()
    link = np.corrcoef(known, fill)[0, 1] if spread > 1e-6 else 0.0
    return f"error {error:.2f}, spread {spread:.2f}, r {link + 0.0:.2f}"


@house_figure
def predictions_seen(
    predictions: Mapping[str, np.ndarray], label: np.ndarray, title: str, synthetic: bool = False
) -> HouseFigure:
    """Plot the law of what a predictor says, a row per input; the first, with nothing missing, is outlined in all.

    Args:
        predictions: name -> (n,) predictions of the same clips.
        label: (n,) the truth, for the mean absolute error that stands in each row.
        title: what was missing.
        synthetic: say so in the figure.

    Raises:
        ShapeError: if the arrays do not have one shape (n,).
    """
    label, arrays = _of_one_length(label, predictions, "labels and all predictions")
    real = next(iter(arrays.values()))
    bins = np.linspace(-3.5, 3.5, 36)
    outline, _ = np.histogram(np.clip(real, -3.4, 3.4), bins, density=True)
    top = max(np.histogram(np.clip(x, -3.4, 3.4), bins, density=True)[0].max() for x in arrays.values())
    figure = new_figure(10, 1.05 * len(arrays) + 1.4)
    panels = figure.subplots(len(arrays), 1, sharex=True, squeeze=False)[:, 0]
    told = []
    for i, (panel, (name, x)) in enumerate(zip(panels, arrays.items())):
        colour = FILL_COLOUR if i else REAL_COLOUR
        panel.hist(np.clip(x, -3.4, 3.4), bins, density=True, color=colour, alpha=0.75)
        panel.stairs(outline, bins, color="black", linewidth=1.6)
        measured = f"spread {x.std():.2f}, MAE {np.abs(x - label).mean():.2f}"
        panel.text(1.01, 0.7, name, transform=panel.transAxes, fontweight="bold", va="center")
        panel.text(1.01, 0.3, measured, transform=panel.transAxes, va="center")
        panel.set(yticks=[], ylim=(0, 1.08 * top), xlim=(-3.5, 3.5))
        panel.spines["left"].set_visible(False)
        told.append(f"{name}: {measured}")
    panels[-1].set_xlabel("prediction (black outline: with nothing missing)")
    figure.suptitle(f"{title}{' (synthetic data)' if synthetic else ''}", fontsize=15)
    figure.alt = (
        f"{title}{', synthetic data' if synthetic else ''}. Histograms of a predictor's output on the same clips, a row "
        f"per input, with the outline of the first behind each: {'; '.join(told)}."
    )
    return figure


def _of_one_length(
    one: np.ndarray, others: Mapping[str, np.ndarray], what: str
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in others.items()}
    one = np.asarray(one, dtype=np.float64)
    if one.ndim != 1 or not arrays or any(x.shape != one.shape for x in arrays.values()):
        raise ShapeError(f"{what} must be (n,) of one n, not {one.shape} and others")
    return one, arrays
