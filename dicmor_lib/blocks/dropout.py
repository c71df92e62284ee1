"""Dropout that costs a fraction of a Bernoulli draw per number: 8 random bits each, compared with a threshold.

A rate is met to within 1/512. What is kept is scaled by one over the share that really is kept, `kept_share`,
so the expectation is exact.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 256


def threshold(rate: float) -> int:
    """Return the smallest level in -128 .. 127 that is kept when a share of `rate` is dropped."""
    return min(round(rate * LEVELS), LEVELS - 1) - LEVELS // 2


def kept_share(rate: float) -> float:
    """Return the probability, a multiple of 1/256, with which `threshold(rate)` keeps a number."""
    return 0.5 - threshold(rate) / LEVELS


def random_levels(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Draw int8 numbers, uniform in -128 .. 127, from torch's generator of the device; eight to one 64-bit draw."""
    count = math.prod(shape)
    draws = torch.empty(-(-count // 8), dtype=torch.int64, device=device).random_(-(2**63), None)
    return draws.view(torch.int8)[:count].view(shape)


def dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    """Set a share of `rate` of the numbers to zero and scale the others up, in training only."""
    if not training or rate == 0:
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, rate)
    keep = torch.ge(random_levels(x.shape, x.device), threshold(rate), out=torch.empty_like(x))
    return x * keep.mul_(1 / kept_share(rate))


def keep_mask(like: Tensor, rates: tuple[float, ...]) -> Tensor:
    """Return a bool mask shaped `like`, False with probability rates[g] for the entries of group g (first axis)."""
    if torch.compiler.is_compiling():  # a compiler fuses the plain draw, and cannot follow `random_levels`
        plain = (torch.rand_like(x, dtype=torch.float32) < kept_share(rate) for x, rate in zip(like, rates))
        return torch.stack(list(plain))
    levels = random_levels(like.shape, like.device)
    return torch.stack([levels[g] >= threshold(rate) for g, rate in enumerate(rates)])
