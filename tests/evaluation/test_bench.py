"""All methods side by side: models whose steps are numbered differently, and who may look on."""

from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.evaluation.bench import Bench, same_shallow, step_shift
from dicmor_lib.evaluation.distances import distances_by_target
from dicmor_lib.evaluation.evaluate import default_imputers, evaluate
from dicmor_lib.evaluation.passes import run_pass, shallow_split, shifted_steps
from dicmor_lib.evaluation.recovery import errors_by_target
from dicmor_lib.evaluation.table import REQUIRED_BASELINES
from dicmor_lib.modalities import pattern_mask

PUBLISHED = dict(honour_lengths=False, mixing="none", scale_map="sigmoid", shift_first=True)


@pytest.fixture(scope="module")
def published(models, small_model):
    """A model in the published mode with stage 1's C^m: its convolution is not padded."""
    model = small_model(3, **PUBLISHED)
    model.shallow.load_state_dict(models[1].shallow.state_dict())
    return model


def run(named, stage1, data, pattern: str, imputers):
    bench = Bench.build(named, stage1, data.train, data.test, imputers, batch_size=16)
    available = np.tile(pattern_mask(pattern), (len(data.test), 1))
    return bench, bench.run(available, lambda what: None)


def test_unpadded_features_are_the_padded_ones_two_steps_later(models, published, oracle_data):
    ours, theirs = (shallow_split(model, oracle_data.test).features for model in (models[1], published))
    assert same_shallow(published, models[1]) and step_shift(published) == 2
    assert theirs.shape[2] == ours.shape[2] - 4
    moved = shifted_steps(theirs, 2, ours.shape[2])
    inner = oracle_data.test.lengths.min(axis=1).max() - 2
    for n, length in enumerate(oracle_data.test.lengths[:, 0]):  # lengths agree across modalities
        end = min(length, ours.shape[2] - 2)
        np.testing.assert_allclose(moved[:, n, 2:end], ours[:, n, 2:end], atol=1e-6)
    assert inner > 4  # or nothing was compared


def test_a_published_models_estimates_stand_at_the_steps_they_describe(
    models, published, oracle_data, quick_imputers
):
    named = {"DiCMoR": models[0], "published": published}
    _, result = run(named, models[1], oracle_data, "l", quick_imputers())
    out = run_pass(published, oracle_data.test, np.tile(pattern_mask("l"), (len(oracle_data.test), 1)), 16)
    own = out.recovered.shape[2]
    for name, value in (("transferred", out.transferred), ("recovered", out.recovered)):
        placed = result.estimates[f"published {name}"]
        assert placed.shape == result.real.features.shape
        np.testing.assert_array_equal(placed[:, :, 2 : 2 + own], value)
        assert not placed[:, :, :2].any() and not placed[:, :, 2 + own :].any()


def test_all_methods_are_compared_on_the_steps_that_all_of_them_have(
    models, published, oracle_data, quick_imputers
):
    test, data = oracle_data.test, oracle_data
    _, alone = run({"DiCMoR": models[0]}, models[1], data, "la", quick_imputers())
    bench, beside = run(
        {"DiCMoR": models[0], "published": published}, models[1], data, "la", quick_imputers()
    )
    steps = alone.steps.shape[2]
    valid = np.arange(steps) < test.lengths[:, 2, None]
    assert not alone.steps[:2].any() and np.array_equal(alone.steps[2], valid)
    longest = [test.lengths[i : i + 16].max() for i in range(0, len(test), 16)]  # of each batch
    last = np.repeat(longest, 16)[: len(test), None] - 2
    expected = valid & (np.arange(steps) >= 2) & (np.arange(steps) < last)
    assert np.array_equal(beside.steps[2], expected) and expected.sum() < valid.sum()

    errors = errors_by_target(
        beside.estimates,
        beside.real.features,
        beside.real.lengths,
        beside.real.observed,
        beside.available,
        bench.frame,
        beside.steps,
    )
    assert {"published recovered", "ridge", "gaussian sample"} <= {method for _, method in errors}
    real, sd = beside.real.features[2], bench.frame.sd[2]
    for method in ("published recovered", "ridge"):
        by_hand = [
            (((beside.estimates[method][2, n, keep] - real[n, keep]) / sd) ** 2).mean()
            for n, keep in enumerate(expected)
            if keep.any()
        ]
        np.testing.assert_allclose(errors["vision", method], by_hand, rtol=1e-5)


