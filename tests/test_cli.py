"""The `dicmor` command: what it does, and one clear sentence with status 2 for what a user can mend."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dicmor_lib.cli import main
from tests.mmsa import mmsa

ROOT = Path(__file__).resolve().parents[1]
SMALL = [
    *("--set", "hidden=8", "--set", "flow_width=8", "--set", "flow_layers=2", "--set", "rcab_width=8"),
    *("--set", "rcab_blocks=1", "--set", "heads=2", "--set", "fusion_layers=1"),
    *("--stage1-epochs", "1", "--stage2-epochs", "1", "--batch-size", "16", "--accelerator", "cpu"),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "small clips.pkl"
    path.write_bytes(pickle.dumps(mmsa()))
    return path


@pytest.fixture(scope="module")
def run(file, tmp_path_factory) -> Path:
    """A trained run."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "--data", str(file), "--out", str(folder), "--quiet", *SMALL]) == 0
    return folder


def fails(capsys, *argv: str) -> str:
    """Run a command that must end with status 2 and one sentence on stderr; return the sentence."""
    capsys.readouterr()
    try:
        status = main([str(part) for part in argv])
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    assert status == 2 and out == ""
    assert err.startswith("dicmor: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


# --- what it does -------------------------------------------------------------------------------------


def test_train_says_where_the_model_is(file, tmp_path, capsys):
    assert main(["train", "--data", str(file), "--out", str(tmp_path / "a"), *SMALL]) == 0
    out, err = capsys.readouterr()
    assert (
        "selected on validation: stage 2, epoch 1, MAE" in out and f"dicmor evaluate {tmp_path / 'a'}" in out
    )
    assert "stage 1 epoch 1/1" in err and "stage 2 epoch 1/1" in err
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    assert config["model"]["flow_layers"] == 2 and config["model"]["feature_dims"] == [4, 3, 3]
    assert config["training"]["batch_size"] == 16 and config["training"]["standardise"] is True
    assert config["data"]["path"] == str(file) and config["data"]["preset"] == "tiny"


def test_options_reach_the_configuration(file, tmp_path):
    options = ["--seed", "3", "--missing-rate", "0.3", "--no-standardise", "--set", "clip=none", "--quiet"]
    assert main(["train", "--data", str(file), "--out", str(tmp_path / "a"), *SMALL, *options]) == 0
    training = json.loads((tmp_path / "a" / "config.json").read_text())["training"]
    assert (training["seed"], training["clip"], training["standardise"]) == (3, "none", False)
    assert (training["protocol"], training["missing_rate"]) == ("dicmor", 0.3)


def test_resume_needs_nothing_but_the_folder(file, run, tmp_path, capsys, monkeypatch):
    """A run of 1 + 1 epochs, resumed for one more, is the run of 1 + 2."""
    folder, longer = tmp_path / "a", ["--stage2-epochs", "2", "--quiet"]
    assert main(["train", "--data", str(file), "--out", str(folder), "--quiet", *SMALL]) == 0
    monkeypatch.chdir(tmp_path)  # the path of the data still holds
    assert main(["train", "--resume", "--out", str(folder), *longer]) == 0
    assert main(["train", "--data", str(file), "--out", str(tmp_path / "b"), *SMALL, *longer]) == 0
    read = [(tmp_path / name / "last" / "model.safetensors").read_bytes() for name in "ab"]
    assert read[0] == read[1]


def test_interrupting_says_how_to_resume(file, tmp_path, capsys, monkeypatch):
    from dicmor_lib.training import stage

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, "validate", interrupt)
    status = main(["train", "--data", str(file), "--out", str(tmp_path / "a"), "--quiet", *SMALL])
    assert status == 130
    assert (
        capsys.readouterr().err
        == f"dicmor: stopped; resume with: dicmor train --resume --out {tmp_path / 'a'}\n"
    )
    monkeypatch.undo()
    assert main(["train", "--resume", "--out", str(tmp_path / "a"), "--quiet"]) == 0


def test_default_folders_do_not_collide(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["train", "--data", str(file), "--quiet", *SMALL, "--stage2-epochs", "0"]) == 0
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["small clips-tiny-seed0", "small clips-tiny-seed0-2"]


