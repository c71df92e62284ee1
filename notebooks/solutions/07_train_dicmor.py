"""Solutions to the exercises of chapter 7. Read them after you have tried: `check` says what is wrong with yours."""

from __future__ import annotations

import math

import torch
from torch import Tensor


# Exercise 7.1. L_rec is a mean over the modalities that were recovered at all. With complete clips there are none, and
# `clamp` keeps the division from being 0 / 0.
def loss(task: float, nll: Tensor, errors: Tensor, counts: Tensor, a: float, b: float) -> float:
    recovered = (counts > 0).sum().clamp(min=1)
    return float(task + a * nll.sum() + b * errors.sum() / recovered)


# Exercise 7.2. Patience counts epochs in a row without a new best. `<` and not `<=`: of equal errors the earlier epoch,
# which was trained for less time, is kept.
def select(valid: list[float], patience: int) -> tuple[int, int]:
    best, best_epoch = math.inf, 0
    for epoch, error in enumerate(valid, start=1):
        if error < best:
            best, best_epoch = error, epoch
        elif epoch - best_epoch >= patience:
            return best_epoch, epoch
    return best_epoch, len(valid)


# Exercise 7.3. One factor for all gradients keeps the direction of the step, and `min` keeps small ones as they are.
def clip(gradients: list[Tensor], limit: float) -> list[Tensor]:
    norm = torch.sqrt(sum(g.square().sum() for g in gradients))
    factor = (limit / norm).clamp(max=1)
    return [g * factor for g in gradients]


# Exercise 7.4. A target exists (observed), was hidden (not available), and is no padding (below the length).
def weights(available: Tensor, observed: Tensor, lengths: Tensor, time: int) -> Tensor:
    inside = torch.arange(time) < lengths[..., None]  # (batch, 3, time)
    return (inside & (observed & ~available)[..., None]).float()


# Exercise 7.5. x -> s x stretches a volume of D dimensions by s^D, so its density is divided by s^D and its NLL
# grows by D ln s nats: log2(s) bits for each dimension.
def nll_after(nll: float, scale: float, channels: int) -> float:
    return nll + math.log2(scale)


# Exercise 7.6. A straight line up over the first tenth, half a cosine down to 5 % of the base rate: smooth at both ends.
def rate(step: int, total: int, base: float) -> float:
    warm = max(1, total // 10)
    if step < warm:
        return base * (step + 1) / warm
    done = (step - warm) / max(1, total - 1 - warm)
    return base * (0.05 + 0.95 * (1 + math.cos(math.pi * done)) / 2)


ANSWERS: dict[str, tuple] = {
    "7.1": (loss,),
    "7.2": (select,),
    "7.3": (clip,),
    "7.4": (weights,),
    "7.5": (nll_after,),
    "7.6": (rate,),
}
