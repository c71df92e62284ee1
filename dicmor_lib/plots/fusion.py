"""The fusion as a scheme, and what its prediction does when a modality is replaced by a stand-in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from dicmor_lib.blocks.fusion import QUERIES, SOURCES
from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.modalities import MODALITIES
from dicmor_lib.plots.classes import class_handles, scatter_by_class
from dicmor_lib.plots.drawing import FAINT, INK, MUTED, Point, arrow, box, canvas, path_of, title, write
from dicmor_lib.plots.style import (
    MODALITY_COLOURS,
    MODALITY_LINES,
    SERIES_COLOURS,
    SERIES_MARKERS,
    HouseFigure,
    describe,
    house_figure,
    new_figure,
)

WIDTH, HEIGHT = 13.0, 5.9  # inches
ROWS = dict(zip(MODALITIES, (4.35, 2.75, 1.15)))  # the middle of each modality's lane
CROSS, MEMORY, LAST, MLP = 4.0, 7.45, 9.6, 11.55  # left edges of the columns


@house_figure
def fusion_scheme() -> HouseFigure:
    """Draw the fusion T: six cross-modal encoders, three self encoders, the last valid steps, one number."""
    figure, axes = canvas(WIDTH, HEIGHT)
    for x, text in (
        (1.3, "features"),
        (CROSS + 1.2, "six cross-modal\nencoders"),
        (MEMORY + 0.85, "three self\nencoders"),
        (LAST + 0.7, "last valid\nstep"),
        (MLP + 0.55, "residual\nMLP"),
    ):
        write(axes, x, 5.42, text, 14, color=MUTED)
    for modality, y in ROWS.items():
        box(axes, (0.2, y - 0.68, LAST + 1.3, 1.36), face="#f6f8fa", edge=FAINT, radius=0.12, zorder=1)
        title(axes, 0.4, y, modality)
        _encoders(axes, modality, y)
    for g, (m, k) in enumerate(zip(QUERIES, SOURCES)):
        _reads(axes, MODALITIES[k], (2.42, ROWS[MODALITIES[k]]), (CROSS - 0.04, _cross_height(m, g)))
    box(axes, (MLP, ROWS["vision"] - 0.5, 0.75, 4.2), face="white", edge=INK)
    write(axes, MLP + 0.375, ROWS["audio"], "MLP", 15, rotation=90)
    _line(axes, (MLP + 0.75, ROWS["audio"]), (MLP + 1.0, ROWS["audio"]), INK, "-")
    write(axes, MLP + 1.2, ROWS["audio"], "$\\hat y$", 20)
    figure.alt = (
        "Scheme of the fusion with a lane per modality. In each lane two cross-modal encoders read the two other "
        f"modalities ({describe([f'{MODALITIES[m]} reads {MODALITIES[k]}' for m, k in zip(QUERIES, SOURCES)])}), "
        "a self encoder reads both results, and its last valid step goes into a residual MLP that gives one number."
    )
    return figure


@house_figure
def prediction_shift(
    complete: np.ndarray, shifted: Mapping[str, Mapping[str, np.ndarray]], label: np.ndarray
) -> HouseFigure:
    """Plot how far each clip's prediction moves when one modality is replaced by a stand-in.

    Args:
        complete: (N,) predictions with all modalities real.
        shifted: modality -> stand-in -> (N,) predictions; the same stand-ins for each modality.
        label: (N,) true sentiment, which gives a clip its colour and marker.

    Returns:
        A row per stand-in, a column per modality. A grey line leads from the prediction with the real modality, on
        the diagonal, to that with the stand-in.

    Raises:
        DataError: if there is nothing to plot or the modalities have different stand-ins.
        ShapeError: if predictions and labels differ in number.
    """
    complete, label = np.asarray(complete, dtype=np.float64), np.asarray(label)
    names = [list(each) for each in shifted.values()]
    if not names or not names[0] or any(each != names[0] for each in names) or not len(complete):
        raise DataError("give the same stand-ins for each modality, at least one, and at least one clip")
    each = [np.asarray(p, dtype=np.float64) for stand_ins in shifted.values() for p in stand_ins.values()]
    if any(p.shape != complete.shape for p in [*each, label]):
        raise ShapeError(f"{len(complete)} predictions need as many shifted ones and labels")
    rows, columns = len(names[0]), len(shifted)
    figure = new_figure(4.1 * columns + 0.4, 3.7 * rows + 0.7)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    reach = 1.06 * max(float(np.abs(np.stack([complete, *each])).max()), 1.0)
    told = []
    for column, (modality, stand_ins) in enumerate(shifted.items()):
        for row, (name, prediction) in enumerate(stand_ins.items()):
            panel, shift = panels[row, column], np.abs(prediction - complete).mean()
            _shifts(panel, complete, np.asarray(prediction), label, reach)
            panel.set_title(f"{name} {modality}: {shift:.2f}", color=MODALITY_COLOURS.get(modality, "black"))
            told.append(f"{name} {modality} {shift:.2f}")
            if row == rows - 1:
                panel.set_xlabel("prediction, all modalities real")
            if column == 0:
                panel.set_ylabel("… with the stand-in")
    figure.legend(handles=class_handles(), loc="outside lower center", ncols=7, title="true sentiment class")
    figure.alt = (
        f"Predictions of {len(complete)} clips with one modality replaced, against those with all modalities real; "
        f"lines show the shifts from the diagonal. Mean absolute shift: {', '.join(told)}."
    )
    return figure


@house_figure
def error_by_stand_in(
    errors: Mapping[str, Mapping[str, float]], complete: float, limits: Mapping[str, float] | None = None
) -> HouseFigure:
    """Plot the prediction error by missing modality and by what stood in for it.

    Args:
        errors: missing modality -> stand-in -> mean absolute error.
        complete: the error with all modalities real.
        limits: missing modality -> error of the best possible predictor without it, where that is known.

    Raises:
        DataError: if there is nothing to plot.
    """
    if not errors or not all(errors.values()):
        raise DataError("there are no errors to plot; give at least one")
    figure = new_figure(10, 1.1 * len(errors) + 2.0)
    panel = figure.subplots()
    stand_ins = list(next(iter(errors.values())))
    panel.axvline(complete, color="#555555", linestyle="--", linewidth=1.8, label="all modalities real")
    for i, name in enumerate(stand_ins):
        heights = np.arange(len(errors)) + 0.15 * (i - (len(stand_ins) - 1) / 2)
        values = [each[name] for each in errors.values()]
        style = dict(color=SERIES_COLOURS[i + 4], markersize=11, linestyle="")
        panel.plot(values, heights, marker=SERIES_MARKERS[i + 1], label=name, **style)
    if limits:
        for row, modality in enumerate(errors):
            label = "best possible without it" if row == 0 else None
            at = [limits[modality]] * 2
            panel.plot(at, [row - 0.38, row + 0.38], color="black", linewidth=4, label=label)
    panel.set_yticks(range(len(errors)), [f"no {modality}" for modality in errors])
    for tick, modality in zip(panel.get_yticklabels(), errors):
        tick.set_color(MODALITY_COLOURS.get(modality, "black"))
    panel.set(ylim=(len(errors) - 0.5, -0.5), xlabel="mean absolute error of the prediction")
    figure.legend(*panel.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    told = "; ".join(
        f"without {m}: {', '.join(f'{name} {value:.2f}' for name, value in each.items())}"
        + (f", best possible {limits[m]:.2f}" if limits else "")
        for m, each in errors.items()
    )
    figure.alt = f"Mean absolute error of the prediction, {complete:.2f} with all modalities real. {told}."
    return figure


def _cross_height(query: int, g: int) -> float:
    """Middle of the box of encoder g, which lies in the upper or lower half of its query's lane."""
    return ROWS[MODALITIES[query]] + (0.31 if g % 2 == 0 else -0.31)


