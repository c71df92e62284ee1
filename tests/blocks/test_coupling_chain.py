"""The chain of all coupling layers is the layers one by one: values, log-determinants, gradients; it keeps less."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dicmor_lib.blocks import coupling_chain
from dicmor_lib.blocks.coupling_chain import can_chain, to_data, to_latent
from tests.random_flows import DEFAULT, VARIANTS, name, random_flow


@pytest.fixture(params=(1, 2, 3, 4))
def threads(request):
    """So many threads, for which rows are shared out or not."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def both_ways(flow, x, mask=None):
    """Latents, log-determinants and data again, with every gradient of a random projection of all three."""
    x = x.detach().requires_grad_()
    z, log_det = flow(x, mask)
    back = flow.inverse(z.detach() + 0.1, mask)
    generator = torch.Generator().manual_seed(7)
    outputs = [z, log_det, back]
    probes = [torch.randn(o.shape, generator=generator, dtype=torch.float64).to(o) for o in outputs]
    loss = sum((o * p).sum() for o, p in zip(outputs, probes))
    return outputs, torch.autograd.grad(loss, [x, *flow.layers.parameters()])


def compare(flow, x, monkeypatch, mask=None, **close):
    """With the chain, in any precision, and without it; how often the chain was asked."""
    asked = []

    def chains(x, layer):
        asked.append(layer)
        return True

    with monkeypatch.context() as patch:
        patch.setattr("dicmor_lib.blocks.flow.can_chain", chains)
        patch.setattr(coupling_chain, "FEWEST_ROWS", 1)
        ours = both_ways(flow, x, mask)
    assert len(asked) == 2
    with monkeypatch.context() as patch:
        patch.setattr("dicmor_lib.blocks.flow.can_chain", lambda x, layer: False)
        plain = both_ways(flow, x, mask)
    for a, b in zip(ours[0], plain[0]):
        torch.testing.assert_close(a, b, **close)
    for a, b in zip(ours[1], plain[1]):
        assert b.abs().max() > 0
        torch.testing.assert_close(a / b.abs().max(), b / b.abs().max(), **close)


@pytest.mark.parametrize("layers", (1, 2, 5, 32))
@pytest.mark.parametrize("batch", (1, 4))
def test_the_chain_is_the_layers_one_by_one(layers, batch, threads, monkeypatch):
    """In float64, an odd number of layers too, with rows that the threads can share evenly and rows that they cannot."""
    flow = random_flow(DEFAULT, layers=layers, groups=3, scale=0.2)
    x = torch.randn(3, batch, 6 if batch > 1 else 7, 8, dtype=torch.float64)
    compare(flow, x, monkeypatch, rtol=1e-9, atol=1e-9)


def test_the_chain_is_the_layers_in_float32_with_padding(threads, monkeypatch):
    flow = random_flow(DEFAULT, layers=8, groups=3, scale=0.2).float()
    mask = (torch.arange(12) < torch.tensor([12, 5, 1, 9])[:, None]).float().expand(3, -1, -1)
    compare(flow, torch.randn(3, 4, 12, 8), monkeypatch, mask, rtol=2e-5, atol=2e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 3), st.integers(1, 5), st.integers(0, 99))
def test_there_and_back(groups, half, batch, layers, seed):
    """Of any size, an empty batch included."""
    flow = random_flow(DEFAULT, channels=2 * half, layers=layers, groups=groups, seed=seed, scale=0.2)
    u = torch.randn(2, groups, batch, 3, half, dtype=torch.float64)
    last, newest, log_det = to_latent(flow.layers, *u)
    assert log_det.shape == (groups, batch, 3)
    torch.testing.assert_close(torch.stack(to_data(flow.layers, last, newest)), u)


@pytest.mark.parametrize("walk", (to_latent, to_data))
def test_its_gradients_are_the_derivatives(walk, threads, monkeypatch):
    """Against finite differences, with respect to the data and to every parameter of two layers."""
    monkeypatch.setattr(coupling_chain, "FEWEST_ROWS", 1)
    flow = random_flow(DEFAULT, channels=4, layers=2, width=3, groups=3)
    u = torch.randn(2, 3, 1, 4, 2, dtype=torch.float64, requires_grad=True)
    inputs = (*u.unbind(), *flow.layers.parameters())
    assert torch.autograd.gradcheck(lambda a, b, *_: walk(flow.layers, a, b), inputs)


def kept_numbers(call):
    """How many numbers autograd keeps for the backward pass, each tensor's memory counted once; weights included."""
    kept = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        held = call()
    assert held is not None
    return sum(storage.nbytes() for storage in kept.values()) // 4


def test_it_keeps_the_sequence_alone(monkeypatch):
    flow, x = random_flow(DEFAULT, layers=32, groups=3, width=32).float(), torch.randn(3, 20, 30, 8)
    weights = sum(p.numel() for p in flow.layers.parameters())
    sequence = 34 * 3 * 20 * 30 * 4  # u_0 to u_33, half the channels each
    chained = kept_numbers(lambda: flow(x)) - weights
    monkeypatch.setattr("dicmor_lib.blocks.flow.can_chain", lambda x, layer: False)
    plain = kept_numbers(lambda: flow(x)) - weights
    assert sequence <= chained < 1.1 * sequence
    assert plain > 7 * chained


def test_a_backward_pass_leaves_what_it_was_given():
    """The incoming gradients are not written to, and a second backward pass gives the same."""
    flow = random_flow(DEFAULT, layers=3, groups=3).float()
    u = torch.randn(2, 3, 2, 5, 4, requires_grad=True)
    for walk in (to_latent, to_data):
        outputs = walk(flow.layers, *u.unbind())
        given_gradients = [torch.randn_like(o) for o in outputs]
        copies = [g.clone() for g in given_gradients]
        first, second = (torch.autograd.grad(outputs, u, given_gradients, retain_graph=True) for _ in "12")
        assert torch.equal(first[0], second[0]) and first[0].any()
        assert all(map(torch.equal, given_gradients, copies))


def test_second_derivatives_are_refused_not_wrong():
    flow, x = random_flow(DEFAULT, layers=2).float(), torch.randn(2, 3, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(flow(x)[0].square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_what_it_is_not_written_for_takes_the_layers():
    """Other scales and orders, other precisions, and torch.func, which gives the Jacobian of a float32 flow, too."""
    x = torch.randn(2, 3, 8)
    for variant in VARIANTS:
        layer = random_flow(variant, layers=1).layers[0]
        wanted = variant["scale_map"] == "bounded_exp" and not variant["shift_first"]
        assert can_chain(x, layer) is wanted, name(variant)
        assert not can_chain(x.double(), layer)
    flow = random_flow(DEFAULT, layers=4).float()
    jacobian = torch.func.jacrev(lambda x: flow(x)[0].flatten())(x[:1, :1]).view(8, 8)
    torch.testing.assert_close(
        torch.linalg.slogdet(jacobian).logabsdet, flow(x[:1, :1])[1][0], rtol=1e-4, atol=1e-4
    )
