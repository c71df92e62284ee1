"""How a coupling layer's scale behaves: the map that makes it, many layers in a row, a trained flow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.modalities import MODALITIES
from dicmor_lib.plots.style import (
    MODALITY_COLOURS,
    MODALITY_LINES,
    SERIES_COLOURS,
    SERIES_LINES,
    SERIES_MARKERS,
    HouseFigure,
    describe,
    house_figure,
    new_figure,
)


@house_figure
def scale_maps(raw: np.ndarray, scales: Mapping[str, np.ndarray], layers: int) -> HouseFigure:
    """Plot scale maps, and what a chain of layers does to x_b at its start, when every network gives r = 0.

    Args:
        raw: (n,) network outputs r in rising order, 0 among them.
        scales: name -> (n,) s(r).
        layers: length of the chain.

    Raises:
        DataError: if r = 0 is not among the raw outputs, or there is no map.
        ShapeError: if a map has another number of values.
    """
    zero = np.flatnonzero(raw == 0)
    if len(zero) != 1 or not scales:
        raise DataError("give at least one scale map, at outputs r of which exactly one is 0")
    figure = new_figure(11, 4.6)
    curves, chain = figure.subplots(1, 2)
    told = []
    for name, s in _same_length(scales, raw.shape):
        style = _style(list(scales).index(name))
        curves.plot(raw, s, label=name, **style)
        start = float(s[zero[0]])
        gain = start ** np.arange(layers + 1)
        chain.plot(gain, **style)
        told.append(
            f"{name} has s between {s.min():.2g} and {s.max():.2g}, {layers} layers multiply by {gain[-1]:.3g}"
        )
        if gain[-1] < 0.5:
            text = f"{layers} layers: ×{gain[-1]:.4f}\nbackwards: ×{1 / gain[-1]:.0f}"
            chain.annotate(text, (0.45 * layers, gain[-1]), ha="right", va="center", color=style["color"])
    unchanged = [name for name, s in scales.items() if s[zero[0]] == 1]
    if unchanged:
        chain.annotate(
            f"{describe(unchanged)}: ×1", (layers, 1), (0, 6), textcoords="offset points", ha="right"
        )
    for level in (curves, chain):
        level.axhline(1, color="#999999", linewidth=1, zorder=1)
    curves.set(ylim=(0, 3), xlabel="network output r", ylabel="scale s", title="One layer")
    curves.legend(loc="upper left")
    chain.set(
        yscale="log", ylim=(0.008, 3), xlim=(0, layers + 0.5), xlabel="layers", ylabel="product of the scales"
    )
    chain.set_title("Many layers at the start, r = 0")
    figure.alt = (
        f"Curves of the scale over the network's output, and products over layers at r = 0. {describe(told)}."
    )
    return figure


@house_figure
def gain_and_error(
    log_scales: Mapping[str, np.ndarray], spreads: np.ndarray, errors: Mapping[str, np.ndarray]
) -> HouseFigure:
    """Plot how scales multiply over layers whose outputs r are random, and what is lost on the way there and back.

    Args:
        log_scales: name -> (layers, samples) log s of each layer.
        spreads: (k,) standard deviations of r.
        errors: name -> (k,) error of the way there and back; infinite or NaN where numbers overflowed.

    Raises:
        ShapeError: if shapes do not fit.
    """
    figure = new_figure(11, 4.6)
    gain, lost = figure.subplots(1, 2)
    told = []
    for i, (name, log_s) in enumerate(log_scales.items()):
        if np.ndim(log_s) != 2:
            raise ShapeError(f"log scales of {name!r} must be (layers, samples), not {np.shape(log_s)}")
        total = np.concatenate([np.zeros((1, log_s.shape[1])), log_s.cumsum(0)]) / np.log(10)
        low, middle, high = np.quantile(total, [0.05, 0.5, 0.95], axis=1)
        steps, style = np.arange(len(total)), _style(i)
        gain.fill_between(steps, low, high, color=style["color"], alpha=0.16, linewidth=0)
        gain.plot(steps, low, color=style["color"], linewidth=0.8)
        gain.plot(steps, high, color=style["color"], linewidth=0.8)
        gain.plot(steps, middle, label=name, **style)
        told.append(f"{name}: 10^{low[-1]:.1f} to 10^{high[-1]:.1f}")
    gain.set(
        xlabel="layers", ylabel="product of the scales, power of 10", title="The middle 90 % of all channels"
    )
    gain.axhline(0, color="#999999", linewidth=1, zorder=1)
    broken = []
    for i, (name, error) in enumerate(_same_length(errors, spreads.shape)):
        whole = np.isfinite(error)
        lost.plot(spreads[whole], error[whole], marker=SERIES_MARKERS[i + 1], label=name, **_style(i))
        if not whole.all():
            broken.append(f"{name} overflows from {spreads[~whole].min():g} on")
    lost.set(xscale="log", yscale="log", xlabel="standard deviation of r", ylabel="typical error of $x_b$")
    lost.set_xticks(spreads, [f"{s:g}" for s in spreads])
    lost.minorticks_off()
    lost.axhline(1, color="#555555", linewidth=1.2, linestyle=":", zorder=1)
    lost.annotate("$x_b$ is lost", (spreads[0], 1), (0, 4), textcoords="offset points", color="#555555")
    lost.set_ylim(1e-8, 1e6)
    lost.set_title("There and back in float32")
    figure.legend(*gain.get_legend_handles_labels(), loc="outside lower center", ncols=len(log_scales))
    ends = [
        f"{name} {error[0]:.0e} to {error[-1]:.0e}"
        for name, error in errors.items()
        if np.isfinite(error).all()
    ]
    figure.alt = (
        f"Products of the scales of {len(next(iter(log_scales.values())))} random layers, 5th to 95th percentile at the "
        f"end: {describe(told)}. Error of the way there and back from the smallest to the largest r: "
        f"{describe(ends + broken)}."
    )
    return figure


@house_figure
def trained_scales(log_s: Mapping[str, np.ndarray], bound: float) -> HouseFigure:
    """Plot the distribution of log s in the layers of trained flows, one line per modality.

    Args:
        log_s: modality -> values of log s over valid steps, layers and channels; one without is left out.
        bound: the largest abs log s that a layer may take.

    Raises:
        DataError: if there is no value.
    """
    figure = new_figure(8.6, 4.3)
    panel = figure.subplots()
    edges = np.linspace(-bound, bound, 61)
    told = []
    known = {name: np.ravel(log_s[name]) for name in MODALITIES if np.size(log_s.get(name, ()))}
    if not known:
        raise DataError("there is no log s to plot; give at least one flow")
    for name, values in known.items():
        share, _ = np.histogram(values, edges, density=True)
        style = dict(color=MODALITY_COLOURS[name], linestyle=MODALITY_LINES[name])
        panel.plot(
            (edges[1:] + edges[:-1]) / 2, share, label=f"{name}: {np.mean(values > 0):.0%} stretch", **style
        )
        told.append(f"{name} {np.mean(values > 0):.0%}")
    panel.axvspan(0, bound, color="#f0f0f0", zorder=0)
    _say(panel, 0.26, "s < 1: shrinks")
    _say(panel, 0.745, "s > 1: stretches")
    panel.set(xlim=(-bound, bound), xlabel=r"log s", ylabel="density", title="The scales that training chose")
    panel.set_ylim(0, panel.get_ylim()[1] * 1.12)
    panel.legend(loc="center left")
    figure.alt = (
        f"Distribution of log s over steps, layers and channels within the bounds ±{bound:g}; share of scales above 1, "
        f"which a sigmoid cannot give: {describe(told)}."
    )
    return figure


def _say(panel: Axes, x: float, text: str) -> None:
    panel.text(x, 1.0, text, transform=panel.transAxes, ha="center", va="top", color="#555555", size=12)


def _style(i: int) -> dict:
    return dict(color=SERIES_COLOURS[i + 1], linestyle=SERIES_LINES[i])


def _same_length(series: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> list[tuple[str, np.ndarray]]:
    for name, values in series.items():
        if np.shape(values) != shape:
            raise ShapeError(f"{name!r} has shape {np.shape(values)}, expected {shape}")
    return [(name, np.asarray(values)) for name, values in series.items()]
