from __future__ import annotations

import copy
import csv
import dataclasses

import numpy as np
import pytest
import torch

from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation.baselines import Imputer, ZeroFill
from dicmor_lib.evaluation.evaluate import default_imputers, evaluate
from dicmor_lib.evaluation.metrics import METRICS, sentiment_metrics
from dicmor_lib.evaluation.passes import run_pass
from dicmor_lib.evaluation.table import REQUIRED_BASELINES
from dicmor_lib.modalities import PATTERNS, available_mask, pattern_mask


def test_every_pattern_holds_the_model_and_every_baseline_on_the_same_samples(evaluation, oracle_data):
    table = evaluation.table
    assert table.patterns == list(PATTERNS)
    assert set(table.methods) == {"DiCMoR", *REQUIRED_BASELINES, "ridge on last step"}
    assert {row.n for row in table.rows} == {len(oracle_data.test)}
    assert len(table.rows) == 7 * len(table.methods)
    assert table.info["synthetic"] is True and table.info["sha256"] == oracle_data.sha256
    assert len({mask["hash"] for mask in table.info["masks"].values()}) == 7


def test_the_models_rows_are_its_own_predictions(evaluation, models, oracle_data):
    test = oracle_data.test
    lengths = torch.from_numpy(test.lengths)
    features = [torch.from_numpy(x) for x in test.features]
    for pattern in ("l", "av", "lav"):
        with torch.no_grad():
            out = models[0].eval()(features, available_mask(pattern, len(test)), lengths)
        guess, label = evaluation.predictions.of("DiCMoR", pattern)
        np.testing.assert_allclose(guess, out.prediction.numpy(), atol=1e-5)
        values = sentiment_metrics(guess, label)
        for metric in METRICS:
            assert evaluation.table.value(pattern, "DiCMoR", metric) == values[metric]


def test_imputers_predict_with_the_complete_data_model(evaluation, models, oracle_data):
    test, (_, stage1) = oracle_data.test, models
    lengths = torch.from_numpy(test.lengths)
    with torch.no_grad():
        x = stage1.eval().shallow_features([torch.from_numpy(f) for f in test.features], lengths)
        complete = stage1.predict_from_shallow(x, lengths).numpy()
        x[1:] = 0
        zero = stage1.predict_from_shallow(x, lengths[:, :1].expand(-1, 3)).numpy()
    for imputer in default_imputers():
        np.testing.assert_allclose(evaluation.predictions.of(imputer.name, "lav")[0], complete, atol=1e-5)
    np.testing.assert_allclose(evaluation.predictions.of("zero-fill", "l")[0], zero, atol=1e-5)


def test_recovery_errors_are_those_of_the_models_own_output(evaluation, models, oracle_data):
    test, (model, _) = oracle_data.test, models
    out = run_pass(model, test, np.tile(pattern_mask("l"), (len(test), 1)))
    features, lengths = [torch.from_numpy(x) for x in test.features], torch.from_numpy(test.lengths)
    with torch.no_grad():
        real = model.eval().shallow_features(features, lengths)[1].numpy()
    train = oracle_data.train
    with torch.no_grad():
        known = model.shallow_features(
            [torch.from_numpy(x) for x in train.features], torch.from_numpy(train.lengths)
        )[1].numpy()
    valid = np.arange(known.shape[1]) < train.lengths[:, 1, None]
    sd = known[valid].std(axis=0)
    for name, values in (("transferred", out.transferred[1]), ("recovered", out.recovered[1])):
        errors = []
        for i, n in enumerate(test.lengths[:, 1]):
            errors.append((((values[i, :n] - real[i, :n]) / sd) ** 2).mean())
        found = evaluation.recovery.estimate("l", "audio", f"DiCMoR {name}").value
        assert found == pytest.approx(np.mean(errors), rel=1e-4)


