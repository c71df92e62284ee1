"""Floating-point operations of a call: torch's counter, completed by operators that it does not know."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import (
    FlopCounterMode,
    flop_registry,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

aten = torch.ops.aten


def _product(_: Any, a: Any, b: Any, *__: Any, **___: Any) -> int:
    return 2 * math.prod(a) * b[-1]  # (..., m, k) and (..., k, n): these functions are given shapes


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


FURTHER: dict[Any, Callable[..., int]] = {
    aten.addmm_: _product,
    aten.baddbmm_: _product,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
"""Formulas for operators that torch's registry lacks (2.13)."""
PRODUCT_NAMES = ("mm", "dot", "conv", "linear", "attention", "mv", "einsum", "lstm", "gru")
"""Parts of the names of operators that multiply matrices."""


def count_flops(call: Callable[[], object]) -> int:
    """Operations of the matrix products in `call`, backward passes included; a multiply-add counts as two."""
    with FlopCounterMode(display=False, custom_mapping=FURTHER) as counter:
        call()
    return counter.get_total_flops()


def uncounted_products(call: Callable[[], object]) -> set[str]:
    """Names of the operators in `call` that look like matrix products and are not counted."""
    seen: set[str] = set()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            packet = function._overloadpacket
            name = str(packet).removeprefix("aten.").strip("_")
            like_a_product = any(part in name.split("_") or name.endswith(part) for part in PRODUCT_NAMES)
            if like_a_product and packet not in flop_registry and packet not in FURTHER:
                seen.add(str(packet))
            return function(*args, **(kwargs or {}))

    with Watch():
        call()
    return seen
