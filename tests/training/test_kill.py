"""SIGKILL at any moment, also while a checkpoint is written: the resumed run ends with the same weights."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dicmor_lib.training.checkpoint import read_state

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
import lightning_fabric
sys.path[:0] = [{root!r}, {here!r}]
from conftest import make_model, settings
from dicmor_lib.data.oracle import Oracle
from dicmor_lib.training import fit

data = Oracle(dims=(4, 3, 3), time=6, mean_length=4, sizes=(48, 16, 16)).dataset(0)
config = settings(stage1_epochs=20, stage2_epochs=40, plateau_patience=0, patience=0, learning_rate=0.05)
print("ready", flush=True)
fit(make_model(), data, config, out=sys.argv[1], resume=True, progress=False)
"""


def start(tmp_path, out):
    script = tmp_path / "train.py"
    script.write_text(PROGRAM.format(root=str(ROOT), here=str(Path(__file__).parent)))
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


def rows(out):
    """How many epochs metrics.csv holds."""
    record = out / "metrics.csv"
    return max(0, record.read_text().count("\n") - 1) if record.exists() else 0


def survive(tmp_path, kills, seed):
    """Train with `kills` kills, up to three epochs apart; return the epochs after each, and the folder."""
    rng, out, stood = random.Random(seed), tmp_path / "killed", []
    for _ in range(kills):
        aim = rows(out) + rng.randint(0, 3)
        process = start(tmp_path, out)
        began = time.monotonic()
        while process.poll() is None and rows(out) < aim:
            time.sleep(0.005)
        epoch = (time.monotonic() - began) / max(1, aim)
        time.sleep(rng.uniform(0.0, min(epoch, 2.0)))  # within an epoch, or while its checkpoint is written
        process.send_signal(signal.SIGKILL)
        if process.wait(300) == -signal.SIGKILL:
            stood.append(rows(out))
    process = start(tmp_path, out)
    assert process.wait(900) == 0, process.stderr.read()
    return stood, out


def compare(kit, tmp_path, out):
    whole = tmp_path / "whole"
    process = start(tmp_path, whole)
    assert process.wait(900) == 0, process.stderr.read()
    for name in ("last", "previous", "best", "stage1"):
        (one, tensors_one), (two, tensors_two) = (read_state(folder, name) for folder in (whole, out))
        assert one == two and all(kit.identical(tensors_one[part], tensors_two[part]) for part in tensors_one)


@pytest.mark.slow
def test_twenty_kills(kit, tmp_path):
    stood, out = survive(tmp_path, 20, seed=0)
    compare(kit, tmp_path, out)
    print(f"epochs after each of {len(stood)} kills: {stood}")
    assert len(stood) >= 15 and len(set(stood)) >= 10
