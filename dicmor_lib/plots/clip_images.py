"""One clip's features as images side by side on one scale: what was there, and what several methods made of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dicmor_lib.errors import ShapeError
from dicmor_lib.plots.style import HouseFigure, describe, house_figure, new_figure


@house_figure
def clip_images(versions: Mapping[str, np.ndarray], title: str = "") -> HouseFigure:
    """Plot versions of one clip's features, such as real, transferred and recovered, one image each.

    Args:
        versions: name -> (time, channels), valid steps only; the first one sets the scale.
        title: of the figure.

    Returns:
        Time to the right, one line of the image per channel, violet (low) over white to orange (high). The scale is
        the same for all, so a paler image is a narrower one. Below each name stands its spread, the standard
        deviation of its values, and the correlation with the first version.

    Raises:
        ShapeError: if there is no version or they do not have one two-dimensional shape.
    """
    arrays = {name: np.asarray(x, dtype=np.float64) for name, x in versions.items()}
    shapes = {x.shape for x in arrays.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2 or not next(iter(arrays.values())).size:
        raise ShapeError(f"the versions of a clip need one shape (time, channels), not {sorted(shapes)}")
    first = next(iter(arrays.values()))
    limit = float(np.quantile(np.abs(first), 0.98)) or 1.0
    figure = new_figure(3.1 * len(arrays) + 0.7, 4.4)
    panels = figure.subplots(1, len(arrays), sharey=True, squeeze=False)[0]
    told = []
    for panel, (name, x) in zip(panels, arrays.items()):
        extent = (0.5, len(x) + 0.5, x.shape[1] - 0.5, -0.5)
        image = panel.imshow(x.T, aspect="auto", cmap="PuOr_r", vmin=-limit, vmax=limit, extent=extent)
        below = f"spread {x.std():.2f}"
        if x is not first:
            below += f", correlation {_correlation(first, x):.2f}"
        panel.set_title(f"{name}\n", fontsize=15, fontweight="bold")
        panel.text(0, 1.02, below, transform=panel.transAxes, va="bottom", fontsize=12)
        panel.set_xlabel("step")
        panel.grid(visible=False)
        told.append(f"{name}: {below}")
    panels[0].set_ylabel("channel")
    figure.colorbar(image, ax=panels, pad=0.01, aspect=28, label="standard deviations")
    if title:
        figure.suptitle(title, fontsize=14)
    figure.alt = (
        f"{title or 'One clip'} as {describe(list(arrays))}: images of {len(first)} steps by {first.shape[1]} channels "
        f"on one colour scale. {'; '.join(told)}."
    )
    return figure


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    if one.std() < 1e-12 or other.std() < 1e-12:
        return 0.0
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
