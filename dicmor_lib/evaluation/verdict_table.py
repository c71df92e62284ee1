"""The verdict as numbers, text, Markdown and rows for a ledger; everything in it is labelled synthetic."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from dicmor_lib.data.oracle_labels import BayesScores
from dicmor_lib.evaluation import verdict_render
from dicmor_lib.evaluation.bootstrap import Estimate, mean_estimate, resample_counts, summarise
from dicmor_lib.evaluation.distances import Distance
from dicmor_lib.evaluation.metrics import sentiment_metrics, weighted_metrics

SCORES = ("acc2", "mae", "acc7", "pearson")
Resampled = tuple[float, np.ndarray]
"""A value, and what it is on each resample (R,)."""
NO_SHARE = Estimate(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Predicted:
    """Predictions of one pattern's n clips.

    Attributes:
        label: (n,)
        methods: name -> (n,)
        bayes: metric -> (n,), the Bayes-optimal prediction for that metric.
        expected: what the posteriors of these clips promise, free of the luck of their labels.
    """

    label: np.ndarray
    methods: dict[str, np.ndarray]
    bayes: dict[str, np.ndarray]
    expected: BayesScores


@dataclass
class VerdictTable:
    """What `OracleVerdict` collected.

    Attributes:
        errors: (pattern, target, method) -> (n,) standardised squared errors.
        predicted: pattern -> predictions.
        distances: of the oracle's own estimates (space "feature") and of all joint vectors (space "joint").
        worst, best: the methods whose recovery has share 0 and 1.
        nothing: the method whose prediction has share 0.
        info: settings; "synthetic" is always true.
        all_cases: stands for the mean over `cases`.
    """

    errors: dict[tuple[str, str, str], np.ndarray]
    predicted: dict[str, Predicted]
    distances: list[Distance]
    worst: str
    best: str
    nothing: str
    info: dict[str, Any] = field(default_factory=dict)
    all_cases: ClassVar[tuple[str, str]] = ("all", "all")
    _counted: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def cases(self) -> list[tuple[str, str]]:
        """The (pattern, missing modality) pairs, in order."""
        return list(dict.fromkeys((pattern, target) for pattern, target, _ in self.errors))

    @property
    def recoverers(self) -> list[str]:
        """The methods that recover, in order."""
        return list(dict.fromkeys(method for _, _, method in self.errors))

    def recovery_error(self, case: tuple[str, str], method: str) -> Estimate:
        """Return the mean squared error of one case in training standard deviations, or the mean of all cases."""
        if case == self.all_cases:
            means = [self._resampled((*c, method)) for c in self.cases]
            return summarise(
                float(np.mean([m[0] for m in means])),
                np.mean([m[1] for m in means], axis=0),
                self.info["level"],
            )
        errors = self.errors[(*case, method)]
        return mean_estimate(errors, self._counts(len(errors)), self.info["level"])

    def recovery_share(self, case: tuple[str, str], method: str) -> Estimate:
        """Return the share of what can be recovered that was, or its mean over the cases for `all_cases`.

        NaN where mean-fill is not worse than the Bayes mean beyond chance: nothing is there to recover.
        """
        cases, level = self.cases if case == self.all_cases else [case], self.info["level"]
        shares = [
            _share(
                self._resampled((*c, self.worst)),
                self._resampled((*c, method)),
                self._resampled((*c, self.best)),
                level,
            )
            for c in cases
        ]
        known = [share for share in shares if share is not None]
        if len(known) < len(shares):
            return NO_SHARE
        values, spreads = zip(*known)
        return summarise(float(np.mean(values)), np.mean(spreads, axis=0), level)

    def score(self, pattern: str, method: str, metric: str) -> Estimate:
        """Return a metric of `SCORES`; the method "Bayes" is the best prediction for that metric."""
        value, spread = self._scores[pattern, method][metric]
        return summarise(value, spread, self.info["level"])

    def score_share(self, pattern: str, method: str, metric: str) -> Estimate:
        """Return the share of what can be predicted that was; NaN where Bayes is not better than nothing.

        The best constant stands for nothing; for Pearson's r, which a constant lacks, 0 does.
        """
        own, best = (self._scores[pattern, name][metric] for name in (method, "Bayes"))
        worst = self._scores[pattern, self.nothing][metric]
        if metric == "pearson":
            worst = (0.0, np.zeros_like(best[1]))
        share = _share(worst, own, best, self.info["level"])
        return NO_SHARE if share is None else summarise(*share, self.info["level"])

    def expected(self, pattern: str, metric: str) -> Estimate:
        """Return what the best predictor reaches on such clips on average, with a normal 95 % interval."""
        names = {"acc2": "accuracy", "acc7": "accuracy7"}
        scores, name = self.predicted[pattern].expected, names.get(metric, metric)
        value, error = getattr(scores, name), getattr(scores, f"{name}_error")
        return Estimate(value, value - 1.96 * error, value + 1.96 * error)

    def rows(self) -> list[dict[str, Any]]:
        """Return everything as rows of one form for a ledger.

        Columns: synthetic, pattern, target, method, measure, value, low, high, n, p_value. Measures are
        "recovery_error", "recovery_share", metrics, "<metric>_share", and "<space>_<statistic>" for distances
        (pooled ones only). Pattern and target are "all" for a mean over cases.
        """
        rows = []
        for case in [*self.cases, self.all_cases] if self.cases else []:
            n = len(self.errors[(*(self.cases[0] if case == self.all_cases else case), self.worst)])
            for method in self.recoverers:
                rows.append(_row(*case, method, "recovery_error", self.recovery_error(case, method), n))
                rows.append(_row(*case, method, "recovery_share", self.recovery_share(case, method), n))
        for pattern, found in self.predicted.items():
            for metric in SCORES:
                for method in [*found.methods, "Bayes"]:
                    value, n = self.score(pattern, method, metric), len(found.label)
                    share = self.score_share(pattern, method, metric)
                    rows.append(_row(pattern, "", method, metric, value, n))
                    rows.append(_row(pattern, "", method, f"{metric}_share", share, n))
                rows.append(_row(pattern, "", "Bayes expected", metric, self.expected(pattern, metric), n))
        for d in self.distances:
            if d.group == "pooled":
                value = Estimate(d.value, float("nan"), float("nan"))
                name = f"{d.space}_{d.statistic}"
                rows.append(_row(d.pattern, d.target, d.method, name, value, d.n, d.p_value))
        return rows

    def to_text(self) -> str:
        """Return all tables as aligned text."""
        return verdict_render.to_text(self)

    def to_markdown(self) -> str:
        """Return all tables as Markdown."""
        return verdict_render.to_markdown(self)

    @cached_property
    def _scores(self) -> dict[tuple[str, str], dict[str, Resampled]]:
        """(pattern, method) -> metric -> (value, resampled values)."""
        scores: dict[tuple[str, str], dict[str, Resampled]] = {}
        for pattern, found in self.predicted.items():
            counts = self._counts(len(found.label))

            def both(
                guess: np.ndarray, label: np.ndarray = found.label, counts: np.ndarray = counts
            ) -> dict[str, Resampled]:
                value, spread = sentiment_metrics(guess, label), weighted_metrics(guess, label, counts)
                return {metric: (value[metric], spread[metric]) for metric in SCORES}

            scores |= {(pattern, name): both(guess) for name, guess in found.methods.items()}
            scores[pattern, "Bayes"] = {metric: both(found.bayes[metric])[metric] for metric in SCORES}
        return scores

    def _resampled(self, key: tuple[str, str, str]) -> Resampled:
        errors = self.errors[key]
        counts = self._counts(len(errors))
        return float(errors.mean()), counts @ errors / counts.sum(axis=1)

    def _counts(self, n: int) -> np.ndarray:
        if n not in self._counted:  # the same clips have the same counts, so shares are compared in pairs
            self._counted[n] = resample_counts(n, self.info["resamples"], self.info["seed"])
        return self._counted[n]


def _share(worst: Resampled, own: Resampled, best: Resampled, level: float) -> Resampled | None:
    """(worst - own) / (worst - best), also of each resample; None where the denominator may be 0."""
    known = summarise(worst[0] - best[0], worst[1] - best[1], level)
    if not known.excludes_zero:  # also where it is NaN
        return None
    return (worst[0] - own[0]) / known.value, (worst[1] - own[1]) / (worst[1] - best[1])


def _row(
    pattern: str, target: str, method: str, measure: str, value: Estimate, n: int, p_value: float = np.nan
) -> dict[str, Any]:
    return {
        "synthetic": True,
        "pattern": pattern,
        "target": target,
        "method": method,
        "measure": measure,
        "value": value.value,
        "low": value.low,
        "high": value.high,
        "n": n,
        "p_value": p_value,
    }
