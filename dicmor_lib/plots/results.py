"""Results at a glance: patterns x methods with intervals, and recovery errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dicmor_lib.errors import ConfigError
from dicmor_lib.evaluation.bootstrap import Estimate
from dicmor_lib.evaluation.labels import RidgeLastStep
from dicmor_lib.evaluation.metrics import LOWER_IS_BETTER, METRIC_TITLES
from dicmor_lib.evaluation.recovery import RecoveryErrors
from dicmor_lib.evaluation.table import REQUIRED_BASELINES, EvaluationTable
from dicmor_lib.plots.style import (
    SERIES_COLOURS,
    SERIES_MARKERS,
    HouseFigure,
    describe,
    house_figure,
    new_figure,
)

_BASELINES = (*REQUIRED_BASELINES, RidgeLastStep.name)
_COLOURS = (*SERIES_COLOURS, "#767676", "#767676")  # grey: the two references that fill in nothing
_MARKERS = (*SERIES_MARKERS, "*", "p")


@house_figure
def pattern_figure(table: EvaluationTable, metric: str = "acc2") -> HouseFigure:
    """Plot one metric of every method under every pattern, with its interval.

    Args:
        table: whose methods include all baselines, as every table's do.
        metric: a name of `METRICS`; rows where it does not exist are left out.

    Returns:
        A dot plot: patterns from left to right, methods side by side, bars are the intervals. For Acc-2 a
        dotted line marks the share of the larger class among the scored labels.

    Raises:
        ConfigError: if there is no such metric.
    """
    if metric not in METRIC_TITLES:
        raise ConfigError(f"there is no metric {metric!r}; choose one of {', '.join(METRIC_TITLES)}")
    groups = {p: {m: table.row(p, m).metrics[metric] for m in table.methods} for p in table.patterns}
    figure = _dots(groups, [f"{p}\n(n={table.row(p, table.methods[0]).n})" for p in table.patterns])
    panel = figure.axes[0]
    better = "lower is better" if metric in LOWER_IS_BETTER else "higher is better"
    synthetic = ", synthetic data" if table.info.get("synthetic") else ""
    panel.set(xlabel="available modalities (l language, a audio, v vision)", ylabel=METRIC_TITLES[metric])
    panel.set_title(f"{METRIC_TITLES[metric]} by available modalities{synthetic} ({better})")
    floor = table.info.get("majority_share") if metric == "acc2" else None
    if floor is not None:
        panel.axhline(floor, color="#555555", linestyle=":", linewidth=1.4, label="larger class")
    _legend(figure)
    figure.alt = (
        f"Dot plot of {METRIC_TITLES[metric]}{synthetic}, {better}, with {table.info['level']:.0%} "
        f"intervals, for the available modalities {describe(table.patterns)}. {_told(groups)}"
    )
    return figure


@house_figure
def recovery_figure(recovery: RecoveryErrors) -> HouseFigure:
    """Plot the standardised recovery error of every method for each pattern and missing modality.

    The line at 1 is about what filling in the training mean costs.
    """
    groups = {
        f"{target}\nfrom {pattern}": {m: recovery.estimate(pattern, target, m) for m in recovery.methods}
        for pattern, target in recovery.cases
    }
    if not groups:
        raise ConfigError("there is no recovery error to plot: nothing was missing in the evaluated patterns")
    figure = _dots(groups, list(groups), width=12)
    panel = figure.axes[0]
    panel.axhline(1, color="#555555", linestyle=":", linewidth=1.4)
    _legend(figure)
    synthetic = ", synthetic data" if recovery.info.get("synthetic") else ""
    panel.set_title(f"Recovery error{synthetic} (lower is better)")
    panel.set(ylabel="MSE in training sd", ylim=(0, None))
    panel.tick_params(axis="x", labelsize=11)
    told = {key.replace("\n", " "): values for key, values in groups.items()}
    figure.alt = (
        f"Dot plot of the standardised recovery error{synthetic}, lower is better, by missing modality and "
        f"by what it is recovered from. {_told(told)}"
    )
    return figure


def _dots(groups: dict[str, dict[str, Estimate]], names: list[str], width: float = 10) -> HouseFigure:
    methods = list(next(iter(groups.values())))
    figure = new_figure(width, 5.4)
    panel = figure.subplots()
    offsets = np.linspace(-0.34, 0.34, len(methods)) if len(methods) > 1 else [0.0]
    for i, (method, offset) in enumerate(zip(methods, offsets)):
        estimates = [values[method] for values in groups.values()]
        value, low, high = np.array([(e.value, e.low, e.high) for e in estimates]).T
        bars = np.maximum(np.stack([value - low, high - value]), 0)
        position = np.arange(len(groups)) + offset
        panel.errorbar(position, value, bars, label=method, elinewidth=1.6, capsize=0, **_look(method, i))
    panel.set_xticks(range(len(groups)), names)
    panel.grid(axis="x", visible=False)
    for edge in range(len(groups) - 1):
        panel.axvline(edge + 0.5, color="#e3e3e3", linewidth=1)
    panel.set_xlim(-0.5, len(groups) - 0.5)
    return figure


def _look(method: str, position: int) -> dict[str, Any]:
    """Colour and marker of a method: the same in every figure. Filled, but hollow before the RCABs and for draws."""
    name = method.removesuffix(" recovered").removesuffix(" transferred").removesuffix(" sample")
    i = _BASELINES.index(name) + 1 if name in _BASELINES else 0 if position < 2 else position
    hollow = method.endswith((" transferred", " sample")) or (name not in _BASELINES and position >= 2)
    colour = _COLOURS[i % len(_COLOURS)]
    face = "white" if hollow else colour
    return dict(color=colour, mfc=face, marker=_MARKERS[i % len(_MARKERS)], linestyle="")


def _legend(figure: HouseFigure) -> None:
    figure.legend(loc="outside lower center", ncols=4)


def _told(groups: dict[str, dict[str, Estimate]]) -> str:
    """The values, in words: what a reader of the picture can read off."""
    parts = []
    for name, values in groups.items():
        told = [f"{method} {e.value:.2f}" for method, e in values.items() if not math.isnan(e.value)]
        parts.append(f"{name}: {', '.join(told)}")
    return "; ".join(parts) + "."
