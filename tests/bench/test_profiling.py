"""Time is put down to the part of the model that spends it, forward and backward."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dicmor_lib.bench import profiling
from dicmor_lib.bench.cases import Case, build
from dicmor_lib.bench.profiling import PARTS, kind_of, labelled, where_time_goes

CASE = Case("tiny", "train", 7, time=6)


@pytest.fixture(scope="module")
def found():
    return where_time_goes(CASE, top=5)


def test_shares_add_up_and_every_part_has_some(found):
    parts = found["parts"]
    assert list(parts) == [*PARTS, "clip", "optimiser", "rest"]
    assert sum(share for ways in parts.values() for share in ways.values()) == pytest.approx(1, abs=0.05)
    assert sum(found["kinds"].values()) == pytest.approx(1, abs=0.01)
    for part in PARTS:
        assert parts[part]["forward"] > 0 and parts[part]["backward"] > 0, part
    assert parts["optimiser"]["forward"] > 0 and parts["clip"]["forward"] > 0
    assert found["kinds"]["matrix products"] > 0.02 and "aten::" in found["table"]
    assert 0 < found["seconds"]


class Marked(nn.Module):
    """Computes a hyperbolic sine on the way, which nothing else does; its derivative is the cosine."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.weight = inner, nn.Parameter(torch.zeros(()))

    def forward(self, *inputs: torch.Tensor, **options: torch.Tensor) -> torch.Tensor:
        return self.inner(*inputs, **options) + torch.sinh(self.weight)


def marks(event, on_device: bool) -> int:
    """Stands for the time of an event: how many of the marked operations are in it."""
    return (event.name in ("aten::sinh", "aten::cosh")) + sum(
        marks(child, False) for child in event.cpu_children
    )


@pytest.mark.parametrize(("name", "part"), [("recovery", "recovery"), ("fusion.memory", "self encoders")])
def test_work_is_put_down_to_its_part(monkeypatch, name, part):
    """Also in the backward pass, where autograd runs the operations and no module of the model."""
    built = build(CASE)
    owner, _, last = name.rpartition(".")
    setattr(built.model.get_submodule(owner), last, Marked(built.model.get_submodule(name)))
    monkeypatch.setattr(profiling, "build", lambda case: built)
    monkeypatch.setattr(profiling, "_time", marks)
    shares = where_time_goes(CASE)["parts"]
    assert shares.pop(part) == {"forward": 0.5, "backward": 0.5}
    assert not any(share for ways in shares.values() for share in ways.values())


def test_labels_leave_nothing_behind():
    built = build(CASE)
    with labelled(built):
        assert "_clip" in vars(built.stepper)
    assert "_clip" not in vars(built.stepper)
    modules = list(built.model.modules())
    assert not [m for m in modules if m._forward_hooks or m._forward_pre_hooks]


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("aten::baddbmm", "matrix products"),
        ("aten::mm", "matrix products"),
        ("aten::convolution_backward", "matrix products"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu", "matrix products"),
        ("aten::_fused_adamw_", "optimiser"),
        ("aten::random_", "random numbers"),
        ("aten::native_layer_norm_backward", "normalise, reduce"),
        ("aten::_softmax", "normalise, reduce"),
        ("aten::copy_", "copy, reshape"),
        ("aten::cat", "copy, reshape"),
        ("aten::mul", "value by value"),
        ("aten::threshold_backward", "value by value"),
        ("aten::tanh", "value by value"),
    ],
)
def test_kinds_of_work(operator, kind):
    assert kind_of(operator) == kind
