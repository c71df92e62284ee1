"""The affine coupling layer: Eq. (1), Eq. (2), both scale maps."""

from __future__ import annotations

import math

import pytest
import torch

from dicmor_lib.blocks import AffineCoupling, CouplingNetwork
from tests.random_models import perturb

MAPS = [(scale_map, first) for scale_map in ("bounded_exp", "sigmoid") for first in (False, True)]


def random_layer(scale_map="bounded_exp", shift_first=False, **options) -> AffineCoupling:
    torch.manual_seed(0)
    layer = AffineCoupling(3, 8, groups=2, scale_map=scale_map, shift_first=shift_first, **options)
    return perturb(layer.double(), 0.5)


def halves():
    return torch.randn(2, 2, 4, 5, 3, dtype=torch.float64)


@pytest.mark.parametrize("scale_map, shift_first", MAPS)
@torch.no_grad()
def test_eq_1_and_its_log_det(scale_map, shift_first):
    layer, (x_a, x_b) = random_layer(scale_map, shift_first), halves()
    raw, t = layer.network(x_a).split(3, dim=-1)
    s = torch.sigmoid(raw + 2) if scale_map == "sigmoid" else torch.exp(0.5 * torch.tanh(raw / 0.5))
    y_b, log_s = layer(x_a, x_b)
    torch.testing.assert_close(y_b, (x_b + t) * s if shift_first else s * x_b + t)
    torch.testing.assert_close(log_s, s.log())


@pytest.mark.parametrize("scale_map, shift_first", MAPS)
@torch.no_grad()
def test_eq_2_undoes_eq_1(scale_map, shift_first):
    layer, (x_a, x_b) = random_layer(scale_map, shift_first), halves()
    y_b, _ = layer(x_a, x_b)
    assert (y_b - x_b).abs().mean() > 0.1
    torch.testing.assert_close(layer.inverse(x_a, y_b), x_b)


def test_the_printed_order_scales_first():
    """Eq. (1) as printed is s * x_b + t, not (x_b + t) * s."""
    layer = AffineCoupling(1, 4)
    assert not layer.shift_first
    with torch.no_grad():
        layer.network.last.bias[:] = torch.tensor([0.3, 2.0])  # r, t
    y_b, log_s = layer(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1))
    assert y_b.item() == pytest.approx(log_s.exp().item() + 2)


@pytest.mark.parametrize("bound", (0.1, 0.5, 2.0))
def test_the_bounded_scale_is_bounded_and_two_sided(bound):
    layer = random_layer(log_scale_bound=bound)
    with torch.no_grad():
        log_s, _ = layer.log_scale_and_shift(torch.randn(2, 50, 9, 3, dtype=torch.float64) * 100)
    assert log_s.abs().max() <= bound
    assert log_s.min() < -0.9 * bound and log_s.max() > 0.9 * bound


def test_the_bounded_scale_is_nearly_exp_where_it_is_small():
    layer = AffineCoupling(1, 4)
    with torch.no_grad():
        layer.network.last.bias[:] = torch.tensor([0.01, 0.0])
    log_s, _ = layer.log_scale_and_shift(torch.zeros(1, 1, 1, 1))
    assert log_s.item() == pytest.approx(0.01, rel=1e-3)


@torch.no_grad()
def test_the_sigmoid_scale_can_only_shrink():
    log_s, _ = random_layer("sigmoid").log_scale_and_shift(
        torch.randn(2, 50, 9, 3, dtype=torch.float64) * 100
    )
    assert log_s.max() <= 0 and log_s.min() < -10
    new, _ = AffineCoupling(1, 4, scale_map="sigmoid").log_scale_and_shift(torch.randn(1, 3, 2, 1))
    torch.testing.assert_close(new, torch.full_like(new, math.log(1 / (1 + math.exp(-2)))))


def test_a_new_layer_is_the_identity_and_yet_learns():
    layer, (x_a, x_b) = AffineCoupling(3, 8, groups=2).double(), halves()
    y_b, log_s = layer(x_a, x_b)
    assert torch.equal(y_b, x_b) and torch.equal(log_s, torch.zeros_like(log_s))
    (y_b.square().sum() + log_s.sum()).backward()
    assert layer.network.last.bias.grad.abs().min() > 0
    assert layer.network.last.weight.grad.abs().amax((1, 2)).min() > 0


@torch.no_grad()
def test_the_network_sees_every_step_alone():
    network = perturb(CouplingNetwork(3, 8, groups=2))
    x = torch.randn(2, 1, 5, 3)
    changed = x.clone()
    changed[:, :, 2] += 1
    differs = (network(x) != network(changed)).any(-1)[:, 0]
    assert torch.equal(differs, torch.tensor([[False, False, True, False, False]] * 2))
    assert network(x).shape == (2, 1, 5, 6)
