"""The functions of chapter 8 against the library's metrics, mixture and bootstrap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dicmor_lib.data.missingness import missing_masks, pattern_shares
from dicmor_lib.evaluation import metric_estimates, sentiment_metrics
from dicmor_lib.evaluation.predictions import PatternPredictions
from dicmor_lib.evaluation.protocols import mixture_metrics
from dicmor_lib.modalities import PATTERNS, mask_pattern, pattern_mask


def scored(seed: int = 0, n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    """Predictions (7, n) with exact zeros, halves and values beyond 3 among them, and labels with zeros."""
    rng = np.random.default_rng(seed)
    label = rng.integers(-15, 16, n) / 5
    label[::9] = 0
    prediction = label + rng.normal(scale=2, size=(7, n))
    prediction[:, ::11], prediction[:, 1::13] = 0, 2.5
    return prediction, label


def metric(name: str) -> Callable[[dict], None]:
    def compare(chapter: dict) -> None:
        predictions, label = scored()
        for prediction in (*predictions, np.full(len(label), 0.1), np.full(len(label), -1.0)):
            np.testing.assert_allclose(
                chapter[name](prediction, label), sentiment_metrics(prediction, label)[name], atol=1e-12
            )

    return compare


def weighted_f1(chapter: dict) -> None:
    predictions, label = scored()
    for prediction in (*predictions, np.full(len(label), 0.1), np.full(len(label), -1.0)):
        counts = chapter["confusion"](prediction, label)
        assert counts.sum() == (label != 0).sum()
        np.testing.assert_allclose(
            chapter["weighted_f1"](counts), sentiment_metrics(prediction, label)["f1"], atol=1e-12
        )


def mixture(chapter: dict) -> None:
    predictions, label = scored()
    available = np.stack([np.tile(pattern_mask(p), (len(label), 1)) for p in PATTERNS])
    whole = PatternPredictions(PATTERNS, label, available, {"it": predictions}, {"it": "reference"})
    for protocol, rate in (("dicmor", 0.4), ("gcnet", 0.5), ("independent", 0.3), ("mplmm", 0.7)):
        law = pattern_shares(protocol, rate)
        shares, theirs = np.array(list(law.values())), mixture_metrics(whole, "it", law)
        for name in ("acc2", "acc2_nonneg", "acc7"):
            fixed = np.array([chapter[name](p, label) for p in predictions])
            np.testing.assert_allclose(chapter["mixture"](shares, fixed), theirs[name][0], atol=1e-12)
        counts = np.stack([chapter["confusion"](p, label) for p in predictions])
        mixed = chapter["weighted_f1"](chapter["mixture"](shares, counts))
        np.testing.assert_allclose(mixed, theirs["f1"][0], atol=1e-12)


def bootstrap(chapter: dict) -> None:
    predictions, label = scored()
    counts = chapter["resample"](len(label), 300, np.random.default_rng(1))
    assert counts.shape == (300, len(label)) and (counts.sum(axis=1) == len(label)).all()
    signed = (label != 0).astype(float)
    for prediction in predictions:
        hits = (prediction > 0) == (label > 0)
        for level in (0.95, 0.8):
            theirs = metric_estimates(prediction, label, counts.astype(float), level)["acc2"]
            mine = chapter["bootstrap"](hits, signed, counts, level)
            np.testing.assert_allclose(mine, [theirs.low, theirs.high], atol=1e-12)


def patterns(chapter: dict) -> None:
    masks = missing_masks("mplmm", 0.8, 60, seed=0)
    which = chapter["patterns_of"](masks)
    assert [PATTERNS[i] for i in which] == [mask_pattern(mask) for mask in masks]
    guesses = np.arange(7 * 60).reshape(7, 60)
    chosen = [guesses[p, i] for i, p in enumerate(which)]
    np.testing.assert_array_equal(chapter["under"](masks, guesses), chosen)


EQUAL: dict[str, Callable[[dict], None]] = {
    "acc2": metric("acc2"),
    "acc2_nonneg": metric("acc2_nonneg"),
    "acc7": metric("acc7"),
    "weighted_f1": weighted_f1,
    "mixture": mixture,
    "bootstrap": bootstrap,
    "patterns_of": patterns,
}
