"""What no state changes in the switchboard's picture of a joint prior: a plane per modality, and what its marks mean."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from dicmor_lib.modalities import MODALITIES
from dicmor_lib.plots.drawing import FAINT, INK, MUTED, Box, write
from dicmor_lib.plots.style import CLASS_COLOURS, HATCHED, MODALITY_COLOURS, MODALITY_MARKERS
from dicmor_lib.widgets.switchboard_clips import Prepared
from dicmor_lib.widgets.switchboard_interval import SHARE
from dicmor_lib.widgets.switchboard_joint import JointView
from dicmor_lib.widgets.switchboard_layer import BARS, NOW, PLANE, to_inches
from dicmor_lib.widgets.switchboard_planes import LatentPlane

GAP = 0.1  # between two planes
HEAD = 0.3  # of a plane's title
THIRD = (PLANE[2] - 2 * GAP) / 3
PLANES: tuple[Box, ...] = tuple(
    (PLANE[0] + m * (THIRD + GAP), PLANE[1], THIRD, PLANE[3] - HEAD) for m in range(3)
)
"""Left, bottom, width and height of each modality's plane."""
LANE_REACH = 2.5
"""Standard deviations from a lane's middle to its edge."""


def joint_notes(axes: Axes, prepared: Prepared, view: JointView) -> None:
    """Say below the sequences what a lane shows."""
    d, lanes = prepared.clips.true.shape[-1], view.channels.shape[1]
    which = f"{d} channels" if lanes == d else f"{lanes} of {d} channels (most varied)"
    for y, note in (
        (0.43, f"time \u2192, a lane for each of {which}, \u00b1{LANE_REACH} sd"),
        (0.21, f"recovered: mean and {SHARE * 100:.0f} % band of {view.draws} draws; dotted: the truth"),
    ):
        write(axes, 0.2, y, note, 11, ha="left", color=MUTED)


def joint_planes(axes: Axes, planes: tuple[LatentPlane, ...]) -> None:
    """Draw the planes, each with its training clips and class ellipses, and their legend."""
    left, bottom, _, _ = PLANE
    write(axes, left, 6.08, "Latents, each modality in its own plane", 15, ha="left", weight="bold")
    for modality, where, plane in zip(MODALITIES, PLANES, planes):
        colour = MODALITY_COLOURS[modality]
        axes.add_patch(Rectangle(where[:2], *where[2:], fc="#fafafa", ec=FAINT, lw=1.0, zorder=1))
        head = where[1] + where[3] + 0.14
        axes.plot([where[0] + 0.1], [head], MODALITY_MARKERS[modality], color=colour, ms=8, zorder=6)
        write(axes, where[0] + 0.25, head - 0.01, modality, 12, ha="left")
        places = to_inches(plane.backdrop, where, plane.reach)
        axes.plot(*places.T, ".", color="#d4d4d4", ms=3, zorder=2, gid=f"backdrop {modality}")
        curves = to_inches(plane.priors.swapaxes(1, 2), where, plane.reach)
        colours = CLASS_COLOURS if len(curves) == len(CLASS_COLOURS) else [INK] * len(curves)
        style = dict(linewidths=1.2, zorder=3, gid=f"priors {modality}")
        axes.add_collection(LineCollection(list(curves), colors=colours, **style), autolim=False)
    _marks(axes, left, bottom - 0.2)
    note = "Ellipses: class priors of a step, 1.8 sd. Grey: training clips"
    write(axes, left, bottom - 0.45, note, 11, ha="left", color=MUTED)


def _marks(axes: Axes, x: float, y: float) -> None:
    """The legend: one shape stands for all three."""
    entries = (
        ("seen", MUTED, "white", 11, 0.8),
        ("hidden", "white", MUTED, 11, 0.96),
        ("expected", NOW, INK, 9, 1.15),
        ("expected before", "white", MUTED, 9, 0),
    )
    for label, face, edge, size, step in entries:
        axes.plot([x + 0.1], [y], "o", color=face, mec=edge, mew=1.4, ms=size, zorder=6)
        write(axes, x + 0.25, y - 0.01, label, 12, ha="left")
        x += step


def joint_legend(axes: Axes, beside_best: bool) -> None:
    """Name the class bars: the model's, and beside them those of whoever knows the law of the data."""
    x, y = PLANE[0], BARS[0] + 0.72
    write(axes, x, y, "class probabilities", 11.5, ha="left")
    entries = [("the model's", dict(fc=CLASS_COLOURS[5], ec=CLASS_COLOURS[5]))]
    if beside_best:
        entries.append(("best possible", HATCHED | dict(ec=CLASS_COLOURS[5], fc="white", linewidth=1.2)))
    for number, (label, style) in enumerate(entries, start=1):
        row = y - 0.24 * number
        axes.add_patch(Rectangle((x + 0.02, row - 0.06), 0.14, 0.14, zorder=6, **style))
        write(axes, x + 0.25, row, label, 11.5, ha="left")
