"""How far predictions lie from the truth, from the validation clips.

A model without draws gets a split conformal interval, as wide for every clip of a pattern. With a joint prior the draws of
the missing modalities say how much hangs on what is missing, and residuals of complete clips the rest.
"""

from __future__ import annotations

import math

import numpy as np

from dicmor_lib.data.dataset import Split
from dicmor_lib.errors import ConfigError
from dicmor_lib.evaluation.intervals import LEAST_NEIGHBOURS, Residuals, prediction_interval
from dicmor_lib.evaluation.passes import predict_filled, run_pass, shallow_split
from dicmor_lib.modalities import LETTERS, PATTERNS, pattern_mask
from dicmor_lib.model import DiCMoR

SHARE = 0.8


def conformal_half_width(residuals: np.ndarray, share: float = SHARE) -> float:
    """Return q such that prediction +- q holds the label of a new clip with probability `share` at least.

    q is the k-th smallest of n absolute residuals, k = ceil((n + 1) share): the new clip's own residual is as likely
    to have any rank among the n + 1. That holds if the n clips and the new one are exchangeable. With too few
    residuals (k > n) no finite q will do, and q is infinite.

    Raises:
        ConfigError: if `share` is not strictly between 0 and 1.
    """
    if not 0 < share < 1:
        raise ConfigError(f"share is {share}; choose one strictly between 0 and 1")
    sizes = np.sort(np.abs(np.asarray(residuals, dtype=np.float64)))
    rank = math.ceil((len(sizes) + 1) * share - 1e-9)  # 0.8 * 10 must be 8, whatever floats say
    return float(sizes[rank - 1]) if rank <= len(sizes) else math.inf


def residuals(model: DiCMoR, split: Split, pattern: str) -> np.ndarray:
    """Return label - prediction of the clips that have all of the pattern, in their order."""
    wanted = np.array(pattern_mask(pattern))
    whole = split.select((split.observed | ~wanted).all(axis=1))
    found = np.zeros(len(whole))
    if len(whole):
        order = np.argsort(whole.lengths.max(axis=1), kind="stable")  # clips of like length: little padding
        alike = whole.select(order)
        found[order] = alike.labels - run_pass(model, alike, np.tile(wanted, (len(alike), 1))).prediction
    return found


def half_widths(model: DiCMoR, valid: Split, blind: float) -> tuple[dict[str, float], dict[str, int]]:
    """Return q of every pattern and how many validation clips it comes from; "" is the blind guess `blind`."""
    found = {pattern: residuals(model, valid, pattern) for pattern in PATTERNS if len(valid)}
    found[""] = valid.labels.astype(np.float64) - blind
    return (
        {p: conformal_half_width(found.get(p, np.zeros(0))) for p in ("", *PATTERNS)},
        {p: len(found.get(p, ())) for p in ("", *PATTERNS)},
    )


def complete_residuals(model: DiCMoR, valid: Split) -> Residuals | None:
    """Return the residuals of the complete validation clips; None if these are too few to say anything."""
    whole = valid.select(np.flatnonzero(valid.observed.all(axis=1)))
    if len(whole) < LEAST_NEIGHBOURS:
        return None
    x = shallow_split(model, whole)
    return Residuals.of(predict_filled(model, x.features, x.lengths, x.observed), whole.labels)


def draws_interval(predictions: np.ndarray, pattern: str, known: Residuals | None) -> np.ndarray:
    """Return the intervals (n, 2) of n clips from predictions (K, n) of K draws; NaN without residuals.

    With everything available all draws are one, and the interval is that of the residuals alone.
    """
    if known is None:
        return np.full((predictions.shape[1], 2), np.nan)
    return prediction_interval(predictions[:1] if pattern == LETTERS else predictions, known, SHARE)


def blind_interval(labels: np.ndarray, n: int) -> np.ndarray:
    """Return the middle of the validation labels n times, (n, 2), for clips of which nothing is known."""
    if len(labels) < LEAST_NEIGHBOURS:
        return np.full((n, 2), np.nan)
    tail = (1 - SHARE) / 2
    return np.tile(np.quantile(labels.astype(np.float64), [tail, 1 - tail]), (n, 1))


def interval_source(seen: str, draws: str) -> str:
    """Say what an interval of a joint prior is made of; `draws` is what the draws are called."""
    if not seen:
        return "the middle of the validation labels"
    return f"from {'' if seen == LETTERS else f'{draws} and '}residuals of validation clips"
