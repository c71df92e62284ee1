"""The still version of the demo, for readers without a kernel: one clip under all seven patterns."""

from __future__ import annotations

import math

from matplotlib.axes import Axes

from dicmor_lib.modalities import LETTERS, MODALITIES, PATTERNS
from dicmor_lib.plots.drawing import FAINT, INK, MUTED, absent, canvas, minus, signed, title, write
from dicmor_lib.plots.style import HouseFigure, house_figure
from dicmor_lib.widgets.clips import RecoveredClips
from dicmor_lib.widgets.picture import heat, recovered_frame

WIDTH, HEIGHT = 13.0, 7.2  # inches
LEFT, STEP, STRIP, DEPTH = 2.3, 1.51, 1.32, 0.74
ROWS = dict(zip(MODALITIES, (5.25, 4.1, 2.95)))
BOTTOM, TOP = 0.55, 2.35  # of the axis of sentiment


@house_figure
def small_multiples(clips: RecoveredClips, sample: int = 0) -> HouseFigure:
    """Draw what the model works with and predicts for one clip under each of the seven patterns.

    Raises:
        ConfigError: if there is no such clip.
    """
    clips.seen(sample, LETTERS)  # refuses a clip that does not exist
    figure, axes = canvas(WIDTH, HEIGHT)
    synthetic = ", synthetic" if clips.synthetic else ""
    head = f"Clip {sample + 1} of {len(clips)}{synthetic}: one clip, seven patterns of what is available"
    write(axes, 0.3, 6.8, head, 17, ha="left", weight="bold")
    framed = f"mean of {clips.draws} draws" if clips.draws else "recovered"
    write(axes, WIDTH - 0.3, 6.8, f"in a frame: {framed}", 14, ha="right", color=MUTED)
    for modality in MODALITIES:
        title(axes, 0.25, ROWS[modality] + DEPTH / 2, modality)
    for column, pattern in enumerate(PATTERNS):
        x = LEFT + column * STEP
        write(axes, x + STRIP / 2, 6.28, pattern, 17, weight="bold")
        for m, modality in enumerate(MODALITIES):
            _cell(axes, clips, sample, pattern, m, modality, x)
    _predictions(axes, clips, sample)
    figure.alt = _told(clips, sample)
    return figure


def _cell(
    axes: Axes, clips: RecoveredClips, sample: int, pattern: str, m: int, modality: str, x: float
) -> None:
    where = (x, ROWS[modality], STRIP, DEPTH)
    steps, seen = clips.steps(sample), clips.seen(sample, pattern)
    if not seen:
        absent(axes, where, "\u2013")
    elif LETTERS[m] in seen:
        heat(axes, where, clips.real(sample, m), modality, steps)
    else:
        heat(axes, where, clips.made(sample, seen, m), modality, steps)
        recovered_frame(axes, where, modality)
        r = clips.agreement(sample, seen, m)
        if not math.isnan(r):
            write(axes, x + STRIP / 2, where[1] - 0.19, minus(f"r = {r:.2f}"), 13, color=MUTED)


def _predictions(axes: Axes, clips: RecoveredClips, sample: int) -> None:
    right = LEFT + 6 * STEP + STRIP
    for tick in (-3, 0, 3):
        y = _at(tick)
        axes.plot([LEFT - 0.1, right], [y, y], color=FAINT, lw=1.0, zorder=1)
        write(axes, LEFT - 0.2, y, signed(tick), 13, ha="right", color=MUTED)
    write(axes, 0.3, _at(0), "sentiment", 15, ha="left", weight="bold")
    truth = float(clips.label[sample])
    axes.plot([LEFT - 0.1, right], [_at(truth)] * 2, color=INK, lw=2.0, ls=(0, (5, 2)), zorder=2)
    write(axes, 0.3, _at(0) - 0.32, f"dashed: true, {signed(truth)}", 13, ha="left")
    for column, pattern in enumerate(PATTERNS):
        seen = clips.seen(sample, pattern)
        value = float(clips.prediction[seen][sample]) if seen else math.nan
        x = LEFT + column * STEP + STRIP / 2
        if math.isnan(value):
            write(axes, x, _at(0), "none", 13, color=MUTED)
            continue
        y = _at(min(max(value, -3.0), 3.0))
        axes.plot([x, x], [_at(truth), y], color="#CC79A7", lw=2.2, zorder=3)
        axes.plot([x], [y], "o", color="#CC79A7", ms=13, mec="white", mew=1.2, zorder=5)
        plate = dict(boxstyle="round,pad=0.12", fc="white", ec="none", alpha=0.9)
        write(axes, x + 0.2, y, signed(value), 14, ha="left", weight="bold", bbox=plate, zorder=4)


def _at(sentiment: float) -> float:
    return BOTTOM + (TOP - BOTTOM) * (sentiment + 3) / 6


def _told(clips: RecoveredClips, sample: int) -> str:
    said = []
    for pattern in PATTERNS:
        seen = clips.seen(sample, pattern)
        value = signed(float(clips.prediction[seen][sample])) if seen else "none"
        said.append(f"{pattern} {value}")
    if clips.draws:
        return (
            f"One clip under the seven patterns of available modalities, a column each: available features, in a dashed "
            f"frame the mean of {clips.draws} draws of those that are missing, and the mean prediction over these draws. "
            f"Predictions: {', '.join(said)}; the true label is {signed(float(clips.label[sample]))}."
        )
    return (
        f"One clip under the seven patterns of available modalities, a column each: the features that the model works "
        f"with, recovered ones in a dashed frame, and its prediction. Predictions: {', '.join(said)}; the true label is "
        f"{signed(float(clips.label[sample]))}."
    )
