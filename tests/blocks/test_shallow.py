"""Shallow features X^m = C^m(raw^m)."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from dicmor_lib.blocks import ShallowConv

DIMS = (7, 2, 4)


def raw(time=9):
    return tuple(torch.randn(3, time, d, dtype=torch.float64) for d in DIMS)


@pytest.mark.parametrize("same, around", ((True, 2), (False, 0)))
@torch.no_grad()
def test_it_is_one_convolution_without_bias_per_modality(same, around):
    conv, x = ShallowConv(DIMS, 6, kernel_size=5, same=same).double(), raw()
    y = conv(x)
    assert y.shape == (3, 3, 9 if same else 5, 6)
    for m in range(3):
        plain = F.conv1d(x[m].transpose(1, 2), conv.weights[m], padding=around).transpose(1, 2)
        torch.testing.assert_close(y[m], plain)
    assert sum(p.numel() for p in conv.parameters()) == 6 * 5 * sum(DIMS)


@torch.no_grad()
def test_an_output_step_sees_two_steps_on_both_sides():
    conv = ShallowConv((1, 1, 1), 2, kernel_size=5)
    impulse = torch.zeros(1, 9, 1)
    impulse[0, 4] = 1
    reached = conv((impulse,) * 3).abs().sum((0, 1, 3)).nonzero().flatten().tolist()
    assert reached == [2, 3, 4, 5, 6]


def test_the_start_keeps_the_scale_whatever_the_number_of_channels():
    spread = [ShallowConv((d, d, d), 64, 5)((torch.randn(20, 30, d),) * 3).std().item() for d in (4, 300)]
    assert spread == pytest.approx([3**-0.5] * 2, rel=0.1)


def test_modalities_keep_apart():
    conv, x = ShallowConv(DIMS, 6, 5).double(), raw()
    y = conv((x[0], x[1] + 1, x[2]))
    assert (conv(x) != y).flatten(1).any(1).tolist() == [False, True, False]
