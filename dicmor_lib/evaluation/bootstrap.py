"""Percentile bootstrap over samples: how much would a number move had the test set been drawn again?

Each resample is a row of counts (how often each sample stands in it), so all resamples of all metrics are a
few matrix products. Methods are compared on the *same* resamples (`paired_differences`): that removes the
part of the spread which hits both alike.

The intervals speak about new samples only. They do not contain the spread between training seeds, and they
are too narrow where samples depend on each other (utterances of one video): give `groups` to resample whole
videos.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13 (percentile interval).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dicmor_lib.errors import ConfigError, DataError, ShapeError
from dicmor_lib.evaluation.metrics import METRICS, check_scored, sentiment_metrics, weighted_metrics

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value with its percentile interval; all three are NaN where the value does not exist."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """True if the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def resample_counts(
    n: int, resamples: int = RESAMPLES, seed: int = 0, groups: np.ndarray | None = None
) -> np.ndarray:
    """Return how often each of n samples stands in each resample: (resamples, n), float64.

    >>> counts = resample_counts(n=5, resamples=3)
    >>> counts.shape, counts.sum(axis=1)
    ((3, 5), array([5., 5., 5.]))

    Args:
        n: number of samples, at least 1.
        resamples: number of rows, at least 2.
        seed: the same seed and n give the same counts, so methods can be compared on the same resamples.
        groups: (n,) a name per sample; whole groups are drawn then, and rows need not sum to n.

    Raises:
        ConfigError, DataError, ShapeError: if there is nothing to resample or the groups do not fit.
    """
    if resamples < 2:
        raise ConfigError(f"resamples is {resamples}; an interval needs at least 2 (1000 is usual)")
    if n < 1:
        raise DataError("there is no sample to resample")
    rng = np.random.default_rng(seed)
    if groups is None:
        return _draw(n, resamples, rng)
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise ShapeError(f"groups must have shape ({n},), one name per sample, not {groups.shape}")
    names, member = np.unique(groups, return_inverse=True)
    return _draw(len(names), resamples, rng)[:, member]


def metric_estimates(
    prediction: np.ndarray, label: np.ndarray, counts: np.ndarray | None = None, level: float = LEVEL
) -> dict[str, Estimate]:
    """Return every metric of predictions (N,) against labels (N,) with its interval.

    `counts` are those of `resample_counts`, (R, N); without them 1000 resamples are drawn with seed 0.
    """
    label = np.asarray(label)
    counts = resample_counts(len(label)) if counts is None else counts
    values, spread = sentiment_metrics(prediction, label), weighted_metrics(prediction, label, counts)
    return {name: summarise(values[name], spread[name], level) for name in METRICS}


def paired_differences(
    first: np.ndarray,
    second: np.ndarray,
    label: np.ndarray,
    counts: np.ndarray | None = None,
    level: float = LEVEL,
) -> dict[str, Estimate]:
    """Return metric(first) - metric(second), both scored on the same samples and the same resamples.

    A difference whose interval excludes 0 would keep its sign in most redraws of the test set. For MAE a
    negative difference means that the first is better.
    """
    check_scored(first, label), check_scored(second, label)
    counts = resample_counts(len(label)) if counts is None else counts
    values = (sentiment_metrics(first, label), sentiment_metrics(second, label))
    spread = (weighted_metrics(first, label, counts), weighted_metrics(second, label, counts))
    return {
        name: summarise(values[0][name] - values[1][name], spread[0][name] - spread[1][name], level)
        for name in METRICS
    }


def mean_estimate(values: np.ndarray, counts: np.ndarray | None = None, level: float = LEVEL) -> Estimate:
    """Return the mean of values (N,), one per sample, with its interval.

    Give the per-sample difference of two methods for a paired comparison.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise DataError("a mean needs a one-dimensional array with at least one value, all of them finite")
    counts = resample_counts(len(values)) if counts is None else counts
    return summarise(float(values.mean()), counts @ values / counts.sum(axis=1), level)


def summarise(value: float, spread: np.ndarray, level: float = LEVEL) -> Estimate:
    """Return a value with the central interval of its resampled values (R,), in which NaN is left out."""
    if not 0 < level < 1:
        raise ConfigError(f"level is {level}; a confidence level lies between 0 and 1 (0.95 is usual)")
    spread = spread[~np.isnan(spread)]  # a resample can lack a metric, as one with a single label has no r
    if np.isnan(value) or not len(spread):
        return Estimate(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value), float(low), float(high))


def _draw(n: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.integers(0, n, size=(resamples, n))
    drawn += n * np.arange(resamples)[:, None]  # each resample counts in its own row
    return np.bincount(drawn.ravel(), minlength=resamples * n).reshape(resamples, n).astype(np.float64)
