"""One pass over the seven patterns, scored under any random-missing protocol.

A protocol whose masks do not depend on the sample is a law over the seven patterns. Averaged over all its
masks, the accuracy (and the MAE) is then exactly the mean of the seven fixed-pattern values, weighted with
the patterns' shares:

    E[metric] = sum_p share(p) * metric(p)        for acc2, acc2_nonneg, acc7, mae

No mask needs to be drawn, and five meanings of "missing rate 0.5" cost one evaluation. Weighted F1 and
Pearson's r are not means over samples. For them the confusion counts and moments are mixed with the shares
before the formula is applied ("mixed" below). That is a definition of its own, close to but not equal to
the mean of the F1 or r of drawn masks, and is labelled so wherever it is printed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dicmor_lib.data.missingness import DICMOR_SCHEDULE, PROTOCOLS, pattern_shares
from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation.bootstrap import LEVEL, RESAMPLES, Estimate, resample_counts, summarise
from dicmor_lib.evaluation.metrics import METRICS, weighted_metrics
from dicmor_lib.evaluation.predictions import PatternPredictions
from dicmor_lib.evaluation.table import require_baselines

EXACT: tuple[str, ...] = ("acc2", "acc2_nonneg", "acc7", "mae")
MIXED: tuple[str, ...] = ("f1", "f1_nonneg", "pearson")
RATES: tuple[float, ...] = tuple(rate for rate in DICMOR_SCHEDULE if rate > 0)


@dataclass(frozen=True)
class ProtocolScore:
    """One method under one protocol at one rate; `metrics` as in a table's row."""

    protocol: str
    rate: float
    method: str
    kind: str
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class ProtocolTable:
    """Scores of all methods, protocol by protocol and rate by rate, and the evaluation's info.

    Raises:
        DataError: if a model's score lacks a required baseline.
    """

    scores: tuple[ProtocolScore, ...]
    info: dict[str, Any]

    def __post_init__(self) -> None:
        for case in dict.fromkeys((score.protocol, score.rate) for score in self.scores):
            kinds = {s.method: s.kind for s in self.scores if (s.protocol, s.rate) == case}
            require_baselines(kinds, f"{case[0]} at rate {case[1]:g}")

    def value(self, protocol: str, rate: float, method: str, metric: str) -> float:
        """Return one number. Raises `DataError` if it is not there."""
        for s in self.scores:
            if s.protocol == protocol and abs(s.rate - rate) < 1e-9 and s.method == method:
                return s.metrics[metric].value
        raise DataError(f"the table has no score of {method!r} under {protocol!r} at rate {rate}")


def mixture_metrics(
    predictions: PatternPredictions,
    method: str,
    shares: Mapping[str, float],
    counts: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return every metric of a method under a law over patterns: name -> (R,).

    Args:
        predictions: must hold every pattern with a share above 0, and every sample scored under it.
        method: whose predictions.
        shares: pattern -> share; they sum to 1.
        counts: (R, N) weights of the samples (`resample_counts`); default: all once, so R = 1.

    Raises:
        ConfigError: if the shares are no law over known patterns.
        DataError: if a needed pattern was not evaluated, or a sample has nothing of it: then different
            protocols would be scored on different samples.
    """
    weights = _shares(predictions, shares)  # (P,)
    used = np.flatnonzero(weights)
    left_out = ~predictions.scored[used]
    if left_out.any():
        pattern = predictions.patterns[used[int(left_out.any(axis=1).argmax())]]
        raise DataError(
            f"{int(left_out.any(axis=0).sum())} samples have nothing of a pattern such as {pattern!r}, so "
            "protocols cannot be compared on them; evaluate a split in which everything is observed"
        )
    n = len(predictions.label)
    counts = np.ones((1, n)) if counts is None else counts
    # Every (pattern, sample) pair is one scored item with the weight share(pattern) * count(sample).
    items = predictions.methods[method][used].reshape(-1)
    labels = np.tile(predictions.label, len(used))
    pair_weights = (weights[used, None] * counts[:, None, :]).reshape(len(counts), -1)
    return weighted_metrics(items, labels, pair_weights)


def score_protocols(
    predictions: PatternPredictions,
    protocols: Sequence[str] = PROTOCOLS,
    rates: Sequence[float] = RATES,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> ProtocolTable:
    """Return all methods under all protocols at all rates, from the one pass that `predictions` holds.

    Intervals are over samples, on the same resamples for everything; the spread of drawn masks is not in
    them, because the expectation over masks is computed and not drawn.
    """
    counts = resample_counts(len(predictions.label), resamples, seed)
    scores = []
    for protocol in protocols:
        for rate in rates:
            shares = pattern_shares(protocol, rate)
            for method, kind in predictions.kinds.items():
                value = mixture_metrics(predictions, method, shares)
                spread = mixture_metrics(predictions, method, shares, counts)
                metrics = {name: summarise(float(value[name][0]), spread[name], level) for name in METRICS}
                scores.append(ProtocolScore(protocol, rate, method, kind, metrics))
    info = predictions.info | {"resamples": resamples, "seed": seed, "level": level}
    return ProtocolTable(tuple(scores), info)


def _shares(predictions: PatternPredictions, shares: Mapping[str, float]) -> np.ndarray:
    values = np.array(list(shares.values()), dtype=np.float64)
    if (values < 0).any() or abs(values.sum() - 1) > 1e-9:
        raise ConfigError(
            f"the shares of the patterns sum to {values.sum():.6g}; they must be at least 0 and sum to 1"
        )
    lacking = [
        pattern for pattern, share in shares.items() if share > 0 and pattern not in predictions.patterns
    ]
    if lacking:
        raise DataError(f"the protocol needs the patterns {', '.join(lacking)}, which were not evaluated")
    return np.array([shares.get(pattern, 0.0) for pattern in predictions.patterns])