def test_mean_fill_costs_about_one_and_recovery_cases_are_what_is_missing(evaluation):
    recovery = evaluation.recovery
    expected = [(p, m) for p in PATTERNS for m in ("language", "audio", "vision") if m[0] not in p]
    assert sorted(recovery.cases) == sorted(expected)
    for pattern, target in recovery.cases:
        assert recovery.estimate(pattern, target, "mean-fill").value == pytest.approx(1.0, abs=0.25)
        ridge = recovery.difference(pattern, target, "ridge", "mean-fill")
        assert ridge.value < 0  # the oracle's modalities share a path, and ridge sees some of it


def test_an_evaluation_repeats_bit_by_bit_and_leaves_the_model_as_it_was(evaluation, models, oracle_data):
    models[0].train()
    again = evaluate(models[0], oracle_data, stage1=models[1], resamples=50)
    assert models[0].training
    for name, values in evaluation.predictions.methods.items():
        assert np.array_equal(values, again.predictions.methods[name], equal_nan=True)
    assert again.to_text() == evaluation.to_text()


def test_what_is_unavailable_in_the_test_split_changes_nothing(models, oracle_data):
    test = oracle_data.test
    poisoned = tuple(x if m == 1 else np.full_like(x, np.nan) for m, x in enumerate(test.features))
    available = np.tile(pattern_mask("a"), (len(test), 1))
    clean = run_pass(models[0], test, available)
    dirty = run_pass(models[0], dataclasses.replace(test, features=poisoned), available)
    assert np.array_equal(clean.prediction, dirty.prediction)
    assert np.array_equal(clean.recovered, dirty.recovered)


def test_samples_with_nothing_of_the_pattern_are_left_out_and_counted(models, oracle_data, quick_imputers):
    test = oracle_data.test
    observed, lengths = test.observed.copy(), test.lengths.copy()
    observed[:4, 0], lengths[:4, 0] = False, 0
    features = tuple(
        np.where(observed[:, m, None, None], x, np.float32("nan")) for m, x in enumerate(test.features)
    )
    partial = dataclasses.replace(test, features=features, observed=observed, lengths=lengths)
    data = oracle_data.replace_splits({"test": partial})
    result = evaluate(
        models[0], data, stage1=models[1], imputers=quick_imputers(), patterns=["l", "va"], resamples=20
    )
    assert result.table.row("l", "DiCMoR").n == len(test) - 4 and result.table.row("av", "ridge").n == len(
        test
    )
    assert result.table.info["masks"]["l"]["excluded"] == 4
    assert "Left out because nothing of the pattern is observed in them: 4 for l" in result.to_text()
    assert len(result.recovery.errors["av", "language", "ridge"]) == len(test) - 4  # no truth, no error


def test_a_pattern_that_no_sample_has_is_left_out_with_a_note(models, oracle_data, quick_imputers):
    test = oracle_data.test
    observed, lengths = test.observed.copy(), test.lengths.copy()
    observed[:, 0], lengths[:, 0] = False, 0
    without = dataclasses.replace(test, observed=observed, lengths=lengths)
    data = oracle_data.replace_splits({"test": without})
    result = evaluate(
        models[0], data, stage1=models[1], imputers=quick_imputers(), patterns=["l", "a"], resamples=20
    )
    assert result.table.patterns == ["a"] and "No sample has anything of the pattern l." in result.to_text()
    with pytest.raises(DataError, match="no sample has anything of the pattern l"):
        evaluate(models[0], data, stage1=models[1], imputers=quick_imputers(), patterns=["l"])


