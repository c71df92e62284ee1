"""A small study end to end: trained, evaluated, joined, interrupted, gone on with, and printed."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil

import numpy as np
import pytest

from dicmor_lib.data.oracle import Oracle
from dicmor_lib.errors import CheckpointError, ConfigError, DataError
from dicmor_lib.evaluation import reproduce as module
from dicmor_lib.evaluation.clips import ClipRecord
from dicmor_lib.evaluation.ledger import Ledger
from dicmor_lib.evaluation.ledger_view import views
from dicmor_lib.evaluation.metrics import sentiment_metrics
from dicmor_lib.evaluation.predictions import PatternPredictions
from dicmor_lib.evaluation.report import report
from dicmor_lib.evaluation.reproduce import reproduce
from dicmor_lib.evaluation.study import Source, Study, parse_seeds
from dicmor_lib.evaluation.table import REQUIRED_BASELINES
from dicmor_lib.evaluation.variants import choose_variants
from dicmor_lib.modalities import PATTERNS
from dicmor_lib.training import load_checkpoint
from dicmor_lib.training.checkpoint import read_state
from dicmor_lib.training.lock import locked

SMALL = dict(hidden=8, flow_width=8, flow_layers=2, rcab_width=8, rcab_blocks=1, heads=2, fusion_layers=1)
FILES = ("runs.csv", "measures.csv", "configs.json")
SYNTHETIC = Source(oracle=Oracle(dims=(4, 3, 3), sizes=(48, 16, 24), time=8, mean_length=5))


def small_study(out, **changes) -> Study:
    training = dict(stage1_epochs=1, stage2_epochs=2, batch_size=32, accelerator="cpu")
    settings = dict(seeds=(0, 1), variants=tuple(choose_variants("published")), permutations=99, resamples=40)
    return Study((SYNTHETIC,), out, **{**settings, "model": SMALL, "training": training, **changes})


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    """A finished study of two seeds and two variants."""
    done = small_study(tmp_path_factory.mktemp("study"))
    reproduce(done, bars=False)
    return done


@pytest.fixture(scope="module")
def ledger(study) -> Ledger:
    return Ledger.read(study.out / "ledger")


def without_clock(folder) -> list[str]:
    """The ledger's files, but for how long training took."""
    ledger = Ledger.read(folder)
    runs = [str(dataclasses.replace(run, seconds=0.0)) for run in ledger.runs.values()]
    return [*runs, *map(str, ledger.measures.values()), str(ledger.configs)]


# --- training ---------------------------------------------------------------------------------------------


def test_all_variants_of_a_seed_share_one_stage_1(study):
    for seed in study.seeds:
        folder = study.folder(SYNTHETIC, seed)
        stage1 = read_state(folder / "stage1", "stage1")[1]["model"]
        for variant in study.variants:
            model, info = load_checkpoint(folder / variant.folder)
            assert all(
                np.array_equal(stage1[name], value)
                for name, value in model.state_dict().items()
                if name.startswith("shallow.")
            )
            assert info.train_config.seed == seed and info.model_config.honour_lengths == (
                variant.name != "published"
            )
    one, two = (read_state(study.folder(SYNTHETIC, seed) / "stage1", "stage1")[1]["model"] for seed in (0, 1))
    assert not np.array_equal(one["shallow.weights.0"], two["shallow.weights.0"])


# --- the ledger -------------------------------------------------------------------------------------------


def test_the_ledger_holds_every_method_for_each_seed_and_over_all(study, ledger):
    for seeds in ("0", "1", "0 1"):
        runs = {run.method: run for run in ledger.runs.values() if run.seeds == seeds}
        assert {
            "DiCMoR",
            "published",
            "ridge on last step",
            "real",
            "Bayes mean",
            *REQUIRED_BASELINES,
        } <= set(runs)
        assert {run.selected_on for run in runs.values()} == {"valid"}
        assert {run.synthetic for run in runs.values()} == {"yes"}
        assert all(run.hardware and "torch" in run.versions for run in runs.values())
        assert runs["DiCMoR"].seconds > 0 and runs["ridge"].seconds == 0
        settings = ledger.configs[runs["published"].config]
        assert settings["model"]["clamp_nll"] is True and settings["training"]["stage2_epochs"] == 2
        assert "seed" not in settings["training"], "so that all seeds have one configuration"
    assert len({run.data_sha256 for run in ledger.runs.values()}) == 1


