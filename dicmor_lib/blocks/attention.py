"""Cross-modal attention: a query modality reads from a source modality (Tsai et al., MulT, ACL 2019).

Self-attention is the case where both are the same. Several encoders run side by side on a leading
"groups" axis, because the six cross-modal encoders (and the three self encoders) have equal shapes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dicmor_lib.blocks.dropout import dropout, keep_mask, kept_share
from dicmor_lib.blocks.grouped import GroupedLayerNorm, GroupedLinear
from dicmor_lib.blocks.precision import computes_on_cpu
from dicmor_lib.blocks.softmax_read import SoftmaxRead

MANY_SCORES = 2**20
"""Up to this many, 4 MB, a CPU's cache holds the scores of all encoders at once."""


def causal_mask(query_lengths: Tensor, source_lengths: Tensor, time: int) -> Tensor:
    """Return which source step each query step may read: bool (..., time, time), from lengths (...).

    Query step i of a sequence of length n may read source step j of a sequence of length k if j is
    valid and not later in relative time: j / k < (i + 1) / n. With equal lengths this is j <= i, and
    the last valid query step always sees the whole source, however the two lengths differ.

    >>> causal_mask(torch.tensor(2), torch.tensor(4), time=4)[:2].int()  # 2 query steps share out 4 source steps
    tensor([[1, 1, 0, 0],
            [1, 1, 1, 1]], dtype=torch.int32)
    """
    step = torch.arange(time, device=query_lengths.device)
    n, k = query_lengths[..., None, None], source_lengths[..., None, None]
    allowed = (step * n < (step[:, None] + 1) * k) & (step < k)  # Eq. (18)
    return allowed | (step == 0)  # a row without any key would make the softmax undefined


def additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn what may be read, bool, into what is added to the scores: 0, or -inf where not. Floats are left alone."""
    if allowed.dtype != torch.bool:
        return allowed
    return torch.zeros(allowed.shape, device=allowed.device, dtype=dtype).masked_fill_(~allowed, -math.inf)


def position_code(valid: Tensor, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return sinusoidal positions (..., time, width): sines then cosines, position 1, 2, ...; zero where not valid.

    Frequencies are exp(-i ln(10000) / (width/2 - 1)), i = 0 .. width/2 - 1 (Vaswani et al., 2017, as in MulT).
    """
    half, time = width // 2, valid.shape[-1]
    index = torch.arange(half, device=valid.device, dtype=dtype)
    frequency = torch.exp(-index * (math.log(10000) / max(half - 1, 1)))
    angle = torch.arange(1, time + 1, device=valid.device, dtype=dtype)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=-1) * valid[..., None]  # Eq. (16)


def pick_step(x: Tensor, step: Tensor) -> Tensor:
    """Return x[..., step, :] as (..., 1, channels): x (..., time, channels), one step number per sequence (...)."""
    return x.gather(-2, step[..., None, None].expand(*step.shape, 1, x.shape[-1]))


