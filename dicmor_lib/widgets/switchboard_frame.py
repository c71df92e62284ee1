"""Where everything stands in the picture of the switchboard, what of it never changes, and quick artists for the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.image import BboxImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox, TransformedBbox

from dicmor_lib.modalities import MODALITIES
from dicmor_lib.plots.drawing import FAINT, INK, MUTED, box, signed, title, write
from dicmor_lib.plots.style import (
    CLASS_COLOURS,
    HATCHED,
    MODALITY_COLOURS,
    MODALITY_MARKERS,
    HouseFigure,
)
from dicmor_lib.widgets.picture import LIMIT, SHADES
from dicmor_lib.widgets.switchboard_clips import Prepared
from dicmor_lib.widgets.switchboard_interval import SHARE

HALF, HEIGHT = 5.6, 6.4  # inches; the picture is two halves wide
ROWS = dict(zip(MODALITIES, (4.18, 2.6, 1.02)))  # lower edge of each modality's strips
DEPTH, STRIP = 1.26, 1.6
TRUE, USED = 2.02, 3.8  # left edges of the two columns
PLANE = (HALF + 0.25, 3.1, 5.1, 2.72)  # left, bottom, width, height of the latent plane
REACH = 2.3  # what the plane shows above and below its centre, in units of the latent space
SCALE, LONG = HALF + 1.95, 2.3  # left end and length of the axis of sentiment
SCALE_ROWS = (1.27, 0.97, 0.67)  # the prediction now, with everything, the truth
BARS = (1.66, 0.85)  # foot of the class bars, and the height of a certain class
NOW = "#CC79A7"


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
    note = f"time \u2192, a row per channel ({prepared.clips.true.shape[-1]}), light is low, dark is high"
    write(axes, 0.2, 0.34, note, 12, ha="left", color=MUTED)
    _plane(axes, prepared)
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
    known = "best possible\nclass probabilities" if prepared.best else "training labels\nshare per class"
    write(axes, PLANE[0], BARS[0] + 0.34, known, 11.5, ha="left", linespacing=1.25)
    note = f"band: {SHARE * 100:.0f} %, split conformal, from validation clips so masked"
    write(axes, PLANE[0], 0.2, note, 11, ha="left", color=MUTED)
    _, full, truth = SCALE_ROWS
    write(axes, PLANE[0], full, "with everything", 12.5, ha="left")
    write(axes, PLANE[0], truth, "true label", 12.5, ha="left")


class Layer:
    """Artists in inches that are drawn in the order in which they were made. They belong to no axes: half the time."""

    def __init__(self, figure: HouseFigure, zorder: int) -> None:
        self.artists: list[Artist] = []
        self._figure, self._zorder = figure, zorder

    def add(self, artist: Artist) -> None:
        """Add an artist whose coordinates are inches."""
        artist.set_figure(self._figure)
        artist.set_zorder(self._zorder + len(self.artists) / 1000)
        if not artist.is_transform_set():
            artist.set_transform(self._figure.dpi_scale_trans)
        self.artists.append(artist)

    def text(self, x: float, y: float, text: str, size: float, **style: Any) -> None:
        """Write text, left-aligned unless `style` says otherwise."""
        style = {"ha": "left", "va": "center", "color": INK} | style
        self.add(Text(x, y, text, size=size, **style))

    def line(self, x: Any, y: Any, **style: Any) -> None:
        """Draw a line or marks."""
        self.add(Line2D(x, y, **style))

    def band(self, x: float, y: float, width: float, height: float, colour: str, **style: Any) -> None:
        """Draw a pale filled rectangle."""
        self.add(Rectangle((x, y), width, height, fc=colour, alpha=0.35, ec="none", **style))

    def heat(self, x: float, y: float, values: np.ndarray, modality: str, steps: int) -> None:
        """Draw features (time, channel) into a strip, `steps` to its full width."""
        shown = values[:steps]
        if not len(shown):
            return
        where = Bbox.from_bounds(x, y, STRIP * len(shown) / steps, DEPTH)
        style = dict(cmap=SHADES[modality], origin="lower", interpolation="nearest")
        image = BboxImage(TransformedBbox(where, self._figure.dpi_scale_trans), **style)
        image.set_data(shown.T)
        image.set_clim(-LIMIT, LIMIT)
        self.add(image)

    def dashed(self, x: float, y: float, colour: str) -> None:
        """Draw the outline that marks a strip as recovered."""
        style = dict(fc="none", ec=colour, lw=2.2, ls=(0, (3, 2)))
        self.add(Rectangle((x - 0.05, y - 0.05), STRIP + 0.1, DEPTH + 0.1, **style))

    def absent(self, x: float, y: float, text: str) -> None:
        """Hatch a strip that has nothing to show."""
        self.add(Rectangle((x, y), STRIP, DEPTH, **HATCHED))
        plate = dict(boxstyle="square,pad=0.25", fc="white", ec="none")
        self.text(x + STRIP / 2, y + DEPTH / 2, text, 14, ha="center", weight="bold", bbox=plate)

    def strike(self, x: float, y: float, size: float = 0.19) -> None:
        """Strike an icon out, with a white edge so that the stroke stands off what lies below."""
        for width, shade in ((8, "white"), (3.2, INK)):
            self.line(
                [x - size, x + size], [y + size, y - size], color=shade, lw=width, solid_capstyle="round"
            )


def to_inches(points: np.ndarray) -> np.ndarray:
    """Return where points (..., 2) of the latent plane stand in the picture; what lies outside is put on its edge."""
    left, bottom, width, height = PLANE
    half = np.array([width, height]) / 2 - 0.06
    moved = np.clip(np.asarray(points) * (height / 2 / REACH), -half, half)
    return moved + np.array([left + width / 2, bottom + height / 2])


def on_scale(sentiment: float) -> float:
    """Return where a sentiment stands on the axis, in inches; beyond -3..3 at its ends."""
    return SCALE + LONG * (min(max(sentiment, -3.0), 3.0) + 3) / 6
