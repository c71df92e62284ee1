from __future__ import annotations

from dicmor_lib.plots.rcab import rcab_diagram
from dicmor_lib.plots.style import figure_alt


def test_the_diagram_names_its_sizes_and_its_parts():
    figure = rcab_diagram(width=64, squeezed=4)
    written = "\n".join(text.get_text() for text in figure.axes[0].texts)
    for part in ("64 → 4", "4 → 64", "conv 3", "ReLU", "sigmoid", "skip", "mean over"):
        assert part in written
    assert "input x with 64 channels" in figure_alt(figure) and "bottleneck of 4 channels" in figure_alt(
        figure
    )