def test_distances_on_request_stand_beside_their_noise_floor(models, oracle_data, tmp_path, quick_imputers):
    result = evaluate(
        models[0],
        oracle_data,
        stage1=models[1],
        imputers=quick_imputers(),
        patterns=["la"],
        permutations=9,
        resamples=20,
    )
    methods = {row.method for row in result.distances}
    assert methods == {
        "real",
        "DiCMoR transferred",
        "DiCMoR recovered",
        "zero-fill",
        "mean-fill",
        "gaussian",
        "gaussian sample",
        "ridge",
        "k nearest",
        "auto-encoder",
    }
    assert {(row.pattern, row.target) for row in result.distances} == {("la", "vision")}
    text = result.to_text()
    assert "'real' is the noise floor" in text and "sliced_wasserstein" in text
    with open(result.save(tmp_path)[-1], newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(result.distances)
    assert float(lines[0]["value"]) == result.distances[0].value and lines[0]["synthetic"] == "True"


def test_several_models_stand_on_the_same_masks(models, oracle_data, small_model, quick_imputers):
    named = {"DiCMoR": models[0], "no mixing": small_model(2, mixing="none")}
    result = evaluate(
        named, oracle_data, stage1=models[1], imputers=quick_imputers(), patterns=["l"], resamples=20
    )
    assert result.table.methods[:2] == ["DiCMoR", "no mixing"]
    # "no mixing" has its own C^m, so its recovered features live in another space.
    assert (
        "DiCMoR recovered" in result.recovery.methods and "no mixing recovered" not in result.recovery.methods
    )
    assert any("no mixing" in note for note in result.table.info["notes"])


def test_the_published_configuration_can_be_evaluated_too(oracle_data, small_model, quick_imputers):
    model = small_model(0, honour_lengths=False, mixing="none", scale_map="sigmoid", shift_first=True)
    result = evaluate(
        model, oracle_data, stage1=model, imputers=quick_imputers(), patterns=["la", "lav"], resamples=20
    )
    assert np.isfinite(result.table.value("la", "DiCMoR", "mae"))
    assert np.isfinite(result.recovery.estimate("la", "vision", "DiCMoR recovered").value)


def test_a_result_without_the_baselines_does_not_exist(models, oracle_data):
    with pytest.raises(
        DataError, match="lack the baselines mean-fill, gaussian, ridge, k nearest, auto-encoder;"
    ):
        evaluate(
            models[0], oracle_data, stage1=models[1], patterns=["l"], imputers=[ZeroFill()], resamples=20
        )


def test_an_imputer_can_be_added(models, oracle_data, quick_imputers):
    class HalfMean(Imputer):
        name = "half the mean"

        def _learn(self, shallow, inside):
            pass

        def _estimate(self, target, sources, features, seen):
            return self.frame.mean[target] / 2

    imputers = [*quick_imputers(), HalfMean()]
    result = evaluate(
        models[0], oracle_data, stage1=models[1], patterns=["v"], imputers=imputers, resamples=20
    )
    assert np.isfinite(result.table.value("v", "half the mean", "mae"))


def test_progress_ends_at_its_total(models, oracle_data, quick_imputers):
    calls = []
    evaluate(
        models[0],
        oracle_data,
        stage1=models[1],
        imputers=quick_imputers(),
        patterns=["l", "lav"],
        resamples=20,
        progress=lambda done, total, what: calls.append((done, total, what)),
    )
    assert [done for done, _, _ in calls] == list(range(1, len(calls) + 1))
    assert calls[-1][0] == calls[-1][1] and calls[0][2] == "l: DiCMoR"


def test_bad_input_is_one_clear_sentence(models, oracle_data):
    with pytest.raises(ConfigError, match="no split 'dev'; choose one of train, valid, test"):
        evaluate(models[0], oracle_data, stage1=models[1], split="dev")
    empty = oracle_data.replace_splits({"test": oracle_data.test.select([])})
    with pytest.raises(DataError, match="test split .* is empty"):
        evaluate(models[0], empty, stage1=models[1])


@pytest.mark.gpu
def test_a_gpu_gives_the_same_table_as_the_cpu(evaluation, models, oracle_data):
    model, stage1 = (copy.deepcopy(m).cuda() for m in models)
    result = evaluate(model, oracle_data, stage1=stage1, resamples=50)
    for name, values in evaluation.predictions.methods.items():
        np.testing.assert_allclose(result.predictions.methods[name], values, atol=1e-3)
    for key, errors in evaluation.recovery.errors.items():
        np.testing.assert_allclose(result.recovery.errors[key], errors, rtol=1e-2, atol=1e-3)
