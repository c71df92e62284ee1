"""One pass over the seven patterns, scored under any random-missing protocol.

A protocol whose masks do not depend on the sample is a law over the seven patterns. Averaged over all its
masks, the accuracy (and the MAE) is then exactly the mean of the seven fixed-pattern values, weighted with
the patterns' shares:

    E[metric] = sum_p share(p) * metric(p)        for acc2, acc2_nonneg, acc7, mae

No mask needs to be drawn, and five meanings of "missing rate 0.5" cost one evaluation. Weighted F1 and
Pearson's r are not means over samples. For them the confusion counts and moments are mixed with the shares
before the formula is applied ("mixed" below). That is a definition of its own, close to but not equal to
the mean of the F1 or r of drawn masks, and is labelled so wherever it is printed.

Frame-level dropping is no such law: `frames` has its own pass and gives scores of the same kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dicmor_lib.data.missingness import DICMOR_SCHEDULE, PROTOCOLS, law_hash, pattern_shares
from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation.bootstrap import LEVEL, RESAMPLES, Estimate, resample_counts, summarise
from dicmor_lib.evaluation.metrics import METRICS, metrics_of_sums, moment_frame, sample_terms
from dicmor_lib.evaluation.predictions import PatternPredictions
from dicmor_lib.evaluation.table import require_baselines

EXACT: tuple[str, ...] = ("acc2", "acc2_nonneg", "acc7", "mae")
MIXED: tuple[str, ...] = ("f1", "f1_nonneg", "pearson")
RATES: tuple[float, ...] = tuple(rate for rate in DICMOR_SCHEDULE if rate > 0)
MIXTURE = "mixture of the seven fixed patterns"
LAW = "law of pattern shares"


@dataclass(frozen=True)
class ProtocolScore:
    """One method under one protocol at one rate.

    Attributes:
        protocol, rate: "gcnet", .5
        method, kind, metrics: as in a table's `Row`.
        n: samples scored.
        mask_hash: names the masks, twelve hexadecimal digits.
        hash_of: what it is a hash of: a law (`LAW`), or a drawn mask array.
        identity: how the numbers came about: `MIXTURE`, or one pass on drawn masks.
    """

    protocol: str
    rate: float
    method: str
    kind: str
    n: int
    metrics: dict[str, Estimate]
    mask_hash: str
    hash_of: str
    identity: str


@dataclass(frozen=True)
class ProtocolTable:
    """Scores of all methods, protocol by protocol and rate by rate, and the evaluation's info.

    Raises:
        DataError: if a model's score lacks a required baseline, or the methods of one protocol and rate do not
            have the same masks and samples.
    """

    scores: tuple[ProtocolScore, ...]
    info: dict[str, Any]

    def __post_init__(self) -> None:
        for protocol, rate in self.cases:
            scores = self.of(protocol, rate)
            where = f"{protocol} at rate {rate:g}"
            require_baselines({s.method: s.kind for s in scores}, where)
            if len({(s.mask_hash, s.n) for s in scores}) > 1 or not scores[0].mask_hash:
                raise DataError(f"the methods for {where} were not scored on one mask with a hash")

    @property
    def cases(self) -> list[tuple[str, float]]:
        """The (protocol, rate) pairs, in the order of the scores."""
        return list(dict.fromkeys((s.protocol, s.rate) for s in self.scores))

    @property
    def methods(self) -> list[str]:
        """Methods in the order of the scores."""
        return list(dict.fromkeys(s.method for s in self.scores))

    def of(self, protocol: str, rate: float) -> list[ProtocolScore]:
        """Return the scores of all methods under one protocol at one rate."""
        return [s for s in self.scores if s.protocol == protocol and abs(s.rate - rate) < 1e-9]

    def value(self, protocol: str, rate: float, method: str, metric: str) -> float:
        """Return one number. Raises `DataError` if it is not there."""
        for s in self.of(protocol, rate):
            if s.method == method:
                return s.metrics[metric].value
        raise DataError(f"the table has no score of {method!r} under {protocol!r} at rate {rate}")


def defined_cases(
    protocols: Sequence[str], rates: Sequence[float]
) -> tuple[list[tuple[str, float]], list[str]]:
    """Return the (protocol, rate) pairs that exist, and a sentence about each protocol that lacks some rates.

    >>> cases, notes = defined_cases(("gcnet", "dicmor"), (0.5, 0.8))
    >>> cases, len(notes)  # the DiCMoR schedule ends at 0.7
    ([('gcnet', 0.5), ('gcnet', 0.8), ('dicmor', 0.5)], 1)

    Raises:
        ConfigError: a protocol or rate that no protocol could have, or if nothing is left.
    """
    cases: list[tuple[str, float]] = []
    refused: dict[str, list[float]] = {}
    for protocol in dict.fromkeys(protocols):
        if protocol not in PROTOCOLS:
            raise ConfigError(f"there is no protocol {protocol!r}; choose from {', '.join(PROTOCOLS)}")
        for rate in dict.fromkeys(rates):
            if not 0 <= rate <= 1:
                raise ConfigError(f"the missing rate is {rate}; it must be in [0, 1]")
            try:
                pattern_shares(protocol, rate)
            except ConfigError:
                refused.setdefault(protocol, []).append(rate)
            else:
                cases.append((protocol, rate))
    notes = [
        f"Left out: {protocol} at {', '.join(f'{rate:g}' for rate in lacking)}, which its published table does "
        f"not define (it has 0 to {max(DICMOR_SCHEDULE):g} in steps of 0.1)."
        for protocol, lacking in refused.items()
    ]
    if not cases:
        raise ConfigError(f"no rate of {', '.join(f'{r:g}' for r in rates)} exists. {' '.join(notes)}")
    return cases, notes


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
    counts = np.ones((1, len(predictions.label))) if counts is None else counts
    return metrics_of_sums(_mix(pattern_sums(predictions, method, counts), _shares(predictions, shares)))


def pattern_sums(predictions: PatternPredictions, method: str, counts: np.ndarray) -> np.ndarray:
    """Return (P, R, K): the sums of `sample_terms` under each pattern, for each of R weightings (R, N).

    All that any law needs: the law's sums are these, mixed with its shares.
    """
    guess, scored = predictions.methods[method], predictions.scored  # (P, N)
    label = np.broadcast_to(predictions.label, guess.shape)
    frame = moment_frame(guess[scored], label[scored])  # one for all patterns, so that moments add up
    terms = sample_terms(np.where(scored, guess, 0.0).ravel(), label.ravel(), frame)
    terms = np.where(scored.reshape(-1, 1), terms, 0.0).reshape(*guess.shape, -1)  # (P, N, K)
    return counts @ terms


def score_protocols(
    predictions: PatternPredictions,
    protocols: Sequence[str] = PROTOCOLS,
    rates: Sequence[float] = RATES,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> ProtocolTable:
    """Return all methods under all protocols at all rates, from the one pass that `predictions` holds.

    A rate that a protocol does not define is left out with a note. Intervals are over samples, on the same
    resamples for everything; the spread of drawn masks is not in them, because the expectation over masks is
    computed and not drawn.

    Raises:
        ConfigError: see `defined_cases`.
        DataError: see `mixture_metrics`.
    """
    cases, notes = defined_cases(protocols, rates)
    n = len(predictions.label)
    counts = np.vstack([np.ones(n), resample_counts(n, resamples, seed)])  # row 0: the samples as they are
    laws = {case: pattern_shares(*case) for case in cases}
    weights = {case: _shares(predictions, law) for case, law in laws.items()}
    sums = {method: pattern_sums(predictions, method, counts) for method in predictions.methods}
    scores = []
    for case, law in laws.items():
        for method, kind in predictions.kinds.items():
            values = metrics_of_sums(_mix(sums[method], weights[case]))
            metrics = {m: summarise(float(values[m][0]), values[m][1:], level) for m in METRICS}
            scores.append(ProtocolScore(*case, method, kind, n, metrics, law_hash(law), LAW, MIXTURE))
    info = predictions.info | {"resamples": resamples, "seed": seed, "level": level}
    return ProtocolTable(tuple(scores), info | {"notes": [*info.get("notes", []), *notes]})


def _mix(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """sum_p share(p) * sums(p): (P, R, K) and (P,) to (R, K)."""
    return np.tensordot(weights, sums, axes=1)  # Eq. (24)


def _shares(predictions: PatternPredictions, shares: Mapping[str, float]) -> np.ndarray:
    """The law as an array over the evaluated patterns (P,), checked."""
    values = np.array(list(shares.values()), dtype=np.float64)
    if (values < 0).any() or abs(values.sum() - 1) > 1e-9:
        raise ConfigError(
            f"the shares of the patterns sum to {values.sum():.6g}; they must be at least 0 and sum to 1"
        )
    lacking = [p for p, share in shares.items() if share > 0 and p not in predictions.patterns]
    if lacking:
        raise DataError(f"the protocol needs the patterns {', '.join(lacking)}, which were not evaluated")
    weights = np.array([shares.get(pattern, 0.0) for pattern in predictions.patterns])
    used = np.flatnonzero(weights)
    left_out = ~predictions.scored[used]
    if left_out.any():
        pattern = predictions.patterns[used[int(left_out.any(axis=1).argmax())]]
        raise DataError(
            f"{int(left_out.any(axis=0).sum())} samples have nothing of a pattern such as {pattern!r}, so "
            "protocols cannot be compared on them; evaluate a split in which everything is observed"
        )
    return weights
