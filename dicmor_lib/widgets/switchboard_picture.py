"""The picture of the switchboard: sequences on the left, latents and predictions on the right. A pure function.

It is made of three layers, each above the one before: the frame (the same for every state), the clip (the same for every
toggle), the state. So after a toggle only the last needs to be drawn again; see `Painter`. The two halves are equally wide
and nothing crosses from one to the other: on a narrow screen they can stand below each other.
"""

from __future__ import annotations

import math

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection

from dicmor_lib.modalities import LETTERS, MODALITIES
from dicmor_lib.plots.drawing import INK, MUTED, minus, signed
from dicmor_lib.plots.style import (
    CLASS_COLOURS,
    MODALITY_COLOURS,
    MODALITY_MARKERS,
    HouseFigure,
    house_figure,
)
from dicmor_lib.widgets.switchboard_clips import Prepared
from dicmor_lib.widgets.switchboard_frame import (
    BARS,
    HALF,
    NOW,
    PLANE,
    ROWS,
    SCALE_ROWS,
    TRUE,
    USED,
    Layer,
    on_scale,
    switchboard_frame,
    to_inches,
)
from dicmor_lib.widgets.switchboard_state import SwitchboardState
from dicmor_lib.widgets.switchboard_words import describe_switchboard


@house_figure
def render_switchboard(state: SwitchboardState, prepared: Prepared) -> HouseFigure:
    """Draw one state: sequences, latents, prediction with its interval, and the best that can be known.

    Raises:
        ConfigError: if there is no such clip.
    """
    alt = describe_switchboard(state, prepared)  # refuses a clip that does not exist
    figure = switchboard_frame(prepared)
    for artist in (*clip_layer(figure, prepared, state.sample), *state_layer(figure, prepared, state)):
        figure.add_artist(artist)
    figure.alt = alt
    return figure


# --- the layer of a clip ------------------------------------------------------------------------------


def clip_layer(figure: HouseFigure, prepared: Prepared, sample: int) -> list[Artist]:
    """Return what depends on the clip alone, in drawing order: its features, its label, the full prediction."""
    clips, layer = prepared.clips, Layer(figure, 100)
    synthetic = " (synthetic)" if clips.synthetic else ""
    layer.text(0.25, 6.08, f"Clip {sample + 1} of {len(clips)}{synthetic}", 15, weight="bold")
    for m, modality in enumerate(MODALITIES):
        if clips.observed[sample, m]:
            layer.heat(TRUE, ROWS[modality], clips.real(sample, m), modality, clips.steps(sample))
        else:
            layer.absent(TRUE, ROWS[modality], "no truth")
    whole = clips.seen(sample, LETTERS)
    _, full, truth = SCALE_ROWS
    _value(layer, full, prepared.guess(sample, whole) if whole else math.nan, "o", MUTED, 9)
    _value(layer, truth, float(clips.label[sample]), "D", INK, 8)
    return layer.artists


# --- the layer of a state -----------------------------------------------------------------------------


def state_layer(figure: HouseFigure, prepared: Prepared, state: SwitchboardState) -> list[Artist]:
    """Return what a toggle changes, in drawing order."""
    seen, layer = prepared.clips.seen(state.sample, state.available), Layer(figure, 200)
    for m, modality in enumerate(MODALITIES):
        _used(layer, prepared, state.sample, seen, m, modality)
    if not seen:
        layer.text(0.2, 0.66, "Nothing is available: nothing to recover from.", 12.5, weight="bold")
    _latents(layer, prepared, state, seen)
    _prediction(layer, prepared, state.sample, seen)
    _classes(layer, prepared, state.sample, seen)
    return layer.artists


def _used(layer: Layer, prepared: Prepared, sample: int, seen: str, m: int, modality: str) -> None:
    """One modality: what the model works with, and in words whether it was seen or recovered."""
    clips, y = prepared.clips, ROWS[modality]
    there, used = bool(clips.observed[sample, m]), LETTERS[m] in seen
    lines = ["available" if used else "hidden" if there else "not in clip"]
    if used:
        layer.heat(USED, y, clips.real(sample, m), modality, clips.steps(sample))
    elif seen:
        layer.heat(USED, y, clips.made(sample, seen, m), modality, clips.steps(sample))
        layer.dashed(USED, y, MODALITY_COLOURS[modality])
        r = clips.agreement(sample, seen, m)
        lines = ["recovered"] if math.isnan(r) else ["recovered", minus(f"r = {r:.2f}")]
    else:
        layer.absent(USED, y, "nothing")
    if not used:
        layer.strike(0.35, y + 0.92)
    layer.text(0.2, y + 0.68, "\n".join(lines), 12, va="top", linespacing=1.25)


