"""Sentiment classes in a scatter plot: the points by class, and the legend that names the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dicmor_lib.evaluation.metrics import sentiment_class
from dicmor_lib.plots.style import CLASS_COLOURS, CLASS_MARKERS

CLASSES = range(-3, 4)


def scatter_by_class(
    panel: Axes, points: np.ndarray, label: np.ndarray, order: Sequence[int] = CLASSES, **style: Any
) -> None:
    """Plot points (N, 2) in the colour and with the marker of their label's class; the last of `order` lies on top."""
    classes = sentiment_class(label)
    for c in order:
        look = dict(marker=CLASS_MARKERS[c + 3], color=CLASS_COLOURS[c + 3], linewidths=0)
        panel.scatter(*points[classes == c].T, **look, **style)


def class_handles() -> list[Line2D]:
    """Return the entries of a legend, from class -3 to 3."""
    return [
        Line2D([], [], marker=marker, linestyle="", color=colour, label=f"{c:+d}" if c else "0")
        for c, colour, marker in zip(CLASSES, CLASS_COLOURS, CLASS_MARKERS)
    ]
