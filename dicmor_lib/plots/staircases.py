"""What an encoder is told beside the features: which source steps it may read, and which step is which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch, Rectangle

from dicmor_lib.blocks.attention import causal_mask
from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.plots.attention import count_steps
from dicmor_lib.plots.style import (
    HATCHED,
    SERIES_COLOURS,
    SERIES_LINES,
    SERIES_MARKERS,
    HouseFigure,
    describe,
    house_figure,
    new_figure,
)

READABLE = "#0072B2"


@house_figure
def mask_staircases(pairs: Sequence[tuple[int, int]], time: int) -> HouseFigure:
    """Plot which source steps each query step may read, for several pairs of lengths.

    Args:
        pairs: (query length n, source length k), each from 1 to `time`.
        time: steps of the padded arrays.

    Raises:
        DataError: if there are no pairs or a length lies outside 1 to `time`.
    """
    if not pairs or any(not 1 <= x <= time for pair in pairs for x in pair):
        raise DataError(f"give pairs of lengths from 1 to {time}, not {list(pairs)}")
    figure = new_figure(3.3 * len(pairs) + 0.2, 4.5)
    panels = figure.subplots(1, len(pairs), squeeze=False, sharey=True)[0]
    told = []
    for panel, (n, k) in zip(panels, pairs):
        allowed = causal_mask(torch.tensor(n), torch.tensor(k), time).numpy()[:n]
        edges = np.arange(time + 1)
        shown = np.ma.masked_equal(np.vstack([allowed, np.zeros((time - n, time), bool)]).astype(float), 0)
        cells = panel.pcolormesh(edges, edges, shown, cmap=ListedColormap([READABLE]), edgecolor="white")
        cells.set(linewidth=1.5, zorder=2)
        for x, y, width, height in ((k, 0, time - k, time), (0, n, k, time - n)):
            panel.add_patch(Rectangle((x, y), width, height, zorder=1, **HATCHED))
        panel.plot([0, k], [0, n], color="#D55E00", linewidth=2.6, linestyle=(0, (4, 1.5)), zorder=3)
        panel.set(xlim=(0, time), ylim=(time, 0), aspect="equal", xlabel="source step")
        panel.set_title(f"n = {n}, k = {k}")
        panel.grid(visible=False)
        count_steps(panel)
        told.append(f"{n} query and {k} source steps: {describe([str(c) for c in allowed.sum(1)])}")
    panels[0].set_ylabel("query step")
    handles = [
        Patch(color=READABLE, label="may be read"),
        Patch(label="padding", **HATCHED),
        panels[0].lines[0],
    ]
    labels = ["may be read", "padding", "equal relative time"]
    figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=2.6)
    figure.alt = f"Staircases of readable source steps, counted per query step. {'; '.join(told)}."
    return figure


@house_figure
def position_view(code: np.ndarray, marked: Sequence[int]) -> HouseFigure:
    """Plot a position code (time, width), and how alike the codes of a few marked steps are to all others.

    Raises:
        ShapeError: if the code is not (time, width) or a marked step lies outside it.
    """
    code = np.asarray(code, dtype=np.float64)
    if code.ndim != 2 or not all(0 <= step < len(code) for step in marked):
        raise ShapeError(
            f"a code (time, width) and steps inside it are needed, not {code.shape}, {list(marked)}"
        )
    time, width = code.shape
    figure = new_figure(11, 4.6)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    image = left.imshow(code.T, aspect="auto", cmap="PuOr_r", vmin=-1, vmax=1, extent=(0, time, width, 0))
    figure.colorbar(image, ax=left, pad=0.02)
    left.axhline(width // 2, color="black", linewidth=1.4)
    plate = dict(boxstyle="round,pad=0.25", facecolor="white", edgecolor="none", alpha=0.9)
    for y, name in ((0.25, "sines"), (0.75, "cosines")):
        left.text(0.97 * time, y * width, name, ha="right", va="center", bbox=plate)
    left.set(xlabel="step", ylabel="channel", title="The position code")
    left.grid(visible=False)
    alike = code @ code.T / (width // 2)  # sin² + cos² = 1 in each pair: 1 with itself
    for i, step in enumerate(marked, start=1):
        style = dict(color=SERIES_COLOURS[i], linestyle=SERIES_LINES[i - 1])
        right.plot(alike[step], label=f"step {step}", **style)
        right.plot(step, alike[step, step], SERIES_MARKERS[i], color=SERIES_COLOURS[i], markersize=9)
    right.set(
        xlabel="step", ylabel="product of the codes", title="How alike is a step's code to the others'?"
    )
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=len(marked))
    figure.alt = (
        f"Left: position code of {time} steps in {width} channels, waves that grow longer from channel to channel, "
        f"sines above, cosines below. Right: the product of the codes of step {describe([str(s) for s in marked])} "
        f"with all others is 1 at the step itself, {np.mean([alike[s, s - 1] for s in marked if s]):.2f} one step away, "
        "and falls off unevenly."
    )
    return figure
