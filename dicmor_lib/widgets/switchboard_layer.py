"""Where things stand in the picture of the switchboard, in inches, and the quick artists that it is made of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.image import BboxImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox, TransformedBbox

from dicmor_lib.modalities import MODALITIES
from dicmor_lib.plots.drawing import INK, MUTED, Box, signed
from dicmor_lib.plots.style import HATCHED, MODALITY_COLOURS, MODALITY_MARKERS, HouseFigure
from dicmor_lib.widgets.picture import LIMIT, SHADES

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


def to_inches(points: np.ndarray, where: Box = PLANE, reach: float = REACH) -> np.ndarray:
    """Return where points (..., 2) of a latent plane stand in the picture; what lies outside is put on its edge.

    `reach` is half the shorter side of the box `where`, in units of the latent space.
    """
    left, bottom, width, height = where
    half = np.array([width, height]) / 2 - 0.06
    moved = np.clip(np.asarray(points) * (min(width, height) / 2 / reach), -half, half)
    return moved + np.array([left + width / 2, bottom + height / 2])


def on_scale(sentiment: float) -> float:
    """Return where a sentiment stands on the axis, in inches; beyond -3..3 at its ends."""
    return SCALE + LONG * (min(max(sentiment, -3.0), 3.0) + 3) / 6


def draw_cloud(
    layer: Layer,
    steps: np.ndarray,
    modality: str,
    shown: bool,
    where: Box = PLANE,
    reach: float = REACH,
) -> None:
    """A modality's own latents: a small mark per time step, a large one for their mean; hollow if it is hidden."""
    steps = steps[np.isfinite(steps[:, 0])]
    if not len(steps):
        return
    colour, marker = MODALITY_COLOURS[modality], MODALITY_MARKERS[modality]
    style = dict(marker=marker, color=colour, mfc=colour if shown else "white", ls="none")
    layer.line(
        *to_inches(steps, where, reach).T,
        ms=4,
        alpha=0.8,
        mec=colour,
        mew=0.9,
        gid=f"steps {modality}",
        **style,
    )
    edge = "white" if shown else colour
    mean = to_inches(steps.mean(axis=0), where, reach)[:, None]
    layer.line(*mean, ms=12, mec=edge, mew=1.7, gid=f"mean {modality}", **style)


def draw_value(
    layer: Layer,
    y: float,
    value: float,
    marker: str,
    colour: str,
    size: float,
    reach: str = "",
    lift: float = 0.0,
) -> None:
    """A mark on the axis of sentiment and its number at the right, `lift` inches above it."""
    right = 2 * HALF - 0.22
    if math.isnan(value):
        layer.text(right, y, "none", 12.5, ha="right", color=MUTED)
        return
    layer.line([on_scale(value)], [y], marker=marker, color=colour, ms=size, mec="white", mew=1.2)
    weight = "bold" if size > 9 else "normal"
    layer.text(right, y + lift, signed(value) + reach, 12.5, ha="right", weight=weight)


def draw_best(layer: Layer, value: float) -> None:
    """The mark and the number of the best possible guess."""
    foot = BARS[0]
    layer.line([on_scale(value)], [foot - 0.09], marker="^", color=INK, ms=9, gid="best")
    layer.text(2 * HALF - 0.22, foot + 0.12, signed(value), 12.5, ha="right", weight="bold")
