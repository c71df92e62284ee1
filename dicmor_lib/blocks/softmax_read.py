"""The heart of attention, softmax(q k^T) v with dropout, written so that a processor's cache is enough for it.

The scores of all encoders, samples and heads of one layer are 15 MB: every step over them would travel to the main
memory and back. Here one group (encoder) is finished before the next begins, 2.5 MB at a time, each step
overwrites the last, and the backward pass is the formula instead of autograd's chain of steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dicmor_lib.blocks.dropout import kept_share, random_levels, threshold


class SoftmaxRead(torch.autograd.Function):
    """y = (D o P) v with P = softmax(q k^T + mask) and dropout D, 0 or 1 / (1 - rate), drawn for every weight.

    Arguments of `apply`, with channels before time, which is how the products below are fastest:
        q: scaled queries (groups, batch, heads, channels, queries); y has this shape.
        k, v: (groups, batch, heads, channels, sources).
        mask: what is added to the scores, 0 or -inf, (groups, batch, 1, queries, sources).
        rates: one dropout rate per group.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, rates: tuple[float, ...]) -> Tensor:
        y = torch.empty_like(q)
        weights, levels = [], []
        for g, rate in enumerate(rates):
            scores = q[g].transpose(-1, -2) @ k[g]  # (batch, heads, queries, sources)
            p = torch.softmax(scores.add_(mask[g]), dim=-1)
            draw = random_levels(p.shape, p.device) if rate else None
            kept = p if draw is None else torch.ge(draw, threshold(rate), out=scores).mul_(p)
            torch.matmul(v[g] / kept_share(rate), kept.transpose(-1, -2), out=y[g])
            weights.append(p)
            levels.append(draw)
        ctx.save_for_backward(q, k, v, y, *weights, *levels)
        ctx.rates = rates
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        groups = len(ctx.rates)
        q, k, v, y, *saved = ctx.saved_tensors
        dy = dy.contiguous()
        dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        for g, (rate, p, draw) in enumerate(zip(ctx.rates, saved[:groups], saved[groups:])):
            dp = dy[g].transpose(-1, -2) @ (v[g] / kept_share(rate))
            kept = p
            if draw is not None:
                keep = torch.ge(draw, threshold(rate), out=torch.empty_like(p))
                dp.mul_(keep)
                kept = keep.mul_(p)
            torch.matmul(dy[g] / kept_share(rate), kept, out=dv[g])
            # ds = p (dp - sum_j p dp), and that sum over the sources is dy . y of the query
            ds = dp.sub_((dy[g] * y[g]).sum(-2)[..., None]).mul_(p)
            torch.matmul(k[g], ds.transpose(-1, -2), out=dq[g])
            torch.matmul(q[g], ds, out=dk[g])
        return dq, dk, dv, None, None
