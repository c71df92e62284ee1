"""What a toggle changes in the switchboard's picture of a joint prior: draws with their spread, expected latents, classes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection

from dicmor_lib.modalities import LETTERS, MODALITIES
from dicmor_lib.plots.drawing import INK, MUTED, Box, minus, signed
from dicmor_lib.plots.style import CLASS_COLOURS, MODALITY_COLOURS, MODALITY_MARKERS
from dicmor_lib.widgets.switchboard_clips import Prepared
from dicmor_lib.widgets.switchboard_interval import SHARE, interval_source
from dicmor_lib.widgets.switchboard_joint_frame import LANE_REACH, PLANES
from dicmor_lib.widgets.switchboard_layer import (
    BARS,
    DEPTH,
    HALF,
    NOW,
    PLANE,
    ROWS,
    SCALE_ROWS,
    STRIP,
    USED,
    Layer,
    draw_best,
    draw_cloud,
    draw_value,
    on_scale,
    to_inches,
)
from dicmor_lib.widgets.switchboard_planes import LatentPlane
from dicmor_lib.widgets.switchboard_state import SwitchboardState

MARK = 9
"""Size of an expected latent: less than that of the true one, which stays visible as a rim where the two meet."""

# --- sequences ----------------------------------------------------------------------------------------


def lane_curves(values: np.ndarray, x: float, y: float, steps: int) -> np.ndarray:
    """Return where lines (T, lanes) run in a strip whose lower left corner is (x, y): (lanes, T + 2, 2) inches.

    A step takes a cell's width and has its point in the middle; the ends are drawn on to the edges of the sequence.
    What lies outside a lane is put on its edge.
    """
    time, lanes = values.shape
    across = x + STRIP / steps * np.r_[0, np.arange(time) + 0.5, time]
    height = DEPTH / lanes
    up = np.clip(values[np.r_[0, np.arange(time), time - 1]].T / LANE_REACH, -1, 1) * (height / 2 - 0.01)
    middle = y + height * (np.arange(lanes) + 0.5)
    return np.stack([np.broadcast_to(across, up.shape), up + middle[:, None]], axis=-1)


def lanes(layer: Layer, x: float, y: float, values: np.ndarray, steps: int, **style: Any) -> None:
    """Draw features (time, lanes), a line in a lane for each channel, `steps` to the strip's full width."""
    if not len(values):
        return
    middle = y + DEPTH / values.shape[1] * (np.arange(values.shape[1]) + 0.5)
    width = STRIP * len(values) / steps
    zeros = [[(x, at), (x + width, at)] for at in middle]
    layer.add(LineCollection(zeros, colors="white", linewidths=1.5, gid="zero"))
    style = {"linewidths": 1.6, "gid": "lanes"} | style
    layer.add(LineCollection(list(lane_curves(values[:steps], x, y, steps)), **style))


def joint_recovered(layer: Layer, prepared: Prepared, sample: int, seen: str, m: int) -> list[str]:
    """Draw the draws of a missing modality: their band, their mean, the truth. Return what to say beside them."""
    clips, view, modality = prepared.clips, prepared.joint, MODALITIES[m]
    assert view is not None
    y, steps, colour = ROWS[modality], clips.steps(sample), MODALITY_COLOURS[modality]
    made, real = (of[:, view.channels[m]] for of in (clips.made(sample, seen, m), clips.real(sample, m)))
    if len(made):
        low, high = (
            lane_curves(side[seen][m, sample, : len(made), view.channels[m]].T, USED, y, steps)
            for side in (view.low, view.high)
        )
        outline = list(np.concatenate([low, high[:, ::-1]], axis=1))
        layer.add(PolyCollection(outline, fc=colour, ec="none", alpha=0.3, gid=f"band {modality}"))
    lanes(layer, USED, y, made, steps, color=colour, gid=f"mean of draws {modality}")
    if len(real) and clips.observed[sample, m]:
        truth = list(lane_curves(real, USED, y, steps))
        dots = dict(colors=INK, linewidths=1.3, linestyles=[(0, (1, 1.3))])
        layer.add(LineCollection(truth, gid=f"truth {modality}", **dots))
    layer.dashed(USED, y, colour)
    r, held = clips.agreement(sample, seen, m), view.held(clips, sample, seen, m)
    said = ["recovered"] if math.isnan(r) else ["recovered", minus(f"mean: r = {r:.2f}")]
    return said + ([] if math.isnan(held) else [f"{held * 100:.0f} % in band"])


# --- latents ------------------------------------------------------------------------------------------


