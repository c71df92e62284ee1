"""Error against depth, with intervals, beside what can be had without any depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.bootstrap import Estimate
from dicmor_lib.plots.style import (
    SERIES_COLOURS,
    SERIES_MARKERS,
    HouseFigure,
    house_figure,
    new_figure,
)


@house_figure
def depth_figure(
    depths: Sequence[int],
    series: Mapping[str, Sequence[Estimate]],
    reaches: Sequence[int],
    references: Mapping[str, float] | None = None,
    title: str = "",
    intervals: str = "95 % interval",
) -> HouseFigure:
    """Plot the error of recovery networks of several depths.

    Args:
        depths: numbers of blocks.
        series: name -> one estimate per depth, NaN where there is none; an interval is drawn where it has a width.
        reaches: steps that each depth sees, written below it.
        references: name -> error of something without depth, a horizontal line; the names stand in the margin.
        title: of the figure.
        intervals: what the bars are, for the legend; none is drawn where low and high are equal.

    Raises:
        DataError: if a series or the reaches do not have one entry per depth.
    """
    lengths = {name: len(values) for name, values in series.items()} | {"reaches": len(reaches)}
    wrong = {name: n for name, n in lengths.items() if n != len(depths)}
    if not depths or not series or wrong:
        raise DataError(f"{len(depths)} depths need as many entries in each series, not {wrong}")
    figure = new_figure(10.5, 5.6)
    panel = figure.subplots()
    place = np.arange(len(depths))
    for i, (name, values) in enumerate(series.items()):
        x = place + 0.1 * (i - (len(series) - 1) / 2)
        value, low, high = np.transpose([(e.value, e.low, e.high) for e in values])
        colour, marker = SERIES_COLOURS[i + 1], SERIES_MARKERS[i + 1]
        panel.vlines(x, low, high, color=colour, lw=3.5, alpha=0.45)
        style = dict(mfc="white" if i else colour, mec=colour, mew=2.2, ms=10)
        known = np.isfinite(value)
        panel.plot(x[known], value[known], color=colour, marker=marker, lw=1.2, label=name, **style)
    for name, error in (references or {}).items():
        panel.axhline(error, color="#57606a", lw=1.4, linestyle=(0, (5, 3)))
        panel.annotate(
            name,
            (0.995, error),
            (0, 4),
            ha="right",
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            fontsize=12,
            color="#57606a",
        )
    panel.vlines([], [], [], color="#8c8c8c", lw=3.5, alpha=0.6, label=intervals)
    panel.set_xticks(place, [f"{d}\n({r} steps)" for d, r in zip(depths, reaches)])
    panel.set(xlim=(-0.6, len(depths) - 0.4))
    panel.set_xlabel("RCABs (steps that the convolutions reach)")
    panel.set_ylabel("squared error (1: the training mean)")
    if title:
        panel.set_title(title, fontsize=14)
    figure.legend(loc="outside lower center", ncols=2)
    told = "; ".join(
        f"{name}: "
        + ", ".join(f"{e.value:.3f} with {d}" for d, e in zip(depths, values) if np.isfinite(e.value))
        for name, values in series.items()
    )
    beside = "".join(f", {name} {error:.3f}" for name, error in (references or {}).items())
    figure.alt = (
        f"Squared error against the number of blocks{f' ({title})' if title else ''}. {told}{beside}."
    )
    return figure
