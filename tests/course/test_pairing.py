"""A plain module paired with a group of the library's: weights copied, gradients compared, mistakes named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dicmor_lib.blocks.coupling import CouplingNetwork
from dicmor_lib.blocks.grouped import GroupedConv1d, GroupedLayerNorm
from dicmor_lib.blocks.mixing import InvertibleMixing
from dicmor_lib.course import assert_same_gradients, copy_weights
from dicmor_lib.errors import ShapeError


@pytest.fixture(autouse=True)
def in_float64():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def perturbed(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


def mlp(hidden: int = 8) -> nn.Module:
    return nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 8), nn.ReLU(), nn.Linear(8, 8))


@pytest.mark.parametrize("group", [0, 2])
def test_linear_maps_are_paired_transposed(group):
    library, plain = perturbed(CouplingNetwork(4, 8, groups=3)), mlp()
    copy_weights(plain, library, group)
    x = torch.randn(3, 2, 5, 4)
    torch.testing.assert_close(plain(x[group]), library(x)[group])
    plain(x[group]).square().sum().backward()
    library(x)[group].square().sum().backward()
    assert assert_same_gradients(plain, library, group) == sum(p.numel() for p in plain.parameters())


def test_convolutions_and_layer_norms_are_paired():
    library, plain = perturbed(GroupedConv1d(2, 4, 6, kernel_size=3)), nn.Conv1d(4, 6, 3, padding=1)
    copy_weights(plain, library, 1)
    x = torch.randn(2, 3, 7, 4)
    torch.testing.assert_close(plain(x[1].transpose(1, 2)).transpose(1, 2), library(x)[1])

    library, plain = perturbed(GroupedLayerNorm(2, 4)), nn.LayerNorm(4)
    copy_weights(plain, library, 1)
    torch.testing.assert_close(plain(x[1]), library(x)[1])


def test_own_parameters_of_a_group_are_paired():
    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4, 4))

    library, plain = InvertibleMixing(4, groups=3), Mixing()
    copy_weights(plain, library, 2)
    torch.testing.assert_close(plain.weight, library.weight[2])


def test_a_wrong_gradient_is_named():
    library, plain = perturbed(CouplingNetwork(4, 8)), mlp()
    copy_weights(plain, library)
    x = torch.randn(1, 2, 5, 4)
    library(x).square().sum().backward()
    with pytest.raises(AssertionError, match="0.weight of Linear got no gradient"):
        assert_same_gradients(plain, library)
    (plain(x[0]).square().sum() * 1.01).backward()
    with pytest.raises(AssertionError, match="gradient of 0.weight"):
        assert_same_gradients(plain, library)


def test_different_modules_are_refused_with_what_differs():
    with pytest.raises(
        ShapeError, match=r"number 0 is 0.weight \(9, 4\) in Sequential and first.weight \(8, 4\)"
    ):
        copy_weights(mlp(9), CouplingNetwork(4, 8))
    with pytest.raises(ShapeError, match="number 2 is nothing in Linear"):
        copy_weights(nn.Linear(4, 8), CouplingNetwork(4, 8))
