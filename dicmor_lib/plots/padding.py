"""What padding does to an error: with the steps masked, and with them counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
def padding_figure(
    padded_to: Sequence[int], errors: Mapping[str, np.ndarray], unit: str = "error", title: str = ""
) -> HouseFigure:
    """Plot errors against the length that clips are padded to: a line for the mean, a dot for each seed.

    Args:
        padded_to: steps, padding included.
        errors: name -> (lengths, seeds).
        unit: of the errors, for the axis.
        title: of the figure.

    Raises:
        ShapeError: if a name does not have one row of errors per length.
    """
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in errors.items()}
    for name, values in arrays.items():
        if values.ndim != 2 or len(values) != len(padded_to) or not values.size:
            raise ShapeError(
                f"errors of {name!r} must have shape ({len(padded_to)}, seeds), not {values.shape}"
            )
    if not arrays:
        raise ShapeError("there are no errors to plot; give at least one")
    figure = new_figure(9, 4.4)
    panel = figure.subplots()
    for i, (name, values) in enumerate(arrays.items(), 1):
        style = dict(color=SERIES_COLOURS[i], linestyle=SERIES_LINES[i - 1], marker=SERIES_MARKERS[i])
        panel.plot(padded_to, values.mean(axis=1), label=name, lw=2.2, ms=9, **style)
        panel.plot(padded_to, values, ".", color=SERIES_COLOURS[i], alpha=0.5, ms=6)
    panel.set(xlabel="steps, padding included", ylabel=unit, ylim=(0, None), xticks=list(padded_to))
    if title:
        panel.set_title(title, fontsize=14)
    figure.legend(loc="outside lower center", ncols=len(arrays))
    told = "; ".join(f"{name} {v[0].mean():.2f} to {v[-1].mean():.2f}" for name, v in arrays.items())
    figure.alt = (
        f"Lines of the {unit} against the padded length, from {padded_to[0]} to {padded_to[-1]} steps"
        f"{f' ({title})' if title else ''}, mean over seeds. {told}."
    )
    return figure