def _latents(layer: Layer, prepared: Prepared, state: SwitchboardState, seen: str) -> None:
    plane, sample = prepared.plane, state.sample
    for m, modality in enumerate(MODALITIES):
        if prepared.clips.observed[sample, m]:
            _cloud(layer, plane.latents[m, sample], modality, LETTERS[m] in seen)
    new = to_inches(plane.stand_in(sample, seen))
    if state.before is not None:
        old = to_inches(plane.stand_in(sample, prepared.clips.seen(sample, state.before)))
        if np.isfinite(old).all():
            if np.isfinite(new).all():
                layer.line(*np.stack([old, new]).T, color=MUTED, lw=1.6, ls=(0, (2, 1.5)), gid="way")
            layer.line(*old[:, None], marker="*", color="white", ms=16, mec=MUTED, mew=1.4, gid="ghost")
    if np.isfinite(new).all():
        layer.line(*new[:, None], marker="*", color=NOW, ms=18, mec=INK, mew=1.3, gid="merged")
    elif not seen:
        left, bottom, width, height = PLANE
        text = "no latent\navailable:\nnothing\nto merge"
        layer.text(
            left + width - 0.12, bottom + height - 0.12, text, 12.5, ha="right", va="top", weight="bold"
        )


def _cloud(layer: Layer, steps: np.ndarray, modality: str, shown: bool) -> None:
    """A modality's own latents: a small mark per time step, a large one for their mean; hollow if it is hidden."""
    steps = steps[np.isfinite(steps[:, 0])]
    if not len(steps):
        return
    colour, marker = MODALITY_COLOURS[modality], MODALITY_MARKERS[modality]
    style = dict(marker=marker, color=colour, mfc=colour if shown else "white", ls="none")
    layer.line(*to_inches(steps).T, ms=4, alpha=0.8, mec=colour, mew=0.9, gid=f"steps {modality}", **style)
    edge = "white" if shown else colour
    mean = to_inches(steps.mean(axis=0))[:, None]
    layer.line(*mean, ms=12, mec=edge, mew=1.7, gid=f"mean {modality}", **style)


def _prediction(layer: Layer, prepared: Prepared, sample: int, seen: str) -> None:
    y, q, value = SCALE_ROWS[0], prepared.half_width[seen], prepared.guess(sample, seen)
    reach = ""
    if math.isfinite(q):
        low, high = (on_scale(edge) for edge in prepared.interval(sample, seen))
        layer.band(low, y - 0.11, high - low, 0.22, NOW, gid="interval")
        reach = f" \u00b1 {q:.1f}"
    layer.text(PLANE[0], y, "prediction" if seen else "blind guess", 12.5, weight="bold")
    _value(layer, y, value, "o", NOW, 13, reach)


def _classes(layer: Layer, prepared: Prepared, sample: int, seen: str) -> None:
    """Bars over the axis: what the oracle knows of the class; for a file, the shares among the training labels."""
    foot, height = BARS
    law, best = prepared.classes.get(seen, prepared.classes[""]), prepared.best.get(seen)
    places = [
        [(on_scale(c), foot), (on_scale(c), foot + height * p)] for c, p in zip(range(-3, 4), law[sample])
    ]
    bars = LineCollection(places, colors=CLASS_COLOURS, linewidths=17, capstyle="butt", gid="classes")
    layer.add(bars)
    if best is not None:
        value = float(best[sample])
        layer.line([on_scale(value)], [foot - 0.09], marker="^", color=INK, ms=9, gid="best")
        layer.text(2 * HALF - 0.22, foot + 0.12, signed(value), 12.5, ha="right", weight="bold")


def _value(
    layer: Layer, y: float, value: float, marker: str, colour: str, size: float, reach: str = ""
) -> None:
    """A mark on the axis of sentiment and its number at the right."""
    right = 2 * HALF - 0.22
    if math.isnan(value):
        layer.text(right, y, "none", 12.5, ha="right", color=MUTED)
        return
    layer.line([on_scale(value)], [y], marker=marker, color=colour, ms=size, mec="white", mew=1.2)
    layer.text(right, y, signed(value) + reach, 12.5, ha="right", weight="bold" if size > 9 else "normal")
