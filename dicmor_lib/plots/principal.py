"""The plane in which a cloud of many dimensions is drawn: its first two principal directions."""

from __future__ import annotations

import numpy as np


def principal_plane(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the centre (d,) of points (N, d), their first two principal directions, and what these hold.

    The directions are (2, d), or (1, d) where there is one only; a point stands at (point - centre) @ directions.T.
    The last number is the share of the variance along them.
    """
    centre = points.mean(axis=0)
    _, size, axes = np.linalg.svd(points - centre, full_matrices=False)
    axes = axes[:2]
    # The sign of a direction is arbitrary; fixed so that the same data give the same picture.
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    return centre, axes * signs[:, None], float((size[:2] ** 2).sum() / max((size**2).sum(), 1e-300))
