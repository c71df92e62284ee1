from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from sklearn.metrics import f1_score

from dicmor_lib.data.missingness import PROTOCOLS, law_hash, missing_masks, pattern_shares
from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation.bootstrap import resample_counts
from dicmor_lib.evaluation.metrics import METRICS, sentiment_metrics, weighted_metrics
from dicmor_lib.evaluation.predictions import PatternPredictions
from dicmor_lib.evaluation.protocols import (
    EXACT,
    LAW,
    MIXTURE,
    RATES,
    ProtocolTable,
    defined_cases,
    mixture_metrics,
    score_protocols,
)
from dicmor_lib.evaluation.table import REQUIRED_BASELINES
from dicmor_lib.modalities import PATTERNS, mask_pattern, pattern_mask


def predictions(n: int = 40, seed: int = 0) -> PatternPredictions:
    rng = np.random.default_rng(seed)
    label = rng.choice([-3.0, -1.4, -0.6, 0.0, 0.4, 1.6, 2.2], n)
    available = np.repeat(np.array([pattern_mask(p) for p in PATTERNS])[:, None], n, axis=1)
    noise = np.array([1.5, 2.5, 2.5, 1.2, 1.3, 2.0, 1.0])[:, None]  # the less is missing, the better
    names = ("DiCMoR", *REQUIRED_BASELINES)
    methods = {name: label + noise * rng.normal(size=(7, n)) for name in names}
    kinds = {name: "model" if name == "DiCMoR" else "imputer" for name in names}
    info = {"data": "toy", "sha256": "0" * 64, "synthetic": True, "split": "test"}
    return PatternPredictions(PATTERNS, label, available, methods, kinds, info)


def own_metrics(guess: np.ndarray, label: np.ndarray) -> dict[str, np.ndarray]:
    """The four metrics of guesses (M, n), written down here again: name -> (M,)."""
    signed = label != 0
    same = np.rint(np.clip(guess, -3, 3)) == np.rint(np.clip(label, -3, 3))
    return {
        "acc2": ((guess > 0) == (label > 0))[:, signed].mean(1),
        "acc2_nonneg": ((guess >= 0) == (label >= 0)).mean(1),
        "acc7": same.mean(1),
        "mae": np.abs(guess - label).mean(1),
    }


def test_accuracy_and_mae_equal_the_enumeration_of_every_mask():
    # Four samples, one with the label 0, each with any of seven patterns: 7^4 masks, every one of them scored and
    # weighted with its probability. Nothing of the identity is used on this side.
    held = predictions(n=4, seed=3)
    held.label[2] = 0.0
    every = np.array(list(itertools.product(range(7), repeat=4)))  # (2401, 4)
    values = own_metrics(held.methods["DiCMoR"][every, np.arange(4)], held.label)
    assert all(np.ptp(values[metric]) > 0.2 for metric in EXACT)  # masks matter for these predictions
    for protocol, rate in itertools.product(PROTOCOLS, RATES):
        shares = pattern_shares(protocol, rate)
        chance = np.array([shares[p] for p in PATTERNS])[every].prod(axis=1)
        assert chance.sum() == pytest.approx(1, abs=1e-12)
        mixed = mixture_metrics(held, "DiCMoR", shares)
        for metric in EXACT:
            assert abs(mixed[metric][0] - chance @ values[metric]) < 1e-9, (protocol, rate, metric)


def test_masks_with_exact_counts_have_the_same_expectation():
    # missing_masks gives n = 4 samples under mplmm at .5 exactly (2, 1, 1) with (none, one, two) missing. All
    # 12 arrangements x 3 x 3 choices of modalities are equally likely; samples depend on each other.
    held = predictions(n=4, seed=5)
    counts = {
        tuple(np.bincount(3 - missing_masks("mplmm", 0.5, 4, s).sum(1), minlength=3)) for s in range(20)
    }
    assert counts == {(2, 1, 1)}
    by_missing = {k: [i for i, p in enumerate(PATTERNS) if len(p) == 3 - k] for k in range(3)}
    arrangements = set(itertools.permutations((0, 0, 1, 2)))
    masks = [m for a in arrangements for m in itertools.product(*(by_missing[k] for k in a))]
    assert len(masks) == 12 * 3 * 3
    values = own_metrics(held.methods["DiCMoR"][np.array(masks), np.arange(4)], held.label)
    mixed = mixture_metrics(held, "DiCMoR", pattern_shares("mplmm", 0.5))
    for metric in EXACT:
        assert abs(mixed[metric][0] - values[metric].mean()) < 1e-9


def test_mixed_f1_is_not_the_mean_over_masks():
    """Why F1 is labelled: on the same enumeration it does not come out."""
    held = predictions(n=4, seed=3)
    every = np.array(list(itertools.product(range(7), repeat=4)))[::29]
    shares = pattern_shares("independent", 0.5)
    chance = np.array([shares[p] for p in PATTERNS])[every].prod(axis=1)
    drawn = [
        f1_score(held.label >= 0, held.methods["DiCMoR"][m, np.arange(4)] >= 0, average="weighted")
        for m in every
    ]
    mixed = mixture_metrics(held, "DiCMoR", shares)["f1_nonneg"][0]
    assert abs(mixed - chance @ np.array(drawn) / chance.sum()) > 1e-3


def test_drawn_masks_scatter_around_the_mixture():
    held = predictions(n=400)
    guess, maes = held.methods["DiCMoR"], []
    for seed in range(200):
        masks = missing_masks("gcnet", 0.4, 400, seed)
        rows = [PATTERNS.index(mask_pattern(tuple(mask))) for mask in masks]
        maes.append(np.abs(guess[rows, np.arange(400)] - held.label).mean())
    mixed = mixture_metrics(held, "DiCMoR", pattern_shares("gcnet", 0.4))["mae"][0]
    assert abs(np.mean(maes) - mixed) < 4 * np.std(maes) / np.sqrt(len(maes))


