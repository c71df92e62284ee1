"""The classes and functions of chapter 6 against the library's fusion: outputs and gradients in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.testing import assert_close

from dicmor_lib.blocks import attention as library
from dicmor_lib.blocks.fusion import QUERIES, SOURCES, MultimodalTransformer
from dicmor_lib.course import assert_same_gradients, copy_weights

Defined = dict[str, Any]
WIDTH, HEADS, LAYERS, BATCH, TIME = 8, 2, 2, 4, 7
NO_DROPOUT = (0.0, 0.0, 0.0)


def perturbed(module: nn.Module) -> nn.Module:
    """In float64, with every weight moved by a normal draw: layers that start at 0 or 1 would hide an error."""
    rng = torch.Generator().manual_seed(1)
    module = module.double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=rng, dtype=p.dtype))
    return module


def drawn(seed: int, *shape: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64).requires_grad_()


def lengths_of(seed: int, groups: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(1, TIME + 1, (groups, BATCH), generator=rng)


def weighted(y: torch.Tensor) -> torch.Tensor:
    """A scalar that depends on every entry of y in its own way, for the gradients."""
    return (y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)).sum()


def same_position_code(defined: Defined) -> None:
    for width in (2, 8, 14):
        valid = torch.arange(TIME) < lengths_of(2, 3)[..., None]
        mine = defined["position_code"](valid, width, torch.float64)
        assert_close(mine, library.position_code(valid, width, torch.float64))


def same_causal_mask(defined: Defined) -> None:
    n = torch.arange(1, 13)[:, None].expand(12, 13)
    k = torch.arange(0, 13).expand(12, 13)  # 0: nothing to read, step 0 stays open
    assert torch.equal(defined["causal_mask"](n, k, 12), library.causal_mask(n, k, 12))


def same_attention(defined: Defined) -> None:
    groups = 3
    theirs = perturbed(library.CrossModalAttention(groups, WIDTH, HEADS, NO_DROPOUT))
    query, source = drawn(3, groups, BATCH, TIME, WIDTH), drawn(4, groups, BATCH, TIME, WIDTH)
    allowed = library.causal_mask(lengths_of(5, groups), lengths_of(6, groups), TIME)
    y = theirs(query, source, allowed)
    weighted(y).backward()
    for g in range(groups):
        mine = defined["CrossModalAttention"](WIDTH, HEADS).double()
        copy_weights(mine, theirs, g)
        q, s = (x.detach()[g].clone().requires_grad_() for x in (query, source))
        out = mine(q, s, allowed[g])
        assert_close(out, y[g])
        _backward_like_group(out, y, g)
        assert_same_gradients(mine, theirs, g)
        assert_close(q.grad, query.grad[g])
        assert_close(s.grad, source.grad[g])
        heads = theirs.weights(*theirs.project(query, source)[:2], allowed)
        assert_close(mine.map, heads[g].mean(1).detach())


def same_layer(defined: Defined) -> None:
    _same_block(
        lambda: library.EncoderLayer(3, WIDTH, HEADS, NO_DROPOUT),
        lambda: defined["EncoderLayer"](WIDTH, HEADS),
        lambda block, x, source, n, k, allowed: block(x, source, allowed),
    )


def same_encoder(defined: Defined) -> None:
    def run(block, x, source, n, k, allowed):
        own, read = (torch.arange(TIME) < lengths[..., None] for lengths in (n, k))
        return block(x, own, allowed, source, read)

    _same_block(
        lambda: library.Encoder(3, WIDTH, HEADS, LAYERS, NO_DROPOUT, 0.0),
        lambda: defined["Encoder"](WIDTH, HEADS, LAYERS),
        run,
    )


def same_fusion(defined: Defined) -> None:
    theirs = perturbed(MultimodalTransformer(WIDTH, HEADS, LAYERS))
    mine = defined["MultimodalTransformer"](WIDTH, HEADS, LAYERS).double()
    defined["copy_fusion"](mine, theirs)
    assert defined["PAIRS"] == tuple(zip(QUERIES, SOURCES))
    x, lengths = drawn(8, 3, BATCH, TIME, WIDTH), lengths_of(9, 3).T
    other = x.detach().clone().requires_grad_()
    y, out = theirs(x, lengths), mine(other, lengths)
    assert_close(out, y)
    weighted(y).backward()
    weighted(out).backward()
    assert_close(other.grad, x.grad)
    for g in range(6):
        assert_same_gradients(mine.cross[g], theirs.cross, g)
    for m in range(3):
        assert_same_gradients(mine.memory[m], theirs.memory, m)
    for name in ("hidden1", "hidden2", "output"):
        assert_same_gradients(getattr(mine, name), getattr(theirs, name))


def _same_block(grouped: Callable[[], nn.Module], plain: Callable[[], nn.Module], run: Callable) -> None:
    """Group by group, with a source and without one (self-attention)."""
    for cross in (True, False):
        theirs = perturbed(grouped())
        x, source = drawn(10, 3, BATCH, TIME, WIDTH), drawn(11, 3, BATCH, TIME, WIDTH) if cross else None
        n = lengths_of(12, 3)
        k = lengths_of(13, 3) if cross else n
        allowed = library.causal_mask(n, k, TIME)
        y = run(theirs, x, source, n, k, allowed)
        weighted(y).backward()
        for g in range(3):
            mine = plain().double()
            copy_weights(mine, theirs, g)
            a, b = (None if t is None else t.detach()[g].clone().requires_grad_() for t in (x, source))
            out = run(mine, a, b, n[g], k[g], allowed[g])
            assert_close(out, y[g])
            _backward_like_group(out, y, g)
            assert_same_gradients(mine, theirs, g)
            assert_close(a.grad, x.grad[g])
            if cross:
                assert_close(b.grad, source.grad[g])


def _backward_like_group(out: torch.Tensor, whole: torch.Tensor, g: int) -> None:
    """The gradient that `weighted` of the whole output gives group g."""
    out.backward(torch.linspace(-1, 2, whole.numel(), dtype=whole.dtype).view_as(whole)[g])


EQUAL: dict[str, Callable[[Defined], None]] = {
    "position_code": same_position_code,
    "causal_mask": same_causal_mask,
    "CrossModalAttention": same_attention,
    "EncoderLayer": same_layer,
    "Encoder": same_encoder,
    "MultimodalTransformer": same_fusion,
}
