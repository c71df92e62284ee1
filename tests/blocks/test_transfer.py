"""Packing of missing pairs, the merge of two sources, and the transfer itself."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dicmor_lib import PATTERNS, pattern_mask
from dicmor_lib.blocks import Flow
from dicmor_lib.blocks.transfer import OTHERS, Packing, Transfer
from tests.random_models import perturb

patterns = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=8)
CPU = torch.device("cpu")


def masks(names: list[str]) -> torch.Tensor:
    return torch.tensor([pattern_mask(name) for name in names])


# --- packing --------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(patterns)
def test_every_missing_pair_has_a_slot_and_comes_back(names):
    available = masks(names)
    packing = Packing.of(available, CPU)
    x = torch.randn(3, len(names), 2, 4)
    packed = packing.pack(x)
    missing = ~available.t()
    assert packed.shape == (3, int(missing.sum(1).max()), 2, 4)
    assert torch.equal(packing.unpack(packed), x * missing[..., None, None])
    assert torch.isfinite(packing.unpack(packed)).all()


def test_pack_from_reads_another_modality_of_the_same_samples():
    available = masks(["a", "lv", "v", "lav"])
    packing = Packing.of(available, CPU)
    x = torch.arange(12.0).view(3, 4, 1)
    sources = torch.tensor([k for k, _ in OTHERS])
    got = packing.unpack(packing.pack_from(x, sources))
    for m, k in enumerate(sources):
        for b in range(4):
            assert got[m, b] == (0 if available[b, m] else x[k, b])


def test_unpack_passes_gradients_to_used_slots_only():
    packing = Packing.of(masks(["a", "av", "v"]), CPU)  # language is missing 3 times, audio once, vision once
    packed = torch.ones(3, 3, 1, requires_grad=True)
    packing.unpack(packed).sum().backward()
    assert packed.grad[..., 0].sum(1).tolist() == [3, 1, 1]


# --- merging --------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(patterns, st.integers(0, 99))
def test_latents_are_averaged_where_sources_reach(names, seed):
    torch.manual_seed(seed)
    available, time = masks(names), 5
    seen = torch.randint(1, time + 1, (len(names), 3)) * available
    z = torch.randn(3, len(names), time, 2)
    z[~available.t()] = float("nan")  # never read
    merged = Transfer.merge_latents(z, seen)
    for b in range(len(names)):
        for t in range(time):
            there = [z[m, b, t] for m in range(3) if t < seen[b, m]]
            expected = torch.stack(there).mean(0) if there else torch.zeros(2)
            torch.testing.assert_close(merged[b, t], expected)


# --- the transfer ---------------------------------------------------------------------------------


class Case:
    """A flow, latents of five samples with one and two sources, and their masks."""

    def __init__(self, merge="latent_mean", gradient=True, names=("l", "a", "lv", "av", "la")) -> None:
        self.flow = perturb(Flow(4, 8, 3, groups=3).double())
        self.transfer = perturb(Transfer(4, merge, gradient).double())
        self.available = masks(list(names))
        time = 6
        lengths = torch.tensor([[6, 2, 4], [1, 3, 5], [2, 6, 5], [4, 3, 6], [6, 5, 1]])
        self.seen = lengths[: len(names)] * self.available
        self.z = torch.randn(3, len(names), time, 4, dtype=torch.float64)
        longest = torch.where(self.available, self.seen, self.seen.amax(1, keepdim=True))
        self.mask = (torch.arange(time) < longest.t()[..., None]).double()
        reaches = torch.arange(time) < self.seen.t()[..., None]
        self.z = (self.z * reaches[..., None]).requires_grad_()
        self.packing = Packing.of(self.available, CPU)

    def run(self, z=None):
        z = self.z if z is None else z
        return self.transfer(self.flow, z, self.mask, self.seen, self.available, self.packing)

    def unpacked(self, z=None):
        return self.packing.unpack(self.run(z))

    def inverse(self, target, latent):
        """One latent sequence (time, channels) backwards through the target's flow."""
        stacked = torch.zeros(3, 1, *latent.shape, dtype=torch.float64)
        stacked[target, 0] = latent
        return self.flow.inverse(stacked)[target, 0]


@pytest.mark.parametrize("merge", ("latent_mean", "data_conv"))
@torch.no_grad()
def test_one_source_is_inverted_as_it_is(merge):
    case = Case(merge)
    out = case.unpacked()
    for b, source in ((0, 0), (1, 1)):
        n = int(case.seen[b, source])
        for target in {0, 1, 2} - {source}:
            torch.testing.assert_close(out[target, b, :n], case.inverse(target, case.z[source, b, :n]))
            assert not out[target, b, n:].any()  # as long as its source
        assert not out[source, b].any()  # nothing to transfer


@torch.no_grad()
def test_two_sources_by_the_latent_mean():
    case = Case()
    out = case.unpacked()
    for b, target, (first, second) in ((2, 1, (0, 2)), (3, 0, (1, 2)), (4, 2, (0, 1))):
        n, k = int(case.seen[b, first]), int(case.seen[b, second])
        both, longest = min(n, k), max(n, k)
        longer = case.z[first if n > k else second, b]
        latent = torch.cat([(case.z[first, b, :both] + case.z[second, b, :both]) / 2, longer[both:longest]])
        torch.testing.assert_close(out[target, b, :longest], case.inverse(target, latent))
        assert not out[target, b, longest:].any()


@torch.no_grad()
def test_two_sources_by_the_published_convolution():
    case = Case("data_conv")
    out = case.unpacked()
    for b, target in ((2, 1), (3, 0), (4, 2)):
        longest = int(case.seen[b].max())
        pair = torch.cat([case.inverse(target, case.z[k, b, :longest]) for k in OTHERS[target]], dim=-1)
        join = case.transfer.join
        torch.testing.assert_close(
            out[target, b, :longest], pair @ join.weight[target] + join.bias[target, 0]
        )


@pytest.mark.parametrize("merge", ("latent_mean", "data_conv"))
@torch.no_grad()
def test_unavailable_latents_are_never_read(merge):
    case = Case(merge)
    poisoned = case.z.clone()
    poisoned[~case.available.t()] = float("nan")
    assert torch.equal(case.unpacked(poisoned), case.unpacked())


@pytest.mark.parametrize("merge", ("latent_mean", "data_conv"))
@pytest.mark.parametrize("gradient", (True, False))
def test_the_gradient_switch(merge, gradient):
    case = Case(merge, gradient)
    result = case.unpacked().sum()
    if merge == "latent_mean" and not gradient:
        assert not result.requires_grad
        return
    result.backward()
    reached = [case.z.grad is not None] + [p.grad is not None for p in case.flow.layers.parameters()]
    assert set(reached) == {gradient}
    if merge == "data_conv":
        assert case.transfer.join.weight.grad.abs().amax((1, 2)).min() > 0  # the join itself always learns


@pytest.mark.parametrize("merge", ("latent_mean", "data_conv"))
def test_nothing_missing_nothing_transferred(merge):
    case = Case(merge, names=("lav", "lav"))
    assert case.run().shape == (3, 0, 6, 4)
    assert torch.equal(case.unpacked(), torch.zeros(3, 2, 6, 4, dtype=torch.float64))
