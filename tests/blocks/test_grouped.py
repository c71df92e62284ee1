"""Grouped layers are the plain layers side by side, in values and in gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dicmor_lib.blocks.grouped import GroupedConv1d, GroupedLayerNorm, GroupedLinear
from tests.random_models import perturb

shapes = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.integers(1, 6))


def assert_same(layer, x, grouped, plain):
    """Equal outputs, and equal gradients of a random projection of them."""
    torch.testing.assert_close(grouped, plain)
    probe = torch.randn_like(grouped)
    wanted = [x, *layer.parameters()]
    ours, theirs = (torch.autograd.grad((y * probe).sum(), wanted) for y in (grouped, plain))
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b)


def random_input(shape):
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


@settings(max_examples=20)
@given(shapes, st.integers(1, 5), st.integers(0, 99))
def test_linear(shape, outputs, seed):
    torch.manual_seed(seed)
    layer, x = GroupedLinear(shape[0], shape[-1], outputs).double(), random_input(shape)
    plain = torch.stack([F.linear(x[g], layer.weight[g].t(), layer.bias[g, 0]) for g in range(shape[0])])
    assert_same(layer, x, layer(x), plain)


@pytest.mark.parametrize("shape", ((2, 5), (2, 3, 5), (2, 3, 4, 6, 5)))
def test_linear_takes_any_number_of_axes(shape):
    layer, x = GroupedLinear(2, 5, 7), torch.randn(shape)
    expected = torch.stack([x[g] @ layer.weight[g] + layer.bias[g, 0] for g in range(2)])
    torch.testing.assert_close(layer(x), expected)


def test_linear_starts_like_nn_linear_or_at_zero():
    weight = GroupedLinear(3, 16, 500).weight
    assert 0.24 < weight.abs().max() <= 0.25  # 1 / sqrt(16)
    zero = GroupedLinear(3, 16, 5, zero=True)
    assert not zero.weight.any() and not zero.bias.any()


@settings(max_examples=20)
@given(shapes, st.integers(1, 4), st.sampled_from((1, 3, 5)), st.integers(0, 99))
def test_conv1d(shape, outputs, kernel, seed):
    torch.manual_seed(seed)
    layer, x = GroupedConv1d(shape[0], shape[-1], outputs, kernel).double(), random_input(shape)
    plain = []
    for g in range(shape[0]):
        w = layer.taps.weight[g].reshape(kernel, shape[-1], outputs).permute(2, 1, 0).contiguous()
        y = F.conv1d(x[g].transpose(1, 2), w, layer.taps.bias[g, 0], padding=kernel // 2)
        plain.append(y.transpose(1, 2))
    assert_same(layer, x, layer(x), torch.stack(plain))


@settings(max_examples=20)
@given(shapes.filter(lambda shape: shape[-1] > 1), st.integers(0, 99))
def test_layer_norm(shape, seed):
    torch.manual_seed(seed)
    layer = perturb(GroupedLayerNorm(shape[0], shape[-1]).double(), 0.5, seed)
    x = random_input(shape)
    weights = zip(x, layer.weight.flatten(1), layer.bias.flatten(1))
    plain = torch.stack([F.layer_norm(rows, shape[-1:], weight, bias) for rows, weight, bias in weights])
    assert_same(layer, x, layer(x), plain)


def test_groups_do_not_touch_each_other():
    for layer in (GroupedLinear(3, 4, 4), GroupedConv1d(3, 4, 4, 3), GroupedLayerNorm(3, 4)):
        x = torch.randn(3, 2, 5, 4)
        changed = x.clone()
        changed[1] += torch.randn(2, 5, 4)
        assert (layer(x) != layer(changed)).flatten(1).any(1).tolist() == [False, True, False]


def graph_of(y):
    """The names of the steps that autograd noted, the last one first."""
    names, steps = "", [y.grad_fn]
    while steps:
        step = steps.pop()
        names += f" {step.name()}"
        steps += [before for before, _ in step.next_functions if before is not None]
    return names


def test_few_steps_are_convolved_in_windows():
    """The copies cost less than the calls: 500 steps of all samples together are not yet many."""
    layer = GroupedConv1d(2, 4, 5, 3)
    few, many = layer(torch.randn(2, 50, 10, 4)), layer(torch.randn(2, 60, 10, 4))
    assert "SlidingProduct" not in graph_of(few) and "SlidingProduct" in graph_of(many)


@pytest.mark.parametrize("kernel", (1, 3, 5))
def test_sliding_rows_are_the_windows_side_by_side(monkeypatch, kernel):
    """A CPU's way of convolving many steps and a GPU's, with ReLU and without, on no sample at all too."""
    monkeypatch.setattr("dicmor_lib.blocks.grouped.MANY_ROWS", 0)
    for batch in (0, 1, 3):
        for relu in (False, True):
            layer, x = GroupedConv1d(2, 4, 5, kernel).double(), random_input((2, batch, 6, 4))
            sliding = layer(x, relu=relu)
            assert "SlidingProduct" in graph_of(sliding)
            with monkeypatch.context() as patch:
                patch.setattr("dicmor_lib.blocks.grouped.computes_on_cpu", lambda x: False)
                windows = layer(x, relu=relu)
            assert_same(layer, x, sliding, windows)


def test_layers_run_in_half_precision_under_autocast():
    layer, x = GroupedConv1d(2, 8, 5, 3), torch.randn(2, 3, 6, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = layer(x, relu=True)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), layer(x, relu=True), rtol=0.02, atol=0.02)
