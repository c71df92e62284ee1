"""The multimodal transformer: who reads whom, last valid steps, padding, dropout rates."""

from __future__ import annotations

import pytest
import torch

from dicmor_lib.blocks import MultimodalTransformer
from dicmor_lib.blocks.fusion import QUERIES, SOURCES
from tests.random_models import perturb, published_small_config, random_model, small_config
from tests.reference import fuse


def random_fusion(**options) -> MultimodalTransformer:
    return perturb(MultimodalTransformer(8, 2, 2, **options).double(), 0.3).eval()


def random_input(batch=4, time=6):
    return torch.randn(3, batch, time, 8, dtype=torch.float64), torch.randint(1, time + 1, (batch, 3))


def test_each_modality_reads_the_two_others():
    assert list(zip(QUERIES, SOURCES)) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]


@pytest.mark.parametrize("config", (small_config(), published_small_config()), ids=("ours", "published"))
@torch.no_grad()
def test_it_is_the_plain_fusion_sample_by_sample(config):
    model = random_model(config, dtype=torch.float64)
    x, lengths = random_input()
    if not config.honour_lengths:
        lengths[:] = 6
        x[:, :, 2, 0] = 0  # the published code takes such a step for padding: no position
    ours = model.predict_from_shallow(x, lengths)
    for b in range(4):
        alone = fuse(model, [x[m, b, : lengths[b, m]] for m in range(3)])
        torch.testing.assert_close(ours[b], alone)


@torch.no_grad()
def test_padding_changes_nothing():
    fusion = random_fusion()
    x, lengths = random_input()
    longer = torch.cat([x, torch.zeros(3, 4, 3, 8).double()], dim=2)
    for m in range(3):
        for b in range(4):
            longer[m, b, lengths[b, m] :] = 50 * torch.randn(9 - int(lengths[b, m]), 8).double()
    torch.testing.assert_close(fusion(longer, lengths), fusion(x, lengths))


@torch.no_grad()
def test_the_published_mode_reads_every_step_whatever_the_lengths():
    fusion = random_fusion(honour_lengths=False)
    x, _ = random_input()
    full = torch.full((4, 3), 6)
    changed = x.clone()
    changed[:, :, -1] = torch.randn(3, 4, 8)  # the very last step counts, padded or not
    assert ((fusion(x, full) - fusion(changed, full)).abs() > 1e-6).all()


def test_a_modality_pair_reaches_its_own_half_of_the_memory():
    """Memory of m = [m with its first source, m with its second]: the groups stand where `QUERIES` says."""
    fusion = random_fusion()
    x, lengths = random_input()
    before = {}
    fusion.memory.register_forward_hook(lambda module, inputs, output: before.update(pairs=inputs[0]))
    crossed = {}
    fusion.cross.register_forward_hook(lambda module, inputs, output: crossed.update(all=output))
    fusion.memories(x, lengths)
    for g, q in enumerate(QUERIES):
        half = before["pairs"][q, ..., :8] if g % 2 == 0 else before["pairs"][q, ..., 8:]
        assert torch.equal(half, crossed["all"][g])


def test_the_last_valid_steps_are_the_only_ones_read():
    """Computing one step of the last memory layer gives what computing all and reading one gives, gradients too."""
    fusion, (x, _) = random_fusion().double(), random_input()
    x = x.double().requires_grad_()
    lengths = torch.tensor([[6, 1, 2], [3, 3, 0], [2, 6, 5], [6, 6, 6]])
    last = lengths.t().clamp(min=1) - 1
    picked = fusion.memories(x, lengths, only=last)
    assert picked.shape == (3, 4, 1, 16)
    whole = fusion.memories(x, lengths)
    read = torch.stack([torch.stack([whole[m, b, last[m, b]] for b in range(4)]) for m in range(3)])
    torch.testing.assert_close(picked.squeeze(2), read, rtol=1e-12, atol=1e-12)
    probe, wanted = torch.randn_like(read), [x, *fusion.cross.parameters(), *fusion.memory.parameters()]
    ours, theirs = (torch.autograd.grad((y * probe).sum(), wanted) for y in (picked.squeeze(2), read))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_the_head_reads_the_memories_side_by_side():
    fusion = random_fusion()
    x, lengths = random_input()
    seen = {}
    fusion.hidden1.register_forward_hook(lambda module, inputs, output: seen.update(h=inputs[0]))
    fusion(x, lengths)
    whole = fusion.memories(x, lengths)
    for b in range(len(lengths)):
        parts = [whole[m, b, max(int(lengths[b, m]), 1) - 1] for m in range(3)]
        torch.testing.assert_close(seen["h"][b], torch.cat(parts))


def test_every_modality_and_every_early_step_matters():
    fusion = random_fusion()
    x, _ = random_input(batch=2)
    x.requires_grad_()
    fusion(x, torch.full((2, 3), 6)).sum().backward()
    assert (x.grad.abs().sum(-1) > 0).all()


def test_dropout_rates_follow_the_source():
    rates = (0.3, 0.2, 0.1)
    own = MultimodalTransformer(8, 2, 2, rates, 0.15, 0.4)
    published = MultimodalTransformer(8, 2, 2, rates, self_follows="language")
    assert own.cross.layers[0].attention.dropout == (0.2, 0.1, 0.3, 0.1, 0.3, 0.2)
    assert own.memory.layers[1].attention.dropout == rates
    assert published.memory.layers[1].attention.dropout == (0.3,) * 3
    assert own.cross.embedding_dropout == own.memory.embedding_dropout == 0.15 and own.output_dropout == 0.4


def test_dropout_acts_in_training_only():
    fusion = random_fusion(attention_dropout=(0.3, 0.3, 0.3), embedding_dropout=0.2, output_dropout=0.5)
    x, lengths = random_input()
    assert torch.equal(fusion(x, lengths), fusion(x, lengths))
    fusion.train()
    assert not torch.equal(fusion(x, lengths), fusion(x, lengths))
