"""Solutions to the exercises of chapter 3, each with the reason why it is right."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Layer = Callable[[Tensor], tuple[Tensor, Tensor]]


def log_density(x: Tensor, k: float, m: float) -> Tensor:
    """3.1: Eq. (7) with one dimension, whose Jacobian is the number k.

    The bars matter: a mirrored axis stretches as much as an unmirrored one. Where |k| > 1, a wide range of z comes from a
    narrow range of x, so the same probability is denser there: the logarithm is added.
    """
    z = k * x + m
    return -0.5 * z**2 - 0.5 * math.log(2 * math.pi) + math.log(abs(k))


def in_other_units(nll: float, factor: float) -> float:
    """3.2: u = factor * x in d dimensions has log p(u) = log p(x) - d ln(factor).

    Negated, divided by d and by ln 2, that adds log2(factor) bits per dimension, whatever the model and the data are.
    """
    return nll + math.log2(factor)


def prior_log_prob(z: Tensor, label: Tensor, mean: Tensor, log_sd: Tensor) -> Tensor:
    """3.3: Eq. (6). The row of a clip is its rounded label counted from class -3.

    `row, None` gives (batch, 1, channels), which broadcasts over time: a class has one Gaussian for all steps. Channels are
    independent under a diagonal covariance, so their densities multiply and the logarithms are summed.
    """
    row = label.round().long() + 3
    mean, log_sd = mean[row, None], log_sd[row, None]
    standard = (z - mean) / log_sd.exp()
    return -(0.5 * standard**2 + log_sd + 0.5 * math.log(2 * math.pi)).sum(-1)


def compose(layers: list[Layer], x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """3.4: Eq. (5). The name x is bound to the result of each layer, so the next one sees what the data have become.

    Its log-determinant is taken there too. Steps are transformed alone, so the Jacobian of a clip is block-diagonal and the
    log-determinants of its valid steps add up.
    """
    log_det = x.new_zeros(x.shape[:-1])
    for layer in layers:
        x, account = layer(x)
        log_det = log_det + account
    return x, (log_det * mask).sum(-1)


def bits_per_dimension(log_prob: Tensor, mask: Tensor, channels: int) -> Tensor:
    """3.5: Eq. (20). Both sums come first and the division once, so every value weighs the same, whatever clip it is in.

    A bit is ln 2 = 0.69 nats, so there are more bits than nats: divide by ln 2.
    """
    return -log_prob.sum() / (math.log(2) * mask.sum() * channels)


def collapse_two(log_s1: Tensor, t1: Tensor, log_s2: Tensor, t2: Tensor) -> tuple[Tensor, Tensor]:
    """3.6: s2 (s1 x + t1) + t2 = (s2 s1) x + (s2 t1 + t2).

    That both layers read the same x_a is what makes s and t plain numbers here. If the halves alternated, the second
    layer's s would depend on the first one's output, and nothing could be collected.
    """
    return log_s1 + log_s2, log_s2.exp() * t1 + t2


def mix(x: Tensor, weight: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """3.7: det(W^T W) = det(W)^2, so the colleague's logarithm was twice too large; slogdet takes |det W| directly.

    Padding was counted as if it were part of the clip, and y was not 0 there: each clip has mask.sum(-1) steps.
    """
    log_det = torch.linalg.slogdet(weight).logabsdet * mask.sum(-1)
    return (x @ weight) * mask[..., None], log_det


def posterior(log_prob: Tensor, frequency: Tensor) -> Tensor:
    """3.8: the numerator's logarithm is a sum, and softmax divides by the sum over the classes.

    It subtracts the row's maximum before it exponentiates, which cancels in the quotient: the largest term becomes
    exp(0) = 1, so nothing that matters underflows.
    """
    return (log_prob + frequency.log()).softmax(dim=-1)


class Mixer:
    """3.9: a reflection at the hyperplane orthogonal to v, y = x - 2 (x . v) v (Householder).

    It is its own inverse. Its determinant is -1, so log|det| is 0. Channel j of y receives -2 v_i v_j times channel i of x,
    which is not 0, so every channel meets every other; it costs 2 d multiplications where a matrix costs d^2.
    """

    def __init__(self, channels: int) -> None:
        v = torch.arange(1, channels + 1, dtype=torch.float64)
        self.v = v / v.norm()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        v = self.v.to(x)
        return x - 2 * (x @ v)[..., None] * v, x.new_zeros(x.shape[:-1])

    def inverse(self, y: Tensor) -> Tensor:
        return self.forward(y)[0]


ANSWERS: dict[str, tuple] = {
    "3.1": (log_density,),
    "3.2": (in_other_units,),
    "3.3": (prior_log_prob,),
    "3.4": (compose,),
    "3.5": (bits_per_dimension,),
    "3.6": (collapse_two,),
    "3.7": (mix,),
    "3.8": (posterior,),
    "3.9": (Mixer,),
}
