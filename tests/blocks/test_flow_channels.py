"""Flows: the density, what they change and never change, and the one coupling that an unmixed flow is."""

from __future__ import annotations

import math

import pytest
import torch

from dicmor_lib.blocks import Flow, collapse
from dicmor_lib.errors import ConfigError
from tests.random_flows import DEFAULT, PUBLISHED, VARIANTS, every_variant, jacobian, name, random_flow
from tests.random_models import perturb

# --- the density ----------------------------------------------------------------------------------


@torch.no_grad()
def test_log_prob_is_the_change_of_variables():
    flow = random_flow(DEFAULT, channels=4, layers=5)
    x, label = torch.randn(7, 3, 4, dtype=torch.float64), torch.arange(-3.0, 4)
    z, log_det = flow(x)
    for b in range(7):
        normal = torch.distributions.Normal(flow.prior.mean[b], flow.prior.log_sd[b].exp())
        expected = normal.log_prob(z[b]).sum() + log_det[b]
        torch.testing.assert_close(flow.log_prob(x, label)[b], expected)


@every_variant
@torch.no_grad()
def test_a_new_flow_scales_only(variant):
    """The coupling networks start at zero: the identity, or with the sigmoid map a factor sigmoid(2) per layer."""
    flow = Flow(8, 16, 3, **{**variant, "mixing": "none"}).double()
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    z, log_det = flow(x)
    s = 1.0 if variant["scale_map"] == "bounded_exp" else (1 / (1 + math.exp(-2))) ** 3
    torch.testing.assert_close(z, torch.cat([x[..., :4], s * x[..., 4:]], dim=-1))
    torch.testing.assert_close(log_det, torch.full((2,), 20 * math.log(s), dtype=torch.float64))


@torch.no_grad()
def test_the_published_scale_at_its_start():
    """SCIENCE.md, item 2: 32 layers scale by .0172, the inverse amplifies 58 times."""
    flow = Flow(2, 4, 32, **PUBLISHED)
    one = torch.ones(1, 1, 2)
    assert flow(one)[0][0, 0, 1].item() == pytest.approx(0.0172, abs=5e-5)
    assert flow.inverse(one)[0, 0, 1].item() == pytest.approx(58, abs=0.5)


@pytest.mark.parametrize("layers", (1, 2, 3))
@torch.no_grad()
def test_channels_keep_their_places_for_odd_and_even_depths(layers):
    x = torch.randn(1, 2, 8)
    assert torch.equal(Flow(8, 4, layers)(x)[0], x)


# --- what changes and what never does (acceptance 4) ----------------------------------------------


def unchanged_channels(flow) -> list[int]:
    """Channels of the latent that are bit for bit the data's, whatever the data."""
    with torch.no_grad():
        x = torch.randn(200, 3, flow.channels)
        same = (flow(x)[0] == x).flatten(0, 1).all(0)
    return same.nonzero().flatten().tolist()


@pytest.mark.parametrize("mixing", ("alternate", "conv1x1"))
def test_our_flows_transform_every_channel(mixing):
    assert unchanged_channels(perturb(Flow(32, 16, 32, mixing=mixing))) == []


def test_the_published_flow_never_changes_the_first_half():
    assert unchanged_channels(perturb(Flow(32, 16, 32, **PUBLISHED))) == list(range(16))


def test_every_latent_channel_of_the_default_flow_depends_on_every_data_channel():
    x = torch.randn(1, 1, 8, dtype=torch.float64)
    assert (jacobian(lambda x: random_flow(DEFAULT)(x)[0], x) != 0).all()
    published = jacobian(lambda x: random_flow(PUBLISHED)(x)[0], x)
    assert torch.equal(published[:4], torch.eye(8, dtype=torch.float64)[:4])
    assert torch.equal(published[4:, 4:] != 0, torch.eye(4, dtype=torch.bool))


# --- one affine coupling (acceptance 5) -----------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS[8:], ids=name)
@torch.no_grad()
def test_an_unmixed_flow_of_32_layers_is_one_affine_coupling(variant):
    flow = random_flow(variant, groups=3)
    x = torch.randn(3, 4, 5, 8, dtype=torch.float64)
    x_a, x_b = x.chunk(2, dim=-1)
    log_scale, shift = collapse(flow, x_a)
    z, log_det = flow(x)
    torch.testing.assert_close(
        torch.cat([x_a, log_scale.exp() * x_b + shift], dim=-1), z, rtol=1e-12, atol=1e-12
    )
    torch.testing.assert_close(log_scale.sum((-1, -2)), log_det, rtol=1e-12, atol=1e-12)
    back = flow.inverse(x).chunk(2, dim=-1)[1]
    torch.testing.assert_close((x_b - shift) / log_scale.exp(), back, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mixing", ("alternate", "conv1x1"))
def test_a_mixed_flow_does_not_collapse(mixing):
    with pytest.raises(ConfigError, match=f"mixing='{mixing}' transforms both halves"):
        collapse(Flow(8, 4, 2, mixing=mixing), torch.zeros(1, 1, 1, 4))
