"""A BERT as a module that gives language features: last hidden states, laid out as the readers lay out features."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dicmor_lib.language.tokens import token_span

ARCHITECTURE: tuple[str, ...] = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
)
ARCHITECTURE += ("hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob", "layer_norm_eps")
ARCHITECTURE += ("max_position_embeddings", "type_vocab_size", "initializer_range", "pad_token_id")
"""The entries of a BERT's config.json that say what it computes; no others are ever used or stored."""


class LanguageEncoder(nn.Module):
    """A Hugging Face `BertModel` and where it came from; `load_encoder` makes one.

    Attributes:
        bert: the model itself, without its pooling layer.
        source: the folder or hub name that it was loaded from.
    """

    def __init__(self, bert: nn.Module, source: str) -> None:
        super().__init__()
        self.bert: Any = bert
        self.source = source

    @property
    def channels(self) -> int:
        """Channels of the language features: BERT's hidden size."""
        return self.bert.config.hidden_size

    @property
    def architecture(self) -> dict[str, Any]:
        """The entries `ARCHITECTURE` of the model's configuration: plain values, ready for JSON."""
        return {name: getattr(self.bert.config, name) for name in ARCHITECTURE}

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    def forward(self, tokens: Tensor, time: int, published_layout: bool = False) -> Tensor:
        """Return language features (B, time, d) of tokens (B, 3, T) int64, which must be on the CPU.

        Sequences start at step 0 and are 0 where nothing was attended to; `time` must hold the longest one. The
        positions that BERT sees are those of the file. The content of what is not attended to has no influence.

        published_layout: as the published code does: nothing is moved, and the hidden states of padding stay.
        """
        first, length = token_span(tokens.numpy())
        if published_layout:
            first = np.zeros_like(first)
        else:  # padding behind the last token of the batch changes nothing and is left out
            tokens = tokens[..., : max(int((first + length).max(initial=1)), 1)]
        ids, mask, segments = tokens.to(self.device, non_blocking=True).unbind(1)
        attend = mask.bool()
        if not published_layout:
            ids, segments = ids * mask, segments * mask  # so that padding may hold any number
        # A sequence without tokens may look at one step, since a softmax over nothing is NaN.
        look = attend.clone()
        look[:, 0] |= ~attend.any(1)
        found = self.bert(input_ids=ids, attention_mask=look, token_type_ids=segments)
        hidden = found.last_hidden_state.float()
        if published_layout:
            return _resized(hidden, time)
        hidden = torch.where(attend[..., None], hidden, 0.0)
        return _resized(_shifted(hidden, torch.from_numpy(first).to(hidden.device)), time)

    def fingerprint(self) -> str:
        """SHA-256 over the architecture and every weight, 64 hexadecimal digits."""
        found = hashlib.sha256(json.dumps(self.architecture, sort_keys=True).encode())
        for name, value in sorted(self.bert.state_dict().items()):
            found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            found.update(value.detach().cpu().contiguous().numpy().data)
        return found.hexdigest()

    def about(self) -> dict[str, Any]:
        """What a training run stores about the encoder of its language features; ready for JSON."""
        return {"source": self.source, "sha256": self.fingerprint(), "architecture": self.architecture}

    def save(self, folder: str | Path) -> None:
        """Write a folder (config.json, model.safetensors) that `load_encoder` and transformers read."""
        from dicmor_lib.training.atomic import explain_os_errors

        with explain_os_errors(f"the BERT to {folder}"):
            self.bert.save_pretrained(folder, safe_serialization=True)


def _shifted(x: Tensor, first: Tensor) -> Tensor:
    """x (B, T, d) with step first[b] of each sequence moved to step 0; zeros follow."""
    steps = torch.arange(x.shape[1], device=x.device) + first[:, None]  # (B, T): which step comes here
    moved = x.gather(1, steps.clamp(max=x.shape[1] - 1)[..., None].expand_as(x))
    return torch.where((steps < x.shape[1])[..., None], moved, 0.0)


def _resized(x: Tensor, time: int) -> Tensor:
    """x (B, T, d) cut, or padded with zeros, to (B, time, d)."""
    return nn.functional.pad(x[:, :time], (0, 0, 0, max(time - x.shape[1], 0)))
