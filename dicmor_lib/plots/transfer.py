"""What a transfer can and cannot do: relabellings of a test, the copied half, and what the sources leave open."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.plots.style import (
    SERIES_COLOURS,
    SERIES_LINES,
    SERIES_MARKERS,
    HouseFigure,
    describe,
    house_figure,
    new_figure,
)

BAND = (5, 95)
"""Percentiles between which nine draws of ten lie."""


@house_figure
def relabellings_view(
    relabelled: Mapping[str, np.ndarray], measured: Mapping[str, float], statistic: str = "MMD²"
) -> HouseFigure:
    """Plot a statistic for random relabellings of the pooled points beside its value for the real labels.

    Args:
        relabelled: title -> (R,) values of the statistic, one per relabelling.
        measured: title -> its value for the real labels.
        statistic: its name.

    Returns:
        One panel per title, on one axis; the p-value counts the real labels as one relabelling among R + 1.
    """
    if not relabelled or set(relabelled) != set(measured):
        raise DataError("each panel needs both the values of its relabellings and the measured one")
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in relabelled.items()}
    for name, values in arrays.items():
        if values.ndim != 1 or not len(values):
            raise ShapeError(f"the relabelled values of {name!r} must have shape (R,), not {values.shape}")
    figure = new_figure(10, 2.1 * len(arrays) + 0.9)
    panels = figure.subplots(len(arrays), 1, sharex=True, squeeze=False)[:, 0]
    bins = np.linspace(*_range(np.concatenate([*arrays.values(), list(measured.values())])), 41)
    told = []
    for panel, (name, values) in zip(panels, arrays.items()):
        p = (1 + int((values >= measured[name]).sum())) / (1 + len(values))
        panel.hist(values, bins=bins, color="#b5b5b5", label=f"{len(values)} relabellings")
        panel.axvline(measured[name], color=SERIES_COLOURS[2], linewidth=3, label="real labels")
        panel.set_title(f"{name}: {statistic} {round(measured[name], 4) + 0.0:.4f}, p {p:.3f}", fontsize=13)
        panel.set(yticks=[], ylabel="how often")
        told.append(f"{name} {round(measured[name], 4) + 0.0:.4f}, p {p:.3f}")
    panels[-1].set_xlabel(statistic)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.alt = (
        f"Histograms of {statistic} over random relabellings, each with a line at the value for the real labels: "
        f"{describe(told)}."
    )
    return figure


@house_figure
def copied_view(source: np.ndarray, made: Mapping[str, np.ndarray]) -> HouseFigure:
    """Show one clip's source features, what several flows made of them, and the difference, channel by channel.

    Args:
        source: (time, channels) of the source modality.
        made: title -> (time, channels), transferred features.

    Returns:
        Upper row: the features, time to the right. Lower row: the absolute difference from the source, in which
        white cells are exactly 0; the titles count the channels that are 0 at every step, and a line divides the halves.
    """
    source = np.asarray(source)
    arrays = {name: np.asarray(values) for name, values in made.items()}
    for name, values in arrays.items():
        if source.ndim != 2 or values.shape != source.shape:
            raise ShapeError(
                f"source and {name!r} must have one shape (time, channels), not {source.shape} and {values.shape}"
            )
    if not arrays:
        raise DataError("give the transferred features of at least one flow")
    figure = new_figure(4.3 * (1 + len(arrays)), 6.4)
    panels = figure.subplots(2, 1 + len(arrays), squeeze=False)
    limit = np.quantile(np.abs(np.concatenate([source, *arrays.values()])), 0.98)
    shades = dict(cmap="PuOr", vmin=-limit, vmax=limit)
    _cells(panels[0, 0], source, "source", shades)
    panels[1, 0].set_axis_off()
    panels[1, 0].text(
        0.5, 0.5, "lower row:\ndistance from the source,\nwhite is exactly 0", ha="center", va="center", fontsize=14,
        transform=panels[1, 0].transAxes,
    )  # fmt: skip
    told = []
    for (name, values), (above, below) in zip(arrays.items(), panels.T[1:]):
        difference = np.abs(values.astype(np.float64) - source)
        copied = (difference == 0).all(axis=0)
        _cells(above, values, name, shades)
        _cells(
            below,
            np.where(difference == 0, np.nan, difference),
            "",
            dict(cmap="Greys", vmin=-limit / 2, vmax=limit),
        )
        below.set_title(f"{copied.sum()} of {len(copied)} channels copied", fontsize=14)
        told.append(f"{name}: {copied.sum()} of {len(copied)}")
    panels[0, 0].set_ylabel("channel")
    panels[1, 1].set_ylabel("channel")
    figure.alt = (
        f"Heat maps of one clip of {len(source)} steps: the source's features, the transferred ones, and below them "
        f"their difference. Channels that are copied bit for bit, {'; '.join(told)}."
    )
    return figure


@house_figure
def conditional_view(
    draws: np.ndarray, mean: np.ndarray, true: np.ndarray, made: np.ndarray, name: str = "transferred"
) -> HouseFigure:
    """Plot one clip's missing features: what the law leaves open given what is available, and what was made.

    Args:
        draws: (n, time, channels) draws of the missing features from their law given this clip's available ones.
        mean: (time, channels), their conditional mean.
        true, made: (time, channels) the features that were hidden, and those that stand in for them.
        name: what `made` is.

    Returns:
        Three channels: the one whose law is narrowest, the middle one and the widest, relative to the spread of
        all channels; the band holds nine draws of ten.
    """
    draws = np.asarray(draws, dtype=np.float64)
    series = {"hidden truth": true, "conditional mean": mean, name: made}
    if draws.ndim != 3 or any(np.shape(x) != draws.shape[1:] for x in series.values()):
        raise ShapeError(
            f"draws (n, time, channels) and three arrays (time, channels) are needed, not {draws.shape} and "
            f"{[np.shape(x) for x in series.values()]}"
        )
    low, high = np.percentile(draws, BAND, axis=0)
    order = np.argsort((high - low).mean(axis=0), kind="stable")
    shown = dict(zip(("known best", "in between", "known least"), order[[0, len(order) // 2, -1]]))
    figure = new_figure(11, 7.4)
    panels = figure.subplots(len(shown), 1, sharex=True, sharey=True)
    for panel, (title, channel) in zip(panels, shown.items()):
        steps = np.arange(len(low))
        panel.fill_between(
            steps, low[:, channel], high[:, channel], color="#cfe3f1", label="9 of 10 draws of the law"
        )
        for i, (label, x) in enumerate(series.items()):
            style = dict(color=SERIES_COLOURS[i], linestyle=SERIES_LINES[i], marker=SERIES_MARKERS[i])
            panel.plot(steps, np.asarray(x)[:, channel], label=label, markersize=6, linewidth=2, **style)
        panel.set_title(f"channel {channel}, {title}", fontsize=13)
    panels[1].set_ylabel("standard deviations")
    panels[-1].set_xlabel("step")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    inside = {k: ((x >= low) & (x <= high)).mean() for k, x in (("truth", true), (name, made))}
    figure.alt = (
        f"Line plots of three channels of one clip over {len(low)} steps with the band that holds nine of ten draws of "
        f"the conditional law. Over all channels the band holds {inside['truth']:.0%} of the hidden values and "
        f"{inside[name]:.0%} of the {name} ones."
    )
    return figure


@house_figure
def law_and_truth(
    measured: Mapping[str, tuple[float, float]], chance: float, hollow: Mapping[str, str] | None = None
) -> HouseFigure:
    """Plot two questions against each other: how close to the truth, and how close to the law.

    Args:
        measured: method -> (mean squared error in variances, MMD^2 to the real features).
        chance: what MMD^2 of real against real seldom exceeds; a grey band reaches up to it.
        hollow: a method -> the one whose mark it shares, drawn hollow.

    Returns:
        One mark per method; MMD^2 is drawn on a square-root scale, and what is below 0 at 0.
    """
    hollow = hollow or {}
    solid = [name for name in measured if name not in hollow]
    if not solid or len(solid) > len(SERIES_MARKERS):
        raise DataError(f"{len(solid)} methods were given; 1 to {len(SERIES_MARKERS)} can be told apart")
    for name, pair in measured.items():
        if np.shape(pair) != (2,):
            raise ShapeError(f"{name!r} needs two numbers, an error and an MMD^2, not {pair!r}")
    figure = new_figure(11, 5.4)
    panel = figure.subplots()
    panel.axhspan(0, chance, color="#d9d9d9", zorder=0, label="real against real")
    for name, (error, distance) in measured.items():
        i = solid.index(hollow.get(name, name))
        style = dict(marker=SERIES_MARKERS[i], color=SERIES_COLOURS[i], linestyle="", markersize=13)
        if name in hollow:
            style |= dict(markerfacecolor="none", markersize=18, markeredgewidth=2.2)
        panel.plot(error, max(distance, 0.0), label=name, clip_on=False, zorder=4, **style)
    for error, name in ((1, "training mean"), (2, "a random clip")):
        panel.axvline(error, color="#8c8c8c", linestyle="--", linewidth=1.4, zorder=1)
        panel.text(error, 1.01, name, transform=panel.get_xaxis_transform(), ha="center", va="bottom")
    panel.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0)), np.square))
    top = max(chance, *(distance for _, distance in measured.values())) * 1.15
    ticks = [t for t in (0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if t <= top]
    panel.set_yticks(ticks, [f"{t:g}" for t in ticks])
    panel.set(xlim=(0, max(2.3, 1.05 * max(error for error, _ in measured.values()))), ylim=(0, top))
    panel.set_xlabel("squared error, in variances\n\u2190 closer to the truth")
    panel.set_ylabel("MMD² to real features\n\u2190 closer to the law")
    figure.legend(*panel.get_legend_handles_labels(), loc="outside right center")
    told = [
        f"{name} error {error:.2f} and MMD² {distance:.4f}" for name, (error, distance) in measured.items()
    ]
    figure.alt = f"Scatter plot of squared error against MMD² to the real features: {'; '.join(told)}."
    return figure


def _cells(panel: Axes, values: np.ndarray, title: str, shades: dict) -> None:
    panel.imshow(values.T, aspect="auto", interpolation="nearest", **shades)
    panel.grid(False)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.yaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set_title(title, fontsize=14)
    panel.set_xlabel("step")
    panel.axhline(values.shape[1] / 2 - 0.5, color="black", linewidth=1.5, linestyle="--")


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = values.min(), values.max()
    margin = 0.05 * (high - low) + 1e-9
    return low - margin, high + margin
