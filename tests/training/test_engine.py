"""Devices that are not there, precision, and several processes that equal one."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dicmor_lib.errors import DeviceError
from dicmor_lib.training.engine import launch, resolve_accelerator

ROOT = Path(__file__).resolve().parents[2]


def test_missing_devices_are_one_clear_sentence(kit, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="1 CUDA device.* 0 found"):
        launch(kit.settings(accelerator="cuda"))
    assert resolve_accelerator("auto") == "cpu"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="no MPS device"):
        launch(kit.settings(accelerator="mps"))


def test_bf16_trains(kit, data):
    model, history = kit.train(data, kit.settings(precision="bf16-mixed"))
    plain, _ = kit.train(data, kit.settings())
    assert all(
        parameter.dtype == torch.float32 and torch.isfinite(parameter).all()
        for parameter in model.parameters()
    )
    assert not kit.identical(model, plain)
    assert history.rows[-1]["loss"] == history.rows[-1]["loss"]


@pytest.mark.gpu
def test_cpu_and_gpu_agree_and_checkpoints_move(kit, data, tmp_path):
    from dicmor_lib.training import fit, load_checkpoint

    rows = {}
    for name in ("cpu", "cuda"):
        config = kit.settings(accelerator=name, stage1_epochs=1, stage2_epochs=1)
        model = kit.make_model(output_dropout=0.0)
        rows[name] = fit(model, data, config, out=tmp_path / name, progress=False).rows
        assert next(model.parameters()).device.type == name
    for one, two in zip(rows["cpu"], rows["cuda"]):
        assert one["loss"] == pytest.approx(two["loss"], rel=1e-3)
        assert one["valid_mae"] == pytest.approx(two["valid_mae"], rel=1e-3)
    assert next(load_checkpoint(tmp_path / "cuda")[0].parameters()).device.type == "cpu"
    assert next(load_checkpoint(tmp_path / "cpu", device="cuda")[0].parameters()).device.type == "cuda"


@pytest.mark.gpu
def test_bf16_step_on_the_gpu(kit, data):
    model, history = kit.train(data, kit.settings(accelerator="cuda", precision="bf16-mixed"))
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert history.column("loss", 2)[-1] < 10


PROGRAM = """
import sys
sys.path[:0] = [{root!r}, {here!r}]
from conftest import make_model, settings
from dicmor_lib.data.oracle import Oracle
from dicmor_lib.training import fit

data = Oracle(dims=(4, 3, 3), time=6, mean_length=4, sizes=(45, 17, 16)).dataset(0)
for epochs, resume in ((1, False), (2, True)):
    config = settings(devices={devices}, stage1_epochs=1, stage2_epochs=epochs, batch_size=8, accumulate=2)
    fit(make_model(output_dropout=0.0), data, config, out={out!r}, resume=resume, progress=False)
"""


def record(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_two_processes_equal_one(tmp_path):
    """Same global batches (45 samples: the last one is odd), also after a resume: equal losses to 1e-5."""
    here = str(Path(__file__).parent)
    programs = {
        n: PROGRAM.format(root=str(ROOT), here=here, devices=n, out=str(tmp_path / f"out{n}")) for n in (1, 2)
    }
    script = tmp_path / "run.py"
    script.write_text(programs[2])
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")} | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=900, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    exec(programs[1], {})  # one process: this one
    one, two = record(tmp_path / "out1"), record(tmp_path / "out2")
    assert len(one) == len(two) == 3
    assert json.loads((tmp_path / "out2" / "config.json").read_text())["training"]["devices"] == 2
    for first, second in zip(one, two):
        for name in ("loss", "task", "nll_audio", "recovery_audio", "gradient_norm", "valid_mae"):
            assert bool(first[name]) == bool(second[name])
            if first[name]:
                assert float(second[name]) == pytest.approx(float(first[name]), abs=1e-5), name
