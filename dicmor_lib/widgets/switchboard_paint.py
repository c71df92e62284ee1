"""The switchboard's picture, quickly: after a toggle only the layer of the state is drawn.

Kept are the pixels of the frame, the pixels of frame and clip for the clip drawn last, and nothing else. The result is,
pixel by pixel, that of `render_switchboard`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist

from dicmor_lib.plots.style import house_style
from dicmor_lib.widgets.quick import DPI, drawn, pixels, quick_png
from dicmor_lib.widgets.switchboard_clips import Prepared
from dicmor_lib.widgets.switchboard_frame import switchboard_frame
from dicmor_lib.widgets.switchboard_picture import clip_layer, state_layer
from dicmor_lib.widgets.switchboard_state import SwitchboardState

_DRAWN_WITH = (
    "agg.",
    "axes.",
    "figure.f",
    "font.",
    "hatch.",
    "image.",
    "lines.",
    "markers.",
    "patch.",
    "path.",
    "text.",
)


@functools.cache
def _house() -> dict[str, Any]:
    with house_style():
        return {name: mpl.rcParams[name] for name in mpl.rcParams if name.startswith(_DRAWN_WITH)}


@contextmanager
def quick_style() -> Iterator[None]:
    """The house style for drawing without reading and checking it again, which costs as much as the drawing."""
    with mpl.rc_context():
        dict.update(mpl.rcParams, _house())
        yield


class Painter:
    """Draws states of the switchboard onto one canvas."""

    def __init__(self, prepared: Prepared, dpi: int = DPI) -> None:
        self._prepared, self._dpi = prepared, dpi
        self._canvas: Any = None  # of the first picture on
        self._sample: int | None = None

    def pixels(self, state: SwitchboardState) -> np.ndarray:
        """Return the picture of a state, (height, width, 3) uint8."""
        self._prepared.clips.seen(state.sample, state.available)  # refuses a clip that does not exist
        with quick_style():
            if self._canvas is None:
                self._canvas = drawn(switchboard_frame(self._prepared), self._dpi)
                self._frame = self._canvas.copy_from_bbox(self._canvas.figure.bbox)
            figure = self._canvas.figure
            if self._sample != state.sample:
                self._canvas.restore_region(self._frame)
                self._draw(clip_layer(figure, self._prepared, state.sample))
                self._clip, self._sample = self._canvas.copy_from_bbox(figure.bbox), state.sample
            self._canvas.restore_region(self._clip)
            self._draw(state_layer(figure, self._prepared, state))
        return pixels(self._canvas).copy()

    def halves(self, state: SwitchboardState) -> tuple[bytes, bytes]:
        """Return the left and the right half of the picture as PNG images."""
        whole = self.pixels(state)
        middle = whole.shape[1] // 2
        return quick_png(whole[:, :middle]), quick_png(whole[:, middle:])

    def _draw(self, artists: list[Artist]) -> None:
        renderer = self._canvas.get_renderer()
        for artist in artists:
            artist.draw(renderer)
