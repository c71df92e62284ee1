"""Devices that are not there, precision, and several processes that equal one."""

from __future__ import annotations

import csv
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dicmor_lib.data.dataset import collate
from dicmor_lib.errors import DeviceError
from dicmor_lib.modalities import PATTERNS, pattern_mask
from dicmor_lib.objective import objective
from dicmor_lib.training import fit
from dicmor_lib.training.engine import Engine, _hidden, launch, resolve_accelerator

ROOT = Path(__file__).resolve().parents[2]


def test_missing_devices_are_one_clear_sentence(kit, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="1 CUDA device.* 0 found"):
        launch(kit.settings(accelerator="cuda"))
    assert resolve_accelerator("auto") == "cpu"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="no MPS device"):
        launch(kit.settings(accelerator="mps"))


def test_a_hidden_package_is_back_afterwards(monkeypatch):
    """Fabric must not load torchmetrics, yet whoever wants it later gets it."""
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with _hidden("colorsys"):
        with pytest.raises(ImportError):
            importlib.import_module("colorsys")
    loaded = importlib.import_module("colorsys")
    with _hidden("colorsys"):
        assert importlib.import_module("colorsys") is loaded  # what is loaded already stays


# --- torch.compile ------------------------------------------------------------------------------------------------


def one_pass(kit, data, model) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Prediction and gradients of a training pass with the seven patterns mixed."""
    batch = collate(data.train, np.arange(7))
    available = torch.tensor([pattern_mask(pattern) for pattern in PATTERNS])
    out = model(batch.features, available, batch.lengths, batch.label, batch.observed)
    model.zero_grad()
    objective(out.losses, model.config).backward()
    return out.prediction.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def same_when_compiled(kit, data, backend: str) -> None:
    model = kit.make_model(output_dropout=0.0)
    engine = launch(kit.settings(compile=True))
    names = list(model.state_dict())
    prediction, gradients = one_pass(kit, data, model)
    engine.compile_blocks(model, backend)
    try:
        assert model.flow._compiled_call_impl is not None and model.fusion._compiled_call_impl is not None
        torch._dynamo.utils.counters.clear()
        compiled, compiled_gradients = one_pass(kit, data, model)
        assert not torch._dynamo.utils.counters["graph_break"]
    finally:
        engine.plain_blocks(model)
    assert [m for m in model.modules() if m._compiled_call_impl is not None] == []
    assert list(model.state_dict()) == names and gradients.keys() == compiled_gradients.keys()
    torch.testing.assert_close(compiled, prediction)
    for name, gradient in gradients.items():
        torch.testing.assert_close(compiled_gradients[name], gradient, msg=name)


def test_captured_blocks_train_with_dropout(kit, data):
    """Every rate above zero at once: what is drawn differs from step to step, and is finite, loss and gradients."""
    rates = dict(language_dropout=0.2, attention_dropout=(0.3, 0.2, 0.1), embedding_dropout=0.2)
    model = kit.make_model(output_dropout=0.3, **rates).train()
    with torch.no_grad():
        for (
            parameter
        ) in model.parameters():  # a coupling layer's last map starts at zero and would hide the others
            parameter.add_(0.05 * torch.randn_like(parameter))
    engine = launch(kit.settings(compile=True))
    engine.compile_blocks(model, "aot_eager")
    try:
        torch._dynamo.utils.counters.clear()
        (first, gradients), (second, _) = (one_pass(kit, data, model) for _ in range(2))
        assert not torch._dynamo.utils.counters["graph_break"]
    finally:
        engine.plain_blocks(model)
    assert first.isfinite().all() and second.isfinite().all() and not torch.equal(first, second)
    for name, gradient in gradients.items():
        assert gradient.isfinite().all() and gradient.abs().sum() > 0, name


def test_captured_blocks_compute_the_same(kit, data):
    """As torch.compile captures them, without the C++ that it would write: that takes minutes on a CPU."""
    same_when_compiled(kit, data, "aot_eager")


@pytest.mark.slow
def test_compiled_blocks_compute_the_same(kit, data):
    same_when_compiled(kit, data, "inductor")


def test_fit_compiles_when_asked_and_leaves_the_model_plain(kit, data, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(Engine, "compile_blocks", lambda engine, model: asked.append(engine.compile))
    real = Engine.plain_blocks
    monkeypatch.setattr(Engine, "plain_blocks", lambda e, model: (asked.append("plain"), real(e, model)))
    kit.train(data, kit.settings(stage1_epochs=0, stage2_epochs=1, compile=True))
    assert asked == [True, "plain"]


def test_without_a_compiler_one_sentence_says_so(kit, monkeypatch):
    from torch._inductor import cpp_builder
    from torch._inductor.exc import InvalidCxxCompiler

    def none_found():
        raise InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none_found)
    with pytest.raises(DeviceError, match="install g\\+\\+ or clang"):
        launch(kit.settings(compile=True)).compile_blocks(kit.make_model())
    launch(kit.settings()).compile_blocks(kit.make_model())  # not asked for, not needed


@pytest.mark.gpu
def test_compiled_training_on_the_gpu_follows_the_eager_one(kit, data):
    config = kit.settings(accelerator="cuda", stage1_epochs=1, stage2_epochs=2)
    rows = {}
    for compiled in (False, True):
        model = kit.make_model(output_dropout=0.0)
        rows[compiled] = fit(model, data, config.replace(compile=compiled), progress=False).rows
    for eager, compiled in zip(rows[False], rows[True]):
        assert compiled["loss"] == pytest.approx(eager["loss"], rel=1e-3)
        assert compiled["valid_mae"] == pytest.approx(eager["valid_mae"], rel=1e-3)


@pytest.mark.gpu
def test_compiled_training_with_dropout_on_the_gpu(kit, data):
    """What a run on a GPU uses: CUDA graphs, bf16, and draws that differ from step to step."""
    rates = dict(language_dropout=0.2, attention_dropout=(0.3, 0.2, 0.1), embedding_dropout=0.2)
    model = kit.make_model(**rates)
    config = kit.settings(accelerator="cuda", compile=True, precision="bf16-mixed", stage2_epochs=4)
    rows = fit(model, data, config, progress=False).rows
    losses = [row["loss"] for row in rows]
    assert np.isfinite(losses).all() and len(set(losses)) == len(losses)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


# --- precision ----------------------------------------------------------------------------------------------------


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
    from dicmor_lib.training import load_checkpoint

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
        terms = [name for name in first if name.startswith(("nll_", "recovery_", "valid_mae"))]
        assert len(terms) == 3 + 3 + 8
        for name in ("loss", "task", "gradient_norm", *terms):
            assert bool(first[name]) == bool(second[name])
            if first[name]:
                assert float(second[name]) == pytest.approx(float(first[name]), abs=1e-5), name