def test_f1_mixes_confusion_counts():
    held = predictions()
    shares = {"l": 0.25, "lav": 0.75}
    guess = np.concatenate([held.methods["DiCMoR"][0], *[held.methods["DiCMoR"][6]] * 3])
    label = np.tile(held.label, 4)
    expected = f1_score(label >= 0, guess >= 0, average="weighted")
    assert mixture_metrics(held, "DiCMoR", shares)["f1_nonneg"][0] == pytest.approx(expected)
    r = np.corrcoef(guess, label)[0, 1]
    assert mixture_metrics(held, "DiCMoR", shares)["pearson"][0] == pytest.approx(r)


def test_a_law_of_one_pattern_is_that_pattern():
    held = predictions()
    values = sentiment_metrics(held.methods["DiCMoR"][3], held.label)
    for metric, value in mixture_metrics(held, "DiCMoR", {"la": 1.0}).items():
        assert value[0] == pytest.approx(values[metric])


def test_every_protocol_is_scored_at_every_rate_with_intervals():
    table = score_protocols(predictions(), rates=(0.1, 0.7), resamples=50)
    scores = [s for s in table.scores if s.method == "ridge"]
    assert [(s.protocol, s.rate) for s in scores] == [(p, r) for p in PROTOCOLS for r in (0.1, 0.7)]
    for score in scores:
        assert score.metrics["mae"].low < score.metrics["mae"].value < score.metrics["mae"].high
    by_name = {(s.protocol, s.rate): s.metrics["mae"].value for s in scores}
    assert by_name["dicmor", 0.7] > by_name["dicmor", 0.1]
    assert len({by_name[p, 0.7] for p in ("dicmor", "independent", "mplmm")}) == 3


def test_a_rate_that_a_protocol_does_not_define_is_left_out_with_a_sentence():
    table = score_protocols(predictions(), ("dicmor", "mplmm"), (0.3, 0.35, 0.8), resamples=20)
    assert table.cases == [("dicmor", 0.3), ("mplmm", 0.3), ("mplmm", 0.35), ("mplmm", 0.8)]
    (note,) = table.info["notes"]
    assert note.startswith("Left out: dicmor at 0.35, 0.8, which its published table does not define")
    with pytest.raises(ConfigError, match="no rate of 0.8 exists. Left out: imder at 0.8"):
        defined_cases(["imder"], [0.8])
    with pytest.raises(ConfigError, match="there is no protocol 'mmin'"):
        defined_cases(["mmin"], [0.5])
    with pytest.raises(ConfigError, match="rate is 1.2"):
        defined_cases(["gcnet"], [1.2])


def test_a_score_names_its_law_and_equal_laws_have_one_name():
    table = score_protocols(predictions(), rates=(0.5, 0.7), resamples=20)
    names = {case: {s.mask_hash for s in table.of(*case)} for case in table.cases}
    assert all(len(found) == 1 for found in names.values())
    assert names["dicmor", 0.5] == names["imder", 0.5] == {law_hash(pattern_shares("dicmor", 0.5))}
    assert len({tuple(names[p, 0.5]) for p in ("dicmor", "gcnet", "independent", "mplmm")}) == 4
    assert {(s.hash_of, s.identity, s.n) for s in table.scores} == {(LAW, MIXTURE, 40)}
    mixed_up = [
        dataclasses.replace(s, mask_hash="0" * 12) if s.method == "ridge" else s for s in table.scores
    ]
    with pytest.raises(DataError, match="dicmor at rate 0.5 were not scored on one mask"):
        ProtocolTable(tuple(mixed_up), table.info)


def test_intervals_are_those_of_the_resampled_items():
    held, shares = predictions(), pattern_shares("gcnet", 0.4)
    score = score_protocols(held, ("gcnet",), (0.4,), resamples=50, seed=2).of("gcnet", 0.4)[0]
    counts = resample_counts(40, 50, 2)
    weights = (np.array([shares[p] for p in PATTERNS])[:, None] * counts[:, None, :]).reshape(50, -1)
    spread = weighted_metrics(held.methods["DiCMoR"].ravel(), np.tile(held.label, 7), weights)
    for metric in METRICS:
        low, high = np.quantile(spread[metric], [0.025, 0.975])
        assert (score.metrics[metric].low, score.metrics[metric].high) == pytest.approx((low, high), abs=1e-9)


def test_a_protocols_score_without_the_baselines_does_not_exist():
    table = score_protocols(predictions(), protocols=("mplmm",), rates=(0.4,), resamples=20)
    kept = tuple(s for s in table.scores if s.method != "mean-fill")
    with pytest.raises(DataError, match="mplmm at rate 0.4 lack the baselines mean-fill"):
        ProtocolTable(kept, table.info)


def test_bad_input_is_one_clear_sentence():
    held = predictions()
    with pytest.raises(ConfigError, match="sum to 0.9"):
        mixture_metrics(held, "DiCMoR", {"l": 0.4, "lav": 0.5})
    few = PatternPredictions(
        ("l",), held.label, held.available[:1], {"DiCMoR": held.methods["DiCMoR"][:1]}, {}
    )
    with pytest.raises(DataError, match="needs the patterns av, which were not evaluated"):
        mixture_metrics(few, "DiCMoR", {"l": 0.4, "av": 0.6})
    held.available[0, :3] = False
    for values in held.methods.values():
        values[0, :3] = np.nan
    with pytest.raises(DataError, match="3 samples have nothing of a pattern such as 'l'"):
        mixture_metrics(held, "DiCMoR", {"l": 0.4, "av": 0.6})
