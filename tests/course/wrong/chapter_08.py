"""Wrong answers to the exercises of chapter 8, and what their checks must say."""

from __future__ import annotations

import numpy as np

from dicmor_lib.data.missingness import pattern_shares
from dicmor_lib.modalities import PATTERNS, pattern_mask
from tests.course.wrong.wrong import Wrong

THERE = np.array([pattern_mask(pattern) for pattern in PATTERNS])


def sensors(r, normalise=True, swapped=False):
    r = 1 - r if swapped else r
    shares = np.where(THERE, 1 - r, r).prod(axis=1)
    return shares / shares.sum() if normalise else shares


def rest_to_complete(r):
    shares = sensors(r, normalise=False)
    shares[-1] += 1 - shares.sum()
    return shares


def normalised_in_place(r):
    r *= 0.5
    return sensors(2 * r)


def f1s(counts):
    tp, tn, fp, fn = counts
    return np.array([2 * tp / (2 * tp + fp + fn), 2 * tn / (2 * tn + fp + fn)])


def weighted(counts):
    tp, tn, fp, fn = counts
    return (f1s(counts) * [tp + fn, tn + fp]).sum() / counts.sum()


def undefined_as_nan(shares, counts):
    with np.errstate(invalid="ignore"):
        return weighted(shares @ counts)


def guessed_weights(shares, counts):
    tp, tn, fp, fn = shares @ counts
    return (f1s(shares @ counts) * [tp + fp, tn + fn]).sum() / (tp + tn + fp + fn)


def compare(paired=True, tails=2, sign=1, keep_level=True, resampled=False):
    """Exercise 8.4 with chosen mistakes."""

    def difference(a, b, counts, level=0.95):
        level = level if keep_level else 0.95
        total = counts.sum(axis=1)
        second = (counts if paired else counts[::-1]) @ b / total
        values = sign * (counts @ a / total - second)
        low, high = np.quantile(values, [(1 - level) / tails, 1 - (1 - level) / tails])
        return values.mean() if resampled else sign * (a.mean() - b.mean()), low, high

    return difference


def truth(hits, q):
    return (q.T * hits).sum(axis=0).mean()


def identity(hits, q):
    return q.mean(axis=0) @ hits.mean(axis=1)


def hit_probability(shares, hits):
    return shares @ hits


def binomial(shares, hits):
    p = (shares @ hits).mean()
    return np.sqrt(p * (1 - p) / hits.shape[1])


def between(shares, hits):
    accuracy = hits.mean(axis=1)
    return np.sqrt(shares @ accuracy**2 - (shares @ accuracy) ** 2)


def noise(power=0.5, divide=1.0):
    def mask_sd(shares, hits):
        p = shares @ hits
        return (p * (1 - p)).sum() ** power / hits.shape[1] ** divide

    return mask_sd


def counted(two, one, three_each=True):
    """A law from the shares with two and one missing."""
    none = 1 - one - two
    by = {1: two, 2: one, 3: none}
    return np.array([by[len(p)] / (3 if len(p) < 3 and three_each else 1) for p in PATTERNS])


def coins(rate, **options):
    q = 1.5 * rate
    return counted(q**2, 2 * q * (1 - q), **options)


def language_stays(rate):
    # The same coins, but they always take audio and vision.
    q = 1.5 * rate
    by = {"l": q**2, "la": q * (1 - q), "lv": q * (1 - q), "lav": (1 - q) ** 2}
    return np.array([by.get(p, 0.0) for p in PATTERNS])


def fewest_two(rate):
    two = max(0.0, 3 * rate - 1)
    return counted(two, 3 * rate - 2 * two)


def two_rules(rate):
    # Honest on both sides of .45, with a jump there.
    least, most = max(0.0, 3 * rate - 1), 1.5 * rate
    two = least + (0.3 if rate < 0.45 else 0.7) * (most - least)
    return counted(two, 3 * rate - 2 * two)


