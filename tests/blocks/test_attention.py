"""Attention against `torch.nn.MultiheadAttention`, causal mask, positions, dropout, no leak from the future."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dicmor_lib.blocks import CrossModalAttention, Encoder, EncoderLayer, causal_mask, position_code
from dicmor_lib.blocks.attention import additive
from dicmor_lib.blocks.dropout import dropout, keep_mask, kept_share, random_levels, threshold
from dicmor_lib.blocks.softmax_read import SoftmaxRead
from tests.random_models import perturb

GROUPS, BATCH, TIME, WIDTH, HEADS = 3, 4, 6, 8, 2
lengths = st.integers(1, 9)


def torch_attention(attention: CrossModalAttention, g: int) -> nn.MultiheadAttention:
    """Group g's weights in torch's own module."""
    plain = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for whole, parts in (
            (plain.in_proj_weight, [attention.to_query.weight[g].t(), attention.to_key_value.weight[g].t()]),
            (plain.in_proj_bias, [attention.to_query.bias[g, 0], attention.to_key_value.bias[g, 0]]),
            (plain.out_proj.weight, [attention.out.weight[g].t()]),
            (plain.out_proj.bias, [attention.out.bias[g, 0]]),
        ):
            whole.copy_(torch.cat(parts))
    return plain


@pytest.fixture
def attention():
    return perturb(CrossModalAttention(GROUPS, WIDTH, HEADS, (0.0,) * GROUPS).double(), 0.5)


@pytest.fixture
def sequences():
    return torch.randn(2, GROUPS, BATCH, TIME, WIDTH, dtype=torch.float64, requires_grad=True)


# --- acceptance 6 ---------------------------------------------------------------------------------


def test_it_is_torchs_multi_head_attention(attention, sequences):
    query, source = sequences
    allowed = causal_mask(
        torch.randint(1, TIME + 1, (GROUPS, BATCH)), torch.randint(1, TIME + 1, (GROUPS, BATCH)), TIME
    )
    ours = attention(query, source, allowed)
    for g in range(GROUPS):
        plain = torch_attention(attention, g)
        mask = ~allowed[g].repeat_interleave(HEADS, dim=0)  # torch: True means "may not"
        theirs, weights = plain(query[g], source[g], source[g], attn_mask=mask, average_attn_weights=False)
        torch.testing.assert_close(ours[g], theirs)
        q, k, _ = attention.project(query, source)
        torch.testing.assert_close(attention.weights(q, k, allowed)[g], weights)
        probe = torch.randn_like(theirs)
        gradients = [
            torch.autograd.grad((y * probe).sum(), sequences, retain_graph=True)[0] for y in (ours[g], theirs)
        ]
        torch.testing.assert_close(*gradients)
        in_proj, out_proj = torch.autograd.grad(
            (theirs * probe).sum(), (plain.in_proj_weight, plain.out_proj.weight)
        )
        wanted = (attention.to_query.weight, attention.to_key_value.weight, attention.out.weight)
        q, kv, out = torch.autograd.grad((ours[g] * probe).sum(), wanted, retain_graph=True)
        torch.testing.assert_close(torch.cat([q[g].t(), kv[g].t()]), in_proj)
        torch.testing.assert_close(out[g].t(), out_proj)


@torch.no_grad()
def test_weights_are_a_distribution_over_what_may_be_read(attention, sequences):
    allowed = causal_mask(torch.tensor([[6, 4, 2, 6]] * GROUPS), torch.tensor([[6, 6, 5, 1]] * GROUPS), TIME)
    q, k, _ = attention.project(*sequences)
    weights = attention.weights(q, k, allowed)
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    assert torch.equal(weights > 0, allowed[:, :, None].expand_as(weights))


# --- the mask -------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(lengths, lengths, st.integers(0, 3))
def test_the_mask_reads_nothing_that_is_later_in_relative_time(n, k, extra):
    time = max(n, k) + extra
    allowed = causal_mask(torch.tensor(n), torch.tensor(k), time)
    for i in range(n):
        for j in range(time):
            begins_before_the_step_ends = j < k and Fraction(j, k) < Fraction(i + 1, n)
            assert bool(allowed[i, j]) == begins_before_the_step_ends
    assert allowed[n - 1].nonzero().flatten().tolist() == list(
        range(k)
    )  # the last valid step sees the whole source
    assert (allowed.int().diff(dim=0)[: n - 1] >= 0).all()  # later steps read more, never less
    assert not allowed[:, max(k, 1) :].any()  # padding is never read
    assert allowed.any(1).all()  # no softmax over nothing, on padding rows neither


@pytest.mark.parametrize("n", range(1, 8))
def test_equal_lengths_give_the_plain_causal_mask(n):
    allowed = causal_mask(torch.tensor(n), torch.tensor(n), 8)
    assert torch.equal(allowed[:n, :n], torch.ones(n, n, dtype=torch.bool).tril())


def test_the_mask_of_an_empty_source_has_no_empty_row():
    assert causal_mask(torch.tensor([0, 3]), torch.tensor([0, 0]), 4).any(-1).all()


# --- positions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", (2, 4, 10))
def test_positions_are_sines_then_cosines(width):
    valid = torch.tensor([[True, True, True, False], [True, False, True, False]])
    code = position_code(valid, width, torch.float64)
    half = width // 2
    for b in range(2):
        for t in range(4):
            rates = [math.exp(-i * math.log(10000) / max(half - 1, 1)) for i in range(half)]
            angles = [(t + 1) * rate for rate in rates]
            expected = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
            torch.testing.assert_close(code[b, t], torch.tensor(expected, dtype=torch.float64) * valid[b, t])
    torch.testing.assert_close(position_code(valid, width), code.float())


@torch.no_grad()
def test_the_embedding_scales_by_the_root_of_the_width():
    encoder = Encoder(1, WIDTH, HEADS, 1, (0.0,), 0.0)
    x, valid = torch.randn(1, 2, 5, WIDTH), torch.ones(1, 2, 5, dtype=torch.bool)
    torch.testing.assert_close(encoder.embed(x, valid), WIDTH**0.5 * x + position_code(valid, WIDTH))


# --- encoders -------------------------------------------------------------------------------------


def test_the_layer_is_pre_norm_with_one_norm_for_query_and_source():
    layer = perturb(EncoderLayer(1, WIDTH, HEADS, (0.0,)).double(), 0.3)
    x, source = torch.randn(2, 1, 3, 5, WIDTH, dtype=torch.float64)
    allowed = torch.ones(1, 3, 5, 5, dtype=torch.bool)
    h = x + layer.attention(layer.attention_norm(x), layer.attention_norm(source), allowed)
    expected = h + layer.narrow(torch.relu(layer.widen(layer.mlp_norm(h))))
    torch.testing.assert_close(layer(x, source, allowed), expected)
    assert layer.widen.weight.shape[2] == 4 * WIDTH
    h = x + layer.attention(layer.attention_norm(x), layer.attention_norm(x), allowed)
    torch.testing.assert_close(
        layer(x, None, allowed), h + layer.narrow(torch.relu(layer.widen(layer.mlp_norm(h))))
    )


def run(encoder, x, n, source=None, k=None):
    """One sample of length n reading a source of length k, in padded tensors (time, width)."""
    time = len(x)
    valid = lambda length: (torch.arange(time) < length)[None, None]  # noqa: E731
    allowed = causal_mask(torch.tensor([[n]]), torch.tensor([[n if k is None else k]]), time)
    if source is None:
        return encoder(x[None, None], valid(n), allowed)[0, 0]
    return encoder(x[None, None], valid(n), allowed, source[None, None], valid(k))[0, 0]


def random_encoder(layers=2):
    return perturb(Encoder(1, WIDTH, HEADS, layers, (0.0,), 0.0).double(), 0.3).eval()


@settings(max_examples=15)
@given(lengths, lengths, st.integers(0, 99))
def test_a_cross_modal_encoder_reads_exactly_what_the_mask_allows(n, k, seed):
    torch.manual_seed(seed)
    encoder, time = random_encoder(), max(n, k)
    x, source = torch.randn(2, time, WIDTH, dtype=torch.float64)
    reads = (
        torch.autograd.functional.jacobian(lambda s: run(encoder, x, n, s, k).sum(-1), source).abs().sum(-1)
        > 0
    )
    allowed = causal_mask(torch.tensor(n), torch.tensor(k), time)
    assert torch.equal(reads[:n], allowed[:n])
    itself = (
        torch.autograd.functional.jacobian(lambda x: run(encoder, x, n, source, k).sum(-1), x).abs().sum(-1)
        > 0
    )
    assert torch.equal(itself[:n], torch.eye(time, dtype=torch.bool)[:n])  # other query steps are not read


def test_a_self_encoder_leaks_nothing_from_the_future():
    encoder, n = random_encoder(layers=3), 6
    x = torch.randn(8, WIDTH, dtype=torch.float64)
    reads = torch.autograd.functional.jacobian(lambda x: run(encoder, x, n).sum(-1), x).abs().sum(-1) > 0
    assert torch.equal(reads[:n, :n], torch.ones(n, n, dtype=torch.bool).tril())
    assert not reads[:n, n:].any()


@torch.no_grad()
def test_padding_changes_nothing():
    encoder, n, k = random_encoder(), 4, 6
    x, source = torch.randn(2, 6, WIDTH, dtype=torch.float64)
    plain = run(encoder, x, n, source, k)[:n]
    longer = [
        torch.cat([x[:n], torch.randn(5, WIDTH).double()]),
        torch.cat([source, torch.randn(3, WIDTH).double()]),
    ]
    torch.testing.assert_close(run(encoder, longer[0], n, longer[1], k)[:n], plain)
    torch.testing.assert_close(run(encoder, longer[0], n)[:n], run(encoder, x[:n], n))


# --- the fast path of a CPU ----------------------------------------------------------------------


def softmax_read_inputs(time=5, sources=4, groups=3):
    q = torch.randn(groups, 2, 2, 3, time, dtype=torch.float64)
    k, v = torch.randn(2, groups, 2, 2, 3, sources, dtype=torch.float64)
    allowed = causal_mask(torch.tensor([[5, 2]] * groups), torch.tensor([[3, 4]] * groups), 5)
    mask = additive(allowed[:, :, :time, :sources], torch.float64)[:, :, None]
    return q.requires_grad_(), k.requires_grad_(), v.requires_grad_(), mask


@pytest.mark.parametrize("rates", ((0.0, 0.0, 0.0), (0.4, 0.0, 0.7)))
def test_the_gradients_in_the_cache_are_the_derivatives(rates):
    q, k, v, mask = softmax_read_inputs()

    def read(*qkv):
        torch.manual_seed(5)  # the same weights are dropped at every evaluation
        return SoftmaxRead.apply(*qkv, mask, rates)

    assert torch.autograd.gradcheck(read, (q, k, v))


def test_reading_in_the_cache_is_reading():
    """The same outputs and gradients as the plain chain of softmax, dropout and product, with the same draws."""
    rates = (0.4, 0.0, 0.7)
    q, k, v, mask = softmax_read_inputs()
    torch.manual_seed(3)
    ours = SoftmaxRead.apply(q, k, v, mask, rates)
    torch.manual_seed(3)
    plain = []
    for g, rate in enumerate(rates):
        weights = (q[g].transpose(-1, -2) @ k[g] + mask[g]).softmax(-1)
        if rate:
            keep = random_levels(weights.shape, weights.device) >= threshold(rate)
            assert 0 < keep.sum() < keep.numel()
            weights = weights * keep / kept_share(rate)
        plain.append((weights @ v[g].transpose(-1, -2)).transpose(-1, -2))
    torch.testing.assert_close(ours, torch.stack(plain))
    probe = (
        torch.randn_like(ours).transpose(0, 1).contiguous().transpose(0, 1)
    )  # a gradient may come in any layout
    torch.testing.assert_close(
        *(torch.autograd.grad((y * probe).sum(), (q, k, v)) for y in (ours, torch.stack(plain)))
    )


def test_attention_takes_the_plain_path_in_half_precision_and_the_fast_one_else(attention, sequences):
    allowed = causal_mask(torch.full((GROUPS, BATCH), 4), torch.full((GROUPS, BATCH), 5), TIME)
    q, k, v = attention.project(*sequences)
    plain, fast = (read(q, k, v, allowed) for read in (attention.read, attention.read_in_cache))
    torch.testing.assert_close(plain, fast)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = attention.float()(*sequences.detach().float(), allowed)
    exact = attention(*sequences.detach().float(), allowed)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, rtol=0.05, atol=0.05)


def test_few_scores_are_read_at_once_in_eval_and_many_group_by_group(attention, sequences, monkeypatch):
    allowed = causal_mask(torch.full((GROUPS, BATCH), 4), torch.full((GROUPS, BATCH), 5), TIME)
    ways = []
    for way in ("read", "read_in_cache"):
        plain = getattr(attention, way)
        monkeypatch.setattr(attention, way, lambda *a, plain=plain, way=way: ways.append(way) or plain(*a))
    few = attention.eval()(*sequences, allowed)
    monkeypatch.setattr("dicmor_lib.blocks.attention.MANY_SCORES", 0)
    many = attention(*sequences, allowed)
    assert ways == ["read", "read_in_cache"]
    torch.testing.assert_close(few, many)


def test_the_mlp_of_a_layer_is_computed_again_instead_of_kept(monkeypatch):
    """The same output and gradients, and a hidden layer less in memory."""
    encoder = perturb(Encoder(2, WIDTH, HEADS, 2, (0.0, 0.0), embedding_dropout=0.0).train(), 0.3)
    x = torch.randn(2, 3, TIME, WIDTH)
    n = torch.full((2, 3), TIME)
    valid, allowed = torch.ones(2, 3, TIME, dtype=torch.bool), causal_mask(n, n, TIME)
    found = {}
    for way in ("again", "kept"):
        wide: list[int] = []

        def note(tensor, wide=wide):
            wide.append(tensor.shape[-1])
            return tensor

        with monkeypatch.context() as patch:
            if way == "kept":
                patch.setattr("dicmor_lib.blocks.attention.checkpoint", lambda f, x, **_: f(x))
            with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
                y = encoder(x, valid, allowed)
            found[way] = y.detach(), torch.autograd.grad(y.square().sum(), list(encoder.parameters())), wide
    torch.testing.assert_close(found["again"][0], found["kept"][0])
    torch.testing.assert_close(found["again"][1], found["kept"][1])
    assert 4 * WIDTH in found["kept"][2] and 4 * WIDTH not in found["again"][2]


# --- dropout --------------------------------------------------------------------------------------


def test_each_group_drops_at_its_own_rate():
    rates = (0.0, 0.1, 0.5, 0.9)
    keep = keep_mask(torch.empty(4, 50, 1001), rates)
    assert keep.dtype == torch.bool and keep.shape == (4, 50, 1001)
    assert keep[0].all()
    for g, rate in enumerate(rates):  # 50,000 draws: a standard error of at most .0022
        assert keep[g].double().mean().item() == pytest.approx(1 - rate, abs=0.01)


@pytest.mark.parametrize("rate", (0.0, 0.002, 0.1, 0.3, 0.5, 0.999))
def test_the_share_that_is_kept_is_known_exactly(rate):
    levels = torch.arange(-128, 128).to(torch.int8)
    assert (levels >= threshold(rate)).double().mean().item() == kept_share(rate)
    assert kept_share(rate) == pytest.approx(1 - rate, abs=1 / 256) and kept_share(rate) > 0


def test_dropout_scales_what_it_keeps():
    x = torch.ones(4, 10_001)
    dropped = dropout(x, 0.3, training=True)
    assert set(dropped.unique().tolist()) == {0.0, torch.tensor(1 / kept_share(0.3)).item()}
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert dropout(x, 0.3, training=False) is x and dropout(x, 0.0, training=True) is x


def test_dropout_draws_are_seeded_and_independent():
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(keep_mask(torch.empty(1, 3, 999), (0.5,)))
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    centred = draws[0].double()[0] - 0.5
    for lag in range(1, 9):  # neighbours share a 64-bit draw
        assert abs((centred[:, lag:] * centred[:, :-lag]).mean()) < 0.03
    assert abs(torch.corrcoef(centred)[0, 1]) < 0.15


def test_compiled_dropout_drops_at_the_same_rates():
    """The compiler gets plain draws: it lost track of the bits that `random_levels` looks at as smaller numbers."""
    rates, like = (0.0, 0.3, 0.9), torch.ones(3, 50, 1001)

    @torch.compile(backend="aot_eager", fullgraph=True)
    def both(x):
        return keep_mask(x, rates), dropout(x, 0.3, training=True)

    keep, dropped = both(like)
    assert keep.dtype == torch.bool and keep.shape == like.shape
    for g, rate in enumerate(rates):
        assert keep[g].double().mean().item() == pytest.approx(1 - rate, abs=0.01)
    assert (dropped == 0).double().mean().item() == pytest.approx(0.3, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert not torch.equal(both(like)[0], keep)  # drawn anew each time


def test_attention_dropout_keeps_the_expectation_and_stops_in_eval():
    attention = perturb(CrossModalAttention(2, WIDTH, HEADS, (0.4, 0.0)), 0.5)
    x = torch.randn(2, 1, 5, WIDTH)
    allowed = torch.ones(2, 1, 5, 5, dtype=torch.bool)
    with torch.no_grad():
        exact = attention.eval()(x, x, allowed)
        dropped = attention.train()(x.repeat(1, 4000, 1, 1), x.repeat(1, 4000, 1, 1), allowed)
    assert torch.equal(attention.eval()(x, x, allowed), exact)
    assert dropped[0].std(0).min() > 1e-3  # group 0 drops
    torch.testing.assert_close(dropped[0].mean(0), exact[0, 0], atol=0.03, rtol=0)
    torch.testing.assert_close(dropped[1], exact[1].expand(4000, -1, -1))  # group 1 does not


def test_embedding_dropout_acts_in_training_only():
    encoder = Encoder(1, WIDTH, HEADS, 1, (0.0,), embedding_dropout=0.3)
    x, valid = torch.randn(1, 40, 25, WIDTH), torch.ones(1, 40, 25, dtype=torch.bool)
    assert (encoder.train().embed(x, valid) == 0).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert (encoder.eval().embed(x, valid) != 0).all()