def test_joint_numbers_are_means_over_the_seeds_of_what_was_predicted(study, ledger):
    (view,) = views(ledger)
    folders = [study.folder(SYNTHETIC, seed) / "evaluation" for seed in study.seeds]
    predictions = [PatternPredictions.load(folder / "predictions.npz") for folder in folders]
    for method in ("DiCMoR", "k nearest"):
        by_pattern = {}
        for pattern in PATTERNS:
            expected = np.mean([sentiment_metrics(*p.of(method, pattern))["mae"] for p in predictions])
            found = view.get(method, pattern, "", "mae")
            assert found.value == pytest.approx(expected, rel=1e-4) and found.low <= found.high
            by_pattern[pattern] = expected
        lacking = [value for pattern, value in by_pattern.items() if pattern != "lav"]
        assert view.get(method, "incomplete", "", "mae").value == pytest.approx(np.mean(lacking), rel=1e-4)
        gcnet = view.get(method, "gcnet 0.5", "", "mae").value
        assert min(by_pattern.values()) < gcnet < max(by_pattern.values())
    mae = [view.get(name, "incomplete", "", "mae").value for name in ("DiCMoR", "ridge")]
    assert view.get("DiCMoR", "incomplete", "", "mae", "ridge").value == pytest.approx(
        mae[0] - mae[1], abs=1e-3
    )


def test_recovery_errors_and_their_differences(study, ledger):
    (view,) = views(ledger)
    records = [ClipRecord.load(study.folder(SYNTHETIC, s) / "evaluation" / "clips.npz") for s in study.seeds]
    case = ("l", "audio")
    errors = {
        name: np.mean([record.values["mse", *case, name].mean() for record in records])
        for name in (
            "DiCMoR recovered",
            "DiCMoR transferred",
            "published recovered",
            "ridge",
            "gaussian sample",
        )
    }
    assert view.get("DiCMoR", *case, "mse recovered").value == pytest.approx(
        errors["DiCMoR recovered"], rel=1e-4
    )
    for name, against in (("published recovered", "published"), ("ridge", "ridge")):
        gap = view.get("DiCMoR", *case, "mse recovered", against)
        expected = errors["DiCMoR recovered"] - errors[name]
        assert gap.value == pytest.approx(expected, abs=1e-3) and gap.low <= gap.value <= gap.high
        assert 0 < gap.p <= 1
    for against in ("DiCMoR transferred", "gaussian sample"):
        gap = view.get("DiCMoR", *case, "mse recovered", against).value
        assert gap == pytest.approx(errors["DiCMoR recovered"] - errors[against], abs=1e-3)
    assert len(view.cases) == 9
    every = [view.get("ridge", *case, "mse recovered").value for case in view.cases]
    assert view.get("ridge", "incomplete", "all", "mse recovered").value == pytest.approx(
        np.mean(every), rel=1e-3
    )


def test_the_verdict_stands_between_nothing_and_all(ledger):
    (view,) = views(ledger)
    share = {
        name: view.get(name, "incomplete", "all", "share recovered")
        for name in ("mean-fill", "ridge", "Bayes mean")
    }
    assert share["mean-fill"].value == 0 and share["Bayes mean"].value == pytest.approx(1)
    assert 0 < share["ridge"].value < 1.2
    assert view.get("Bayes", "lav", "", "acc2").value > view.get("majority", "lav", "", "acc2").value
    assert view.runs["Bayes"].kind == "bound"


def test_distances_have_p_values_beside_the_noise_floor(ledger):
    (view,) = views(ledger)
    for method in ("DiCMoR", "mean-fill", "real"):
        found = view.get(method, "l", "audio", "feature mmd recovered")
        assert 0 < found.p <= 1
    zero, floor = (view.get(m, "l", "audio", "feature mmd recovered") for m in ("zero-fill", "real"))
    assert zero.value > floor.value and zero.p < 0.05 < floor.p
    assert view.get("oracle sample", "l", "audio", "joint mmd recovered").p > 0.05
    assert view.get("DiCMoR", "l", "audio", "latent classifier transferred") is not None


def test_frames_are_scored_too(ledger):
    (view,) = views(ledger)
    assert 0 < view.get("DiCMoR", "frames 0.5", "", "mae").value < 4
    assert view.get("ridge", "frames 0.5", "", "mae").value != view.get("ridge", "lav", "", "mae").value


# --- going on ---------------------------------------------------------------------------------------------


def test_what_is_finished_is_not_done_again(study, capsys):
    before = {name: (study.out / "ledger" / name).read_bytes() for name in FILES}
    reproduce(study)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 9 and sum("done before" in line for line in lines) == 8
    assert lines[0] == "[1/9] synthetic seed 0: stage 1: done before"
    assert {name: (study.out / "ledger" / name).read_bytes() for name in FILES} == before


def test_an_interrupted_study_ends_with_the_same_ledger(study, tmp_path, monkeypatch):
    """Stopped in the middle of a variant, then in the middle of an evaluation."""
    out = tmp_path / "study"
    shutil.copytree(study.out / "synthetic" / "seed-0", out / "synthetic" / "seed-0")
    again, steps = small_study(out), []

    class Stop(module.StepsShown):
        def note(self, what):
            if isinstance(what, dict):
                steps.append((what["stage"], what["epoch"]))
            if steps.count((2, 1)) == 2 or (isinstance(what, str) and what.startswith("9/")):
                raise KeyboardInterrupt

    monkeypatch.setattr(module, "StepsShown", Stop)
    with pytest.raises(KeyboardInterrupt):
        reproduce(again, bars=False)
    assert steps == [(1, 1), (2, 1), (2, 2), (2, 1)], "stopped after the first epoch of the second variant"
    with pytest.raises(KeyboardInterrupt):
        reproduce(again, bars=False)
    assert steps[4:] == [], "the first two runs were finished"
    steps.append("quiet")
    monkeypatch.undo()
    reproduce(again, bars=False)
    assert without_clock(out / "ledger") == without_clock(study.out / "ledger")


