"""Who reads what: the attention maps between the modalities of a clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from dicmor_lib.errors import ShapeError
from dicmor_lib.modalities import MODALITIES
from dicmor_lib.plots.style import (
    HATCHED,
    MODALITY_COLOURS,
    HouseFigure,
    describe,
    house_figure,
    new_figure,
)

TICKS = (0.125, 0.25, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 4, 8)


def preference(weights: np.ndarray) -> np.ndarray:
    """Return how many times as much a step is read as in a plain mean over what may be read: (n, k) to (n, k).

    A row of attention weights with r steps that may be read is multiplied by r; NaN where the weight is 0.
    """
    weights = np.asarray(weights, dtype=np.float64)
    readable = weights > 0
    return np.where(readable, weights * readable.sum(axis=-1, keepdims=True), np.nan)


@house_figure
def attention_grid(maps: Sequence[Sequence[np.ndarray]], title: str = "") -> HouseFigure:
    """Plot the nine attention maps of one clip: a row per modality that asks, a column per modality that is read.

    Args:
        maps: maps[m][k] is (steps of m, steps of k), rows that sum to 1; maps[m][m] is the self-attention of m.
        title: of the clip.

    Returns:
        A 3 x 3 grid, self-attention on the diagonal in a thick frame. Orange: read more than in a plain mean of
        what may be read, violet: less; a dot marks the step that a row prefers. Hatched: may not be read.

    Raises:
        ShapeError: if the maps are not nine, or their sides do not fit together.
    """
    maps = _check_grid(maps)
    ratios = [[preference(x) for x in row] for row in maps]
    norm = _shared_scale([x for row in ratios for x in row])
    figure = new_figure(11, 10.2)
    panels = figure.subplots(3, 3)
    for m, row in enumerate(panels):
        for k, panel in enumerate(row):
            image = _ratio_map(panel, ratios[m][k], norm)
            _frame(panel, MODALITIES[m], 4.0 if m == k else 1.2)
            if m == 0:
                panel.set_title(
                    f"… reads {MODALITIES[k]}", color=MODALITY_COLOURS[MODALITIES[k]], weight="bold"
                )
            if k == 0:
                colour = MODALITY_COLOURS[MODALITIES[m]]
                panel.set_ylabel(f"{MODALITIES[m]} …\nquery step", color=colour, weight="bold")
            if m == 2:
                panel.set_xlabel("source step")
    _preference_bar(figure, image, panels)
    if title:
        figure.suptitle(title, fontsize=14)
    strength = [[_apart(x) for x in row] for row in maps]
    cross = np.mean([strength[m][k] for m in range(3) for k in range(3) if m != k])
    own = np.mean([strength[m][m] for m in range(3)])
    steps = describe([f"{name} {maps[m][m].shape[0]}" for m, name in enumerate(MODALITIES)])
    figure.alt = (
        f"Nine attention maps of one clip (steps: {steps}), each a staircase because later source steps may not be "
        f"read. The share of the weight that a map moves away from a plain mean is {cross:.0%} on average in the six "
        f"cross-modal maps and {own:.0%} in the three self-attention maps on the diagonal."
    )
    return figure


@house_figure
def stand_in_maps(maps: Mapping[str, np.ndarray], query: str, source: str) -> HouseFigure:
    """Plot one attention map several times side by side, once per thing that stood in for the source.

    Args:
        maps: what the source was -> (query steps, source steps); the first is what the others are compared with.
        query, source: the modalities' names.

    Raises:
        ShapeError: if there are not at least two maps, or they have different numbers of query steps.
    """
    if len(maps) < 2:
        raise ShapeError("there is nothing to compare: give at least two maps")
    shown = {name: np.asarray(x, dtype=np.float64) for name, x in maps.items()}
    if any(x.ndim != 2 for x in shown.values()) or len({len(x) for x in shown.values()}) > 1:
        raise ShapeError(f"the maps need the same query steps, not {[x.shape for x in shown.values()]}")
    ratios = {name: preference(x) for name, x in shown.items()}
    norm = _shared_scale(list(ratios.values()))
    figure = new_figure(3.1 * len(shown) + 1.2, 4.0)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    (first, reference), *others = shown.items()
    told = []
    for panel, (name, ratio) in zip(panels, ratios.items()):
        image = _ratio_map(panel, ratio, norm)
        _frame(panel, query, 1.2)
        panel.set_title(f"{name} {source}")
        panel.set_xlabel("source step")
    for name, x in others:
        if x.shape == reference.shape:
            told.append(f"{name} {0.5 * np.abs(x - reference).sum(axis=1).mean():.0%}")
    panels[0].set_ylabel(f"{query}: query step", color=MODALITY_COLOURS[query], weight="bold")
    _preference_bar(figure, image, panels)
    figure.alt = (
        f"The attention map of {query} reading {source}, once for each of {describe(list(shown))} {source}. "
        f"Share of the attention that lies elsewhere than with the {first} one: {', '.join(told) or 'not comparable'}."
    )
    return figure


def _check_grid(maps: Sequence[Sequence[np.ndarray]]) -> list[list[np.ndarray]]:
    if len(maps) != 3 or any(len(row) != 3 for row in maps):
        raise ShapeError("nine maps are needed: maps[m][k] of modality m that reads modality k")
    grid = [[np.asarray(x, dtype=np.float64) for x in row] for row in maps]
    steps = [grid[m][m].shape[0] if grid[m][m].ndim == 2 else -1 for m in range(3)]
    for m, row in enumerate(grid):
        for k, x in enumerate(row):
            if x.shape != (steps[m], steps[k]):
                raise ShapeError(
                    f"{MODALITIES[m]} reading {MODALITIES[k]} must be ({steps[m]}, {steps[k]}), not {x.shape}"
                )
    return grid


def _apart(weights: np.ndarray) -> float:
    """Share of the weight that lies elsewhere than in a plain mean over what may be read."""
    readable = weights > 0
    plain = readable / readable.sum(axis=-1, keepdims=True)
    return float(0.5 * np.abs(weights - plain).sum(axis=-1).mean())


def _shared_scale(ratios: Sequence[np.ndarray]) -> Normalize:
    """Powers of two around 1, the same both ways, from the middle 99 % of the cells."""
    logs = np.concatenate([np.abs(np.log2(x[np.isfinite(x)])) for x in ratios])
    limit = max(float(np.quantile(logs, 0.99)), 0.1)
    return Normalize(-limit, limit)


def _ratio_map(panel: Axes, ratio: np.ndarray, norm: Normalize) -> AxesImage:
    n, k = ratio.shape
    panel.add_patch(Rectangle((0, 0), k, n, zorder=0, **HATCHED))
    image = panel.imshow(
        np.ma.masked_invalid(np.log2(ratio)),
        cmap="PuOr_r",
        norm=norm,
        extent=(0, k, n, 0),
        aspect="auto",
        zorder=1,
    )
    for i, row in enumerate(ratio):
        if np.isfinite(row).sum() > 1:  # with one step there is nothing to prefer
            panel.plot(np.nanargmax(row) + 0.5, i + 0.5, "o", color="black", markersize=4, zorder=3)
    panel.set(xlim=(0, k), ylim=(n, 0))
    panel.grid(visible=False)
    count_steps(panel)
    return image


def count_steps(panel: Axes) -> None:
    """Whole numbers at the cells' edges: step 3 lies between 3 and 4."""
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panel.yaxis.set_major_locator(MaxNLocator(5, integer=True))


def _frame(panel: Axes, modality: str, width: float) -> None:
    for spine in panel.spines.values():
        spine.set(visible=True, linewidth=width, color=MODALITY_COLOURS[modality])


def _preference_bar(figure: HouseFigure, image: AxesImage, panels: np.ndarray) -> None:
    bar = figure.colorbar(image, ax=panels, aspect=30, shrink=0.9, pad=0.02)
    ticks = [t for t in TICKS if image.norm.vmin <= np.log2(t) <= image.norm.vmax]
    bar.set_ticks([np.log2(t) for t in ticks], labels=[f"{t:g} ×" for t in ticks])
    bar.ax.minorticks_off()
    bar.set_label("weight, in plain means")
