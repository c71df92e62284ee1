"""Four states of the switchboard in a row, for README.md: one clip, from which a modality more is taken each time."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.patches import Circle

from dicmor_lib.course.trained import course_model
from dicmor_lib.modalities import LETTERS, MODALITIES
from dicmor_lib.plots.drawing import FAINT, INK, MUTED, absent, box, canvas, signed, title, write
from dicmor_lib.plots.style import MODALITY_COLOURS, HouseFigure, describe, house_figure
from dicmor_lib.widgets.picture import heat, names, recovered_frame
from dicmor_lib.widgets.switchboard_clips import Prepared, prepare_switchboard
from dicmor_lib.widgets.switchboard_frame import NOW
from dicmor_lib.widgets.switchboard_interval import SHARE

SAMPLE = 3  # the clip that `make demo` opens
STATES = {
    "lav": "everything there",
    "lv": "sound muted",
    "l": "camera dark, too",
    "": "nothing left",
}
"""Pattern -> what happened; each is one press of a button away from the one before."""

WIDTH, HEIGHT = (
    13.0,
    6.05,
)  # inches; shown about 800 pixels wide, so nothing is written smaller than 14 points
ROWS = dict(zip(MODALITIES, (4.1, 2.85, 1.6)))  # lower edge of each modality's sequences
LEFT, STEP, STRIP, DEPTH = 2.25, 2.68, 2.32, 0.72  # of the columns
SCALE_ROW, SCALE_EDGE = (
    0.62,
    0.22,
)  # the axis of sentiment: height, and how far it keeps from a column's sides


@house_figure
def strip_figure() -> HouseFigure:
    """Draw the switchboard's clip under four patterns, as the shipped model sees it; the same picture every time.

    The clip is the one that `make demo` opens, whatever comes out; sequences, predictions and bands are the
    switchboard's own (`prepare_switchboard`).
    """
    return draw_strip(prepare_switchboard(course_model(), SAMPLE + 1), SAMPLE)


@house_figure
def draw_strip(prepared: Prepared, sample: int) -> HouseFigure:
    """Draw one of the prepared clips under the patterns of `STATES`.

    Raises:
        ConfigError: if there is no such clip.
    """
    prepared.clips.seen(sample, LETTERS)  # refuses a clip that does not exist
    figure, axes = canvas(WIDTH, HEIGHT)
    for modality in MODALITIES:
        title(axes, 0.2, ROWS[modality] + DEPTH / 2, modality)
    write(axes, 0.25, SCALE_ROW + 0.02, "sentiment", 15, ha="left", weight="bold")
    write(axes, 0.25, SCALE_ROW - 0.3, f"true: {signed(float(prepared.clips.label[sample]))}", 14, ha="left")
    axes.plot([1.47], [SCALE_ROW - 0.29], "D", color=INK, ms=9, mec="white", mew=1.0)
    for column, (pattern, said) in enumerate(STATES.items()):
        x = LEFT + column * STEP
        axes.add_patch(Circle((x + 0.17, 5.62), 0.2, fc=INK, ec="none", zorder=5))
        write(axes, x + 0.17, 5.61, str(column + 1), 15, color="white", weight="bold")
        write(axes, x + 0.47, 5.61, said, 15, ha="left", weight="bold")
        for m, modality in enumerate(MODALITIES):
            _cell(axes, prepared, sample, pattern, m, modality, x)
        _prediction(axes, prepared, sample, pattern, x)
    figure.alt = _told(prepared, sample)
    return figure


def _cell(axes: Axes, prepared: Prepared, sample: int, pattern: str, m: int, modality: str, x: float) -> None:
    """One modality in one state: its button, what became of it, and the sequence the model works with."""
    clips, where = prepared.clips, (x, ROWS[modality], STRIP, DEPTH)
    on = LETTERS[m] in pattern
    _button(axes, x + 0.02, where[1] + DEPTH + 0.2, MODALITY_COLOURS[modality], on)
    if not pattern:
        status = "off"
        absent(axes, where, "nothing")
    elif on:
        status = "on"
        heat(
            axes, where, clips.true[m, sample, : clips.lengths[sample, m]], modality, _steps(prepared, sample)
        )
    else:
        r = clips.agreement(sample, pattern, m)
        status = "recovered" if math.isnan(r) else f"recovered, r = {r:.2f}".replace("-", "\u2212")
        made = clips.recovered[pattern][m, sample, : clips.recovered_lengths[pattern][sample, m]]
        heat(axes, where, made, modality, _steps(prepared, sample))
        recovered_frame(axes, where, modality)
    colour = MUTED if status == "off" else INK
    write(axes, x + 0.56, where[1] + DEPTH + 0.195, status, 14, ha="left", color=colour)


def _button(axes: Axes, x: float, y: float, colour: str, on: bool) -> None:
    """A sliding switch, its knob on the right if it is on."""
    width, height = 0.44, 0.24
    face, edge = (colour, colour) if on else ("white", MUTED)
    box(axes, (x, y - height / 2, width, height), face=face, edge=edge, radius=height / 2, linewidth=1.8)
    knob = x + (width - height / 2 if on else height / 2)
    axes.add_patch(Circle((knob, y), 0.075, fc="white" if on else MUTED, ec="none", zorder=6))


def _prediction(axes: Axes, prepared: Prepared, sample: int, pattern: str, x: float) -> None:
    """The prediction with its band over an axis from -3 to +3, and the truth below it."""
    start, length = x + SCALE_EDGE, STRIP - 2 * SCALE_EDGE

    def at(value: float) -> float:
        return start + length * (min(max(value, -3.0), 3.0) + 3) / 6

    value, half = prepared.guess(sample, pattern), prepared.half_width[pattern]
    for tick in range(-3, 4):
        axes.plot(
            [at(tick)] * 2, [SCALE_ROW - 0.16, SCALE_ROW + 0.16], color=INK if tick == 0 else FAINT, lw=1.2
        )
    for end in (-3, 3):
        write(axes, at(end), SCALE_ROW - 0.33, signed(end), 14, color=MUTED)
    axes.plot([at(-3), at(3)], [SCALE_ROW] * 2, color=FAINT, lw=1.2, zorder=1)
    if math.isfinite(half):
        low, high = (at(edge) for edge in prepared.interval(sample, pattern))
        box(axes, (low, SCALE_ROW - 0.1, high - low, 0.2), face=NOW, edge="none", radius=0.0, alpha=0.35)
    axes.plot(
        [at(float(prepared.clips.label[sample]))],
        [SCALE_ROW - 0.16],
        "D",
        color=INK,
        ms=9,
        mec="white",
        mew=1.0,
    )
    axes.plot([at(value)], [SCALE_ROW], "o", color=NOW, ms=14, mec="white", mew=1.2, zorder=6)
    reach = f" \u00b1 {half:.1f}" if math.isfinite(half) else ""
    write(
        axes, x + STRIP / 2, SCALE_ROW + 0.38, f"{_kind(pattern)} {signed(value)}{reach}", 14, weight="bold"
    )


def _kind(pattern: str) -> str:
    return "predicted" if pattern else "blind guess"


def _steps(prepared: Prepared, sample: int) -> int:
    return max(int(prepared.clips.lengths[sample].max()), 1)


def _told(prepared: Prepared, sample: int) -> str:
    said = []
    for number, pattern in enumerate(STATES, start=1):
        value = f"{_kind(pattern)} {signed(prepared.guess(sample, pattern))}"
        gone = [name for name in MODALITIES if name not in names(pattern)]
        what = (
            "language, audio and vision there"
            if not gone
            else f"{describe(gone)} {'recovered' if pattern else 'off'}"
        )
        said.append(f"{number}: {what}, {value}")
    return (
        "Four states of the modality switchboard for one synthetic clip, a column each, with the sequences that the "
        f"trained model works with; recovered ones stand in a dashed frame. {'; '.join(said)}. The true sentiment is "
        f"{signed(float(prepared.clips.label[sample]))}; bands hold {SHARE * 100:.0f} % of such clips."
    )
