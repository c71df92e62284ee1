"""Loss curves of a training run."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from dicmor_lib.errors import DataError
from dicmor_lib.modalities import MODALITIES
from dicmor_lib.plots.style import (
    MODALITY_COLOURS,
    MODALITY_LINES,
    SERIES_COLOURS,
    HouseFigure,
    describe,
    house_figure,
    new_figure,
)

Row = Mapping[str, Any]
_OVERALL = {"task": "task (L1), training", "valid_mae": "MAE, validation"}


@house_figure
def loss_curves(history: Sequence[Row] | str | Path) -> HouseFigure:
    """Plot the terms of the objective and the validation error over all epochs of both stages.

    Args:
        history: rows of a `History` (dictionaries with "stage", "epoch", "task", "valid_mae",
            "nll_language", ..., "recovery_vision"; a term a stage lacks may be absent), or the path of a
            run's metrics.csv.

    Returns:
        Three panels: prediction error in training and validation, negative log-likelihood per modality in
        bits per dimension, recovery error per modality. A dotted line marks the first epoch of stage 2, a
        ring the epoch of each stage that validation selected ("is_best").

    Raises:
        DataError: if there is no epoch to plot, or the file cannot be read.
    """
    rows = _read(history) if isinstance(history, (str, Path)) else list(history)
    if not rows:
        raise DataError("the history has no epoch to plot: train for at least one")
    figure = new_figure(10, 6.4)
    panels = figure.subplot_mosaic([["error", "error"], ["nll", "recovery"]])
    _overall_panel(panels["error"], rows)
    shown = [_modality_panel(panels[name], rows, name) for name in ("nll", "recovery")]
    panels["nll"].set(title="Negative log-likelihood", xlabel="epoch", ylabel="bits per dimension")
    panels["recovery"].set(title="Recovery error", xlabel="epoch", ylabel="mean squared error")
    for panel in panels.values():
        _mark_stage_two(panel, rows)
    figure.alt = _alt(rows, any(shown))
    return figure


def _overall_panel(panel: Axes, rows: Sequence[Row]) -> None:
    lines = ("-", "--")
    for name, colour, line in zip(_OVERALL, SERIES_COLOURS[1:], lines):
        epochs, values = _series(rows, name)
        panel.plot(epochs, values, color=colour, linestyle=line, label=_OVERALL[name])
    best = [(i + 1, row["valid_mae"]) for i, row in _selected(rows)]
    if best:
        panel.plot(
            *zip(*best), "o", mfc="none", mec="black", ms=11, mew=1.8, linestyle="", label="selected epoch"
        )
    panel.set(title="Prediction error", xlabel="epoch (both stages)", ylabel="mean absolute error")
    panel.legend(
        ncols=3, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0
    )  # above, beside the title


def _modality_panel(panel: Axes, rows: Sequence[Row], term: str) -> bool:
    shown = False
    for modality in MODALITIES:
        epochs, values = _series(rows, f"{term}_{modality}")
        if len(epochs):
            style = dict(color=MODALITY_COLOURS[modality], linestyle=MODALITY_LINES[modality])
            panel.plot(epochs, values, label=modality, **style)
            shown = True
    if shown:
        panel.legend()
    else:
        panel.text(
            0.5, 0.5, "only trained in stage 2", transform=panel.transAxes, ha="center", color="#555555"
        )
    return shown


def _mark_stage_two(panel: Axes, rows: Sequence[Row]) -> None:
    first = next((i for i, row in enumerate(rows) if int(row.get("stage", 1)) == 2), None)
    panel.set_xlim(0.5, len(rows) + 0.5)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    if first:
        panel.axvline(first + 0.5, color="#555555", linestyle=":", linewidth=1.4)
        panel.annotate(
            "stage 2",
            (first + 0.5, 0.02),
            (4, 0),
            ("data", "axes fraction"),
            "offset points",
            color="#555555",
        )


def _selected(rows: Sequence[Row]) -> list[tuple[int, Row]]:
    """Position and row of the last epoch marked best in each stage."""
    last = {
        int(row.get("stage", 1)): (i, row)
        for i, row in enumerate(rows)
        if row.get("is_best") and "valid_mae" in row
    }
    return list(last.values())


def _series(rows: Sequence[Row], name: str) -> tuple[np.ndarray, np.ndarray]:
    pairs = [(i + 1, float(row[name])) for i, row in enumerate(rows) if row.get(name) not in (None, "")]
    return tuple(np.array(pairs).reshape(-1, 2).T)  # type: ignore[return-value]


def _alt(rows: Sequence[Row], has_flow: bool) -> str:
    stages = describe([f"stage {s}" for s in sorted({int(row.get("stage", 1)) for row in rows})])
    text = f"Curves over {len(rows)} epochs of {stages}."
    for name, title in _OVERALL.items():
        _, values = _series(rows, name)
        if len(values):
            text += f" {title} goes from {values[0]:.2f} to {values[-1]:.2f}."
    if has_flow:
        for term, title in (
            ("nll", "Negative log-likelihood in bits per dimension"),
            ("recovery", "Recovery error"),
        ):
            ends = [(m, _series(rows, f"{term}_{m}")[1]) for m in MODALITIES]
            told = [f"{m} {v[0]:.2f} to {v[-1]:.2f}" for m, v in ends if len(v)]
            text += f" {title}: {describe(told)}." if told else ""
    return text


def _read(path: str | Path) -> list[dict[str, float]]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return [
                {k: float(v) for k, v in row.items() if v not in (None, "")} for row in csv.DictReader(file)
            ]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a run's metrics.csv: {error}") from error
