"""The gates of channel attention: what each channel is multiplied by, and how much that depends on the clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dicmor_lib.errors import ShapeError
from dicmor_lib.plots.style import HouseFigure, house_figure, new_figure

RANGE_COLOUR = "#d5dae0"


@house_figure
def gate_panels(
    gates: Mapping[str, np.ndarray],
    group: np.ndarray,
    groups: Mapping[int, tuple[str, str, str]],
    title: str = "",
) -> HouseFigure:
    """Plot the gates of several blocks, one panel each.

    Args:
        gates: title of the panel -> gates (clips, channels) in [0, 1].
        group: (clips,) whole numbers, such as the sentiment class.
        groups: number -> (name, colour, marker) of the groups to show.
        title: of the figure.

    Returns:
        Channels from the lowest mean gate to the highest, and how much gates deviate. A grey bar holds the middle 90 % of the clips, a mark the mean
        over a group's clips: marks that lie on each other mean that the gate does not tell the groups apart.

    Raises:
        ShapeError: if gates and groups do not fit.
    """
    group = np.asarray(group)
    for name, g in gates.items():
        if np.ndim(g) != 2 or len(g) != len(group) or not np.size(g):
            raise ShapeError(f"gates of {name!r} must have shape ({len(group)}, channels), not {np.shape(g)}")
    if not gates:
        raise ShapeError("there are no gates to show; give those of at least one block")
    figure = new_figure(max(4.3 * len(gates), 8.0), 4.8)
    panels = figure.subplots(1, len(gates), sharey=True, squeeze=False)[0]
    told = []
    for panel, (name, g) in zip(panels, gates.items()):
        g = np.asarray(g, dtype=np.float64)
        order = np.argsort(g.mean(axis=0), kind="stable")
        low, high = np.quantile(g[:, order], [0.05, 0.95], axis=0)
        place = np.arange(g.shape[1])
        panel.bar(place, high - low, bottom=low, width=0.9, color=RANGE_COLOUR, zorder=2)
        for number, (_, colour, marker) in groups.items():
            chosen = g[group == number]
            if len(chosen):
                panel.plot(
                    place, chosen.mean(axis=0)[order], marker, color=colour, ms=6, alpha=0.85, zorder=3
                )
        apart = float(g.std(axis=0).mean())
        deviations = f"± {g.mean(0).std():.2f} over channels, ± {apart:.3f} over clips"
        panel.set_title(f"{name}\n", fontsize=14, fontweight="bold")
        panel.text(0, 1.02, deviations, transform=panel.transAxes, va="bottom", fontsize=12, in_layout=False)
        panel.set(ylim=(-0.04, 1.04), xlabel="channel, from low to high gate", xticks=[])
        panel.axhline(0.5, color="#8c8c8c", lw=0.8, zorder=1)
        told.append(
            f"{name}: mean gates from {g.mean(0).min():.2f} to {g.mean(0).max():.2f}, deviation over clips {apart:.3f}"
        )
    panels[0].set_ylabel("gate")
    figure.legend(handles=_handles(groups), loc="outside lower center", ncols=min(len(groups) + 1, 8))
    if title:
        figure.suptitle(title, fontsize=14)
    figure.alt = (
        f"Gates of channel attention{f' ({title})' if title else ''}, one mark per channel and group of clips. "
        f"{'; '.join(told)}."
    )
    return figure


def _handles(groups: Mapping[int, tuple[str, str, str]]) -> Sequence:
    marks = [
        Line2D([], [], marker=marker, linestyle="", color=colour, ms=8, label=name)
        for name, colour, marker in groups.values()
    ]
    return [*marks, Patch(color=RANGE_COLOUR, label="middle 90 % of clips")]
