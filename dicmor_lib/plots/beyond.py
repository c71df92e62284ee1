"""Pictures of chapter 12: what an estimate keeps of the truth, a cut through a joint law, draws, and calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.lines import Line2D
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

GREY, LIGHT = "#8c8c8c", "#d9d9d9"
MOST_POINTS = 1500
ELLIPSE = 2.0
"""Semi-axes of an ellipse in standard deviations."""
SHARE = 0.8
"""Of the draws at each step, in the band."""


@house_figure
def truth_and_estimates(estimates: Mapping[str, np.ndarray], real: np.ndarray, what: str) -> HouseFigure:
    """Plot estimates of one channel against its true values, a panel each, with the ellipse of mean and covariance.

    Args:
        estimates: title -> (n,) values, in the units of `real`.
        real: (n,) true values.
        what: names the channel, for the axes.

    Returns:
        One panel per estimate, all with the same axes. Titles give correlation with the truth, and the spread: the
        estimate's standard deviation over the real one's. On the dotted diagonal an estimate is right.
    """
    real, arrays = np.asarray(real, float), {name: np.asarray(x, float) for name, x in estimates.items()}
    if real.ndim != 1 or len(real) < 3 or not arrays or any(x.shape != real.shape for x in arrays.values()):
        raise ShapeError(
            f"real values (n,) and estimates of the same n >= 3 are needed, not {real.shape} and "
            f"{ {name: x.shape for name, x in arrays.items()} }"
        )
    shown = np.random.default_rng(0).permutation(len(real))[:MOST_POINTS]
    reach = 1.05 * float(np.quantile(np.abs(np.concatenate([real, *arrays.values()])), 0.998))
    figure = new_figure(3.3 * len(arrays) + 0.5, 4.9)
    panels = figure.subplots(1, len(arrays), sharey=True, squeeze=False)[0]
    told = []
    for k, (panel, (name, x)) in enumerate(zip(panels, arrays.items())):
        correlation, spread = float(np.corrcoef(real, x)[0, 1]), float(x.std() / real.std())
        panel.plot([-reach, reach], [-reach, reach], color=GREY, linestyle=":", linewidth=1.6)
        panel.scatter(real[shown], x[shown], s=7, color=GREY, alpha=0.5, linewidths=0)
        colour = SERIES_COLOURS[1 + k % (len(SERIES_COLOURS) - 1)]
        panel.plot(*_ellipse(np.cov(real, x), [real.mean(), x.mean()]), color=colour, linewidth=3)
        panel.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel=f"real {what}")
        said = f"correlation {correlation:.2f}".replace("-", "\u2212")
        panel.set_title(f"{name}\n{said}\nspread {spread:.2f}", fontsize=13)
        told.append(f"{name}: correlation {correlation:.2f}, spread {spread:.2f}")
    panels[0].set_ylabel(f"estimate of {what}")
    figure.alt = (
        f"Scatter plots of estimates of {what} against its real values at {len(real)} steps, with ellipses of "
        f"{ELLIPSE:g} standard deviations. {'; '.join(told)}. Spread is relative to the real one's."
    )
    return figure


@house_figure
def cut_through_joint(
    covariance: np.ndarray, given: Sequence[float], names: tuple[str, str] = ("language", "vision")
) -> HouseFigure:
    """Plot the joint law of two scalar latents of mean 0, and what remains of the second once the first is known.

    Args:
        covariance: (2, 2), positive definite; the first scalar is known, the second missing.
        given: values of the first, a cut each.
        names: of the two.

    Returns:
        Left the ellipses of 1 and 2 standard deviations with the cuts, the marks on them are conditional mean and
        standard deviation; right the densities along the cuts, and dashed in grey the marginal, which ignores them.
    """
    covariance = np.asarray(covariance, float)
    if covariance.shape != (2, 2) or not np.allclose(covariance, covariance.T):
        raise ShapeError(f"the covariance of two scalars is a symmetric (2, 2), not {covariance.shape}")
    if not given or np.linalg.eigvalsh(covariance).min() <= 0:
        raise DataError("a positive definite covariance and at least one given value are needed")
    (known, shared), (_, missing) = covariance
    gain, rest = shared / known, math.sqrt(missing - shared**2 / known)
    figure = new_figure(11, 4.8)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    reach = 3.2 * math.sqrt(missing)
    for size, style in ((1.0, "-"), (2.0, "-")):
        left.plot(*_ellipse(covariance, [0.0, 0.0], size), color="black", linestyle=style, linewidth=2)
    along = np.linspace(-reach, reach, 400)
    wide = _normal(along, 0.0, math.sqrt(missing))
    right.fill_betweenx(along, 0, wide, color=LIGHT, linewidth=0)
    right.plot(wide, along, color=GREY, linestyle=(0, (5, 2)), linewidth=2.4, label="class prior")
    side = 2.6 * math.sqrt(known)
    left.plot([-side, side], [-gain * side, gain * side], color=GREY, linestyle=":", linewidth=1.8)
    for k, value in enumerate(given, 1):
        colour, marker = SERIES_COLOURS[k % 7], SERIES_MARKERS[k % 7]
        left.axvline(value, color=colour, linewidth=1.6, linestyle=SERIES_LINES[k % 7])
        left.errorbar(
            value, gain * value, rest, color=colour, marker=marker, ms=10, lw=5, mec="white", zorder=5
        )
        line = _normal(along, gain * value, rest)
        label = f"given {names[0]} {value:g}".replace("-", "\u2212")
        right.plot(line, along, color=colour, linestyle=SERIES_LINES[k % 7], linewidth=2.8, label=label)
        top = int(line.argmax())
        right.plot(line[top], along[top], marker, color=colour, ms=10, mec="white")
    left.set(xlim=(-side, side), ylim=(-reach, reach), xlabel=f"latent of {names[0]}")
    left.set_ylabel(f"latent of {names[1]}")
    right.set(xlim=(0, None), xlabel="density", xticks=[])
    figure.legend(loc="outside lower center", ncols=1 + len(given))
    cuts = [f"{gain * value:.2f} at {value:g}" for value in given]
    figure.alt = (
        f"Left: ellipses of the joint law of two latents, {names[0]} and {names[1]}, with correlation "
        f"{shared / math.sqrt(known * missing):.2f}, cut at {len(given)} values of {names[0]}. Right: the densities "
        f"of {names[1]} along the cuts, with means {describe(cuts)} and standard deviation {rest:.2f}, beside the "
        f"class prior, which has mean 0 and standard deviation {math.sqrt(missing):.2f} whatever was seen."
    )
    return figure


@house_figure
def draws_over_time(real: np.ndarray, panels: Mapping[str, np.ndarray], what: str) -> HouseFigure:
    """Plot a channel of one clip over time: its real values in every panel, and what a panel makes of them.

    Args:
        real: (T,) true values.
        panels: title -> (K, T); of several rows the middle `SHARE` is a band, and the first eight are drawn.
        what: names the channel, for the axis.
    """
    real, arrays = np.asarray(real, float), {name: np.asarray(x, float) for name, x in panels.items()}
    if real.ndim != 1 or not arrays or any(x.ndim != 2 or x.shape[1:] != real.shape for x in arrays.values()):
        raise ShapeError(
            f"real values (T,) and panels of (K, T) are needed, not {real.shape} and "
            f"{ {name: x.shape for name, x in arrays.items()} }"
        )
    figure = new_figure(3.3 * len(arrays) + 0.6, 4.2)
    axes = figure.subplots(1, len(arrays), sharey=True, sharex=True, squeeze=False)[0]
    step, told = np.arange(len(real)), []
    for k, (panel, (name, x)) in enumerate(zip(axes, arrays.items())):
        colour = SERIES_COLOURS[1 + k % (len(SERIES_COLOURS) - 1)]
        several = len(x) > 1
        if several:
            low, high = np.quantile(x, [(1 - SHARE) / 2, (1 + SHARE) / 2], axis=0)
            panel.fill_between(step, low, high, color=colour, alpha=0.22, linewidth=0)
            inside = int(((low <= real) & (real <= high)).sum())
            told.append(
                f"{name}: band of mean width {(high - low).mean():.2f} that holds {inside} of {len(real)} steps"
            )
        else:
            told.append(f"{name}: one line, {np.sqrt(((x[0] - real) ** 2).mean()):.2f} off on average")
        for row in x[:8]:
            panel.plot(
                step, row, color=colour, linewidth=1.1 if several else 3.0, alpha=0.8 if several else 1.0
            )
        panel.plot(step, real, color="black", marker="o", ms=5, linewidth=1.8)
        panel.set_title(name, fontsize=13)
        panel.set_xlabel("step")
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes[0].set_ylabel(what)
    handles = [
        Line2D([], [], color="black", marker="o", ms=5, linewidth=1.8, label="real"),
        Line2D([], [], color=GREY, linewidth=3, label="one estimate, or draws and where four of five lie"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    figure.alt = (
        f"One clip's {what} over {len(real)} steps, real values in black in every panel. {'; '.join(told)}."
    )
    return figure


@house_figure
def calibration_curves(levels: Sequence[float], shares: Mapping[str, Sequence[float]], n: int) -> HouseFigure:
    """Plot how often intervals hold what they promise, with the band in which `n` clips scatter by chance.

    Args:
        levels: nominal shares in (0, 1), rising.
        shares: name -> shares of the labels that lay inside, one per level.
        n: clips that were counted.
    """
    nominal = np.asarray(levels, float)
    found = {name: np.asarray(x, float) for name, x in shares.items()}
    if nominal.ndim != 1 or not found or any(x.shape != nominal.shape for x in found.values()):
        raise ShapeError(
            f"levels (L,) and one share per level are needed, not {nominal.shape} and "
            f"{ {name: x.shape for name, x in found.items()} }"
        )
    if n < 1 or (nominal <= 0).any() or (nominal >= 1).any():
        raise DataError("levels must be between 0 and 1, and at least one clip must be counted")
    figure = new_figure(7.2, 5.6)
    axes = figure.subplots()
    fine = np.linspace(0, 1, 200)
    noise = 1.96 * np.sqrt(fine * (1 - fine) / n)
    axes.fill_between(100 * fine, 100 * (fine - noise), 100 * (fine + noise), color=LIGHT, linewidth=0)
    axes.plot([0, 100], [0, 100], color=GREY, linestyle=":", linewidth=2)
    told = []
    for k, (name, x) in enumerate(found.items(), 1):
        style = dict(color=SERIES_COLOURS[k % 7], marker=SERIES_MARKERS[k % 7], linestyle=SERIES_LINES[k % 7])
        axes.plot(100 * nominal, 100 * x, label=name, ms=8, linewidth=2.4, mec="white", **style)
        told.append(f"{name}: {', '.join(f'{100 * b:.1f} at {100 * a:g}' for a, b in zip(nominal, x))}")
    axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="promised: level of the interval, %")
    axes.set_ylabel("kept: labels inside, %")
    axes.legend(loc="upper left")
    figure.alt = (
        f"Shares of {n} labels inside their intervals, in per cent, against the promised level, beside the diagonal and "
        f"the band of chance around it. {'; '.join(told)}."
    )
    return figure


def _ellipse(covariance: np.ndarray, centre: Sequence[float], size: float = ELLIPSE) -> np.ndarray:
    """The curve (2, 200) at `size` standard deviations."""
    turn = np.linspace(0, 2 * np.pi, 200)
    values, axes = np.linalg.eigh(covariance)
    circle = np.sqrt(np.maximum(values, 0))[:, None] * np.stack([np.cos(turn), np.sin(turn)])
    return np.asarray(centre)[:, None] + size * axes @ circle


def _normal(x: np.ndarray, mean: float, sd: float) -> np.ndarray:
    return np.exp(-0.5 * ((x - mean) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))