def _encoders(axes: Axes, modality: str, y: float) -> None:
    m, colour = MODALITIES.index(modality), MODALITY_COLOURS[modality]
    for g in (2 * m, 2 * m + 1):
        at, source = _cross_height(m, g), MODALITIES[SOURCES[g]]
        box(axes, (CROSS, at - 0.25, 2.4, 0.5), face="white", edge=colour)
        write(axes, CROSS + 1.2, at, f"reads {source}", 14, color=MODALITY_COLOURS[source], weight="bold")
        arrow_end = (MEMORY - 0.05, y + (0.12 if g % 2 == 0 else -0.12))
        _line(axes, (CROSS + 2.4, at), arrow_end, colour, "-")
    box(axes, (MEMORY, y - 0.42, 1.7, 0.84), face="white", edge=colour, linewidth=3)
    write(axes, MEMORY + 0.85, y, "reads itself", 14, color=colour, weight="bold")
    _line(axes, (MEMORY + 1.7, y), (LAST + 0.02, y), colour, "-")
    for i in range(6):  # four valid steps, the last of them used, and two of padding
        where = (LAST + 0.08 + 0.2 * i, y - 0.16)
        style = dict(fc="#f2f2f2", ec="#b5b5b5", hatch="////") if i > 3 else dict(fc="white", ec=colour)
        axes.add_patch(
            Rectangle(where, 0.2, 0.32, **style | (dict(fc=colour) if i == 3 else {}), lw=1, zorder=4)
        )
    used = (LAST + 0.08 + 0.7, y + 0.2)
    turns = ((used[0] + 0.05, y + 0.55), (MLP - 0.6, y + 0.45))
    arrow(axes, used, (MLP - 0.03, y + 0.3), colour, turns)


def _reads(axes: Axes, source: str, start: Point, end: Point) -> None:
    bend = ((start[0] + 0.75, start[1]), (end[0] - 0.85, end[1]))
    _line(axes, start, end, MODALITY_COLOURS[source], MODALITY_LINES[source], bend)


def _line(
    axes: Axes, start: Point, end: Point, colour: str, line: object, turns: tuple[Point, Point] | None = None
) -> None:
    style = dict(arrowstyle="-|>", color=colour, mutation_scale=16, lw=2, ls=line, zorder=5)
    axes.add_patch(FancyArrowPatch(path=path_of(start, end, turns), **style))


def _shifts(
    panel: Axes, complete: np.ndarray, prediction: np.ndarray, label: np.ndarray, reach: float
) -> None:
    panel.vlines(complete, complete, prediction, color="#c8c8c8", linewidth=0.8, zorder=1)
    panel.plot([-reach, reach], [-reach, reach], color="black", linewidth=1.4, zorder=2)
    points = np.stack([complete, prediction], axis=1)
    scatter_by_class(panel, points, label, s=22, alpha=0.9, zorder=3)
    panel.set(xlim=(-reach, reach), ylim=(-reach, reach))
