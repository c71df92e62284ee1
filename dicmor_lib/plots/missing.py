"""What a missing modality looks like: in a clip, in the error of a predictor, in the masks that hide it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.modalities import LETTERS, MODALITIES, PATTERNS, mask_pattern, pattern_mask
from dicmor_lib.plots.style import (
    HATCHED,
    MODALITY_COLOURS,
    HouseFigure,
    describe,
    house_figure,
    new_figure,
)

DARK, DARK_LINE = "#2b2f36", "#5b626d"
COST_COLOURS, COST_HATCHES = ("#bdbdbd", "#56B4E9", "#D55E00"), ("", "//", "..")
COSTS = (
    "not even all three modalities tell",
    "went dark with what is missing",
    "was there, but the predictor missed it",
)


@house_figure
def going_dark(
    features: Sequence[np.ndarray], lengths: Sequence[int], available: Sequence[bool], title: str = ""
) -> HouseFigure:
    """Plot one clip twice: what was recorded, and what is left of it for the model.

    Args:
        features: three arrays (T, d_m), sequences starting at step 0.
        lengths: valid steps of each.
        available: which of language, audio and vision the model may see.
        title: of the clip.

    Raises:
        ShapeError: if these are not three two-dimensional arrays with three lengths that fit and three flags.
    """
    features, lengths = [np.asarray(x, dtype=np.float64) for x in features], [int(n) for n in lengths]
    fits = len(features) == len(lengths) == len(available) == 3
    if not fits or any(x.ndim != 2 or n > len(x) for x, n in zip(features, lengths)):
        raise ShapeError(
            "give a clip as three arrays (time, channels), three lengths that are no longer, three available flags"
        )
    time = max(len(x) for x in features)
    figure = new_figure(11, 5.4)
    panels = figure.subplots(3, 2, sharex=True)
    for row, (x, n, modality) in enumerate(zip(features, lengths, MODALITIES)):
        for column in range(2):
            hidden = column == 1 and not available[row]
            _strip(panels[row, column], x, n, time, hidden)
        panels[row, 0].set_ylabel(modality, color=MODALITY_COLOURS[modality], fontweight="bold")
    panels[0, 0].set_title("What was recorded")
    panels[0, 1].set_title("What the model may see")
    for panel in panels[2]:
        panel.set_xlabel("time step (hatched: padding)")
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if title:
        figure.suptitle(title.replace("$", r"\$"), fontsize=15)  # ids of MOSI hold "$_$", which is no formula
    dark = [m for m, flag in zip(MODALITIES, available) if not flag]
    steps = ", ".join(f"{m} {n} of {len(x)}" for m, n, x in zip(MODALITIES, lengths, features))
    figure.alt = (
        f"Features of one clip as images over time, valid steps: {steps}, the rest is padding. Left as recorded; right "
        f"what the model may see: {describe(dark) + ' dark, the rest unchanged' if dark else 'everything'}."
    )
    return figure


def _strip(panel: Axes, x: np.ndarray, n: int, time: int, hidden: bool) -> None:
    depth = x.shape[1]
    if n and not hidden:
        limit = np.nanquantile(np.abs(x[:n]), 0.98) or 1.0
        extent = (0, n, depth, 0)
        panel.imshow(x[:n].T, aspect="auto", cmap="PuOr_r", vmin=-limit, vmax=limit, extent=extent)
    panel.add_patch(Rectangle((n, 0), time - n, depth, **HATCHED))
    if hidden:
        panel.add_patch(Rectangle((0, 0), time, depth, facecolor=DARK, edgecolor=DARK_LINE, hatch="xx", lw=0))
        plate = dict(facecolor=DARK, edgecolor="none", pad=4)
        panel.text(time / 2, depth / 2, "not available", color="white", ha="center", va="center", bbox=plate)
    panel.set(xlim=(0, time), ylim=(depth, 0), yticks=[])
    panel.grid(visible=False)


@house_figure
def pattern_costs(
    reached: Mapping[str, float],
    best: Mapping[str, float] | None = None,
    constant: float | None = None,
    name: str = "the predictor",
    synthetic: bool = False,
) -> HouseFigure:
    """Plot the seven patterns as tiles, lit where a modality is available, over the error made with each.

    Args:
        reached: pattern -> mean absolute error of the predictor, for all seven.
        best: pattern -> that of the best possible prediction, where the law is known. Then each bar is cut in
            three: what cannot be known even from everything, what the missing modalities take away, and what the
            predictor does not get out of the rest.
        constant: error of the best constant, drawn as a line.
        name: of the predictor and its fill.
        synthetic: say so in the figure.

    Raises:
        DataError: if a pattern is missing.
    """
    for values in (reached, best or reached):
        if set(values) != set(PATTERNS):
            raise DataError(f"give a value for each of the patterns {', '.join(PATTERNS)}")
    figure = new_figure(10, 6.6)
    tiles, bars = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.1))
    _tiles(tiles)
    total = np.array([reached[p] for p in PATTERNS])
    parts = [total]
    if best is not None:
        law = np.array([best[p] for p in PATTERNS])
        parts = [np.full(7, best["lav"]), law - best["lav"], np.maximum(total - law, 0)]
    bottom = np.zeros(7)
    colours = COST_COLOURS if best is not None else COST_COLOURS[1:2]
    for part, colour, hatch, label in zip(parts, colours, COST_HATCHES, COSTS):
        style = dict(color=colour, edgecolor="white", hatch=hatch, width=0.7)
        bars.bar(np.arange(7), part, bottom=bottom, label=label if best is not None else None, **style)
        bottom += part
    for i, value in enumerate(total):
        plate = dict(facecolor="white", edgecolor="none", pad=1.5)  # where the dashed line would cross it
        at = dict(ha="center", va="bottom", fontsize=13, fontweight="bold", bbox=plate)
        bars.text(i, bottom[i] + 0.03, f"{value:.2f}", **at)
    if constant is not None:
        bars.axhline(constant, color="black", linestyle="--", linewidth=1.5)
        bars.text(
            6.48, constant + 0.02, f"best constant {constant:.2f}", ha="right", va="bottom", fontsize=12
        )
    bars.set(
        ylabel="mean absolute error", ylim=(0, 1.12 * max(bottom.max(), constant or 0)), xlim=(-0.6, 6.6)
    )
    bars.set_xticks(range(7), PATTERNS)
    bars.set_xlabel("available")
    bars.grid(visible=False, axis="x")
    if best is not None:
        handles, labels = bars.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=1)
    figure.suptitle(f"Seven patterns, {name}{' (synthetic data)' if synthetic else ''}", fontsize=15)
    told = [f"{p} {reached[p]:.2f}" + (f" (best possible {best[p]:.2f})" if best else "") for p in PATTERNS]
    figure.alt = (
        f"The seven patterns as tiles, lit where a modality is available, over bars of the mean absolute error of {name}"
        f"{', synthetic data' if synthetic else ''}: {', '.join(told)}"
        + (f"; the best constant makes {constant:.2f}." if constant is not None else ".")
    )
    return figure


def _tiles(axes: Axes) -> None:
    for column, pattern in enumerate(PATTERNS):
        for row, (modality, letter, lit) in enumerate(zip(MODALITIES, LETTERS, pattern_mask(pattern))):
            y = 2 - row
            face = MODALITY_COLOURS[modality] if lit else DARK
            style = dict(
                facecolor=face, edgecolor="white" if lit else DARK_LINE, lw=0, hatch="" if lit else "xx"
            )
            axes.add_patch(Rectangle((column - 0.42, y - 0.44), 0.84, 0.88, **style))
            if lit:
                axes.text(
                    column, y, letter, color="white", ha="center", va="center", fontweight="bold", fontsize=15
                )
    axes.set(ylim=(-0.5, 2.5), yticks=range(3))
    axes.set_yticklabels(MODALITIES[::-1])
    axes.tick_params(length=0, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)


@house_figure
def mask_strips(masks: Mapping[str, np.ndarray], clips: int = 96) -> HouseFigure:
    """Plot available masks as strips: a column per clip, a row per modality, dark where it may not be seen.

    Args:
        masks: name -> (N, 3) bool.
        clips: at most so many are shown, the first ones.

    Raises:
        ShapeError: if a mask is not (N, 3).
    """
    arrays = {name: np.asarray(mask, dtype=bool) for name, mask in masks.items()}
    if not arrays or any(mask.ndim != 2 or mask.shape[1] != 3 for mask in arrays.values()):
        raise ShapeError("available masks must have shape (N, 3), one row per clip")
    figure = new_figure(11, 1.7 * len(arrays) + 0.9)
    panels = figure.subplots(len(arrays), 1, sharex=True, squeeze=False)[:, 0]
    told = []
    for panel, (name, mask) in zip(panels, arrays.items()):
        shown = mask[:clips]
        for row, modality in enumerate(MODALITIES):
            for clip, lit in enumerate(shown[:, row]):
                face = MODALITY_COLOURS[modality] if lit else DARK
                panel.add_patch(Rectangle((clip + 0.06, 2.06 - row), 0.88, 0.88, facecolor=face, lw=0))
        panel.set(xlim=(0, len(shown)), ylim=(0, 3), yticks=(0.5, 1.5, 2.5))
        panel.set_yticklabels(MODALITIES[::-1])
        panel.set_title(name, fontsize=13)
        panel.grid(visible=False)
        panel.spines[:].set_visible(False)
        kinds = len({mask_pattern(row) for row in shown.tolist() if any(row)})
        changes = int((shown[1:] != shown[:-1]).any(axis=1).sum())
        told.append(f"{name}: {kinds} patterns, {changes} changes from one clip to the next")
    panels[-1].set_xlabel("clip")
    figure.legend(handles=[Patch(facecolor=DARK, label="not available")], loc="outside lower right")
    figure.alt = (
        f"Which modalities of the first {clips} clips are available, a column per clip. {'; '.join(told)}."
    )
    return figure