def joint_latents(layer: Layer, prepared: Prepared, state: SwitchboardState, seen: str) -> None:
    """Draw the clip's latents, each in its plane, and where the missing ones are expected given the seen."""
    sample = state.sample
    before = None if state.before is None else prepared.clips.seen(sample, state.before)
    for m, (modality, where, plane) in enumerate(zip(MODALITIES, PLANES, prepared.planes)):
        if prepared.clips.observed[sample, m]:
            draw_cloud(layer, plane.latents[m, sample], modality, LETTERS[m] in seen, where, plane.reach)
        _expected(layer, plane, where, m, sample, seen, before)
        if not seen:
            left, bottom, width, _ = where
            layer.text(left + width / 2, bottom + 0.16, "nothing to go by", 11.5, ha="center", weight="bold")


def _expected(
    layer: Layer, plane: LatentPlane, where: Box, m: int, sample: int, seen: str, before: str | None
) -> None:
    """Where a missing latent is expected, and hollow where it was expected before the last toggle."""
    modality = MODALITIES[m]
    style = dict(marker=MODALITY_MARKERS[modality], ms=MARK, mew=1.4)
    new = to_inches(plane.stand_in(sample, seen), where, plane.reach)
    old = np.full(2, np.nan)
    if before is not None:
        old = to_inches(plane.stand_in(sample, before), where, plane.reach)
    if np.isfinite(old).all():
        if np.isfinite(new).all():
            way = np.stack([old, new]).T
            layer.line(*way, color=MUTED, lw=1.6, ls=(0, (2, 1.5)), gid=f"way {modality}")
        layer.line(*old[:, None], color="white", mec=MUTED, gid=f"ghost {modality}", **style)
    if np.isfinite(new).all():
        layer.line(*new[:, None], color=NOW, mec=INK, gid=f"expected {modality}", **style)


# --- sentiment ----------------------------------------------------------------------------------------


def joint_prediction(layer: Layer, prepared: Prepared, sample: int, seen: str) -> None:
    """Draw the prediction in its interval, a tick for each draw behind it, and say below where the interval is from."""
    y, right, view = SCALE_ROWS[0], 2 * HALF - 0.22, prepared.joint
    assert view is not None
    note = "no band: too few validation clips"
    if prepared.has_interval(sample, seen):
        low, high = prepared.interval(sample, seen)
        layer.band(on_scale(low), y - 0.11, on_scale(high) - on_scale(low), 0.22, NOW, gid="interval")
        layer.text(right, y - 0.07, f"{signed(low)} to {signed(high)}", 10.5, ha="right")
        note = f"band: {SHARE * 100:.0f} %, {interval_source(seen, 'the draws (ticks)')}"
    layer.text(PLANE[0], 0.2, note, 11, color=MUTED)
    if seen and seen != LETTERS:
        places = [on_scale(value) for value in view.predictions[seen][:, sample]]
        ticks = [[(x, y - 0.11), (x, y + 0.11)] for x in places]
        layer.add(LineCollection(ticks, colors=INK, linewidths=0.7, alpha=0.4, gid="draws"))
    layer.text(PLANE[0], y, "prediction" if seen else "blind guess", 12.5, weight="bold")
    draw_value(layer, y, prepared.guess(sample, seen), "o", NOW, 13, lift=0.1)


def joint_classes(layer: Layer, prepared: Prepared, sample: int, seen: str) -> None:
    """Draw the model's class probabilities, filled, and beside them the best possible ones, hatched."""
    view = prepared.joint
    assert view is not None
    best = prepared.best.get(seen)
    width = 0.26 if best is None else 0.13
    start = -width / 2 if best is None else -width - 0.01
    own = _bars(view.posterior[seen][sample], start, width)
    layer.add(PolyCollection(own, fc=CLASS_COLOURS, ec=CLASS_COLOURS, linewidths=0.8, gid="posterior"))
    if best is not None:
        bars = _bars(prepared.classes[seen][sample], 0.02, width)
        style = dict(fc="white", ec=CLASS_COLOURS, linewidths=1.2, hatch="////")
        layer.add(PolyCollection(bars, gid="classes", **style))
        draw_best(layer, float(best[sample]))


def _bars(law: np.ndarray, start: float, width: float) -> list[list[tuple[float, float]]]:
    """A rectangle over each class, beginning `start` inches right of it."""
    foot, height = BARS
    rectangles = []
    for c, p in zip(range(-3, 4), law):
        left, top = on_scale(c) + start, foot + height * float(p)
        rectangles.append([(left, foot), (left, top), (left + width, top), (left + width, foot)])
    return rectangles