def test_errors_and_distances_of_an_evaluation_use_the_steps_that_all_methods_have(
    models, published, oracle_data, quick_imputers
):
    seen = []
    result = evaluate(
        {"DiCMoR": models[0], "published": published},
        oracle_data,
        stage1=models[1],
        patterns=["la"],
        imputers=quick_imputers(),
        permutations=9,
        resamples=20,
        observer=lambda pattern, bench, run: seen.append((bench, run)),
    )
    [(bench, run)] = seen
    keep = run.steps[2]
    squares = (
        ((run.estimates["published recovered"][2] - run.real.features[2]) / bench.frame.sd[2]) ** 2
    ).mean(2)
    by_hand = [row[kept].mean() for row, kept in zip(squares, keep) if kept.any()]
    np.testing.assert_allclose(
        result.recovery.errors["la", "vision", "published recovered"], by_hand, rtol=1e-5
    )
    about = (run.real.features, run.real.lengths, run.real.observed, run.available, bench.frame)
    label = oracle_data.test.labels[run.rows]
    compared = distances_by_target(run.estimates, *about, label, inside=run.steps, permutations=9)
    assert [row.value for row in result.distances] == [row.value for row in compared]
    everywhere = distances_by_target(run.estimates, *about, label, permutations=9)
    assert [row.value for row in everywhere] != [row.value for row in compared]
    assert {"published recovered", "gaussian sample", "auto-encoder"} <= {
        row.method for row in result.distances
    }
    assert any("convolution of published has another padding" in note for note in result.table.info["notes"])
    assert "published recovered" in result.to_text()


def test_a_stage_1_without_padding_takes_the_padded_models_steps_into_its_own_numbers(
    models, published, oracle_data, quick_imputers
):
    _, result = run({"DiCMoR": models[0]}, published, oracle_data, "a", quick_imputers())
    out = run_pass(models[0], oracle_data.test, np.tile(pattern_mask("a"), (len(oracle_data.test), 1)), 16)
    placed = result.estimates["DiCMoR recovered"]
    own = placed.shape[2]
    np.testing.assert_array_equal(placed, out.recovered[:, :, 2 : 2 + own])
    last = oracle_data.test.lengths[:, 1] - 2  # a step past a clip's end is one that DiCMoR does not recover
    assert not (result.steps[0] & (np.arange(own) >= last[:, None])).any() and result.steps[0].any()


def test_steps_are_shifted_with_zeros_moving_in():
    values = np.arange(1.0, 5.0).reshape(1, 1, 4, 1).repeat(3, axis=0)
    assert shifted_steps(values, 1, 6)[0, 0, :, 0].tolist() == [0, 1, 2, 3, 4, 0]
    assert shifted_steps(values, 1, 3)[0, 0, :, 0].tolist() == [0, 1, 2]
    assert shifted_steps(values, -2, 4)[0, 0, :, 0].tolist() == [3, 4, 0, 0]
    assert shifted_steps(values, 0, 4)[0, 0, :, 0].tolist() == [1, 2, 3, 4]


def test_an_observer_sees_each_patterns_run_as_it_was_scored(models, oracle_data, quick_imputers):
    seen = {}
    result = evaluate(
        models[0],
        oracle_data,
        stage1=models[1],
        patterns=["l", "lav"],
        imputers=quick_imputers(),
        resamples=20,
        observer=lambda pattern, bench, run: seen.update({pattern: (bench, run)}),
    )
    assert list(seen) == ["l", "lav"]
    bench, of_l = seen["l"]
    assert bench.models == {"DiCMoR": models[0]} and bench.stage1 is models[1]
    np.testing.assert_array_equal(of_l.predictions["ridge"], result.predictions.methods["ridge"][0])
    errors = ((of_l.estimates["ridge"][1] - of_l.real.features[1]) / bench.frame.sd[1]) ** 2
    by_hand = [errors[n, keep].mean() for n, keep in enumerate(of_l.steps[1])]
    np.testing.assert_allclose(result.recovery.errors["l", "audio", "ridge"], by_hand, rtol=1e-5)
    assert not seen["lav"][1].steps.any()


def test_the_default_imputers_are_the_required_ones():
    names = [imputer.name for imputer in default_imputers()]
    assert [*names, "majority"] == list(REQUIRED_BASELINES)
