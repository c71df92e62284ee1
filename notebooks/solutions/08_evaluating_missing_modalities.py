"""Solutions of chapter 8, evaluating with missing modalities; each says why it works. The tests run them."""

from __future__ import annotations

import numpy as np

from dicmor_lib import PATTERNS, pattern_mask


def lazy_scores(p: float) -> tuple[float, float]:
    """8.1: true positives p, false positives 1 - p, nothing else.

    The positive class has precision p and recall 1, so its F1 is 2p / (1 + p), with weight p. The negative class
    is never named: F1 0, and its weight 1 - p is lost.
    """
    return p, p * 2 * p / (1 + p)


def sensor_law(r: np.ndarray) -> np.ndarray:
    """8.2: independent sensors multiply; a condition ("something is left") divides by its probability.

    The seven products sum to 1 - r[0] r[1] r[2], which is that probability.
    """
    there = np.array([pattern_mask(pattern) for pattern in PATTERNS])  # (7, 3)
    shares = np.where(there, 1 - r, r).prod(axis=1)
    return shares / shares.sum()


def mixed_f1(shares: np.ndarray, counts: np.ndarray) -> float:
    """8.3: expected counts are a mixture, by Eq. (24); F1 is a ratio of them, so it is taken afterwards."""
    tp, tn, fp, fn = shares @ counts
    tiny = 1e-300  # a class that is neither there nor guessed: 0 / tiny = 0
    positive = 2 * tp / max(2 * tp + fp + fn, tiny)
    negative = 2 * tn / max(2 * tn + fp + fn, tiny)
    return ((tp + fn) * positive + (tn + fp) * negative) / (tp + tn + fp + fn)


def difference(
    a: np.ndarray, b: np.ndarray, counts: np.ndarray, level: float = 0.95
) -> tuple[float, float, float]:
    """8.4: the same row of counts for both methods, so that a hard clip counts for both or for neither.

    What lies outside an interval of that level is shared by two tails.
    """
    total = counts.sum(axis=1)
    differences = counts @ a / total - counts @ b / total
    tail = (1 - level) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    return a.mean() - b.mean(), low, high


def expected_accuracy(hits: np.ndarray, q: np.ndarray) -> tuple[float, float]:
    """8.5: the expectation of a mean is the mean of the expectations, whatever the masks look at.

    Eq. (24) goes one step further and takes the shares out of the mean over clips, which needs the same shares for all.
    """
    return (q.T * hits).sum(axis=0).mean(), q.mean(axis=0) @ hits.mean(axis=1)


def mask_sd(shares: np.ndarray, hits: np.ndarray) -> float:
    """8.6: given the clips, each is an independent yes-no event of probability p_i, so the variances p_i (1 - p_i) add.

    It is smaller than the noise of a coin with the mean probability: p (1 - p) is concave, and clips differ.
    """
    p = shares @ hits  # (N,)
    return np.sqrt((p * (1 - p)).sum()) / hits.shape[1]


def honest_law(rate: float) -> np.ndarray:
    """8.7, one of many: halfway between the fewest and the most clips that can have two modalities missing.

    Honesty says one + 2 two = 3 rate, and the shares must fit into 1. That leaves `two` between max(0, 3 rate - 1) and
    1.5 rate; the middle keeps away from both ends, so all seven patterns occur.
    """
    two = (max(0.0, 3 * rate - 1) + 1.5 * rate) / 2
    one = 3 * rate - 2 * two
    shares = {1: two / 3, 2: one / 3, 3: 1 - one - two}  # by how many are available
    return np.array([shares[len(pattern)] for pattern in PATTERNS])


ANSWERS: dict[str, tuple] = {
    "8.1": (lazy_scores,),
    "8.2": (sensor_law,),
    "8.3": (mixed_f1,),
    "8.4": (difference,),
    "8.5": (expected_accuracy,),
    "8.6": (mask_sd,),
    "8.7": (honest_law,),
}
