"""The same seed on the same machine gives the same run folder, whichever process makes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def run_fresh(victims, folder: Path, hash_seed: int, argv: list[str]) -> None:
    """Run a command in a fresh interpreter, whose sets of names are in an order of their own."""
    done = subprocess.run(
        [sys.executable, "-m", "dicmor_lib", *argv],
        env=victims.env | {"PYTHONHASHSEED": str(hash_seed)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard would draw, but for the clock."""
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if "second" not in tag]
    return {tag: [(s.step, s.value) for s in events.Scalars(tag)] for tag in tags}


def test_two_processes_write_the_same_folder(kit, victims, whole_run, tmp_path):
    out = tmp_path / "run"
    run_fresh(victims, tmp_path, 1, victims.job(out)["argv"])
    kit.assert_same_folder(whole_run, out)
    assert scalars(whole_run) == scalars(out) and len(scalars(out)) > 30


@pytest.mark.slow
def test_two_processes_train_the_default_model_alike(kit, victims, tmp_path):
    """The embedded data and the preset as they are, for fewer epochs."""
    for name, seed in (("a", 1), ("b", 2)):
        epochs = ["--stage1-epochs", "2", "--stage2-epochs", "2"]
        run_fresh(victims, tmp_path, seed, ["train", "--out", name, "--quiet", "--seed", "3", *epochs])
    kit.assert_same_folder(tmp_path / "a", tmp_path / "b")
    assert scalars(tmp_path / "a") == scalars(tmp_path / "b")
