"""Where the flows put the three modalities: clouds of latents per modality, coloured by sentiment class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.modalities import MODALITIES
from dicmor_lib.plots.classes import class_handles, scatter_by_class
from dicmor_lib.plots.principal import principal_plane
from dicmor_lib.plots.style import HouseFigure, describe, house_figure, new_figure


def clip_latents(latents: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return one vector per clip and modality, the mean over its valid steps: (3, N, T, d) -> (3, N, d).

    A modality without a valid step gives NaN, which `latent_clouds` leaves out.
    """
    latents, lengths = np.asarray(latents, dtype=np.float64), np.asarray(lengths)
    if latents.ndim != 4 or lengths.shape != (latents.shape[1], 3):
        raise ShapeError(
            f"latents (3, N, T, d) with lengths (N, 3) are needed, not {latents.shape} and {lengths.shape}"
        )
    inside = np.arange(latents.shape[2]) < lengths.T[:, :, None]  # (3, N, T)
    count = inside.sum(axis=2)[..., None]
    total = np.where(inside[..., None], latents, 0.0).sum(axis=2)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@house_figure
def latent_clouds(stages: Mapping[str, np.ndarray], label: np.ndarray) -> HouseFigure:
    """Plot latents of the three modalities in two dimensions, one row per stage of training.

    Args:
        stages: title -> latents (3, N, d), such as {"before training": ..., "after training": ...}; see
            `clip_latents`.
        label: (N,) sentiment; its class gives the points their colour and marker.

    Returns:
        A grid: a row per title, a column per modality and one for the noise floor, two random halves of one
        modality's clips (dots and rings): further apart than these two, clouds differ. Each row has its own
        two axes, the principal components of its three modalities together, so within a row equal places mean
        equal latents. A black cross marks a mean. Two components hide the others, so two clouds that look
        equal need not be: distances (`dicmor_lib.evaluation`) decide that.

    Raises:
        DataError: if there is nothing to plot.
        ShapeError: if latents and labels do not fit.
    """
    label = np.asarray(label)
    if not stages or not len(label):
        raise DataError("there are no latents to plot; give at least one stage and one clip")
    figure = new_figure(13, 3.5 * len(stages) + 0.6)
    panels = figure.subplots(len(stages), 4, squeeze=False)
    told = []
    for row, (title, latents) in zip(panels, stages.items()):
        points, share = _plane(np.asarray(latents, dtype=np.float64), len(label), title)
        for m, panel in enumerate(row[:3]):
            _cloud(panel, points[m], label)
            panel.set_title(f"{MODALITIES[m]}, {title}", fontsize=13)
        _same_limits(row, points)
        row[0].set_ylabel("second component")
        halves = _halves(points)
        _noise_floor(row[3], halves)
        told.append(
            f"{title}: the modalities' means are at most {_gap(points)} apart, those of the noise floor's halves "
            f"{_gap(halves)}, the two components hold {share:.0%} of the variance"
        )
    for panel in panels[-1]:
        panel.set_xlabel("first component")
    mean = Line2D([], [], marker="+", linestyle="", color="black", markeredgewidth=2.4, ms=12, label="mean")
    figure.legend(
        handles=[*class_handles(), mean], loc="outside lower center", ncols=8, title="sentiment class"
    )
    figure.alt = (
        f"Scatter plots of the latents of {describe(list(MODALITIES))}, one point per clip, coloured by "
        f"sentiment class, in the plane of the first two principal components, beside two halves of one "
        f"modality as the noise floor. {'; '.join(told)}."
    )
    return figure


def _plane(latents: np.ndarray, n: int, title: str) -> tuple[np.ndarray, float]:
    """Principal components of all modalities together: (3, N, 2), and the share of variance they hold."""
    if latents.ndim != 3 or latents.shape[:2] != (3, n):
        raise ShapeError(f"the latents of {title!r} must have shape (3, {n}, d), not {latents.shape}")
    flat = latents.reshape(-1, latents.shape[2])
    known = flat[np.isfinite(flat).all(axis=1)]
    if len(known) < 2:
        raise DataError(f"the latents of {title!r} hold fewer than two clips to plot")
    centre, axes, share = principal_plane(known)
    flat_points = (latents - centre) @ axes.T
    if flat_points.shape[2] == 1:
        flat_points = np.concatenate([flat_points, np.zeros_like(flat_points)], axis=2)
    return flat_points, share


def _cloud(panel: Axes, points: np.ndarray, label: np.ndarray) -> None:
    scatter_by_class(panel, points, label, s=30, alpha=0.8)
    _mark_mean(panel, points)


def _halves(points: np.ndarray) -> list[np.ndarray]:
    """Two random halves of the clips of the first modality that has at least two."""
    known = next(p for p in (p[np.isfinite(p).all(axis=1)] for p in points) if len(p) >= 2)
    return np.array_split(known[np.random.default_rng(0).permutation(len(known))], 2)


def _noise_floor(panel: Axes, halves: list[np.ndarray]) -> None:
    one, other = halves
    panel.scatter(*one.T, s=20, color="#8c8c8c", alpha=0.7, linewidths=0)
    panel.scatter(*other.T, s=30, facecolors="none", edgecolors="black", linewidths=1.2)
    for half in halves:
        _mark_mean(panel, half)
    panel.set_title("noise floor: two halves", fontsize=13)


def _mark_mean(panel: Axes, points: np.ndarray) -> None:
    known = points[np.isfinite(points).all(axis=1)]
    if len(known):
        panel.plot(*known.mean(axis=0), "+", color="white", markersize=17, markeredgewidth=5)
        panel.plot(*known.mean(axis=0), "+", color="black", markersize=15, markeredgewidth=2.4)


def _same_limits(row: np.ndarray, points: np.ndarray) -> None:
    """The middle 99 % of the points decide, so that single outliers do not shrink the clouds."""
    flat = points.reshape(-1, 2)
    flat = flat[np.isfinite(flat).all(axis=1)]
    low, high = np.quantile(flat, [0.005, 0.995], axis=0)
    margin = 0.08 * (high - low).max() + 1e-9
    for panel in row:
        panel.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))


def _gap(points: Iterable[np.ndarray]) -> str:
    """How far the means of several clouds lie apart at most, in words for the alternative text."""
    known = [p[np.isfinite(p).all(axis=1)] for p in points]
    known = [p for p in known if len(p)]
    centres = np.array([p.mean(axis=0) for p in known])
    spread = np.mean([np.sqrt(p.var(axis=0).sum()) for p in known])
    apart = max(np.linalg.norm(a - b) for a in centres for b in centres)
    return f"{apart / max(spread, 1e-12):.1f} standard deviations"
