"""A missing modality of one clip beside what transfer and recovery made of the others."""

from __future__ import annotations

import numpy as np

from dicmor_lib.errors import ShapeError
from dicmor_lib.plots.style import (
    SERIES_COLOURS,
    SERIES_LINES,
    SERIES_MARKERS,
    HouseFigure,
    house_figure,
    new_figure,
)


@house_figure
def recovered_view(
    true: np.ndarray,
    recovered: np.ndarray,
    transferred: np.ndarray,
    modality: str = "language",
    channels: int = 3,
) -> HouseFigure:
    """Plot some channels of one clip over time: the real shallow features and the two estimates of them.

    Args:
        true, recovered, transferred: (time, channels) each, valid steps only.
        modality: which one was missing.
        channels: how many to show: those that vary most in the real features.

    Raises:
        ShapeError: if the three arrays do not have one two-dimensional shape.
    """
    series = {"real": true, "recovered": recovered, "transferred": transferred}
    shapes = {np.shape(x) for x in series.values()}
    if len(shapes) > 1 or true.ndim != 2 or not true.size:
        raise ShapeError(
            f"real, recovered and transferred need one shape (time, channels), not {sorted(shapes)}"
        )
    shown = np.argsort(-true.std(axis=0), kind="stable")[:channels]
    figure = new_figure(10, 2.0 * len(shown) + 1.2)
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for panel, channel in zip(panels, shown):
        for i, (name, x) in enumerate(series.items()):
            panel.plot(
                x[:, channel],
                color=SERIES_COLOURS[i],
                linestyle=SERIES_LINES[i],
                marker=SERIES_MARKERS[i],
                markersize=4,
                linewidth=2.4 if i == 0 else 1.6,
                label=name,
            )
        panel.set_ylabel(f"channel {channel}")
    panels[0].set_title(f"{modality}, which the model did not see")
    panels[-1].set_xlabel("step")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    told = ", ".join(
        f"{name} {np.corrcoef(true.ravel(), x.ravel())[0, 1]:.2f}" for name, x in list(series.items())[1:]
    )
    figure.alt = (
        f"Line plots over {len(true)} steps of the {len(shown)} most varying channels of one clip's {modality} features: "
        f"real, recovered and transferred. Correlation with the real ones over all channels: {told}."
    )
    return figure