WRONG: dict[str, list[Wrong]] = {
    "8.1": [
        Wrong("F1 of the positive class alone", (lambda p: (p, 2 * p / (1 + p)),), "positive class alone"),
        Wrong("macro F1", (lambda p: (p, p / (1 + p)),), "macro F1"),
        Wrong("the accuracy twice", (lambda p: (p, p),), "accuracy twice"),
        Wrong("the pair in the other order", (lambda p: (2 * p * p / (1 + p), p),), "wrong way round"),
        Wrong("the share of negatives", (lambda p: (1 - p, 2 * p * p / (1 + p)),), "share of negatives"),
        Wrong(
            "weighted with the other class",
            (lambda p: (p, (1 - p) * 2 * p / (1 + p)),),
            "weighted with 1 - p",
        ),
        Wrong("only F1", (lambda p: 2 * p * p / (1 + p),), "should return 2 numbers"),
    ],
    "8.2": [
        Wrong("not normalised", (lambda r: sensors(r, normalise=False),), "do not sum to 1"),
        Wrong(
            "missing for available",
            (lambda r: sensors(r, swapped=True),),
            "available and missing are swapped",
        ),
        Wrong("both at once", (lambda r: sensors(r, False, True),), "available and missing are swapped"),
        Wrong("discarded clips made complete", (rest_to_complete,), "discarded clips to 'lav'"),
        Wrong("one rate for all", (lambda r: sensors(np.full(3, r.mean())),), "one rate for all three"),
        Wrong("vision first", (lambda r: sensors(r[::-1]),), "wrong order"),
        Wrong("changes r", (normalised_in_place,), "in place"),
        Wrong("a dict", (lambda r: dict(zip(PATTERNS, sensors(r))),), "is a dict"),
    ],
    "8.3": [
        Wrong(
            "mean of the F1s", (lambda s, c: s @ [weighted(x) for x in c],), "mean of the F1s of the patterns"
        ),
        Wrong("shares forgotten", (lambda s, c: weighted(c.sum(axis=0)),), "without the shares"),
        Wrong("macro F1", (lambda s, c: f1s(s @ c).mean(),), "macro F1"),
        Wrong("positive class alone", (lambda s, c: f1s(s @ c)[0],), "positive class alone"),
        Wrong("accuracy", (lambda s, c: (s @ c)[:2].sum() / (s @ c).sum(),), "accuracy of the mixture"),
        Wrong("weights of the guesses", (guessed_weights,), "how often they were guessed"),
        Wrong("0 / 0", (undefined_as_nan,), "0 / 0"),
    ],
    "8.4": [
        Wrong("nothing mended", (compare(paired=False, tails=1),), "both mistakes"),
        Wrong("only the tails mended", (compare(paired=False),), "not paired"),
        Wrong("only the pairing mended", (compare(tails=1),), "tails are too large"),
        Wrong("b - a", (compare(sign=-1),), "sign is turned round"),
        Wrong("level ignored", (compare(keep_level=False),), "`level` is not used"),
        Wrong("mean of the resamples as value", (compare(resampled=True),), "not a mean of resamples"),
    ],
    "8.5": [
        Wrong("Eq. (24) twice", (lambda h, q: (identity(h, q), identity(h, q)),), "loses that a clip's mask"),
        Wrong("the truth twice", (lambda h, q: (truth(h, q), truth(h, q)),), "the truth once more"),
        Wrong(
            "the pair in the other order", (lambda h, q: (identity(h, q), truth(h, q)),), "wrong way round"
        ),
        Wrong("a sum over clips", (lambda h, q: ((q.T * h).sum(), identity(h, q)),), "sum over the clips"),
        Wrong(
            "a mean over patterns",
            (lambda h, q: ((q.T * h).mean(), identity(h, q)),),
            "average over the patterns",
        ),
        Wrong(
            "equal shares in Eq. (24)", (lambda h, q: (truth(h, q), h.mean()),), "weighs all patterns alike"
        ),
    ],
    "8.6": [
        Wrong("no root", (noise(power=1.0, divide=2.0),), "variance; take the root"),
        Wrong("spread of the seven accuracies", (between,), "ONE pattern"),
        Wrong(
            "the same over root N",
            (lambda s, h: between(s, h) / np.sqrt(h.shape[1]),),
            "flip in both directions",
        ),
        Wrong("binomial noise", (binomial,), "drawing the clips as well"),
        Wrong("divided by root N", (noise(divide=0.5),), "once too little"),
        Wrong("noise of the number of hits", (noise(divide=0.0),), "number of hits"),
        Wrong(
            "spread of p over clips",
            (lambda s, h: hit_probability(s, h).std() / np.sqrt(h.shape[1]),),
            "spread of p_i",
        ),
    ],
    "8.7": [
        Wrong(
            "independent failures",
            (lambda rate: list(pattern_shares("independent", rate).values()),),
            "not honest: at rate 0.05",
        ),
        Wrong(
            "the rate as the share of incomplete clips",
            (lambda rate: list(pattern_shares("mplmm", rate).values()),),
            "not honest: at rate 0.05",
        ),
        Wrong("shares not split among three", (lambda rate: coins(rate, three_each=False),), "sum to"),
        Wrong("language never fails", (language_stays,), "not fair"),
        Wrong("two missing only when it must be", (fewest_two,), "never occurs"),
        Wrong("a negative share", (lambda rate: counted(1.5 * rate + 0.01, -0.02),), "below 0"),
        Wrong("a rule that changes at .45", (two_rules,), "not continuous"),
    ],
}
