"""Real against recovered features in two dimensions, never without the noise floor and the measured distances."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from dicmor_lib.errors import ConfigError, DataError, ShapeError
from dicmor_lib.evaluation.distances import FLOOR, Distance, distances_to_real, halves
from dicmor_lib.evaluation.two_sample import PERMUTATIONS
from dicmor_lib.plots.principal import principal_plane
from dicmor_lib.plots.style import HouseFigure, house_figure, new_figure

COLUMNS = 3
REAL_COLOUR, FLOOR_COLOUR, METHOD_COLOUR = "#8c8c8c", "#000000", "#D55E00"
_SHORT = {"mmd": "MMD²", "sliced_wasserstein": "SW", "classifier": "C2ST"}
_MAPS = {"pca": "first two principal components of the real features", "tsne": "t-SNE of all points"}


@house_figure
def distribution_map(
    real: np.ndarray,
    estimates: Mapping[str, np.ndarray],
    title: str,
    how: str = "pca",
    synthetic: bool = False,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> HouseFigure:
    """Plot real vectors against each method's, beside real against real, with distances and p-values.

    Args:
        real: (n, d) one vector per clip, independent of each other (`evaluation.distances.clip_vectors`), in
            training standard deviations.
        estimates: method -> (n, d) of the same clips, such as {"DiCMoR transferred": ..., "DiCMoR recovered": ...}.
        title: what is shown, for instance "vision from language and audio".
        how: "pca" or "tsne". t-SNE keeps neighbours together and neither distances nor sizes of clouds.
        synthetic: say so in the figure.
        permutations: relabellings for the p-values, at least 19.
        seed: of the halves, the relabellings and t-SNE.

    Returns:
        The first panel is always the noise floor, one half of the real vectors (dots) against the other
        (rings). Each further panel has the same dots and a method's vectors of the other half's clips. Titles
        give the distances of `distances_to_real`, whose values are means over halvings, of which the first is
        drawn.

    Raises:
        ConfigError, DataError, ShapeError: if the map is unknown or the vectors are unusable.
    """
    real, estimates = _checked(real, estimates, how, permutations)
    rows = distances_to_real(estimates, real, "", permutations=permutations, seed=seed)
    one, other = halves(len(real), 1, seed)[0]
    drawn = [real[other], real[one], *(values[one] for values in estimates.values())]
    places = _pca(drawn, real) if how == "pca" else _tsne(drawn, seed)
    names = {FLOOR: "Noise floor: real, other half"} | {name: name for name in estimates}
    columns = min(COLUMNS, len(names))
    lines = math.ceil(len(names) / columns)
    figure = new_figure(4.2 * columns, 4.5 * lines + 0.9)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    limits = _limits(places[:2])
    told = []
    for panel, (method, name), points in zip(panels, names.items(), places[1:]):
        found = {row.statistic: row for row in rows if row.method == method}
        _panel(panel, places[0], points, limits, method == FLOOR)
        panel.set_title(f"{name}\n{_measured(found)}", fontsize=13)
        told.append(f"{name}: {_measured(found).replace(chr(10), ', ')}")
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    figure.suptitle(f"{title}{', synthetic data' if synthetic else ''}: {_MAPS[how]}", fontsize=15)
    figure.supxlabel(
        f"grey dots: real (one half, {len(other)} clips); rings: the other half's clips. MMD², sliced "
        "Wasserstein (SW)\nand classifier accuracy - ½ (C2ST): mean over halvings, permutation p-value.",
        fontsize=12,
    )
    figure.alt = (
        f"{title}{', synthetic data' if synthetic else ''}. Scatter plots in the {_MAPS[how]}: the same half of "
        f"the real vectors beside, panel by panel, {'; '.join(told)}."
    )
    return figure


def _checked(
    real: np.ndarray, estimates: Mapping[str, np.ndarray], how: str, permutations: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    real = np.asarray(real, dtype=np.float64)
    if how not in _MAPS:
        raise ConfigError(f"there is no map {how!r}; choose one of {', '.join(_MAPS)}")
    if permutations < 19:
        raise ConfigError(f"permutations is {permutations}; p-values need at least 19 (200 is usual)")
    if not estimates or FLOOR in estimates:
        raise DataError(
            f"give the vectors of at least one method; the noise floor {FLOOR!r} is added to every map"
        )
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in estimates.items()}
    for name, values in arrays.items():
        if real.ndim != 2 or values.shape != real.shape:
            raise ShapeError(
                f"real vectors (n, d) and those of {name!r} must have one shape, not {real.shape} and {values.shape}"
            )
    return real, arrays


def _pca(sets: list[np.ndarray], real: np.ndarray) -> list[np.ndarray]:
    """Components of all real vectors, so that the plane is the same whatever methods are shown."""
    centre, axes, _ = principal_plane(real)
    axes = np.concatenate([axes, np.zeros((2 - len(axes), axes.shape[1]))])
    return [(values - centre) @ axes.T for values in sets]


def _tsne(sets: list[np.ndarray], seed: int) -> list[np.ndarray]:
    from sklearn.manifold import TSNE

    points = np.concatenate(sets)
    perplexity = min(30.0, (len(points) - 1) / 3)
    places = TSNE(random_state=seed, perplexity=perplexity, init="pca").fit_transform(points)
    return np.split(places, np.cumsum([len(values) for values in sets])[:-1])


def _panel(panel: Axes, real: np.ndarray, points: np.ndarray, limits: np.ndarray, floor: bool) -> None:
    colour = FLOOR_COLOUR if floor else METHOD_COLOUR
    panel.scatter(*real.T, s=20, color=REAL_COLOUR, alpha=0.7, linewidths=0)
    panel.scatter(*points.T, s=30, facecolors="none", edgecolors=colour, linewidths=1.3)
    low, high = limits
    panel.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[])
    inside = ((points >= low) & (points <= high)).all(axis=1)
    if not inside.all():
        panel.text(
            0.98, 0.02, f"{(~inside).sum()} outside", transform=panel.transAxes, ha="right", fontsize=12
        )


def _limits(places: list[np.ndarray]) -> np.ndarray:
    """The range of the real points: a method's outliers are counted, not allowed to shrink the clouds."""
    real = np.concatenate(places)
    low, high = real.min(axis=0), real.max(axis=0)
    margin = 0.12 * (high - low).max() + 1e-9
    return np.stack([low - margin, high + margin])


def _measured(found: Mapping[str, Distance]) -> str:
    told = []
    for statistic, short in _SHORT.items():
        row = found[statistic]
        digits = 3 if statistic == "mmd" else 2
        value = round(row.value, digits) + 0.0  # never "-0.000"
        told.append(f"{short} {value:.{digits}f} (p {row.p_value:.3f})")
    return f"{told[0]}, {told[1]}\n{told[2]}"
