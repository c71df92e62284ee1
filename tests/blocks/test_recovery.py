"""Recovery D^m: the residual channel attention block against its formula, masks, the skip around the group."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dicmor_lib.blocks import RCAB, ChannelAttention, Recovery
from tests.random_models import perturb


def plain_rcab(block: RCAB, x: torch.Tensor, g: int) -> torch.Tensor:
    """x + CA(conv3(ReLU(conv3(x)))) in five lines; x is (batch, channels, time) as `conv1d` takes it."""
    (w1, b1), (w2, b2) = (as_conv1d(conv, g) for conv in (block.conv1, block.conv2))
    u = F.conv1d(F.relu(F.conv1d(x, w1, b1, padding=1)), w2, b2, padding=1)
    squeeze, excite = block.attention.squeeze, block.attention.excite
    gate = F.relu(u.mean(2) @ squeeze.weight[g] + squeeze.bias[g, 0]) @ excite.weight[g] + excite.bias[g, 0]
    return x + u * torch.sigmoid(gate)[:, :, None]


def as_conv1d(conv, g):
    """(kernel * inputs, outputs) to the (outputs, inputs, kernel) of `conv1d`."""
    weight, bias = conv.taps.weight[g], conv.taps.bias[g, 0]
    return weight.reshape(conv.kernel_size, -1, weight.shape[1]).permute(2, 1, 0), bias


@pytest.mark.parametrize("channels, reduction", ((8, 4), (32, 16), (4, 16)))
def test_rcab_is_its_formula(channels, reduction):
    block = perturb(RCAB(channels, reduction, groups=3).double(), 0.3)
    x = torch.randn(3, 4, 7, channels, dtype=torch.float64, requires_grad=True)
    y = block(x, torch.ones(3, 4, 7, dtype=torch.float64))
    plain = torch.stack([plain_rcab(block, x[g].transpose(1, 2), g).transpose(1, 2) for g in range(3)])
    torch.testing.assert_close(y, plain)
    probe = torch.randn_like(y)
    parameters = [x, *block.parameters()]
    ours, theirs = (torch.autograd.grad((out * probe).sum(), parameters) for out in (y, plain))
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b)
    assert all(gradient.abs().max() > 0 for gradient in ours)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 3), st.integers(0, 99))
@torch.no_grad()
def test_padding_changes_nothing(lengths, extra, seed):
    """A padded batch is its sequences alone; the result is zero on padding, whatever stood there."""
    torch.manual_seed(seed)
    recovery = perturb(Recovery(6, 8, blocks=2, reduction=4, groups=3).double(), 0.3, seed)
    time = max(lengths) + extra
    x = torch.randn(3, len(lengths), time, 6, dtype=torch.float64)
    mask = (torch.arange(time) < torch.tensor(lengths)[:, None]).expand(3, -1, -1)
    y = recovery(x, mask)
    assert (y[~mask] == 0).all()
    for b, length in enumerate(lengths):
        alone = recovery(x[:, b : b + 1, :length], mask[:, b : b + 1, :length])
        torch.testing.assert_close(y[:, b : b + 1, :length], alone)


def test_the_gate_is_between_0_and_1_and_sees_valid_means_only():
    attention = perturb(ChannelAttention(6, reduction=3, groups=2))
    u = torch.randn(2, 3, 5, 6)
    mask = torch.ones(2, 3, 5)
    mask[..., 3:] = 0
    gate = attention.gate(u, mask)
    assert gate.shape == (2, 3, 6) and 0 < gate.min() and gate.max() < 1
    torch.testing.assert_close(gate, attention.gate(u[:, :, :3], mask[:, :, :3]))
    assert (gate - attention.gate(u, torch.ones(2, 3, 5))).abs().max() > 1e-3
    torch.testing.assert_close(attention(u, mask), u * gate[:, :, None])


@torch.no_grad()
def test_the_skip_around_the_group():
    """With a silent last convolution only the 1x1 convolutions are left: down(up(x))."""
    recovery = perturb(Recovery(4, 6, blocks=2, groups=3))
    recovery.tail.taps.weight.zero_(), recovery.tail.taps.bias.zero_()
    x = torch.randn(3, 2, 5, 4)
    expected = recovery.down(recovery.up(x))
    torch.testing.assert_close(recovery(x, torch.ones(3, 2, 5)), expected)
    assert not torch.allclose(perturb(recovery)(x, torch.ones(3, 2, 5)), expected)


def test_recovery_of_nothing():
    recovery = Recovery(4, 6, blocks=2, groups=3)
    assert recovery(torch.zeros(3, 0, 5, 4), torch.zeros(3, 0, 5)).shape == (3, 0, 5, 4)


def test_a_sequence_of_length_zero_is_zero_and_not_nan():
    recovery = perturb(Recovery(4, 6, blocks=2, groups=3))
    assert torch.equal(recovery(torch.randn(3, 2, 5, 4), torch.zeros(3, 2, 5)), torch.zeros(3, 2, 5, 4))
