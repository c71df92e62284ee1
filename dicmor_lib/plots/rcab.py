"""A residual channel attention block as a diagram."""

from __future__ import annotations

from matplotlib.axes import Axes

from dicmor_lib.plots.drawing import INK, MUTED, arrow, box, canvas, write
from dicmor_lib.plots.style import SERIES_COLOURS, HouseFigure, house_figure

PATH, GATE = SERIES_COLOURS[1], SERIES_COLOURS[2]
"""The convolutions' colour, and that of the attention, which is dashed as well."""


@house_figure
def rcab_diagram(width: int = 32, squeezed: int = 2) -> HouseFigure:
    """Draw a residual channel attention block: the skip above, two convolutions, and the gate below.

    Args:
        width: channels of the block.
        squeezed: channels of the attention's bottleneck.
    """
    figure, axes = canvas(12.6, 4.4)
    top, bottom, times, plus = 2.85, 0.95, 10.65, 11.55
    arrow(axes, (0.75, top), (1.6, top), INK)
    write(axes, 0.5, top, "$x$", 20)
    for x, text in ((1.6, "conv 3"), (3.5, "ReLU"), (5.4, "conv 3")):
        box(axes, (x, top - 0.35, 1.4, 0.7), face="white", edge=PATH, linewidth=2.2)
        write(axes, x + 0.7, top, text, 15, color=PATH)
    arrow(axes, (3.0, top), (3.5, top), PATH)
    arrow(axes, (4.9, top), (5.4, top), PATH)
    arrow(axes, (6.8, top), (times - 0.28, top), PATH)
    write(axes, 7.3, top + 0.27, "$u$", 18, color=PATH)
    # the gate: from u down, through the bottleneck, and up again into the product
    boxes = [(6.3, "mean over\nvalid steps"), (8.1, f"$W_1$, ReLU\n{width} → {squeezed}")]
    boxes += [(9.9, f"$W_2$, sigmoid\n{squeezed} → {width}")]
    arrow(axes, (7.05, top), (7.05, bottom + 0.42), GATE)
    for x, text in boxes:
        box(
            axes, (x, bottom - 0.42, 1.5, 0.84), face="white", edge=GATE, linewidth=2.2, linestyle=(0, (4, 2))
        )
        write(axes, x + 0.75, bottom, text, 13, color=GATE)
    arrow(axes, (7.8, bottom), (8.1, bottom), GATE)
    arrow(axes, (9.6, bottom), (9.9, bottom), GATE)
    arrow(axes, (times, bottom + 0.42), (times, top - 0.28), GATE)
    write(axes, times - 0.15, 1.95, "one gate in (0, 1)\nper channel", 13, color=GATE, ha="right")
    _node(axes, times, top, "×", GATE)
    arrow(axes, (times + 0.28, top), (plus - 0.28, top), PATH)
    _node(axes, plus, top, "+", INK)
    arrow(axes, (plus + 0.28, top), (12.35, top), INK)
    arrow(
        axes,
        (1.15, top),
        (plus, top + 0.28),
        INK,
        turns=((1.15, top + 1.6), (plus, top + 1.6)),
    )
    write(axes, 6.3, top + 0.92, "skip: what is not improved stays as it is", 14, color=MUTED)
    figure.alt = (
        f"Diagram of a residual channel attention block. The input x with {width} channels goes through a convolution over "
        "3 steps, a ReLU and another convolution to u. The mean of u over the valid steps goes through a bottleneck of "
        f"{squeezed} channels to one sigmoid gate per channel, u is multiplied by it, and x is added again by a skip."
    )
    return figure


def _node(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    box(axes, (x - 0.28, y - 0.28, 0.56, 0.56), face="white", edge=colour, radius=0.28, linewidth=2.2)
    write(axes, x, y, text, 20, color=colour)