def test_evaluate_prints_and_saves_the_table(run, capsys):
    assert main(["evaluate", str(run), "--quiet"]) == 0
    out = capsys.readouterr().out
    for word in (
        "DiCMoR",
        "zero-fill",
        "mean-fill",
        "ridge",
        "k nearest",
        "majority",
        "lav",
        "validation split",
    ):
        assert word in out
    saved = {path.name for path in (run / "evaluation-test").iterdir()}
    assert {"evaluation.csv", "evaluation.json", "predictions.npz"} <= saved


def test_recover_simulates_a_pattern_and_says_what_it_wrote(run, file, tmp_path, capsys):
    out = tmp_path / "recovered.npz"
    command = [
        "recover",
        str(run),
        "--data",
        str(file),
        "--out",
        str(out),
        "--pattern",
        "l",
        "--split",
        "test",
    ]
    assert main(command) == 0
    assert "recovered SHALLOW features" in " ".join(capsys.readouterr().out.split())
    found = np.load(out)
    assert "SHALLOW" in str(found["note"]) and found["recovered"].shape == (3, 16, 6, 8)
    assert (found["was_recovered"] == [False, True, True]).all() and np.isfinite(found["prediction"]).all()
    assert (found["recovered"][0] == 0).all() and (found["recovered"][1:] != 0).any(-1).any(-1).all()
    assert (found["shallow"] != 0).any((1, 2, 3)).all()


def test_recover_fills_what_the_file_lacks(run, tmp_path, capsys):
    part = mmsa()["test"]
    path, out = tmp_path / "no language.npz", tmp_path / "out.npz"
    np.savez(path, audio=part["audio"], vision=part["vision"], regression_labels=part["regression_labels"])
    assert main(["recover", str(run), "--data", str(path), "--out", str(out), "--quiet"]) == 0
    assert "language of 16, audio of 0, vision of 0 of 16 samples" in capsys.readouterr().out
    found = np.load(out)
    assert (found["was_recovered"] == [True, False, False]).all() and (found["recovered"][0] != 0).any()
    # The same from a file that has language, which --pattern hides: it was never read.
    full = tmp_path / "full.npz"
    np.savez(full, **{key: part[key] for key in ("text", "audio", "vision", "regression_labels")})
    command = [
        "recover",
        str(run),
        "--data",
        str(full),
        "--out",
        str(tmp_path / "b.npz"),
        "--pattern",
        "av",
        "--quiet",
    ]
    assert main(command) == 0
    hidden = np.load(tmp_path / "b.npz")
    assert np.array_equal(hidden["prediction"], found["prediction"])
    assert np.array_equal(hidden["recovered"][0], found["recovered"][0])


def test_extra_clips_without_language_train_together(file, tmp_path):
    part = mmsa(seed=5)["train"]
    extra = tmp_path / "extra.npz"
    names = np.array([f"extra{i}" for i in range(40)])
    np.savez(
        extra,
        audio=part["audio"],
        vision=part["vision"],
        regression_labels=part["regression_labels"],
        id=names,
    )
    folder = tmp_path / "run"
    command = [
        "train",
        "--data",
        str(file),
        "--extra-train",
        str(extra),
        "--out",
        str(folder),
        "--quiet",
        *SMALL,
    ]
    assert main(command) == 0
    assert json.loads((folder / "config.json").read_text())["data"]["extra_train"] == str(extra)
    assert main(["evaluate", str(folder), "--quiet"]) == 0


def test_data_check(file, capsys):
    assert main(["data", "check", str(file)]) == 0
    out = capsys.readouterr().out
    assert "MMSA" in out and "train" in out and "vision" in out


def test_help_and_version(capsys):
    for argv in (["--help"], ["train", "--help"], ["recover", "--help"], ["data", "check", "--help"]):
        with pytest.raises(SystemExit) as stop:
            main(argv)
        assert stop.value.code == 0 and "example" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("dicmor ")


