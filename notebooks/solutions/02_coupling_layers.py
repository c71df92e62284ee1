"""Solutions of chapter 2, coupling layers; each says why it works. The tests run them against the checks."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def amplification(layers: int, raw: float) -> float:
    """2.1: an inverse layer divides by s = sigmoid(raw + 2), and dividing by s is multiplying by 1 + exp(-raw - 2).

    Factors of layers in a row multiply, so twice the layers square the factor: 58 becomes 3371.
    """
    return (1 + math.exp(-(raw + 2))) ** layers


def shift_first(x_b: Tensor, s: Tensor, t: Tensor) -> Tensor:
    """2.2, the way there: shift, then scale. It is Eq. (1) with the shift s * t instead of t."""
    return (x_b + t) * s


def undo_shift_first(y_b: Tensor, s: Tensor, t: Tensor) -> Tensor:
    """2.2, the way back: the scale came last, so it is undone first."""
    return y_b / s - t


def undo_with_log_det(layer, y_a: Tensor, y_b: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """2.3: the Jacobian of the inverse is the inverse of the Jacobian, so its log-determinant changes sign.

    Steps behind a clip's length are padding. They are not data, so their volume must not count.
    """
    log_s, t = layer.log_scale_and_shift(y_a)
    x_b = (y_b - t) / log_s.exp()
    valid = torch.arange(y_a.shape[1]) < lengths[:, None]  # (batch, time)
    log_det = -(log_s.sum(-1) * valid).sum(-1)
    return x_b, log_det


def moved(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """2.4: row i of the Jacobian holds the derivatives of output i. A copy of input i has the row of the identity.

    A transformed channel differs from it on the diagonal (its scale) or beside it (the network's derivative), even
    where its value happens to stay the same.
    """
    jacobian = torch.func.jacrev(f)(x)
    identity = torch.eye(len(x), dtype=x.dtype)
    return ((jacobian - identity).abs() > 1e-9).any(dim=1)


def network(x_a: Tensor, mean: Callable, sd: Callable) -> tuple[Tensor, Tensor]:
    """2.5: (x_b - mean) / sd is standard normal, and it is s x_b + t with s = 1 / sd and t = -mean / sd.

    So a coupling layer can standardise x_b given x_a exactly, whatever the two functions are: they are only ever
    evaluated, never inverted.
    """
    mu, sigma = mean(x_a), sd(x_a)
    return -sigma.log(), -mu / sigma


def scale(r: Tensor) -> tuple[Tensor, Tensor]:
    """2.6, one of many: log s = r / (1 + |r|) lies between -1 and 1 and never stops rising.

    Its gradient 1 / (1 + |r|)^2 fades like a power of r, where that of tanh fades exponentially: a layer that went
    too far finds its way back. s is made from log s, so that the two always agree.
    """
    log_s = r / (1 + r.abs())
    return log_s.exp(), log_s


ANSWERS: dict[str, tuple] = {
    "2.1": (amplification,),
    "2.2": (shift_first, undo_shift_first),
    "2.3": (undo_with_log_det,),
    "2.4": (moved,),
    "2.5": (network,),
    "2.6": (scale,),
}
