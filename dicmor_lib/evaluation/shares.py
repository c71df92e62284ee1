"""On the oracle: which share of what can be known was recovered and predicted, over clips and seeds.

    share recovered = (error(mean-fill) - error(method)) / (error(mean-fill) - error(Bayes mean))
    share predicted = (score(majority) - score(method)) / (score(majority) - score(Bayes))

0 is knowing nothing, 1 all that can be known, below 0 worse than nothing (see `verdict`). Both differences are
resampled together.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dicmor_lib.evaluation.baselines import MeanFill
from dicmor_lib.evaluation.labels import Majority
from dicmor_lib.evaluation.two_way import Spread, mixture
from dicmor_lib.evaluation.verdict import BAYES, BAYES_MEAN

Key = tuple[str, str, str, str]


def recovery_shares(errors: dict[Key, Spread], everything: tuple[str, str]) -> Iterator[tuple[Key, Spread]]:
    """Yield the shares of errors keyed (estimate, pattern, target, what); under `everything` their mean over cases.

    Nothing where there is no Bayes mean, that is, on real data.
    """
    by_estimate: dict[tuple[str, str], list[Spread]] = {}
    for (estimate, pattern, target, what), own in errors.items():
        best = errors.get((BAYES_MEAN, pattern, target, what))
        if best is None or (pattern, target) == everything:
            continue
        one = share(errors[MeanFill.name, pattern, target, what], own, best)
        by_estimate.setdefault((estimate, what), []).append(one)
        yield (estimate, pattern, target, what), one
    for (estimate, what), parts in by_estimate.items():
        yield (estimate, *everything, what), mixture(parts)


def score_shares(scores: dict[Key, Spread]) -> Iterator[tuple[Key, Spread]]:
    """Yield the shares of scores keyed (method, pattern, "", metric), wherever there is a Bayes-optimal one.

    The best constant stands for nothing; for Pearson's r, which a constant lacks, 0 does.
    """
    for (method, pattern, target, metric), own in scores.items():
        best = scores.get((BAYES, pattern, target, metric))
        if best is None:
            continue
        zero = Spread(0.0, np.zeros_like(best.resampled))
        worst = zero if metric == "pearson" else scores[Majority.name, pattern, target, metric]
        yield (method, pattern, target, metric), share(worst, own, best)


def share(worst: Spread, own: Spread, best: Spread) -> Spread:
    """(worst - own) / (worst - best); NaN where the denominator may be 0: then there is nothing to know."""
    known, reached = worst - best, worst - own
    if not known.estimate().excludes_zero:  # also where it is NaN
        return Spread(float("nan"), np.full_like(known.resampled, np.nan))
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample may hold nothing to know
        resampled = reached.resampled / known.resampled
    return Spread(reached.value / known.value, np.where(np.isfinite(resampled), resampled, np.nan))
