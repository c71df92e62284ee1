"""The fuzz targets over their seeds and thousands of seeded mutations; with atheris, guided by coverage."""

from __future__ import annotations

import importlib.util
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dicmor_lib.data import readers, sequences
from tests.fuzz.mutations import damaged
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = {"pickle": 1200, "npz": 1200, "store": 200}


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_mutations_are_read_or_refused(name: str, tmp_path: Path) -> None:
    check, make_seeds = TARGETS[name]
    seeds, chance = make_seeds(tmp_path), random.Random(name)
    refused = [check(seed, tmp_path) for seed in seeds]
    assert not all(refused)  # there is something to mutate
    kept = [seed for seed, no in zip(seeds, refused) if not no]
    outcomes = []
    for turn in range(ROUNDS[name]):
        seed = chance.choice(kept if turn % 2 else seeds)
        head = seed[:1] if name == "store" else b""  # which file it is
        outcomes.append(check(head + damaged(seed[len(head) :] or b"x", chance), tmp_path))
    assert len(outcomes) / 2 < sum(outcomes) < len(outcomes)


def test_a_target_reports_what_a_reader_must_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that lets a KeyError out, and one that gives features that are not finite, are both found."""
    check, make_seeds = TARGETS["pickle"]
    seed = make_seeds(tmp_path)[4]
    assert check(seed, tmp_path) is False
    with monkeypatch.context() as broken, pytest.raises(KeyError):
        broken.setattr(readers, "match_dims", lambda parts, name: {}["x"])
        check(seed, tmp_path)
    with monkeypatch.context() as broken, pytest.raises(AssertionError):
        broken.setattr(sequences, "_finite", lambda value: (value.astype(np.float32) * np.inf, 0))
        check(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_fuzzing_guided_by_coverage(name: str, tmp_path: Path) -> None:
    """`python -m tests.fuzz NAME` for longer; what it finds becomes a test of its own."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed (pip install atheris; it has no build for every platform)")
    command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", "60", "--corpus", str(tmp_path)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert found.returncode == 0, found.stderr[-3000:]
    (count,) = re.findall(r"number_of_executed_units: (\d+)", found.stderr)
    assert int(count) > 500
    print(f"{name}: {count} executions")
