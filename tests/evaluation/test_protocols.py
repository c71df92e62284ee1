from __future__ import annotations

import csv
import itertools

import numpy as np
import pytest
from sklearn.metrics import f1_score

from dicmor_lib.data.missingness import PROTOCOLS, missing_masks, pattern_shares
from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation import render, table_files
from dicmor_lib.evaluation.metrics import sentiment_metrics
from dicmor_lib.evaluation.predictions import PatternPredictions
from dicmor_lib.evaluation.protocols import EXACT, RATES, ProtocolTable, mixture_metrics, score_protocols
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


def test_accuracy_and_mae_equal_brute_force_over_patterns():
    held = predictions()
    fixed = [sentiment_metrics(guess, held.label) for guess in held.methods["DiCMoR"]]
    for protocol, rate in itertools.product(PROTOCOLS, RATES):
        shares = pattern_shares(protocol, rate)
        mixed = mixture_metrics(held, "DiCMoR", shares)
        for metric in EXACT:
            expected = sum(shares[p] * values[metric] for p, values in zip(PATTERNS, fixed))
            assert mixed[metric][0] == pytest.approx(expected, abs=1e-12), (protocol, rate, metric)


def test_accuracy_and_mae_equal_the_average_over_all_balanced_draws_of_masks():
    # Masks in which each sample meets each pattern as often as the protocol says: 60 draws with mplmm, r = .6
    # (.1 for each incomplete pattern, .4 complete). Their mean accuracy is the mixture's, to rounding.
    held, rng = predictions(), np.random.default_rng(1)
    schedule = np.repeat(np.arange(7), [6, 6, 6, 6, 6, 6, 24])
    orders = np.stack([rng.permutation(schedule) for _ in range(len(held.label))])  # (N, 60)
    drawn = {metric: [] for metric in EXACT}
    for draw in orders.T:
        guess = held.methods["DiCMoR"][draw, np.arange(len(draw))]
        for metric, value in sentiment_metrics(guess, held.label).items():
            if metric in drawn:
                drawn[metric].append(value)
    mixed = mixture_metrics(held, "DiCMoR", pattern_shares("mplmm", 0.6))
    for metric in EXACT:
        assert mixed[metric][0] == pytest.approx(np.mean(drawn[metric]), abs=1e-9)


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


def test_the_printed_table_says_what_is_exact_and_what_is_mixed(tmp_path):
    table = score_protocols(predictions(), protocols=("gcnet",), rates=(0.4,), resamples=20)
    text = render.protocols_to_text(table)
    assert text.startswith("SYNTHETIC DATA") and "F1 (mixed)" in text and "Pearson r (mixed)" in text
    assert "Acc-2 (mixed)" not in text and text.count("gcnet") == 6
    table_files.write_protocols(table, tmp_path / "protocols.csv")
    with open(tmp_path / "protocols.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert float(rows[0]["mae"]) == table.value("gcnet", 0.4, "DiCMoR", "mae")


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
