"""Dropout that costs a fraction of a Bernoulli draw per number: 16 random bits each, compared with a threshold."""

from __future__ import annotations

import torch
from torch import Tensor

LEVELS = 2**16


def keep_mask(like: Tensor, rates: tuple[float, ...]) -> Tensor:
    """Return a bool mask shaped `like`, False with probability rates[g] for the entries of group g (first axis).

    The bits come from torch's generator of the tensor's device, four 16-bit numbers to one 64-bit draw; a rate is
    met to within 1 / 65536.
    """
    draws = torch.empty(like.numel() // 4 + 1, dtype=torch.int64, device=like.device).random_(-(2**63), None)
    bits = draws.view(torch.int16)[: like.numel()].view(like.shape)
    thresholds = [min(round(rate * LEVELS), LEVELS - 1) - LEVELS // 2 for rate in rates]
    threshold = torch.tensor(thresholds, dtype=torch.int16, device=like.device)
    return bits >= threshold.view(-1, *(1,) * (like.dim() - 1))
