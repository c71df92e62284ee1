"""Scores under missing-data protocols: what a rate means, how scores fall with it, what moves them, what others print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.evaluation.bootstrap import Estimate
from dicmor_lib.evaluation.published_checks import Doubt
from dicmor_lib.evaluation.published_numbers import PublishedRow, by_group, select
from dicmor_lib.plots.laws import Law, law_bar, told_laws
from dicmor_lib.plots.style import (
    SERIES_COLOURS,
    SERIES_LINES,
    SERIES_MARKERS,
    HouseFigure,
    describe,
    house_figure,
    new_figure,
)

_GREY = "#9a9a9a"


@house_figure
def meanings_figure(
    laws: Mapping[str, Law | None],
    rate: float,
    scores: Mapping[str, Estimate] | None = None,
    title: str = "",
) -> HouseFigure:
    """Show what one missing rate means in several papers and, if given, what one model scores under each.

    Args:
        laws: name -> shares of clips with (none, one, two) modalities missing; None: frames are dropped instead.
        rate: the missing rate that all of them print.
        scores: the same names -> an accuracy with its interval; a second panel shows them.
        title: of the second panel.

    Raises:
        ShapeError: if a law is not three shares that sum to 1, or the names differ.
    """
    for name, law in laws.items():
        if law is not None and (len(law) != 3 or abs(sum(law) - 1) > 1e-6):
            raise ShapeError(f"the law {name!r} must be three shares that sum to 1, not {law}")
    if scores is not None and list(scores) != list(laws):
        raise ShapeError(f"laws and scores have different names: {list(laws)} and {list(scores)}")
    figure = new_figure(12 if scores else 9, 0.62 * len(laws) + 1.9)
    left, *right = figure.subplots(1, 2 if scores else 1, sharey=True, squeeze=False)[0]
    for y, law in enumerate(laws.values()):
        law_bar(left, y, law, rate)
    left.set_yticks(range(len(laws)), list(laws))
    left.set(xlim=(0, 1), xlabel="share of the clips", title=f'what "missing rate {rate:g}" means')
    left.invert_yaxis()
    left.grid(visible=False)
    handles, labels = left.get_legend_handles_labels()
    unique = dict(zip(labels, handles))
    figure.legend(unique.values(), unique, loc="outside lower center", ncols=3)
    figure.alt = f"Stacked bars of what missing rate {rate:g} means: {told_laws(laws)}."
    if scores:
        _score_column(right[0], list(scores.values()), title)
        told = ", ".join(f"{name} {100 * e.value:.1f} %" for name, e in scores.items())
        figure.alt += f" Beside them the scores of one and the same model: {told}."
    return figure


@house_figure
def rate_figure(
    rates: Sequence[float],
    curves: Mapping[str, np.ndarray],
    band: tuple[np.ndarray, np.ndarray] | None = None,
    bound: np.ndarray | None = None,
    ylabel: str = "Acc-2",
    title: str = "",
) -> HouseFigure:
    """Plot a score against the missing rate: the first curve with a band, the others, the best possible.

    Args:
        rates: (R,)
        curves: method -> (R,); the first one is the model and gets the band.
        band: lower and upper edge (R,) of what drawn masks do to the first curve.
        bound: (R,) what the best possible predictor reaches; None where the law of the data is not known.

    Raises:
        ShapeError: if a curve, the band or the bound has another length than the rates.
    """
    known = [] if bound is None else [("best possible", bound)]
    for name, values in [*curves.items(), *known, *(("band", edge) for edge in band or ())]:
        if np.shape(values) != (len(rates),):
            raise ShapeError(f"{name} has shape {np.shape(values)}; there are {len(rates)} missing rates")
    figure = new_figure(10, 5.6)
    panel = figure.subplots()
    if band is not None:
        label = f"{next(iter(curves))}: 95 % of drawn masks"
        panel.fill_between(rates, *band, color="#000000", alpha=0.13, linewidth=0, label=label)
    if bound is not None:
        panel.plot(rates, bound, color="#555555", linestyle=":", label="best possible (Bayes)")
    for i, (name, values) in enumerate(curves.items()):
        look = dict(color=SERIES_COLOURS[i % 7], marker=SERIES_MARKERS[i % 7], linestyle=SERIES_LINES[i % 7])
        if i >= 7:
            look |= dict(color=_GREY, mfc="white")
        width = 2.8 if i == 0 else 1.6
        panel.plot(rates, values, label=name, linewidth=width, zorder=3 if i == 0 else 2, **look)
    panel.set(xlabel="missing rate", ylabel=ylabel)
    panel.set_title(title)
    figure.legend(loc="outside lower center", ncols=3)
    first, last = rates[0], rates[-1]
    told = ", ".join(f"{name} {values[0]:.2f} to {values[-1]:.2f}" for name, values in curves.items())
    best = f"; best possible {bound[0]:.2f} to {bound[-1]:.2f}" if bound is not None else ""
    wide = f" The band of drawn masks is {np.ptp(np.stack(band), axis=0).max():.3f} wide." if band else ""
    figure.alt = f"{title or ylabel}: {ylabel} from missing rate {first:g} to {last:g}. {told}{best}.{wide}"
    return figure


@house_figure
def movers_figure(
    draws: Mapping[str, np.ndarray], expected: float, xlabel: str, title: str = ""
) -> HouseFigure:
    """Show, one line per source of chance, where a score lands when that source alone is drawn again.

    Args:
        draws: source -> scores (R,), R at least 2; few are shown as dots, many as a 95 % bar with their median.
        expected: the score without that chance, a line through all of them.

    Raises:
        ShapeError: if a source has fewer than two scores.
    """
    for name, values in draws.items():
        if np.ndim(values) != 1 or len(values) < 2:
            raise ShapeError(f"{name!r} needs at least two scores in one row, not {np.shape(values)}")
    figure = new_figure(10, 0.72 * len(draws) + 1.7)
    panel = figure.subplots()
    for y, values in enumerate(draws.values()):
        colour = SERIES_COLOURS[1 + y % 6]
        sd = np.std(values, ddof=1)
        if len(values) > 30:
            low, middle, high = np.quantile(values, [0.025, 0.5, 0.975])
            panel.plot([low, high], [y, y], color=colour, linewidth=9, solid_capstyle="butt", alpha=0.55)
            panel.plot(middle, y, SERIES_MARKERS[1 + y % 6], color=colour, markersize=9)
        else:
            low, high = values.min(), values.max()
            apart = y + np.linspace(-0.16, 0.16, len(values))  # equal scores do not hide each other
            panel.plot(values, apart, SERIES_MARKERS[1 + y % 6], color=colour, markersize=9, linestyle="")
        panel.text(
            1.01, y, f"sd {100 * sd:.1f} points", transform=panel.get_yaxis_transform(), va="center", size=12
        )
    panel.axvline(expected, color="#555555", linestyle=":", linewidth=1.6)
    panel.set_yticks(range(len(draws)), list(draws))
    panel.set_ylim(len(draws) - 0.4, -0.6)
    panel.grid(axis="y", visible=False)
    panel.set(xlabel=xlabel)
    panel.set_title(title)
    told = ", ".join(f"{name} {100 * np.std(v, ddof=1):.1f}" for name, v in draws.items()).replace("\n", " ")
    figure.alt = (
        f"{xlabel} when one source of chance is drawn again: standard deviation in points {told}. "
        f"The expected value is {expected:.3f}."
    )
    return figure


@house_figure
def leak_figure(checkpoints: Sequence[int], on_test: np.ndarray, on_valid: np.ndarray) -> HouseFigure:
    """Plot how far a reported score lies from the true one when the best of several checkpoints is chosen.

    Args:
        checkpoints: (K,) how many there were to choose from.
        on_test, on_valid: (K,) reported minus true in points, by the split that chose.

    Raises:
        ShapeError: if the three have different lengths.
    """
    if not len(checkpoints) == len(on_test) == len(on_valid):
        lengths = f"{len(checkpoints)}, {len(on_test)} and {len(on_valid)}"
        raise ShapeError(f"checkpoints and the two scores must have one length, not {lengths}")
    figure = new_figure(8, 4)
    panel = figure.subplots()
    for values, name, i in ((on_test, "test", 2), (on_valid, "validation", 1)):
        look = dict(color=SERIES_COLOURS[i], marker=SERIES_MARKERS[i], linestyle=("", "--", "-")[i])
        panel.plot(checkpoints, values, label=f"chosen on the {name} split", **look)
    panel.axhline(0, color="#555555", linestyle=":", linewidth=1.4)
    panel.set(xlabel="checkpoints to choose from, all equally good", ylabel="reported minus true, points")
    panel.set_title("Accuracy out of nothing (simulation)")
    panel.legend(loc="center right")
    figure.alt = (
        f"Reported minus true accuracy for {checkpoints[0]} to {checkpoints[-1]} equally good checkpoints: chosen on the "
        f"test split it goes from {on_test[0]:.1f} to {on_test[-1]:.1f} points, on the validation split it ends at "
        f"{on_valid[-1]:.1f}."
    )
    return figure


@house_figure
def published_figure(
    rows: Sequence[PublishedRow], doubts: Sequence[Doubt], source: str = "ComP (AAAI 2026) Table 2"
) -> HouseFigure:
    """Plot one source's random-missing table: Acc-2 against the rate, and F1 - Acc-2, doubted columns in colour.

    Raises:
        DataError: if the source has no row with both Acc-2 and F1.
    """
    held = [r for r in rows if r.source == source and r.protocol == "random"]
    held = [r for r in held if {"acc2", "f1"} <= r.values.keys()]
    datasets = list(dict.fromkeys(r.dataset for r in held))
    if not datasets:
        raise DataError(f"no random-missing row of {source!r} has both Acc-2 and F1")
    flagged = {(d.rows[0].dataset, d.rows[0].method): d.kind for d in doubts if "swapped" in d.kind}
    doubted = list(dict.fromkeys(method for _, method in flagged))
    figure = new_figure(11, 7.4)
    panels = figure.subplots(2, len(datasets), sharex=True, sharey="row", squeeze=False)
    figure.suptitle(f"{source}: random missing, not measured by us", x=0.01, ha="left", size=14)
    told, others = [], []
    for column, dataset in zip(panels.T, datasets):
        for group in by_group(select(held, dataset)).values():
            method = group[0].method
            kind = flagged.get((dataset, method))
            x = [r.rate for r in group]
            acc = np.array([r.values["acc2"] for r in group])
            gap = np.array([r.values["f1"] for r in group]) - acc
            look = _published_look(method, kind, doubted)
            column[0].plot(x, acc, **look)
            column[1].plot(x, gap, **look)
            if kind:
                told.append(f"{method} on {dataset.upper()} ({kind}) up to {gap[np.abs(gap).argmax()]:+.1f}")
            elif method not in others:
                others.append(method)
        column[1].axhline(0, color="#555555", linestyle=":", linewidth=1.4)
        column[0].set_title(f"{dataset.upper()}: Acc-2 (%) as printed")
        column[1].set_title("F1 minus Acc-2, points")
        column[1].set_xlabel("missing rate")
    panels[1, 0].set_ylim(-3.6, 3.6)
    lines = {line.get_label(): line for panel in panels.flat for line in panel.lines}
    named = {label: line for label, line in lines.items() if not label.startswith("_")}
    figure.legend(named.values(), named, loc="outside lower center", ncols=3)
    figure.alt = (
        f"Acc-2 and F1 minus Acc-2 by missing rate as {source} prints them for {describe([d.upper() for d in datasets])}. "
        f"Doubted columns stand out by F1 above accuracy: {', '.join(told) or 'none'}. "
        f"In grey, without a doubt: {', '.join(others) or 'none'}."
    )
    return figure


def _published_look(method: str, kind: str | None, doubted: Sequence[str]) -> dict:
    """Grey for columns that nothing speaks against; a doubted one has its colour, hollow if only possibly swapped."""
    if kind is None:
        return dict(color=_GREY, linewidth=1.2, label="no doubt found")
    i = 1 + doubted.index(method) % 6
    face = SERIES_COLOURS[i] if kind == "swapped" else "white"
    look = dict(color=SERIES_COLOURS[i], mfc=face, marker=SERIES_MARKERS[i], linestyle=SERIES_LINES[i])
    return look | dict(label=f"{method}: {kind}", zorder=3)


def _score_column(panel: Axes, estimates: Sequence[Estimate], title: str) -> None:
    for y, e in enumerate(estimates):
        panel.plot([e.low, e.high], [y, y], color="#000000", linewidth=2)
        panel.plot(e.value, y, "D", color="#000000", markersize=8)
        panel.annotate(f"{100 * e.value:.1f}", (e.value, y), (0, 8), textcoords="offset points", ha="center")
    panel.grid(axis="y", visible=False)
    panel.set(xlabel="Acc-2, 95 % interval over clips")
    panel.set_title(title)
    panel.set_ylim(len(estimates) - 0.4, -0.75)
