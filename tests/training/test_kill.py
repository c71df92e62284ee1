"""SIGKILL at any moment, also while a checkpoint is written: the resumed run ends as if nothing had happened."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

MOMENTS = {"step": 9, "validation": 3, "row": 3, "write": 15, "operation": 30}
"""At what a process kills itself, and how often that happens in about three epochs."""


def assert_same_draws(journal: Path, whole_run: Path) -> None:
    """Every epoch, also each that was trained twice, drew the same order, masks and dropout."""
    lines, expected = (
        [json.loads(line) for line in path.read_text().splitlines()]
        for path in (journal, whole_run.with_suffix(".journal"))
    )
    assert len(expected) == 10 and len({tuple(line[2:]) for line in expected}) == 10
    assert all(line in expected for line in lines)
    assert [line for line in expected if line in lines] == expected


def test_killed_and_resumed(kit, victims, whole_run, tmp_path):
    """The process kills itself at random points of its work, one of each kind, and is started again each time."""
    rng, out, journal = random.Random(0), tmp_path / "run", tmp_path / "journal"
    for what in rng.sample(list(MOMENTS), len(MOMENTS)):
        job = victims.job(out, journal=str(journal), die=[what, rng.randint(1, MOMENTS[what])])
        assert victims.run(job) == -signal.SIGKILL, what
    assert victims.run(victims.job(out, journal=str(journal))) == 0
    kit.assert_same_folder(whole_run, out)
    assert_same_draws(journal, whole_run)


def epochs_of(kit, out: Path) -> int:
    """Epochs that a run has finished."""
    return len(kit.record(out)) if (out / "metrics.csv").exists() else 0


def wait_up_to_three_epochs(
    process: subprocess.Popen, epochs: Callable[[], int], phase: Path, rng: random.Random
) -> None:
    """Wait for the work to begin, for 0 to 2 epochs more, and for a part of one: ten times this is under 40 epochs."""

    def wait_for(happened: Callable[[], bool]) -> None:
        while process.poll() is None and not happened():
            time.sleep(0.01)

    wait_for(lambda: bool(phase.read_text().strip("\0 ")))
    began, before, more = time.monotonic(), epochs(), rng.randint(0, 2)
    wait_for(lambda: epochs() >= before + more)
    time.sleep(rng.random() * (time.monotonic() - began) / max(1, epochs() - before))


@pytest.mark.slow
@pytest.mark.parametrize("within", [False, True], ids=["from outside", "within a write"])
def test_ten_kills_of_fresh_processes(kit, victims, tmp_path, within):
    """From outside at random times (files are written slowly, so as to be met), or by itself within a file's write."""
    rng, out, whole = random.Random(int(within)), tmp_path / "run", tmp_path / "whole"
    journal, phase = tmp_path / "whole.journal", tmp_path / "phase"
    epochs = ["--stage1-epochs", "15", "--stage2-epochs", "25"]
    assert victims.run(victims.job(whole, *epochs, journal=str(journal))) == 0
    hits: list[str] = []
    for kill in range(10):
        phase.write_text("")
        special = {"die": ["write", rng.randint(1, 15)]} if within else {"slow": 0.004}
        job = victims.job(out, *epochs, journal=str(tmp_path / "journal"), phase=str(phase), **special)
        process = victims.fresh(json.dumps(job))
        if not within:
            wait_up_to_three_epochs(process, lambda: epochs_of(kit, out), phase, rng)
            process.kill()
        assert process.wait(600) == -signal.SIGKILL, "it was over before"
        hits.append(phase.read_text().strip("\0 "))
        print(f"kill {kill + 1}: {hits[-1]}, after {epochs_of(kit, out)} epochs")
    assert victims.fresh(json.dumps(victims.job(out, *epochs))).wait(900) == 0
    kit.assert_same_folder(whole, out)
    drawn, expected = (set(path.read_text().splitlines()) for path in (tmp_path / "journal", journal))
    assert drawn <= expected and len(expected) == 40
    print(f"{len(hits)} kills survived: {Counter(hits)}")
    assert not within or all(hit.startswith("writing") for hit in hits)
