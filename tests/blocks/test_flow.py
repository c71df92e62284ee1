"""Flows: round trips, log-determinants against autograd, densities that integrate to 1, padding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dicmor_lib.blocks import Flow
from dicmor_lib.errors import ShapeError
from tests.random_flows import DEFAULT, PUBLISHED, VARIANTS, every_variant, jacobian, name, random_flow
from tests.random_models import perturb

# --- acceptance 3, float64 ------------------------------------------------------------------------


@every_variant
@torch.no_grad()
def test_round_trip_after_32_layers(variant):
    flow = random_flow(variant, groups=3)
    x = torch.randn(3, 4, 5, 8, dtype=torch.float64)
    z, _ = flow(x)
    assert (flow.inverse(z) - x).abs().max() <= 1e-9
    assert (flow(flow.inverse(z))[0] - z).abs().max() <= 1e-9
    moved_a, moved_b = (z - x).abs().mean((0, 1, 2)).chunk(2)
    assert moved_b.min() > 0.3  # far from the identity, so that coming back means something
    assert moved_a.min() > 0.3 if variant["mixing"] != "none" else moved_a.max() == 0


@every_variant
def test_log_det_is_autograds(variant):
    flow = random_flow(variant, channels=6)
    for x in torch.randn(2, 1, 2, 6, dtype=torch.float64):
        z, log_det = flow(x)
        sign, expected = torch.linalg.slogdet(jacobian(lambda x: flow(x)[0], x))
        torch.testing.assert_close(log_det[0], expected, rtol=1e-8, atol=0)
        assert log_det.abs() > 1e-3
        _, back = torch.linalg.slogdet(jacobian(flow.inverse, z.detach()))
        torch.testing.assert_close(log_det[0] + back, torch.zeros_like(back), rtol=0, atol=1e-8)


@every_variant
@torch.no_grad()
def test_the_density_integrates_to_one(variant):
    """In two dimensions, on a grid over all of the mass; the prior is perturbed too."""
    flow = random_flow(variant, channels=2, layers=8, width=8, seed=1, scale=0.2)
    label = torch.full((4000,), 2.0, dtype=torch.float64)
    drawn = flow.inverse(flow.prior.sample(label, 1))[:, 0]
    low, high = drawn.amin(0), drawn.amax(0)
    low, high = low - 0.7 * (high - low), high + 0.7 * (high - low)
    n = 350
    axes = [torch.linspace(0, 1, n, dtype=torch.float64) * (high[i] - low[i]) + low[i] for i in range(2)]
    points = torch.cartesian_prod(*axes)[:, None]  # one step each
    density = flow.log_prob(points, label[:1].expand(n * n)).exp()
    cell = (high - low).prod() / (n - 1) ** 2
    assert abs(density.sum() * cell - 1) <= 1e-3


# --- acceptance 3, float32 after training ---------------------------------------------------------


def train(flow, steps: int, batch: int, rate: float = 2e-3) -> float:
    """Maximum likelihood on curved, class-dependent data; returns how many nats per value were gained."""
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(flow.groups, flow.channels // 2, flow.channels, generator=generator)
    optimiser = torch.optim.Adam(flow.parameters(), lr=rate)
    values = []
    for _ in range(steps):
        label = torch.randint(-3, 4, (batch,), generator=generator).float()
        hidden = torch.randn(batch, 4, flow.channels // 2, generator=generator) + 0.3 * label[:, None, None]
        x = torch.tanh(torch.einsum("bth,ghc->gbtc", hidden, mix))
        x = x + 0.1 * torch.randn(x.shape, generator=generator)
        loss = -flow.log_prob(x, label).mean() / x[0, 0].numel()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    with torch.no_grad():
        z, _ = flow(x)
        there_and_back = (flow.inverse(z) - x).abs().max().item()
    assert there_and_back <= 1e-3
    return values[0] - values[-1]


@pytest.mark.parametrize("variant", (DEFAULT, PUBLISHED, VARIANTS[4]), ids=name)
def test_float32_round_trip_of_32_trained_layers(variant):
    flow = Flow(12, 24, 32, groups=2, **variant)
    assert train(flow, steps=25, batch=16, rate=4e-3) > 0.1


@pytest.mark.slow
@every_variant
def test_float32_round_trip_of_32_layers_trained_for_long(variant):
    flow = Flow(32, 64, 32, groups=3, **variant)
    assert train(flow, steps=150, batch=32, rate=1e-3) > 0.2


# --- properties -----------------------------------------------------------------------------------

flows = st.fixed_dictionaries(
    dict(
        variant=st.sampled_from(VARIANTS),
        channels=st.sampled_from((2, 4, 6)),
        layers=st.integers(1, 7),
        groups=st.integers(1, 3),
        seed=st.integers(0, 1000),
    )
)


@settings(max_examples=25)
@given(flows, st.integers(1, 4), st.integers(1, 5))
@torch.no_grad()
def test_round_trip_of_any_shape(settings, batch, time):
    flow = random_flow(**settings, width=6)
    x = torch.randn(settings["groups"], batch, time, settings["channels"], dtype=torch.float64)
    z, log_det = flow(x)
    assert z.shape == x.shape and log_det.shape == x.shape[:2]
    assert (flow.inverse(z) - x).abs().max() <= 1e-9


@settings(max_examples=25)
@given(flows, st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 4), st.floats(-30, 30))
@torch.no_grad()
def test_padding_changes_nothing(settings, lengths, extra, filler):
    """A padded batch is its sequences alone: neither the amount nor the content of the padding matters."""
    flow, groups = random_flow(**settings, width=6), settings["groups"]
    time = max(lengths) + extra
    x = torch.randn(groups, len(lengths), time, settings["channels"], dtype=torch.float64)
    mask = (torch.arange(time) < torch.tensor(lengths)[:, None]).double().expand(groups, -1, -1)
    x = torch.where(mask[..., None] > 0, x, filler)
    z, log_det = flow(x, mask)
    back = flow.inverse(z, mask)
    log_prob = flow.log_prob(x, torch.zeros(len(lengths)), mask)
    assert torch.equal(z * (1 - mask[..., None]), torch.zeros_like(z))
    for b, length in enumerate(lengths):
        alone = x[:, b : b + 1, :length]
        z_alone, log_det_alone = flow(alone)
        torch.testing.assert_close(z[:, b : b + 1, :length], z_alone, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(log_det[:, b : b + 1], log_det_alone, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(back[:, b, :length], alone[:, 0], rtol=0, atol=1e-9)
        same = flow.log_prob(alone, torch.zeros(1))
        torch.testing.assert_close(log_prob[:, b : b + 1], same, rtol=1e-11, atol=1e-11)


@settings(max_examples=10)
@given(flows)
@torch.no_grad()
def test_groups_are_flows_of_their_own(settings):
    flow = random_flow(**{**settings, "groups": 3}, width=6)
    x = torch.randn(3, 2, 3, settings["channels"], dtype=torch.float64)
    z, log_det = flow(x)
    for g in range(3):
        single = random_flow(**{**settings, "groups": 1}, width=6)
        for (key, ours), theirs in zip(single.state_dict().items(), flow.state_dict().values()):
            ours.copy_(theirs if key.startswith("prior.") else theirs[g : g + 1])
        z_g, log_det_g = single(x[g])
        torch.testing.assert_close(z[g], z_g, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(log_det[g], log_det_g, rtol=1e-12, atol=1e-12)


def test_every_step_is_transformed_alone():
    flow = random_flow(DEFAULT, channels=4, layers=4)
    whole = torch.autograd.functional.jacobian(
        lambda x: flow(x)[0], torch.randn(1, 3, 4, dtype=torch.float64)
    )
    across_time = whole[0, :, :, 0].abs().amax((1, 3))  # (time out, time in)
    assert torch.equal(across_time > 0, torch.eye(3, dtype=torch.bool))


# --- borders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ((2, 5, 8), (3, 2, 5, 6), (2, 2, 5, 8), (8,)))
def test_wrong_shapes_are_told(shape):
    flow = Flow(8, 4, 2, groups=3)
    for method in (flow, flow.inverse):
        with pytest.raises(ShapeError, match=r"this flow takes \(3, batch, time, 8\) tensors"):
            method(torch.zeros(shape))


@torch.no_grad()
def test_full_precision_under_autocast():
    flow = perturb(Flow(8, 16, 32))
    x = torch.randn(2, 5, 8)
    z, log_det = flow(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z_mixed, log_det_mixed = flow(x)
        back = flow.inverse(z_mixed)
        assert flow(x.bfloat16())[0].dtype == torch.float32
    assert torch.equal(z_mixed, z) and torch.equal(log_det_mixed, log_det)
    assert (back - x).abs().max() < 1e-4