class CrossModalAttention(nn.Module):
    """Multi-head attention of `groups` encoders: softmax(q k^T / sqrt(head width)) v, with an output map.

    `dropout` holds one attention dropout rate per group. Shapes (groups, batch, time, width); `allowed` says which
    source steps a query may read, (groups, batch, queries, sources), bool or as `additive` gives it.
    """

    kept_share: Tensor

    def __init__(self, groups: int, width: int, heads: int, dropout: tuple[float, ...]) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.to_query = GroupedLinear(groups, width, width)
        self.to_key_value = GroupedLinear(groups, width, 2 * width)
        self.out = GroupedLinear(groups, width, width)
        share = torch.tensor([kept_share(rate) for rate in dropout]).view(-1, 1, 1, 1, 1)
        self.register_buffer("kept_share", share, persistent=False)

    def forward(self, query: Tensor, source: Tensor, allowed: Tensor) -> Tensor:
        q, k, v = self.project(query, source)
        scores = q[..., 0].numel() * k.shape[-2]
        in_cache = computes_on_cpu(q) and (self.training or scores > MANY_SCORES)
        read = (self.read_in_cache if in_cache else self.read)(q, k, v, allowed)
        return self.out(read.transpose(2, 3).flatten(3))  # heads side by side again

    def read(self, q: Tensor, k: Tensor, v: Tensor, allowed: Tensor) -> Tensor:
        """Return the weighted values (groups, batch, heads, queries, head width)."""
        weights = self.weights(q, k, allowed)
        if self.training and any(self.dropout):
            weights = weights * keep_mask(weights, self.dropout)
            v = v / self.kept_share.to(v.dtype)  # inverted dropout, scaled where the tensor is small
        return weights @ v  # Eq. (17), head by head; `out` then mixes the heads

    def read_in_cache(self, q: Tensor, k: Tensor, v: Tensor, allowed: Tensor) -> Tensor:
        """The same as `read`, several times as fast on a CPU."""
        rates = self.dropout if self.training else (0.0,) * len(q)
        q, k, v = ((x.transpose(-1, -2).contiguous()) for x in (q / math.sqrt(q.shape[-1]), k, v))
        return SoftmaxRead.apply(q, k, v, additive(allowed, q.dtype)[:, :, None], rates).transpose(-1, -2)

    def weights(self, q: Tensor, k: Tensor, allowed: Tensor) -> Tensor:
        """Return the attention weights (groups, batch, heads, queries, sources); each row sums to 1."""
        scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(-1, -2)
        return scores.add_(additive(allowed, scores.dtype)[:, :, None]).softmax(dim=-1)

    def project(self, query: Tensor, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each (groups, batch, heads, time, head width)."""
        q = self.to_query(query)
        k, v = self.to_key_value(source).chunk(2, dim=-1)
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(2, 3) for x in (q, k, v))
        return q, k, v


class EncoderLayer(nn.Module):
    """Pre-norm layer: x + attention(norm(x), norm(source)), then x + MLP(norm'(x)) with a ReLU MLP four times as wide.

    As in the published code one layer norm serves query, key and value.
    """

    def __init__(self, groups: int, width: int, heads: int, dropout: tuple[float, ...]) -> None:
        super().__init__()
        self.attention_norm = GroupedLayerNorm(groups, width)
        self.attention = CrossModalAttention(groups, width, heads, dropout)
        self.mlp_norm = GroupedLayerNorm(groups, width)
        self.widen = GroupedLinear(groups, width, 4 * width)
        self.narrow = GroupedLinear(groups, 4 * width, width)

    def forward(self, x: Tensor, source: Tensor | None, allowed: Tensor) -> Tensor:
        query = self.attention_norm(x)
        # Eq. (19)
        x = x + self.attention(query, query if source is None else self.attention_norm(source), allowed)
        if self.training and computes_on_cpu(x):  # not kept but computed again when needed: wide, and cheap
            return x + checkpoint(self.mlp, x, use_reentrant=False, preserve_rng_state=False)
        return x + self.mlp(x)

    def mlp(self, x: Tensor) -> Tensor:
        """Return the update of each step alone, a ReLU network of one hidden layer."""
        return self.narrow(self.widen(self.mlp_norm(x), relu=True))


class Encoder(nn.Module):
    """`groups` transformer encoders side by side, cross-modal if a source is given, else self-attending.

    Inputs are scaled by sqrt(width) and get a position code. The source is read unchanged by every layer.
    """

    def __init__(
        self,
        groups: int,
        width: int,
        heads: int,
        layers: int,
        dropout: tuple[float, ...],
        embedding_dropout: float,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(groups, width, heads, dropout) for _ in range(layers))
        self.norm = GroupedLayerNorm(groups, width)
        self.embedding_dropout = embedding_dropout

    def embed(self, x: Tensor, valid: Tensor) -> Tensor:
        """Scale by sqrt(width), add the position code: (groups, batch, time, width), valid (groups, batch, time)."""
        code = position_code(valid, x.shape[-1], torch.promote_types(x.dtype, torch.float32))
        embedded = math.sqrt(x.shape[-1]) * x + code.to(x.dtype)
        return dropout(embedded, self.embedding_dropout, self.training)

    def forward(
        self,
        x: Tensor,
        valid: Tensor,
        allowed: Tensor,
        source: Tensor | None = None,
        source_valid: Tensor | None = None,
        only: Tensor | None = None,
    ) -> Tensor:
        """Encode x (groups, batch, time, width).

        Args:
            valid, source_valid: steps that get a position, (groups, batch, time) bool.
            allowed: bool (groups, batch, time, time).
            source: what every layer reads; None: itself.
            only: one step per sequence, (groups, batch). The last layer computes no other; the result is then
                (groups, batch, 1, width).
        """
        x, allowed = self.embed(x, valid), additive(allowed, x.dtype)
        if source is not None:
            source = self.embed(source, valid if source_valid is None else source_valid)
        *first, last = self.layers
        for layer in first:
            x = layer(x, source, allowed)
        if only is None:
            return self.norm(last(x, source, allowed))
        read = x if source is None else source
        return self.norm(last(pick_step(x, only), read, pick_step(allowed, only)))
