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
from dicmor_lib.plots.drawing import INK, MUTED, minus
from dicmor_lib.plots.style import (
    CLASS_COLOURS,
    MODALITY_COLOURS,
    HouseFigure,
    house_figure,
)
from dicmor_lib.widgets.switchboard_clips import Prepared
from dicmor_lib.widgets.switchboard_frame import switchboard_frame
from dicmor_lib.widgets.switchboard_joint_picture import (
    joint_classes,
    joint_latents,
    joint_prediction,
    joint_recovered,
    lanes,
)
from dicmor_lib.widgets.switchboard_layer import (
    BARS,
    NOW,
    PLANE,
    ROWS,
    SCALE_ROWS,
    TRUE,
    USED,
    Layer,
    draw_best,
    draw_cloud,
    draw_value,
    on_scale,
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
            _sequence(layer, prepared, TRUE, sample, m)
        else:
            layer.absent(TRUE, ROWS[modality], "no truth")
    whole = clips.seen(sample, LETTERS)
    _, full, truth = SCALE_ROWS
    draw_value(layer, full, prepared.guess(sample, whole) if whole else math.nan, "o", MUTED, 9)
    draw_value(layer, truth, float(clips.label[sample]), "D", INK, 8)
    return layer.artists


# --- the layer of a state -----------------------------------------------------------------------------


def state_layer(figure: HouseFigure, prepared: Prepared, state: SwitchboardState) -> list[Artist]:
    """Return what a toggle changes, in drawing order."""
    seen, layer = prepared.clips.seen(state.sample, state.available), Layer(figure, 200)
    for m, modality in enumerate(MODALITIES):
        _used(layer, prepared, state.sample, seen, m, modality)
    if not seen:
        layer.text(0.2, 0.66, "Nothing is available: nothing to recover from.", 12.5, weight="bold")
    if prepared.joint is None:
        _latents(layer, prepared, state, seen)
        _prediction(layer, prepared, state.sample, seen)
    else:
        joint_latents(layer, prepared, state, seen)
        joint_prediction(layer, prepared, state.sample, seen)
    if prepared.joint is None or not prepared.joint.posterior:
        _classes(layer, prepared, state.sample, seen)
    else:
        joint_classes(layer, prepared, state.sample, seen)
    return layer.artists


def _sequence(layer: Layer, prepared: Prepared, x: float, sample: int, m: int) -> None:
    """The real features of a clip's modality: as lines where draws are to be compared with them, else as pixels."""
    clips, modality = prepared.clips, MODALITIES[m]
    if prepared.joint is None:
        layer.heat(x, ROWS[modality], clips.real(sample, m), modality, clips.steps(sample))
    else:
        shown = clips.real(sample, m)[:, prepared.joint.channels[m]]
        lanes(layer, x, ROWS[modality], shown, clips.steps(sample), color=MODALITY_COLOURS[modality])


def _used(layer: Layer, prepared: Prepared, sample: int, seen: str, m: int, modality: str) -> None:
    """One modality: what the model works with, and in words whether it was seen or recovered."""
    clips, y = prepared.clips, ROWS[modality]
    there, used = bool(clips.observed[sample, m]), LETTERS[m] in seen
    lines = ["available" if used else "hidden" if there else "not in clip"]
    if used:
        _sequence(layer, prepared, USED, sample, m)
    elif seen and prepared.joint is not None:
        lines = joint_recovered(layer, prepared, sample, seen, m)
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
            draw_cloud(layer, plane.latents[m, sample], modality, LETTERS[m] in seen)
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


def _prediction(layer: Layer, prepared: Prepared, sample: int, seen: str) -> None:
    y, value = SCALE_ROWS[0], prepared.guess(sample, seen)
    reach = ""
    if prepared.has_interval(sample, seen):
        low, high = (on_scale(edge) for edge in prepared.interval(sample, seen))
        layer.band(low, y - 0.11, high - low, 0.22, NOW, gid="interval")
        reach = f" \u00b1 {prepared.half_width[seen]:.1f}"
    layer.text(PLANE[0], y, "prediction" if seen else "blind guess", 12.5, weight="bold")
    draw_value(layer, y, value, "o", NOW, 13, reach)


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
        draw_best(layer, float(best[sample]))
