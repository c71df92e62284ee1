"""Nothing in a training step waits for the device.

Without a GPU, the meta device stands for one: a tensor on it has no values, so whatever would read one (and make the
processor wait) fails, and copies that block are seen as they are dispatched.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from functorch.compile import make_boxed_func
from torch._dynamo.backends.common import aot_autograd
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dicmor_lib.modalities import PATTERNS, pattern_mask
from dicmor_lib.training import steps
from dicmor_lib.training.engine import Engine
from dicmor_lib.training.steps import Stepper

META = torch.device("meta")


class Copies(TorchDispatchMode):
    """Notes copies between processor and device that block, and indices that are not on the device."""

    def __init__(self, waits: list[str]) -> None:
        super().__init__()
        self.waits = waits

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = str(function._overloadpacket).removeprefix("aten.")
        on_device = [t.device.type == "meta" for t in _tensors(args)]
        if name == "_to_copy" and not kwargs.get("non_blocking"):
            target = kwargs.get("device")
            if target is not None and (torch.device(target).type == "meta") != on_device[0]:
                self.waits.append(_where("to(device)"))
        elif name == "copy_" and len(set(on_device)) == 2 and not (len(args) > 2 and args[2]):
            self.waits.append(_where("copy_"))
        elif name in ("index", "index_put_", "_index_put_impl_") and on_device[0] and not all(on_device):
            self.waits.append(_where("an index on the processor"))
        return function(*args, **kwargs)


class FromPython(TorchFunctionMode):
    """Notes tensors that are made on the device of Python numbers: torch copies them there and waits."""

    def __init__(self, waits: list[str]) -> None:
        super().__init__()
        self.waits = waits

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is torch.tensor and torch.device(kwargs.get("device") or "cpu").type == "meta":
            self.waits.append(_where("torch.tensor of numbers"))
        elif function is torch.Tensor.new_tensor and args[0].device.type == "meta":
            self.waits.append(_where("new_tensor of numbers"))
        elif (
            function in (torch.Tensor.__getitem__, torch.Tensor.__setitem__) and args[0].device.type == "meta"
        ):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            if any(isinstance(part, (list, np.ndarray)) for part in index):
                self.waits.append(_where("a list as an index"))
        return function(*args, **kwargs)


@contextmanager
def watch() -> Iterator[list[str]]:
    """What makes the processor wait for the device meanwhile."""
    waits: list[str] = []
    with Copies(waits), FromPython(waits):
        yield waits


def _where(what: str) -> str:
    """What waits, and the line of the library that asks for it."""
    lines = [f for f in traceback.extract_stack() if "/dicmor_lib/" in f.filename]
    return f"{what}, {Path(lines[-1].filename).name}:{lines[-1].lineno}" if lines else what


def _tensors(values: Any) -> list[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        return [values]
    return [t for v in values for t in _tensors(v)] if isinstance(values, (list, tuple)) else []


def stepper(kit, data, monkeypatch, stage: int, **changes: Any) -> Stepper:
    """A stepper whose model and features are on the meta device and whose masks are on the CPU."""

    def move(batch, device):
        batch.features = tuple(x.to(device, non_blocking=True) for x in batch.features)
        return batch

    monkeypatch.setattr(steps, "to_device", move)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # knows no meta device
    model = kit.make_model(language_dropout=0.3, attention_dropout=(0.3, 0.2, 0.0), **changes).to(META)
    fabric = SimpleNamespace(autocast=nullcontext, backward=lambda loss: loss.backward())
    optimiser = torch.optim.SGD(model.parameters())  # the fused Adam does not know the meta device
    available = np.array([pattern_mask(PATTERNS[i % 7]) for i in range(len(data.train))])
    return Stepper(model, optimiser, Engine(fabric, META, 0, 1), kit.settings(), stage, data.train, available)


@pytest.mark.parametrize("stage", [1, 2])
def test_no_part_of_a_step_waits_for_the_device(kit, data, monkeypatch, stage):
    made = stepper(kit, data, monkeypatch, stage)
    with watch() as waits:
        list(made.run([[np.arange(14), np.arange(14, 20)]]))
    assert not waits, "\n".join(waits)
    assert len(made.log.values) == 1 and made.log.values[0].device == META


def test_the_watch_sees_what_waits():
    there, here = torch.empty(3, device=META), torch.ones(2)
    with watch() as waits:
        there.to(META), here.to(META, non_blocking=True), there[torch.arange(2, device=META)], there[1:]
        assert not waits, "\n".join(waits)
        here.to(META), there[[0, 1]], there[torch.arange(2)], torch.tensor([1.0], device=META)
        there.new_tensor(1), there[:2].copy_(here)
    assert waits == [
        "to(device)",
        "a list as an index",
        "an index on the processor",
        "torch.tensor of numbers",
        "new_tensor of numbers",
        "copy_",
    ]
    for reads in (lambda: there.sum().item(), lambda: bool(there.any()), lambda: there.cpu()):
        with pytest.raises((RuntimeError, NotImplementedError)):
            reads()


@pytest.mark.filterwarnings("ignore:aten..where")  # the meta device has no autograd kernel of its own for it
@pytest.mark.parametrize("prior", ["class", "joint"])
def test_captured_graphs_hold_nothing_of_the_processor(kit, data, monkeypatch, prior):
    """A graph with one tensor of the processor in it, forward or backward, is not captured as a CUDA graph."""
    nodes: list[list[str]] = []

    def look(graph, _):
        values = [(n, v) for n in graph.graph.nodes for v in tree_leaves(n.meta.get("val"))]
        tensors = [(n, v) for n, v in values if isinstance(v, torch.Tensor)]
        assert len(tensors) > 10
        nodes.append([f"{n} {v.device}" for n, v in tensors if v.device != META])
        return make_boxed_func(graph.forward)

    made = stepper(kit, data, monkeypatch, 2, prior=prior, embedding_dropout=0.2)
    engine = Engine(made.engine.fabric, META, 0, 1, compile=True)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    engine.compile_blocks(made.model, aot_autograd(fw_compiler=look, bw_compiler=look))
    try:
        list(made.run([[np.arange(14)]]))
    finally:
        engine.plain_blocks(made.model)
    assert len(nodes) >= 4 and not any(nodes), nodes
    assert not torch._dynamo.utils.counters["graph_break"]


@pytest.mark.gpu
@pytest.mark.parametrize("stage", [1, 2])
def test_no_step_waits_on_the_gpu(kit, data, stage):
    """CUDA itself raises where a step would wait."""
    from dicmor_lib.training.engine import launch
    from dicmor_lib.training.stage import trainable
    from dicmor_lib.training.state import make_optimiser

    config = kit.settings(accelerator="cuda")
    engine, model = launch(config), kit.make_model().cuda()
    available = np.array([pattern_mask(PATTERNS[i % 7]) for i in range(len(data.train))])
    optimiser = make_optimiser(trainable(model, stage), config)
    made = Stepper(model, optimiser, engine, config, stage, data.train, available)
    list(made.run([[np.arange(16)]]))  # the first one makes Adam's state
    torch.cuda.set_sync_debug_mode("error")
    try:
        list(made.run([[np.arange(16)], [np.arange(16, 32)]]))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    made.log.check_finite(stage, 1)
