"""Are two sets of vectors drawn from the same law? Three statistics, each with a permutation p-value.

| statistic            | what it is                                                 | source                |
|----------------------|------------------------------------------------------------|-----------------------|
| "mmd"                | MMD^2: sees any difference at the scale of its kernel      | Gretton et al. 2012   |
| "sliced_wasserstein" | mean transport cost along random directions, in data units | Rabin et al. 2012     |
| "classifier"         | accuracy of a nearest-neighbour classifier above chance    | Lopez-Paz, Oquab 2017 |

Under the hypothesis that both sets come from one law, every relabelling of the pooled points is equally
likely. The p-value is the share of relabellings (the real one counts as one) whose statistic is at least as
large. It is exact only if the points are independent, so give one vector per clip and never all time steps
of a clip (`dicmor_lib.evaluation.distances` does that). If the sets come in pairs (`paired`), only the two of
a pair change places.

What does not depend on the labels (distances, neighbours, the order along a direction) is computed once for
all relabellings. POT has a sliced Wasserstein distance too, but no test: its sort would run once per
relabelling, so it stays out of the dependencies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.spatial.distance import pdist

from dicmor_lib.errors import ConfigError, DataError, ShapeError

PERMUTATIONS = 200
PROJECTIONS = 64


@dataclass(frozen=True)
class TwoSample:
    """A statistic and its permutation p-value; `p_value` is NaN if no relabelling was asked for."""

    value: float
    p_value: float


def two_sample(
    first: np.ndarray,
    second: np.ndarray,
    statistic: str = "mmd",
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> TwoSample:
    """Compare two sets of independent vectors, (n, d) and (m, d), by one statistic; see `two_sample_tests`.

    >>> rng = np.random.default_rng(0)
    >>> found = two_sample(rng.normal(size=(50, 2)), rng.normal(loc=2.0, size=(50, 2)))
    >>> found.value > 0, round(found.p_value, 3)  # of 200 relabellings none is as far apart
    (True, 0.005)
    """
    return two_sample_tests(first, second, (statistic,), permutations, seed)[statistic]


def two_sample_tests(
    first: np.ndarray,
    second: np.ndarray,
    statistics: Sequence[str] | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    paired: bool = False,
    bandwidth: float | None = None,
) -> dict[str, TwoSample]:
    """Compare two sets of independent vectors, (n, d) and (m, d), by several statistics.

    Args:
        first, second: at least 5 vectors each, finite.
        statistics: of "mmd", "sliced_wasserstein" and "classifier"; default: all.
        permutations: relabellings for the p-values, the same for all statistics; the smallest possible value
            is 1 / (permutations + 1); 0: no p-value.
        seed: of the relabellings and of the random directions.
        paired: first[i] and second[i] belong to one clip and are, under the hypothesis, exchangeable; pairs
            are independent of each other. Nothing is compared within a pair.
        bandwidth: of MMD's kernel; default: `median_bandwidth` of the pooled points. Values of several
            methods can be compared only if they share it.

    Raises:
        ConfigError, ShapeError, DataError: if a statistic is unknown or the vectors are unusable.
    """
    statistics = tuple(STATISTICS) if statistics is None else tuple(statistics)
    for name in statistics:
        if name not in STATISTICS:
            raise ConfigError(f"there is no statistic {name!r}; choose one of {', '.join(STATISTICS)}")
    first, second = _checked(first, second, paired)
    pool = Pool(np.concatenate([first, second]), paired, bandwidth, seed)
    labels = _relabellings(len(first), len(second), permutations, paired, seed)
    results = {}
    for name in statistics:
        value, *others = STATISTICS[name](pool, labels)
        # Equal up to rounding counts as equal, or exact ties (small samples) would be decided by noise.
        as_large = (np.array(others) >= value - 1e-12 - 1e-6 * abs(value)).sum()
        p_value = (1 + as_large) / (1 + permutations) if permutations else np.nan
        results[name] = TwoSample(float(value), float(p_value))
    return results


def median_bandwidth(points: np.ndarray) -> float:
    """Return the median heuristic: the median distance between different points of (N, d)."""
    distance = pdist(points)
    return float(np.median(distance)) or 1.0


@dataclass
class Pool:
    """The pooled points (N, d) of two sets, and what all relabellings share. Pairs are i and i + N/2."""

    points: np.ndarray
    paired: bool = False
    bandwidth: float | None = None
    seed: int = 0

    @cached_property
    def squared(self) -> np.ndarray:
        """Squared distances (N, N); infinite from a point to itself and to the other one of its pair."""
        centred = self.points - self.points.mean(axis=0)  # less cancellation in |x|^2 + |y|^2 - 2 x.y
        size = (centred**2).sum(axis=1)
        squared = np.maximum(size[:, None] + size - 2 * centred @ centred.T, 0.0)
        np.fill_diagonal(squared, np.inf)
        if self.paired:
            i = np.arange(len(squared))
            squared[i, i - len(squared) // 2] = np.inf
        return squared

    @cached_property
    def kernel(self) -> np.ndarray:
        """exp(-|x - y|^2 / (2 h^2)), (N, N): 0 where `squared` is infinite, as the unbiased estimate wants."""
        h = self.bandwidth or median_bandwidth(self.points)
        return np.exp(self.squared * (-0.5 / h**2))

    @cached_property
    def neighbours(self) -> np.ndarray:
        """Which points are among the k nearest of each: (N, N) float32 0/1; k is the odd number at sqrt(N)."""
        k = int(np.sqrt(len(self.points))) | 1
        nearest = np.argpartition(self.squared, k, axis=1)[:, :k]
        votes = np.zeros(self.squared.shape, np.float32)
        np.put_along_axis(votes, nearest, 1.0, axis=1)
        return votes

    @cached_property
    def projections(self) -> np.ndarray:
        """The points along random directions, (N, PROJECTIONS)."""
        directions = np.random.default_rng([self.seed, 1]).normal(size=(self.points.shape[1], PROJECTIONS))
        return self.points @ (directions / np.linalg.norm(directions, axis=0))


def _mmd(pool: Pool, labels: np.ndarray) -> np.ndarray:
    """Unbiased estimate of MMD^2 with a Gaussian kernel; may be < 0."""
    a = labels.astype(np.float64)  # (R, N)
    n, m = a.sum(axis=1), (1 - a).sum(axis=1)
    to_first = a @ pool.kernel  # sum of kernels to the first set
    within_first = np.einsum("rn,rn->r", to_first, a)
    between = to_first.sum(axis=1) - within_first
    within_second = pool.kernel.sum() - within_first - 2 * between
    pairs = n * (m - 1) if pool.paired else n * m
    return within_first / (n * (n - 1)) + within_second / (m * (m - 1)) - 2 * between / pairs  # Eq. (23)


def _sliced_wasserstein(pool: Pool, labels: np.ndarray) -> np.ndarray:
    """Mean over random directions of the 1-Wasserstein distance of the projections, in the data's units.

    In one dimension it is the area between the two distribution functions, sum_k (x_k+1 - x_k) |F - G|(x_k).
    """
    n, m = int(labels[0].sum()), int((~labels[0]).sum())
    # n m (F - G) rises by m at a point of the first set and falls by n at one of the second: whole numbers.
    number = np.float32 if n * m < 2**24 else np.float64
    rise = np.ascontiguousarray(np.where(labels, m, -n).T, dtype=number)  # (N, R)
    order = np.argsort(pool.projections, axis=0)  # (N, P)
    gaps = np.diff(np.take_along_axis(pool.projections, order, axis=0), axis=0).astype(number)
    height, area = np.zeros((PROJECTIONS, len(labels)), number), np.zeros(len(labels))
    for points, gap in zip(order, gaps):  # from left to right along all directions at once
        height += rise[points]
        area += gap @ np.abs(height)
    return area / (PROJECTIONS * n * m)


def _classifier(pool: Pool, labels: np.ndarray) -> np.ndarray:
    """Balanced leave-one-out accuracy of k nearest neighbours, minus 1/2.

    Who is near whom does not depend on the labels, so relabelling needs no new training.
    """
    votes = labels.astype(np.float32) @ pool.neighbours.T  # (R, N): neighbours that are of the first set
    share = votes / pool.neighbours[0].sum()
    # Votes against the share expected by chance: unequal sizes would make the larger set win every vote.
    if pool.paired:  # every point may have all but its own pair as neighbours, half of them of the first set
        expected = np.float32(0.5)
    else:
        expected = (labels.sum(axis=1, keepdims=True) - labels) / np.float32(len(pool.points) - 1)
    guess = share > expected
    hit_first = (guess & labels).sum(axis=1) / labels.sum(axis=1)
    hit_second = (~guess & ~labels).sum(axis=1) / (~labels).sum(axis=1)
    return (hit_first + hit_second) / 2 - 0.5


STATISTICS: dict[str, Callable[[Pool, np.ndarray], np.ndarray]] = {
    "mmd": _mmd,
    "sliced_wasserstein": _sliced_wasserstein,
    "classifier": _classifier,
}
"""Each takes the pool and labels (R, N) bool, True for the first set, to the statistic of each row, (R,)."""


@lru_cache(maxsize=8)  # many methods are tested with the same ones
def _relabellings(n: int, m: int, permutations: int, paired: bool, seed: int) -> np.ndarray:
    """The real labels and `permutations` random ones, (1 + permutations, n + m) bool."""
    rng = np.random.default_rng([seed, 0])
    real = np.arange(n + m) < n
    if paired:
        swapped = rng.random((permutations, n)) < 0.5
        others = np.concatenate([~swapped, swapped], axis=1)
    else:
        others = rng.permuted(np.tile(real, (permutations, 1)), axis=1)
    labels = np.concatenate([real[None], others])
    labels.setflags(write=False)
    return labels


def _checked(first: np.ndarray, second: np.ndarray, paired: bool) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ShapeError(
            f"two sets of vectors (n, d) and (m, d) are needed, not {first.shape} and {second.shape}"
        )
    if paired and len(first) != len(second):
        raise ShapeError(f"pairs need two sets of one size, not {len(first)} and {len(second)} vectors")
    if min(len(first), len(second)) < 5:
        raise DataError(
            f"{len(first)} and {len(second)} vectors are too few to compare; 5 of each are the least"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise DataError("the vectors to compare hold NaN or infinite values")
    return first, second