def test_training_alone_and_evaluating_without_it(study, tmp_path, capsys):
    alone = small_study(tmp_path, seeds=(0,))
    with pytest.raises(CheckpointError, match="is not there; train the piece first|holds no training run"):
        reproduce(alone, only="evaluate", bars=False)
    reproduce(alone, only="train", bars=False)
    folder = alone.folder(SYNTHETIC, 0)
    assert (folder / "published" / "best").is_dir() and not (folder / "evaluation").exists()
    assert not (tmp_path / "ledger").exists()
    with pytest.raises(DataError, match="seed-0 is not evaluated yet"):
        module._join(alone, SYNTHETIC, tmp_path / "ledger")


def test_other_settings_are_refused_and_not_mixed(study):
    other = dataclasses.replace(study, training={**study.training, "learning_rate": 0.5})
    with pytest.raises(CheckpointError, match="training setting learning_rate"):
        reproduce(other, bars=False)


def test_two_processes_do_not_work_on_one_piece(study):
    with locked(study.folder(SYNTHETIC, 1) / ".lock"):
        with pytest.raises(CheckpointError, match="another process is at work in .*seed-1"):
            reproduce(study, bars=False)
    with contextlib.ExitStack() as stack:  # freed again
        stack.enter_context(locked(study.folder(SYNTHETIC, 1) / ".lock"))


def test_what_is_asked_for_is_checked_before_anything_runs(tmp_path):
    assert parse_seeds("0-2, 5,7-7") == (0, 1, 2, 5, 7)
    for text in ("", "3-1", "a", "1--2", "-1"):
        with pytest.raises(ConfigError, match="--seeds"):
            parse_seeds(text)
    with pytest.raises(ConfigError, match="the seeds are 1, 1"):
        small_study(tmp_path, seeds=(1, 1))
    with pytest.raises(ConfigError, match="permutations is 5"):
        small_study(tmp_path, permutations=5)
    with pytest.raises(ConfigError, match="both stages need at least one epoch"):
        small_study(tmp_path, training={"stage2_epochs": 0})
    with pytest.raises(ConfigError, match="no preset 'huge'"):
        small_study(tmp_path, preset="huge")
    with pytest.raises(ConfigError, match="unknown names|unexpected"):
        small_study(tmp_path, training={"no_such": 1})
    assert not any(tmp_path.iterdir())


# --- the report -------------------------------------------------------------------------------------------


def test_the_report_is_a_function_of_the_ledger_alone(study, ledger, tmp_path):
    text = report(ledger)
    ledger.write(tmp_path / "ledger")
    assert report(Ledger.read(tmp_path / "ledger")) == text
    assert "SYNTHETIC DATA" in text and ledger.runs[next(iter(ledger.runs))].data_sha256[:12] in text
    assert "training seeds 0, 1;" in text and "selected on the split 'valid'" in text
    (view,) = views(ledger)
    error = view.get("ridge", "incomplete", "all", "mse recovered").value
    assert f"| {error:.3f} |".replace("0.", ".") in next(
        x for x in text.splitlines() if x.startswith("| ridge |")
    )
    for title in ("Ablations", "verdict", "Seven patterns", "per pattern", "p-values", "five meanings"):
        assert title in text
    headline = text[: text.index("<details>")]
    assert all(f"| {name} |" in headline for name in REQUIRED_BASELINES) and len(headline.splitlines()) < 35
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert not any("nan" in line or "inf" in line for line in tables)


def test_no_report_without_the_baselines(ledger):
    lame = Ledger(*(dict(part) for part in (ledger.runs, ledger.measures, ledger.configs)))
    for key in [key for key, run in lame.runs.items() if run.method == "ridge"]:
        del lame.runs[key]
    with pytest.raises(DataError, match="lack the baselines ridge"):
        report(lame)
    with pytest.raises(DataError, match="the ledger is empty"):
        report(Ledger())


def test_progress_is_a_bar_on_a_terminal_and_a_line_per_step_elsewhere(capsys):
    for bars in (True, None, False):
        shown = module.StepsShown(2, bars)
        shown.run("first", lambda note: note({"epoch": 3.0, "valid_mae": 0.5}))
        shown.run("second", None)
        shown.close()
        said = capsys.readouterr().err
        assert ("epoch 3, validation MAE 0.5000" in said) == (bars is True)
        assert ("[2/2] second: done before" in said) == (bars is not False)
    assert said == ""
