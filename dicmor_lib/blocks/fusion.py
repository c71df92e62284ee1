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
        h = self.last_steps(self.memories(x, lengths), lengths)
        residual = self.hidden2(F.dropout(F.relu(self.hidden1(h)), self.output_dropout, self.training))
        return self.output(h + residual).squeeze(-1)

    def memories(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return each modality after reading the two others: (3, batch, time, 2 * width)."""
        query, source = x[list(QUERIES)], x[list(SOURCES)]  # (6, batch, time, width)
        by_modality = lengths.t().clamp(min=1)  # (3, batch)
        read = by_modality[list(QUERIES)], by_modality[list(SOURCES)]
        time = x.shape[2]
        crossed = self.cross(
            query, self._valid(query, read[0]), causal_mask(*read, time), source, self._valid(source, read[1])
        )
        # the two encoders of a query stand side by side in the channels: [l with a, l with v], ...
        pairs = crossed.unflatten(0, (3, 2)).permute(0, 2, 3, 1, 4).flatten(3)  # (3, batch, time, 2 * width)
        return self.memory(
            pairs, self._valid(pairs, by_modality), causal_mask(by_modality, by_modality, time)
        )

    def last_steps(self, h: Tensor, lengths: Tensor) -> Tensor:
        """Return the last valid step of each modality, side by side: (batch, 6 * width)."""
        last = (lengths.t().clamp(min=1) - 1)[..., None, None].expand(
            -1, -1, 1, h.shape[-1]
        )  # (3, batch, 1, 2w)
        return h.gather(2, last).squeeze(2).permute(1, 0, 2).flatten(1)

    def _valid(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Which steps get a position: (groups, batch, time)."""
        if not self.honour_lengths:
            return x[..., 0] != 0
        return torch.arange(x.shape[2], device=x.device) < lengths[..., None]
