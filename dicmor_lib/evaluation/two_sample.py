"""Are two sets of vectors drawn from the same law? Three statistics, each with a permutation p-value.

| statistic            | what it is                                                 | source                |
|----------------------|------------------------------------------------------------|-----------------------|
| "mmd"                | MMD^2: sees any difference at the scale of its kernel      | Gretton et al. 2012   |
| "sliced_wasserstein" | mean transport cost along random directions, in data units | Rabin et al. 2012     |
| "classifier"         | accuracy of a nearest-neighbour classifier above chance    | Lopez-Paz, Oquab 2017 |

Under the hypothesis that both sets come from one law, every relabelling of the pooled points is equally
likely. The p-value is the share of relabellings (the real one counts as one) whose statistic is at least as
large. It is exact only if the points are independent, so give one vector per clip and never all time steps
of a clip (`dicmor_lib.evaluation.distances` does that).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist, squareform
from sklearn.neighbors import NearestNeighbors

from dicmor_lib.errors import ConfigError, DataError, ShapeError

PERMUTATIONS = 200
PROJECTIONS = 64


@dataclass(frozen=True)
class TwoSample:
    """A statistic and its permutation p-value; `p_value` is NaN if no relabelling was asked for."""

    value: float
    p_value: float


Relabelled = Callable[[np.ndarray], np.ndarray]
"""Takes (R, N) bool, True for the first set, and returns the statistic of each relabelling, (R,)."""


def two_sample(
    first: np.ndarray,
    second: np.ndarray,
    statistic: str = "mmd",
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> TwoSample:
    """Compare two sets of independent vectors, (n, d) and (m, d).

    Args:
        first, second: at least 5 vectors each, finite.
        statistic: "mmd", "sliced_wasserstein" or "classifier".
        permutations: relabellings for the p-value, whose smallest possible value is 1 / (permutations + 1);
            0: no p-value.
        seed: of the relabellings and of the random directions.

    Raises:
        ConfigError, ShapeError, DataError: if the statistic is unknown or the vectors are unusable.
    """
    first, second = _checked(first, second)
    if statistic not in STATISTICS:
        raise ConfigError(f"there is no statistic {statistic!r}; choose one of {', '.join(STATISTICS)}")
    rng = np.random.default_rng(seed)
    score = STATISTICS[statistic](np.concatenate([first, second]), rng)
    real = np.arange(len(first) + len(second)) < len(first)
    value = float(score(real[None])[0])
    if not permutations:
        return TwoSample(value, float("nan"))
    relabelled = rng.permuted(np.tile(real, (permutations, 1)), axis=1)
    # Equal up to rounding counts as equal, or exact ties (small samples) would be decided by noise.
    as_large = score(relabelled) >= value - 1e-12
    return TwoSample(value, float((1 + as_large.sum()) / (1 + permutations)))


def median_bandwidth(points: np.ndarray) -> float:
    """Return the median heuristic: the median distance between different points of (N, d)."""
    distance = pdist(points)
    return float(np.median(distance)) or 1.0


def _mmd(points: np.ndarray, rng: np.random.Generator) -> Relabelled:
    """Unbiased estimate of MMD^2, kernel exp(-|x - y|^2 / (2 h^2)), h by the median heuristic; may be < 0."""
    squared = squareform(pdist(points, "sqeuclidean"))
    kernel = np.exp(-squared / (2 * median_bandwidth(points) ** 2))
    np.fill_diagonal(kernel, 0.0)  # the unbiased estimate leaves out k(x, x)

    def score(chosen: np.ndarray) -> np.ndarray:
        a = chosen.astype(np.float64)
        n, m = a.sum(axis=1), (1 - a).sum(axis=1)
        to_first = a @ kernel  # (R, N): sum of kernels to the first set
        within_first = (to_first * a).sum(axis=1)
        between = (to_first * (1 - a)).sum(axis=1)
        within_second = kernel.sum() - within_first - 2 * between
        return within_first / (n * (n - 1)) + within_second / (m * (m - 1)) - 2 * between / (n * m)

    return score


def _sliced_wasserstein(points: np.ndarray, rng: np.random.Generator) -> Relabelled:
    """Mean over random directions of the 1-Wasserstein distance of the projections, in the data's units."""
    directions = rng.normal(size=(points.shape[1], PROJECTIONS))
    projected = points @ (directions / np.linalg.norm(directions, axis=0))  # (N, PROJECTIONS)

    def score(chosen: np.ndarray) -> np.ndarray:
        return np.array([_wasserstein(projected[row], projected[~row]) for row in chosen])

    return score


def _wasserstein(x: np.ndarray, y: np.ndarray) -> float:
    """Mean over columns; exact for two equally large sets, else on a common grid of quantiles."""
    x, y = np.sort(x, axis=0), np.sort(y, axis=0)
    if len(x) != len(y):
        grid = (np.arange(max(len(x), len(y))) + 0.5) / max(len(x), len(y))
        x, y = x[(grid * len(x)).astype(int)], y[(grid * len(y)).astype(int)]
    return float(np.abs(x - y).mean())


def _classifier(points: np.ndarray, rng: np.random.Generator) -> Relabelled:
    """Balanced leave-one-out accuracy of k nearest neighbours, minus 1/2; k is the odd number at sqrt(N).

    Who is near whom does not depend on the labels, so relabelling needs no new training.
    """
    k = int(np.sqrt(len(points))) | 1
    neighbours = (
        NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
    )  # (N, k), self left out

    def score(chosen: np.ndarray) -> np.ndarray:
        # Votes against the share expected by chance: unequal sizes would make the larger set win every vote.
        votes = chosen[:, neighbours].mean(axis=2)  # (R, N)
        own = chosen.sum(axis=1, keepdims=True) - chosen  # others of the first set
        guess = votes > own / (len(points) - 1)
        hit_first = (guess & chosen).sum(axis=1) / chosen.sum(axis=1)
        hit_second = (~guess & ~chosen).sum(axis=1) / (~chosen).sum(axis=1)
        return (hit_first + hit_second) / 2 - 0.5

    return score


STATISTICS: dict[str, Callable[[np.ndarray, np.random.Generator], Relabelled]] = {
    "mmd": _mmd,
    "sliced_wasserstein": _sliced_wasserstein,
    "classifier": _classifier,
}


def _checked(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ShapeError(
            f"two sets of vectors (n, d) and (m, d) are needed, not {first.shape} and {second.shape}"
        )
    if min(len(first), len(second)) < 5:
        raise DataError(
            f"{len(first)} and {len(second)} vectors are too few to compare; 5 of each are the least"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise DataError("the vectors to compare hold NaN or infinite values")
    return first, second
