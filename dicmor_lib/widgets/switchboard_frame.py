"""What no state changes in the picture of the switchboard: cards, titles, axes, priors and training clips."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from dicmor_lib.modalities import MODALITIES
from dicmor_lib.plots.drawing import FAINT, INK, MUTED, box, signed, title, write
from dicmor_lib.plots.style import CLASS_COLOURS, MODALITY_COLOURS, MODALITY_MARKERS, HouseFigure
from dicmor_lib.widgets.switchboard_clips import Prepared
from dicmor_lib.widgets.switchboard_interval import SHARE
from dicmor_lib.widgets.switchboard_joint_frame import joint_legend, joint_notes, joint_planes
from dicmor_lib.widgets.switchboard_layer import (
    BARS,
    DEPTH,
    HALF,
    HEIGHT,
    LONG,
    NOW,
    PLANE,
    ROWS,
    SCALE,
    SCALE_ROWS,
    STRIP,
    TRUE,
    USED,
    on_scale,
    to_inches,
)


def switchboard_frame(prepared: Prepared) -> HouseFigure:
    """Return a new figure with everything that no state changes; draw it under the house style."""
    figure = HouseFigure(figsize=(2 * HALF, HEIGHT))
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1), zorder=0)
    axes.set(xlim=(0, 2 * HALF), ylim=(0, HEIGHT))
    axes.set_axis_off()
    for left in (0, HALF):
        where = (left + 0.05, 0.05, HALF - 0.1, HEIGHT - 0.1)
        box(axes, where, face="white", edge=FAINT, radius=0.15, zorder=0)
    write(axes, TRUE, 5.62, "true", 13, ha="left")
    write(axes, USED, 5.62, "the model uses", 13, ha="left")
    for modality in MODALITIES:
        title(axes, 0.15, ROWS[modality] + 0.92, modality)
        for x in (TRUE, USED):
            axes.add_patch(Rectangle((x, ROWS[modality]), STRIP, DEPTH, fc="#f2f2f2", ec="none", zorder=1))
    if prepared.joint is None:
        note = f"time \u2192, a row per channel ({prepared.clips.true.shape[-1]}), light is low, dark is high"
        write(axes, 0.2, 0.34, note, 12, ha="left", color=MUTED)
        _plane(axes, prepared)
    else:
        joint_notes(axes, prepared, prepared.joint)
        joint_planes(axes, prepared.planes)
    _scale(axes, prepared)
    return figure


def _plane(axes: Axes, prepared: Prepared) -> None:
    left, bottom, width, height = PLANE
    write(axes, left, 6.08, "Latents in two principal directions", 15, ha="left", weight="bold")
    axes.add_patch(Rectangle((left, bottom), width, height, fc="#fafafa", ec=FAINT, lw=1.0, zorder=1))
    axes.plot(*to_inches(prepared.plane.backdrop).T, ".", color="#d4d4d4", ms=3, zorder=2, gid="backdrop")
    curves = to_inches(np.swapaxes(prepared.plane.priors, 1, 2))
    colours = CLASS_COLOURS if len(curves) == len(CLASS_COLOURS) else [INK] * len(curves)
    priors = LineCollection(list(curves), colors=colours, linewidths=1.2, zorder=3, gid="priors")
    axes.add_collection(priors, autolim=False)
    x, y = left, bottom - 0.2
    entries = [(name, MODALITY_MARKERS[name], MODALITY_COLOURS[name]) for name in MODALITIES]
    for (label, marker, colour), step in zip((*entries, ("merged", "*", NOW)), (1.12, 0.86, 0.9, 1.0)):
        merged = marker == "*"
        edge, size = (INK, 13) if merged else (colour, 8)
        axes.plot([x + 0.1], [y], marker, color=colour, mec=edge, ms=size, zorder=6)
        write(axes, x + 0.25, y - 0.01, label, 12, ha="left")
        x += step
    axes.plot([x + 0.1], [y], "*", color="white", mec=MUTED, ms=13, zorder=6)
    write(axes, x + 0.25, y - 0.01, "before", 12, ha="left")
    note = "hollow: hidden. Ellipses: class priors, 1.8 sd. Grey: training clips"
    write(axes, left, y - 0.25, note, 11, ha="left", color=MUTED)


def _scale(axes: Axes, prepared: Prepared) -> None:
    """The axis of sentiment, the foot of the class bars, and the rows that are always there."""
    values = range(-3, 4)
    shades = [INK if value == 0 else FAINT for value in values]
    axes.vlines([on_scale(value) for value in values], 0.55, BARS[0], colors=shades, lw=1.0, zorder=1)
    for value in values:
        write(axes, on_scale(value), 0.43, signed(value), 11.5, color=MUTED)
    axes.plot([SCALE - 0.2, SCALE + LONG + 0.2], [BARS[0]] * 2, color=MUTED, lw=1.0, zorder=1)
    if prepared.joint is not None and prepared.joint.posterior:
        joint_legend(axes, beside_best=bool(prepared.best))
    else:
        known = "best possible\nclass probabilities" if prepared.best else "training labels\nshare per class"
        write(axes, PLANE[0], BARS[0] + 0.34, known, 11.5, ha="left", linespacing=1.25)
    if prepared.joint is None:
        note = f"band: {SHARE * 100:.0f} %, split conformal, from validation clips so masked"
        write(axes, PLANE[0], 0.2, note, 11, ha="left", color=MUTED)
    _, full, truth = SCALE_ROWS
    write(axes, PLANE[0], full, "with everything", 12.5, ha="left")
    write(axes, PLANE[0], truth, "true label", 12.5, ha="left")
