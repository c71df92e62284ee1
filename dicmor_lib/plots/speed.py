"""Speed at a glance: how close to the hardware's limit products of a size come, cost by batch, where time goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

from dicmor_lib.errors import DataError
from dicmor_lib.plots.style import (
    SERIES_COLOURS,
    SERIES_LINES,
    SERIES_MARKERS,
    HouseFigure,
    describe,
    house_figure,
    new_figure,
)

WAYS = ("forward", "backward")
PLAIN = FuncFormatter(lambda value, _: f"{value:,.10g}")  # 0.1, 1, 1,000 instead of powers of ten


@house_figure
def rate_curve(sizes: Sequence[int], rates: Sequence[float], marks: Mapping[str, int]) -> HouseFigure:
    """Plot the rate of n x n x n matrix products against n, with sizes worth a look marked.

    Args:
        sizes, rates: n, and GFLOP/s.
        marks: what -> n; drawn as vertical lines.

    Raises:
        DataError: if there are not at least two sizes, or not as many rates.
    """
    if len(sizes) < 2 or len(sizes) != len(rates):
        raise DataError(f"{len(sizes)} sizes and {len(rates)} rates make no curve; give two or more of both")
    figure = new_figure(9, 4.8)
    panel = figure.subplots()
    panel.plot(sizes, rates, "o-", color=SERIES_COLOURS[1])
    panel.axhline(max(rates), color="#555555", linestyle=":", linewidth=1.4)
    panel.text(sizes[0], max(rates), "the limit", va="bottom", color="#555555")
    for (what, n), colour, line in zip(marks.items(), SERIES_COLOURS[2:], SERIES_LINES[1:]):
        panel.axvline(n, color=colour, linestyle=line, linewidth=1.6, label=f"{what} ({n})")
    _logarithmic(panel, sizes)
    panel.set(xlabel="n, the side of the matrices", ylabel="GFLOP/s", ylim=(0, 1.14 * max(rates)))
    panel.set_title("Small products waste the machine: rate of an n × n × n product")
    if marks:
        panel.legend(loc="lower right")
    figure.alt = (
        f"Rate of square matrix products against their side: {_short(rates[0])} GFLOP/s at "
        f"{sizes[0]}, {_short(max(rates))} GFLOP/s at the best size, {sizes[int(np.argmax(rates))]}. Marked: "
        f"{describe([f'{what} at {n}' for what, n in marks.items()]) if marks else 'nothing'}."
    )
    return figure


@house_figure
def cost_by_batch(batches: Sequence[int], seconds: Mapping[str, Sequence[float]], title: str) -> HouseFigure:
    """Plot milliseconds per call against the batch for some ways to compute the same, and their ratio to the last.

    Args:
        batches: sizes of the batch.
        seconds: way -> seconds for each batch; the last way is the one that the others are compared with.

    Raises:
        DataError: if there are fewer than two ways, or a way has not one time for each batch.
    """
    if len(seconds) < 2 or any(len(times) != len(batches) for times in seconds.values()):
        raise DataError("give at least two ways, each with one time for each batch")
    figure = new_figure(10, 4.8)
    left, right = figure.subplots(1, 2)
    *others, reference = seconds
    for i, (way, times) in enumerate(seconds.items()):
        style = dict(color=SERIES_COLOURS[i + 1], marker=SERIES_MARKERS[i + 1], linestyle=SERIES_LINES[i])
        left.plot(batches, 1e3 * np.asarray(times), label=way, **style)
        if way != reference:
            right.plot(batches, np.asarray(times) / np.asarray(seconds[reference]), **style)
    right.axhline(1, color="#555555", linestyle=":", linewidth=1.4)
    for panel in (left, right):
        _logarithmic(panel, batches)
        panel.set_xlabel("batch (clips)")
    left.set_yscale("log")
    left.yaxis.set_major_formatter(PLAIN)
    left.set(ylabel="milliseconds per call")
    left.set_title(title)
    right.set(ylabel="times as long")
    right.set_title(f"compared with: {reference}")
    left.legend(loc="upper left")
    right.set_ylim(0, None)
    first, last = ({w: seconds[w][i] / seconds[reference][i] for w in others} for i in (0, -1))
    figure.alt = (
        f"Two panels, {title}, against batches from {batches[0]} to {batches[-1]}. Left: milliseconds of "
        f"{describe(list(seconds))}. Right: times as long as {reference}: "
        + "; ".join(
            f"{w} {_short(first[w])} at the smallest and {_short(last[w])} at the largest" for w in others
        )
        + "."
    )
    return figure


@house_figure
def time_shares(profile: Mapping[str, Any]) -> HouseFigure:
    """Plot where the time of a profiled call goes: by part of the model, and by kind of work.

    Args:
        profile: what `dicmor_lib.bench.profiling.where_time_goes` returns.
    """
    parts, kinds = profile["parts"], profile["kinds"]
    figure = new_figure(11, 5.2)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    names = list(parts)[::-1]
    start = np.zeros(len(names))
    for way, colour, hatch in zip(WAYS, (SERIES_COLOURS[1], SERIES_COLOURS[5]), ("", "//")):
        share = np.array([parts[name][way] for name in names])
        left.barh(names, share, left=start, color=colour, hatch=hatch, edgecolor="white", label=way)
        start += share
    left.legend(loc="lower right")
    left.set_title(f"{profile['preset']}, training step of {profile['batch']}, by part")
    order = sorted(kinds, key=lambda name: kinds[name])
    right.barh(order, [kinds[name] for name in order], color=SERIES_COLOURS[3], edgecolor="white")
    right.set_title("by kind of work")
    for panel in (left, right):
        panel.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        panel.grid(axis="y", visible=False)
        panel.set_xlabel("share of the time")
    whole = {name: sum(parts[name].values()) for name in parts}
    figure.alt = (
        f"Two bar charts of the time of a training step of {profile['batch']} clips, preset {profile['preset']}. By "
        f"part, forward and backward: {_listed(whole)}. By kind of work: {_listed(kinds)}."
    )
    return figure


def _listed(shares: Mapping[str, float]) -> str:
    largest = sorted(shares.items(), key=lambda item: -item[1])
    return describe([f"{name} {share:.0%}" for name, share in largest])


def _logarithmic(panel: Axes, sizes: Sequence[int]) -> None:
    panel.set_xscale("log", base=2)
    panel.set_xticks(list(sizes), [str(n) for n in sizes])
    panel.xaxis.set_minor_locator(NullLocator())


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.2g}"
