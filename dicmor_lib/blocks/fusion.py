"""Fusion T: the multimodal transformer that turns three feature sequences into one sentiment (MulT, Tsai et al. 2019).

Six cross-modal encoders (each modality reads each other one), three self encoders, the last valid
step of each, a residual MLP and one linear output (supplement 3).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dicmor_lib.blocks.attention import Encoder, causal_mask

QUERIES: tuple[int, ...] = (0, 0, 1, 1, 2, 2)
"""Query modality of each of the six cross-modal encoders (0 language, 1 audio, 2 vision) ..."""
SOURCES: tuple[int, ...] = (1, 2, 0, 2, 0, 1)
"""... and the source modality it reads from."""


def pick(x: Tensor, modalities: tuple[int, ...]) -> Tensor:
    """Return x[modalities] without an index tensor, which a GPU would have to be sent and waited for."""
    return torch.stack([x[m] for m in modalities])


class MultimodalTransformer(nn.Module):
    """Shallow features (3, batch, time, width) and lengths (batch, 3) to a prediction (batch,).

    Args:
        width, heads, layers: hidden dimension, attention heads and layers of T^m (Table 1).
        attention_dropout: rate per source modality (language, audio, vision).
        self_follows: whose rate the self encoders use, "own" or "language" (published code).
        honour_lengths: mask padding and read the last valid step; otherwise every step counts, and a step
            whose first channel is exactly 0 gets no position (published code).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        layers: int,
        attention_dropout: tuple[float, float, float] = (0.0, 0.0, 0.0),
        embedding_dropout: float = 0.0,
        output_dropout: float = 0.0,
        *,
        self_follows: str = "own",
        honour_lengths: bool = True,
    ) -> None:
        super().__init__()
        self.honour_lengths, self.output_dropout = honour_lengths, output_dropout
        cross_rates = tuple(attention_dropout[source] for source in SOURCES)
        self_rates = tuple(attention_dropout) if self_follows == "own" else (attention_dropout[0],) * 3
        self.cross = Encoder(6, width, heads, layers, cross_rates, embedding_dropout)
        self.memory = Encoder(3, 2 * width, heads, layers, self_rates, embedding_dropout)
        self.hidden1 = nn.Linear(6 * width, 6 * width)
        self.hidden2 = nn.Linear(6 * width, 6 * width)
        self.output = nn.Linear(6 * width, 1)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        last = lengths.t().clamp(min=1) - 1  # (3, batch)
        h = self.memories(x, lengths, only=last).squeeze(2).permute(1, 0, 2).flatten(1)  # (batch, 6 * width)
        residual = self.hidden2(F.dropout(F.relu(self.hidden1(h)), self.output_dropout, self.training))
        return self.output(h + residual).squeeze(-1)

    def memories(self, x: Tensor, lengths: Tensor, only: Tensor | None = None) -> Tensor:
        """Return each modality after reading the two others: (3, batch, time, 2 * width).

        `only`: the one step of each sequence that is wanted, (3, batch); time is then 1.
        """
        time, by_modality = x.shape[2], lengths.t().clamp(min=1)  # (3, batch)
        query, source = pick(x, QUERIES), pick(x, SOURCES)  # (6, batch, time, width)
        n, k = pick(by_modality, QUERIES), pick(by_modality, SOURCES)
        crossed = self.cross(
            query, self._valid(query, n), causal_mask(n, k, time), source, self._valid(source, k)
        )
        # the two encoders of a query stand side by side in the channels: [l with a, l with v], ...
        pairs = crossed.unflatten(0, (3, 2)).permute(0, 2, 3, 1, 4).flatten(3)  # (3, batch, time, 2 * width)
        allowed = causal_mask(by_modality, by_modality, time)
        return self.memory(pairs, self._valid(pairs, by_modality), allowed, only=only)

    def _valid(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Which steps get a position: (groups, batch, time)."""
        if not self.honour_lengths:
            return x[..., 0] != 0
        return torch.arange(x.shape[2], device=x.device) < lengths[..., None]
