"""Solutions to the exercises of chapter 11. Read them after you have tried: `check` says what is wrong with yours."""

from __future__ import annotations

import torch
from torch import Tensor


# Exercise 11.1. Each of batch * time rows meets inputs * outputs weights, with a multiplication and an addition each.
def flops(batch: int, time: int, inputs: int, outputs: int) -> int:
    return 2 * batch * time * inputs * outputs


# Exercise 11.2. Rates are compared, so that the two may differ in what they compute; the product does 2 * 2048^3.
def share(flop: float, seconds: float, product_seconds: float) -> float:
    return (flop / seconds) / (2 * 2048**3 / product_seconds)


# Exercise 11.3. Clips and steps are rows alike, so (3, batch * time, inputs) meets (3, inputs, outputs) in one batched product.
def wide(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    rows = x.flatten(1, 2)  # (3, batch * time, inputs)
    y = torch.baddbmm(bias[:, None], rows, weight)
    return y.unflatten(1, x.shape[1:3])


# Exercise 11.4. Totals and counts can be added over processes; means cannot.
def combine(totals: Tensor, counts: Tensor) -> Tensor:
    return totals.sum() / counts.sum().clamp(min=1)


# Exercise 11.5. Times add up: what was untouched, and the part at its new speed.
def speed_up(part: float, factor: float) -> float:
    return 1 / (1 - part + part / factor)


# Exercise 11.6. bf16 has 8 bits of precision: beyond 256 an added 1 is rounded away. So the values become float32 first.
def mean(x: Tensor, lengths: Tensor) -> Tensor:
    inside = torch.arange(x.shape[1]) < lengths[:, None]  # (batch, time)
    return (x.float() * inside[..., None]).sum(1) / lengths[:, None]


# Exercise 11.7. Two runs at a time, one on each GPU. If one run is left over, it gets both.
def plan(runs: int, hours: float, worth: dict[int, float]) -> list[tuple[float, int, int]]:
    schedule = [(hours * (run // 2), run, 1) for run in range(runs - runs % 2)]
    if runs % 2:
        schedule.append((hours * (runs // 2), runs - 1, 2))
    return schedule


ANSWERS: dict[str, tuple] = {
    "11.1": (flops,),
    "11.2": (share,),
    "11.3": (wide,),
    "11.4": (combine,),
    "11.5": (speed_up,),
    "11.6": (mean,),
    "11.7": (plan,),
}