def test_as_a_process(tmp_path):
    """The status reaches the shell, and the help does not load the heavy packages."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    code = (
        "import sys, runpy, dicmor_lib.cli as cli\n"
        "cli.build_parser()\n"
        "print({'sklearn', 'scipy', 'lightning_fabric'} & set(sys.modules), flush=True)\n"
        "runpy.run_module('dicmor_lib', run_name='__main__')"
    )
    command = [sys.executable, "-c", code, "data", "check", str(tmp_path / "nowhere.pkl")]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=600)
    assert done.returncode == 2 and done.stderr.startswith("dicmor: ") and done.stdout == "set()\n"


# --- what it refuses ----------------------------------------------------------------------------------


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("was-here",)


def broken(change) -> bytes:
    content = mmsa()
    change(content)
    return pickle.dumps(content)


BAD_FILES = {
    "truncated": lambda: pickle.dumps(mmsa())[:2000],
    "empty": lambda: b"",
    "text": lambda: b"this is not a data file\n",
    "malicious": lambda: pickle.dumps({"train": Malicious()}),
    "no valid": lambda: broken(lambda c: c.pop("valid")),
    "no labels": lambda: broken(lambda c: c["train"].pop("regression_labels")),
    "no audio": lambda: broken(lambda c: c["test"].pop("audio")),
    "other channels": lambda: broken(lambda c: c["test"].update(audio=c["test"]["audio"][..., :2])),
    "other count": lambda: broken(lambda c: c["train"].update(vision=c["train"]["vision"][:-1])),
    "label 3.5": lambda: broken(lambda c: c["train"]["regression_labels"].__setitem__(0, 3.5)),
    "label NaN": lambda: broken(lambda c: c["valid"]["regression_labels"].__setitem__(0, np.nan)),
    "objects": lambda: broken(lambda c: c["train"].update(audio=np.array([[1], [1, 2]], dtype=object))),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("command", ["train", "check"])
def test_bad_files(name, command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.pkl"
    path.write_bytes(BAD_FILES[name]())
    argv = (
        ["data", "check", path]
        if command == "check"
        else ["train", "--data", path, "--out", tmp_path / "run"]
    )
    argv += [] if command == "check" else ["--quiet"]
    assert "bad.pkl" in fails(capsys, *argv)
    assert [found.name for found in tmp_path.iterdir()] == ["bad.pkl"]


def test_bad_options(file, run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train = ["train", "--data", file, "--quiet"]
    assert "nowhere.pkl" in fails(capsys, "train", "--data", tmp_path / "nowhere.pkl", "--quiet")
    assert "no preset 'huge'" in fails(capsys, *train, "--preset", "huge")
    assert "protocol is 'often'" in fails(capsys, *train, "--protocol", "often")
    assert "0.25" in fails(capsys, *train, "--missing-rate", "0.25")
    assert "hidden is 7" in fails(capsys, *train, "--set", "hidden=7")
    assert "--set colour=red is not" in fails(capsys, *train, "--set", "colour=red")
    assert "--set hidden is not" in fails(capsys, *train, "--set", "hidden")
    assert "batch_size is 0" in fails(capsys, *train, "--batch-size", "0")
    assert "precision is '8'" in fails(capsys, *train, "--precision", "8")
    assert "mosi or mosei" in fails(capsys, *train, "--published")
    assert "already holds a training run" in fails(capsys, *train, "--out", run)
    assert "--resume needs --out" in fails(capsys, "train", "--resume")
    assert "no folder" in fails(capsys, "train", "--resume", "--out", tmp_path / "nowhere")
    assert "learning_rate" in fails(
        capsys, "train", "--resume", "--out", run, "--learning-rate", "0.5", "--quiet"
    )
    assert not list(tmp_path.iterdir())


def test_bad_arguments_to_the_other_commands(file, run, tmp_path, capsys):
    out = tmp_path / "out.npz"
    recover = ["recover", run, "--data", file, "--out", out, "--quiet"]
    assert "pattern '' is empty" in fails(capsys, *recover, "--pattern", "")
    assert "pattern 'lx'" in fails(capsys, *recover, "--pattern", "lx")
    assert "nothing to recover" in fails(capsys, *recover)
    assert "holds no training run" in fails(capsys, "evaluate", tmp_path)
    assert "holds no training run" in fails(capsys, "recover", tmp_path / "x", "--data", file, "--out", out)
    assert "no split 'dev'" in fails(capsys, "evaluate", run, "--split", "dev", "--quiet")
    assert "invalid choice" in fails(capsys, "recover", run, "--data", file, "--out", out, "--split", "dev")
    assert "COMMAND" in fails(capsys) and "invalid choice: 'fly'" in fails(capsys, "fly")
    assert "invalid int value" in fails(capsys, "train", "--seed", "many")
    assert not out.exists()


def test_a_folder_that_cannot_be_written(file, tmp_path, capsys):
    (tmp_path / "taken").write_text("a file, not a folder")
    argv = ["train", "--data", file, "--out", tmp_path / "taken" / "run", "--quiet", *SMALL]
    assert "cannot write" in fails(capsys, *argv)
    assert (tmp_path / "taken").read_text() == "a file, not a folder"
