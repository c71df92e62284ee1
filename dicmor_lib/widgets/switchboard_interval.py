"""How far predictions lie from the truth: split conformal intervals from the validation clips, one per pattern."""

from __future__ import annotations

import math

import numpy as np

from dicmor_lib.data.dataset import Split
from dicmor_lib.errors import ConfigError
from dicmor_lib.evaluation.passes import run_pass
from dicmor_lib.modalities import PATTERNS, pattern_mask
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
