"""The study beyond the paper, small: what is measured is true of the arrays, kept, and joined over seeds."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from dicmor_lib.data import Standardiser
from dicmor_lib.errors import CheckpointError, DataError
from dicmor_lib.evaluation.beyond import run
from dicmor_lib.evaluation.beyond.results import read_results
from dicmor_lib.evaluation.beyond.run import run_seed
from dicmor_lib.evaluation.beyond.setting import Setting
from dicmor_lib.evaluation.beyond.truth import truth_of
from dicmor_lib.evaluation.metrics import sentiment_metrics
from dicmor_lib.modalities import pattern_mask
from dicmor_lib.training.lock import locked

PATTERNS = ("l", "av", "lav")


def small(**changes) -> Setting:
    setting = Setting.of_oracle((120, 40, 60), density_steps=20, draws=3, **changes)
    model = setting.model | dict(flow_layers=2, flow_width=8, rcab_blocks=1, fusion_layers=1)
    train = setting.train.replace(stage1_epochs=1, stage2_epochs=1, batch_size=32)
    return Setting(setting.source, model, train, setting.density_steps, 32, draws=setting.draws)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("beyond")


@pytest.fixture(scope="module")
def seeds(out):
    return [run_seed(small(), seed, out, PATTERNS) for seed in (0, 1)]


def test_every_method_answers_every_question(seeds):
    methods = {"DiCMoR", "ridge", "gaussian", "joint", "Bayes"}
    for seed in seeds:
        for pattern in ("l", "av"):
            assert {k[3] for k in seed if k[:2] == ("log_density", pattern)} == methods
        assert not [k for k in seed if k[1] == "lav" and k[0] in ("log_density", "squared_error", "law")]
        assert {k[2] for k in seed if k[:2] == ("squared_error", "l")} == {"audio", "vision"}
        assert all(np.isfinite(v).all() for k, v in seed.items() if k[0] != "acc2")
        for k, v in seed.items():
            assert v.shape in ((), (60,)), k
    assert not np.array_equal(
        seeds[0]["log_density", "l", "", "joint"], seeds[1]["log_density", "l", "", "joint"]
    )
    same = ("squared_error", "l", "audio", "Bayes mean")  # the data are the same, only training differs
    assert np.array_equal(seeds[0][same], seeds[1][same])


def test_what_is_known_best_is_best(seeds):
    for seed in seeds:
        for target in ("audio", "vision"):
            errors = {k[3]: v.mean() for k, v in seed.items() if k[:3] == ("squared_error", "l", target)}
            assert min(errors, key=errors.get) == "Bayes mean"
            assert errors["Bayes draw"] > 1.5 * errors["Bayes mean"]
            laws = {k[3]: v for k, v in seed.items() if k[:3] == ("conditional_law", "l", target)}
            assert laws["Bayes draw"] < laws["Bayes mean"]  # a mean is no draw
        densities = {k[3]: v.mean() for k, v in seed.items() if k[:2] == ("log_density", "l")}
        assert max(densities, key=densities.get) == "Bayes"


def test_scores_agree_with_the_metrics_module(seeds, out, monkeypatch):
    """Acc-2 and MAE of one method, from predictions that are caught on their way."""
    from dicmor_lib.evaluation.beyond import measures

    caught = {}
    whole = measures.Asked._predictions

    def catch(self, run, joint, truth):
        caught.update(
            label=self.tested.labels, prediction=joint.predictions.mean(0), ridge=run.predictions["ridge"]
        )
        return whole(self, run, joint, truth)

    monkeypatch.setattr(measures.Asked, "_predictions", catch)
    setting = small()
    raw = setting.source.load()
    models = run.train_models(setting, raw, 0, run.seed_folder(out, setting, 0))
    asked = measures.Asked(models, 3, 0, models.data.test)
    found = asked.under("la", np.tile(pattern_mask("la"), (60, 1)), None)
    for name, value in (("joint", caught["prediction"]), ("ridge", caught["ridge"])):
        metrics = sentiment_metrics(value, caught["label"])
        assert np.nanmean(found["acc2", "la", "", name]) == pytest.approx(metrics["acc2"])
        assert found["absolute_error", "la", "", name].mean() == pytest.approx(metrics["mae"])


def test_a_seed_is_kept_and_an_interrupted_one_trains_nothing_twice(seeds, out, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("trained again")

    file = run.seed_folder(out, small(), 1) / "measures.npz"
    monkeypatch.setattr(run, "train_models", never)
    again = run_seed(small(), 1, out, PATTERNS)
    assert again.keys() == seeds[1].keys()
    assert all(np.array_equal(again[k], seeds[1][k], equal_nan=True) for k in again)
    monkeypatch.undo()
    file.unlink()
    monkeypatch.setattr("dicmor_lib.evaluation.beyond.models.fit_density", never)
    remeasured = run_seed(small(), 1, out, ("l",))
    file.unlink()  # as other tests expect all patterns
    assert all(np.array_equal(value, seeds[1][key], equal_nan=True) for key, value in remeasured.items())


def test_what_was_kept_for_other_data_or_settings_is_not_passed_off(seeds, out):
    other_data = Setting.of_oracle((120, 40, 61)).source
    other_draws, other_epochs = small().draws + 1, small().train.replace(stage2_epochs=2)
    for changes in ({"source": other_data}, {"draws": other_draws}, {"train": other_epochs}):
        with pytest.raises(DataError, match="other data or with other settings .* delete that folder"):
            run_seed(dataclasses.replace(small(), **changes), 0, out, PATTERNS)


def test_a_damaged_file_is_named_with_its_remedy(seeds, out):
    folder = run.seed_folder(out, small(), 0)
    for name, remedy in (
        ("measures.npz", "measure this seed"),
        ("joint.safetensors", "train the joint model"),
    ):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=f"{name} is damaged.* delete it to {remedy}"):
            run_seed(small(), 0, out, PATTERNS)
        (folder / name).unlink()  # the weights are looked at only where the measures are gone
        if name == "joint.safetensors":
            (folder / name).write_bytes(whole)


def test_two_processes_do_not_work_on_one_seed(out):
    with locked(run.seed_folder(out, small(), 2) / ".lock"):
        with pytest.raises(CheckpointError, match="another process is at work"):
            run_seed(small(), 2, out, PATTERNS)


def test_the_truth_in_standardised_units():
    oracle = small().source.oracle
    raw = oracle.dataset().test
    standardiser = Standardiser.fit(oracle.dataset())
    available = np.tile(pattern_mask("lv"), (60, 1))
    truth = truth_of(oracle, raw, standardiser, available)
    plain = oracle.log_conditional(raw.features, raw.features, available, raw.lengths)
    steps = raw.lengths[:, 1]
    np.testing.assert_allclose(truth.log_density - plain, steps * np.log(standardiser.sd[1]).sum(), rtol=1e-6)
    assert not truth.mean[[0, 2]].any() and truth.mean[1].any()
    behind = np.arange(truth.mean.shape[2]) >= steps[:, None]
    assert not truth.mean[1][behind].any() and not truth.drawn[:, 1][:, behind].any()
    assert not np.array_equal(truth.drawn[0], truth.drawn[1])
    spread = (truth.drawn[:, 1] - truth.mean[1])[:, ~behind]
    assert abs(spread.mean()) < 0.1 and spread.std() > 0.3


def test_a_file_without_complete_clips_is_refused():
    data = small().source.load()
    data.test.observed[:, 0] = False
    with pytest.raises(DataError, match="no test clip has all three modalities"):
        run.complete_clips(data)


def test_damaged_results_say_how_to_write_them(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({"info": {}, "found": [{"data": "x"}]}))
    with pytest.raises(DataError, match="dicmor beyond --data"):
        read_results(tmp_path / "r.json")
