"""Flows stay in full precision under autocast: 32 layers multiply rounding errors, and the inverse divides by them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def full_precision(method: Callable[..., Any]) -> Callable[..., Any]:
    """Run a module's method outside autocast, with half-precision inputs widened to float32 (float64 is kept)."""

    @functools.wraps(method)
    def wrapped(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if x.dtype in (torch.float16, torch.bfloat16):
            x = x.float()
        with torch.autocast(x.device.type, enabled=False):
            return method(self, x, *args, **kwargs)

    return wrapped


def computes_on_cpu(x: Tensor) -> bool:
    """Whether x is computed on a CPU in full precision, operation by operation: what the hand-written passes are for.

    A compiler fuses the plain formulas better, and autocast knows only them.
    """
    full = x.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
    return x.device.type == "cpu" and full and not torch.compiler.is_compiling()
