"""The table of results: patterns x methods x metrics with intervals, never without the baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.bootstrap import (
    LEVEL,
    RESAMPLES,
    Estimate,
    metric_estimates,
    paired_differences,
    resample_counts,
)
from dicmor_lib.evaluation.predictions import PatternPredictions

REQUIRED_BASELINES: tuple[str, ...] = (
    "zero-fill",
    "mean-fill",
    "gaussian",
    "ridge",
    "k nearest",
    "auto-encoder",
    "majority",
)
"""Without a row of each of these beside it, no result of a model can be put into a table."""


def require_baselines(kinds: Mapping[str, str], where: str) -> None:
    """Raise `DataError` if the methods (name -> kind) hold a model but not every required baseline."""
    missing = [name for name in REQUIRED_BASELINES if name not in kinds]
    if missing and "model" in kinds.values():
        raise DataError(
            f"the results for {where} lack the baselines {', '.join(missing)}; a model's result is only "
            "shown beside all of them: evaluate them on the same masks"
        )


@dataclass(frozen=True)
class Row:
    """One method under one pattern.

    Attributes:
        pattern: available modalities, such as "la".
        method: name, such as "DiCMoR" or "mean-fill".
        kind: "model", "imputer" (fills in, then the complete-data model predicts) or "reference".
        n: samples scored.
        metrics: name of `METRICS` -> value with interval.
    """

    pattern: str
    method: str
    kind: str
    n: int
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class EvaluationTable:
    """All rows of one evaluation, and what every printed copy of it must say.

    Attributes:
        rows: pattern by pattern.
        info: "data" (source), "sha256", "synthetic" (bool), "split", "seed", "resamples", "level",
            "masks" (pattern -> {"hash", "n", "excluded"}) and whatever the run adds, such as its own seed.

    Raises:
        DataError: if a model's row lacks a required baseline on the same samples.
    """

    rows: tuple[Row, ...]
    info: dict[str, Any]

    def __post_init__(self) -> None:
        for pattern in dict.fromkeys(row.pattern for row in self.rows):
            rows = [row for row in self.rows if row.pattern == pattern]
            require_baselines({row.method: row.kind for row in rows}, f"the pattern {pattern!r}")
            if len({row.n for row in rows}) > 1:
                raise DataError(
                    f"the methods for the pattern {pattern!r} were scored on different numbers of samples"
                )

    @property
    def patterns(self) -> list[str]:
        """Patterns in the order of the rows."""
        return list(dict.fromkeys(row.pattern for row in self.rows))

    @property
    def methods(self) -> list[str]:
        """Methods in the order of the rows."""
        return list(dict.fromkeys(row.method for row in self.rows))

    def row(self, pattern: str, method: str) -> Row:
        """Return one row. Raises `DataError` if it is not there."""
        for row in self.rows:
            if (row.pattern, row.method) == (pattern, method):
                return row
        raise DataError(f"the table has no row {pattern!r}, {method!r}; methods: {', '.join(self.methods)}")

    def value(self, pattern: str, method: str, metric: str) -> float:
        """Return one number of the table."""
        return self.row(pattern, method).metrics[metric].value


def score(
    predictions: PatternPredictions, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> EvaluationTable:
    """Return the table of all methods under all patterns; every method is scored on the same resamples."""
    rows = []
    for p, pattern in enumerate(predictions.patterns):
        n = int(predictions.scored[p].sum())
        counts = resample_counts(n, resamples, seed)
        for method in predictions.methods:
            estimates = metric_estimates(*predictions.of(method, pattern), counts, level)
            rows.append(Row(pattern, method, predictions.kinds[method], n, estimates))
    return EvaluationTable(
        tuple(rows), predictions.info | {"resamples": resamples, "seed": seed, "level": level}
    )


@dataclass(frozen=True)
class Difference:
    """metric(first) - metric(second) under one pattern, paired over samples."""

    pattern: str
    first: str
    second: str
    n: int
    metrics: dict[str, Estimate]


def score_differences(
    predictions: PatternPredictions,
    first: str,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> list[Difference]:
    """Return how the method `first` differs from every other one, per pattern."""
    if first not in predictions.methods:
        raise DataError(f"there are no predictions of {first!r}; methods: {', '.join(predictions.methods)}")
    differences = []
    for p, pattern in enumerate(predictions.patterns):
        counts = resample_counts(int(predictions.scored[p].sum()), resamples, seed)
        guess, label = predictions.of(first, pattern)
        for second in predictions.methods:
            if second != first:
                other, _ = predictions.of(second, pattern)
                estimates = paired_differences(guess, other, label, counts, level)
                differences.append(Difference(pattern, first, second, len(label), estimates))
    return differences
