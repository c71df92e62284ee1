"""The picture of one state: the clip, what the model works with, and what it says. A pure function."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes

from dicmor_lib.modalities import LETTERS, MODALITIES
from dicmor_lib.plots.drawing import (
    FAINT,
    INK,
    MUTED,
    Box,
    absent,
    box,
    canvas,
    minus,
    shades_of,
    signed,
    strike,
    title,
    write,
)
from dicmor_lib.plots.style import MODALITY_COLOURS, HouseFigure, describe, house_figure
from dicmor_lib.widgets.clips import RecoveredClips
from dicmor_lib.widgets.state import DemoState

WIDTH, HEIGHT = 10.0, 6.2  # inches
ROWS = dict(zip(MODALITIES, (4.5, 3.52, 2.54)))  # lower edge of each modality's strips
DEPTH = 0.74
LEFT, RIGHT, STRIP = 2.15, 6.05, 3.6  # where the two columns begin, and how wide a strip is
LIMIT = 2.0  # standard deviations from the lightest to the darkest shade
SCALE_LEFT, SCALE_WIDTH = 4.0, 5.3  # of the axis from -3 to +3
SCALE_ROWS = (1.62, 1.19, 0.76)


@house_figure
def render(state: DemoState, clips: RecoveredClips) -> HouseFigure:
    """Draw one clip: its features, what the model works with if only `state.available` is there, and its predictions.

    Raises:
        ConfigError: if there is no such clip.
    """
    seen = clips.seen(state.sample, state.available)
    figure, axes = canvas(WIDTH, HEIGHT)
    synthetic = ", synthetic" if clips.synthetic else ""
    write(
        axes, 0.3, 5.86, f"Clip {state.sample + 1} of {len(clips)}{synthetic}", 15, ha="left", weight="bold"
    )
    write(axes, LEFT, 5.45, "features in the clip", 14, ha="left")
    used = f"missing: mean of {clips.draws} draws" if clips.draws else "what the model works with"
    write(axes, RIGHT, 5.45, used, 14, ha="left")
    for m, modality in enumerate(MODALITIES):
        _row(axes, clips, state.sample, seen, m, modality)
    rows = f"time \u2192, a row per channel ({clips.true.shape[-1]})"
    write(axes, LEFT, ROWS["vision"] - 0.22, rows, 12, ha="left", color=MUTED)
    _scale(axes, clips, state.sample, seen)
    figure.alt = describe_state(state, clips)
    return figure


def describe_state(state: DemoState, clips: RecoveredClips) -> str:
    """Return in words what the picture of a state shows."""
    seen, whole = clips.seen(state.sample, state.available), clips.seen(state.sample, LETTERS)
    truth = f"true label {signed(float(clips.label[state.sample]))}"
    start = f"Clip {state.sample + 1} of {len(clips)}."
    if not seen:
        return (
            f"{start} Nothing is available, so there is no prediction: recovery needs at least one modality to start "
            f"from. The {truth}."
        )
    told = [f"{start} Available: {describe(names(seen))}."]
    for m, modality in enumerate(MODALITIES):
        if LETTERS[m] in whole and LETTERS[m] not in seen:
            r = clips.agreement(state.sample, seen, m)
            close = "" if math.isnan(r) else f" and correlates {r:.2f} with the true features"
            made = f"recovered as the mean of {clips.draws} draws" if clips.draws else "recovered"
            told.append(f"{modality.capitalize()} is {made}{close}.")
    now, full = (signed(float(clips.prediction[p][state.sample])) for p in (seen, whole))
    told.append(
        f"Prediction {now}, {truth}" + (f", with everything available {full}." if seen != whole else ".")
    )
    return " ".join(told)


def names(pattern: str) -> list[str]:
    """Return the modalities of a pattern."""
    return [modality for letter, modality in zip(LETTERS, MODALITIES) if letter in pattern]


def _row(axes: Axes, clips: RecoveredClips, sample: int, seen: str, m: int, modality: str) -> None:
    """One modality: its real features, and beside them what the model has in their place."""
    y, there, used = ROWS[modality], bool(clips.observed[sample, m]), LETTERS[m] in seen
    title(axes, 0.25, y + 0.5, modality, muted=not used)
    if not used:
        strike(axes, 0.45, y + 0.5, 0.19, INK)
    status = "available" if used else "missing" if there else "not in this clip"
    write(axes, 0.99, y + 0.2, status, 12, ha="left", color=INK if used else MUTED)
    whole = clips.steps(sample)
    real, made = (LEFT, y, STRIP, DEPTH), (RIGHT, y, STRIP, DEPTH)
    if not there:
        absent(axes, real, "not in this clip")
    else:
        heat(axes, real, clips.real(sample, m), modality, whole)
    if used:
        heat(axes, made, clips.real(sample, m), modality, whole)
    elif not seen:
        absent(axes, made, "nothing to recover from")
    else:
        heat(axes, made, clips.made(sample, seen, m), modality, whole)
        recovered_frame(axes, made, modality)
        r = clips.agreement(sample, seen, m)
        text = "recovered" if math.isnan(r) else minus(f"recovered, r = {r:.2f}")
        plate = dict(boxstyle="round,pad=0.2", fc="white", ec="none", alpha=0.92)
        write(axes, RIGHT + STRIP - 0.12, y + 0.16, text, 12, ha="right", bbox=plate)


def heat(axes: Axes, where: Box, values: np.ndarray, modality: str, steps: int) -> None:
    """Draw features (time, channel) from light (low) to dark (high), `steps` to the full width; the rest is padding."""
    x, y, width, height = where
    box(axes, where, face="#f2f2f2", edge="none", radius=0.0)
    if len(values):
        end = x + width * min(len(values) / steps, 1.0)
        shades = dict(cmap=SHADES[modality], vmin=-LIMIT, vmax=LIMIT, zorder=3)
        axes.imshow(values[:steps].T, extent=(x, end, y, y + height), aspect="auto", origin="lower", **shades)
    axes.set(
        xlim=(0, axes.figure.get_figwidth()), ylim=(0, axes.figure.get_figheight())
    )  # imshow has moved them


def recovered_frame(axes: Axes, where: Box, modality: str) -> None:
    """Draw the dashed outline that marks what was recovered."""
    x, y, width, height = where
    around = (x - 0.04, y - 0.04, width + 0.08, height + 0.08)
    colour = MODALITY_COLOURS[modality]
    box(axes, around, face="none", edge=colour, linewidth=2.0, linestyle=(0, (3, 2)), radius=0.05, zorder=4)


def _scale(axes: Axes, clips: RecoveredClips, sample: int, seen: str) -> None:
    """Three rows over one axis of sentiment: the truth, the prediction with everything, and with what is there."""
    shades = [INK if value == 0 else FAINT for value in range(-3, 4)]
    axes.vlines([_at(value) for value in range(-3, 4)], 0.52, 1.84, colors=shades, lw=1.0, zorder=1)
    for tick in range(-3, 4):
        write(axes, _at(tick), 0.34, signed(tick), 12, color=MUTED)
    write(axes, 0.3, 0.34, "sentiment", 12, ha="left", color=MUTED)
    whole = clips.seen(sample, LETTERS)
    rows = [("true label", float(clips.label[sample]), "D", INK)]
    rows.append(("predicted from everything", float(clips.prediction[whole][sample]), "o", MUTED))
    now = float(clips.prediction[seen][sample]) if seen else math.nan
    rows.append((f"predicted from {seen_words(seen)}", now, "o", "#CC79A7"))
    for (label, value, marker, colour), y in zip(rows, SCALE_ROWS):
        last = y == SCALE_ROWS[-1]
        write(axes, 0.3, y, label, 13, ha="left", weight="bold" if last else "normal")
        if math.isnan(value):
            plate = dict(boxstyle="round,pad=0.2", fc="white", ec="none")
            text = f"no prediction: one modality at least must be there. Blind guess {signed(clips.blind)}"
            write(axes, SCALE_LEFT - 0.45, y, text, 12, ha="left", bbox=plate)
            continue
        x = _at(min(max(value, -3.0), 3.0))
        axes.plot([_at(0), x], [y, y], color=colour, lw=2.2, zorder=3)
        axes.plot([x], [y], marker, color=colour, ms=13 if last else 10, mec="white", mew=1.2, zorder=5)
        side = 1 if value >= 0 else -1
        write(axes, x + side * 0.4, y, signed(value), 13, weight="bold" if last else "normal")


def seen_words(seen: str) -> str:
    """Return a pattern as short words for a row's label."""
    return "everything" if seen == LETTERS else describe(names(seen)) if seen else "nothing"


def _at(sentiment: float) -> float:
    return SCALE_LEFT + SCALE_WIDTH * (sentiment + 3) / 6


SHADES = {modality: shades_of(colour, 0.95, 0.5) for modality, colour in MODALITY_COLOURS.items()}
