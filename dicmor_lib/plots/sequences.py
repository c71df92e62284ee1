"""What a clip looks like: the features of its three modalities over time, padding and absence told apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.patches import Rectangle

from dicmor_lib.errors import ShapeError
from dicmor_lib.modalities import MODALITIES
from dicmor_lib.plots.style import HATCHED, HouseFigure, house_figure, new_figure


@house_figure
def sequence_view(
    features: Sequence[np.ndarray], lengths: Sequence[int], title: str = "", channels: int = 24
) -> HouseFigure:
    """Plot one clip: a panel per modality, time to the right, one line of the image per channel.

    Args:
        features: three arrays (T_m, d_m), sequences starting at step 0.
        lengths: valid steps of each; 0 where the modality does not exist.
        title: of the clip.
        channels: at most so many channels are shown, the first ones; the panel says so.

    Returns:
        Values from violet (low) over white to orange (high) on each modality's own scale; padding is hatched.

    Raises:
        ShapeError: if these are not three two-dimensional arrays with three lengths that fit.
    """
    features, lengths = [np.asarray(x, dtype=np.float64) for x in features], [int(n) for n in lengths]
    if (
        len(features) != 3
        or len(lengths) != 3
        or any(x.ndim != 2 or n > len(x) for x, n in zip(features, lengths))
    ):
        raise ShapeError(
            "give a clip as three arrays (time, channels) and three lengths that are no longer than they are"
        )
    figure = new_figure(10, 6.2)
    time = max(len(x) for x in features)
    panels = figure.subplots(3, 1, sharex=True)
    for panel, x, n, modality in zip(panels, features, lengths, MODALITIES):
        shown = x[:n, :channels]
        if n:
            limit = np.nanquantile(np.abs(shown), 0.98) or 1.0
            image = panel.imshow(
                shown.T,
                aspect="auto",
                cmap="PuOr_r",
                norm=TwoSlopeNorm(0, -limit, limit),
                extent=(0, n, shown.shape[1], 0),
            )
            figure.colorbar(image, ax=panel, pad=0.01, aspect=12)
        depth = min(channels, x.shape[1])
        panel.add_patch(Rectangle((n, 0), time - n, depth, **HATCHED))
        if not n:
            panel.text(time / 2, depth / 2, "not observed", ha="center", va="center", backgroundcolor="white")
        cut = (
            f", first {channels} of {x.shape[1]} channels"
            if x.shape[1] > channels
            else f", {x.shape[1]} channels"
        )
        panel.set(xlim=(0, time), ylim=(depth, 0), ylabel="channel")
        panel.set_title(f"{modality}{cut}, {n} of {len(x)} steps", fontsize=13)
        panel.grid(visible=False)
    panels[-1].set_xlabel("time step (hatched: padding)")
    if title:
        figure.suptitle(title, fontsize=14, parse_math=False)  # an id such as mmmo014$_$0 is no formula
    told = ", ".join(
        f"{m} has {n} of {len(x)} steps and {x.shape[1]} channels"
        for m, n, x in zip(MODALITIES, lengths, features)
    )
    name = f"one clip ({title})" if title else "one clip"
    figure.alt = f"Features of {name} over time as images: {told}; the rest is padding."
    return figure
