"""The terms of the training objective, each a pure function of tensors.

L = L1(y^, y) + a * (NLL_language + NLL_audio + NLL_vision) + b * L_rec + c * L_dist, with the negative
log-likelihoods in bits per dimension. The published code has a = b = 0.1; ours has b = 1, see
`DiCMoRConfig.recovery_weight`. L_dist is ours and optional: c = 0 by default, `DiCMoRConfig.distance_weight`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dicmor_lib.config import DiCMoRConfig
from dicmor_lib.modalities import MODALITIES

EPSILON = 1e-6
"""Added to variances before the root, whose slope at 0 is infinite."""


@dataclass(frozen=True)
class Term:
    """A mean kept as its sum and its count, so that several processes can add both before dividing.

    `floor` bounds the value from below (the published code's clamp of the NLL at 0); None: no bound.

    >>> Term(total=torch.tensor(6.0), count=torch.tensor(4)).value
    tensor(1.5000)
    """

    total: Tensor
    count: Tensor
    floor: float | None = None

    @property
    def sum(self) -> Tensor:
        """What a mean over several batches adds up, to be divided by the added counts."""
        return self.total

    @property
    def value(self) -> Tensor:
        """The mean, 0 if nothing was counted."""
        mean = self.total / self.count.clamp(min=1)
        return mean if self.floor is None else mean.clamp(min=self.floor)


def task_term(prediction: Tensor, label: Tensor) -> Term:
    """L1 distance of predictions and labels, both (batch,)."""
    return Term((prediction - label).abs().sum(), prediction.new_full((), label.numel()))


def nll_term(log_prob: Tensor, steps: Tensor, channels: int, floor: float | None = None) -> Term:
    """Negative log-likelihood of one modality in bits per dimension.

    NLL = -sum log p(x given c) / (ln 2 * number of values); `log_prob` (batch,) in nats, `steps` (batch,) the number of
    valid steps. A sample with 0 steps must have log_prob 0: it counts for nothing.
    """
    # Eq. (20)
    return Term(-log_prob.sum() / math.log(2), (steps.sum() * channels).to(log_prob.dtype), floor)


def recovery_term(recovered: Tensor, target: Tensor, steps: Tensor) -> Term:
    """Mean squared error of one modality's recovered to its real shallow features.

    `recovered` and `target` are (batch, time, channels); `steps` (batch, time) is 1 where a recovered step
    has a real one to compare with, else 0.
    """
    squared = (recovered - target).square().mean(-1) * steps
    return Term(squared.sum(), steps.sum().to(squared.dtype))


@dataclass(frozen=True)
class Moments(Term):
    """The distance of recovered from real features, kept as moments that several processes can add.

    `total` (4, channels) holds the sums of x^, x^^2, x and x^2 over `count` steps.
    """

    @property
    def sum(self) -> Tensor:
        return self.value * self.count

    @property
    def value(self) -> Tensor:
        """Squared 2-Wasserstein distance of the two Gaussians with these means and deviations, channel mean.

        W2^2(N(m^, s^^2), N(m, s^2)) = (m^ - m)^2 + (s^ - s)^2
        """
        mean_hat, square_hat, mean, square = (self.total / self.count.clamp(min=1)).unbind()
        sd_hat, sd = (
            ((q - m.square()).clamp(min=0) + EPSILON).sqrt()
            for q, m in ((square_hat, mean_hat), (square, mean))
        )
        return ((mean_hat - mean).square() + (sd_hat - sd).square()).mean()


def distance_term(recovered: Tensor, target: Tensor, steps: Tensor) -> Moments:
    """How far the law of one modality's recovered features is from that of the real ones; shapes as `recovery_term`.

    Squared error alone pulls D^m towards the conditional mean, whose law is narrower than that of the data. Matching
    the first two moments of each channel over the batch gives the width back at little cost in squared error.
    """
    both = torch.cat([recovered, target], dim=-1)
    both = both.to(torch.promote_types(both.dtype, torch.float32)) * steps[..., None]
    sums = torch.stack([both.sum((0, 1)), both.square().sum((0, 1))])  # (2, 2 * channels)
    return Moments(sums.unflatten(1, (2, -1)).transpose(0, 1).flatten(0, 1), steps.sum().to(both.dtype))


def recovery_loss(losses: dict[str, Term]) -> Tensor:
    """L_rec: the mean of the recovery terms of those modalities that were recovered at all, 0 if none was."""
    return _mean_over_recovered(losses, "recovery")  # Eq. (21)


def distance_loss(losses: dict[str, Term]) -> Tensor:
    """L_dist: the mean of the distance terms of those modalities that were recovered at all, 0 if none was."""
    return _mean_over_recovered(losses, "distance")


def _mean_over_recovered(losses: dict[str, Term], kind: str) -> Tensor:
    terms = [losses[f"{kind}_{name}"] for name in MODALITIES]
    recovered = torch.stack([term.count > 0 for term in terms]).sum()
    return torch.stack([term.value for term in terms]).sum() / recovered.clamp(min=1)


def objective(losses: dict[str, Term], config: DiCMoRConfig) -> Tensor:
    """Return the scalar to minimise from a model's `losses`: its "task", "nll_*", "recovery_*" and "distance_*" terms."""
    nll = torch.stack([losses[f"nll_{name}"].value for name in MODALITIES]).sum()
    # Eq. (22)
    loss = losses["task"].value + config.nll_weight * nll + config.recovery_weight * recovery_loss(losses)
    if config.distance_weight:
        loss = loss + config.distance_weight * distance_loss(losses)
    return loss
