"""The terms of the training objective, each a pure function of tensors.

L = L1(y^, y) + a * (NLL_language + NLL_audio + NLL_vision) + b * L_rec, with the negative log-likelihoods
in bits per dimension. The published code has a = b = 0.1; ours has b = 1, see `DiCMoRConfig.recovery_weight`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dicmor_lib.config import DiCMoRConfig
from dicmor_lib.modalities import MODALITIES


@dataclass(frozen=True)
class Term:
    """A mean kept as its sum and its count, so that several processes can add both before dividing.

    `floor` bounds the value from below (the published code's clamp of the NLL at 0); None: no bound.
    """

    total: Tensor
    count: Tensor
    floor: float | None = None

    @property
    def value(self) -> Tensor:
        """The mean, 0 if nothing was counted."""
        mean = self.total / self.count.clamp(min=1)
        return mean if self.floor is None else mean.clamp(min=self.floor)


def task_term(prediction: Tensor, label: Tensor) -> Term:
    """L1 distance of predictions and labels, both (batch,)."""
    return Term((prediction - label).abs().sum(), prediction.new_tensor(label.numel()))


def nll_term(log_prob: Tensor, steps: Tensor, channels: int, floor: float | None = None) -> Term:
    """Negative log-likelihood of one modality in bits per dimension.

    NLL = -sum log p(x given c) / (ln 2 * number of values); `log_prob` (batch,) in nats, `steps` (batch,) the number of
    valid steps. A sample with 0 steps must have log_prob 0: it counts for nothing.
    """
    return Term(-log_prob.sum() / math.log(2), (steps.sum() * channels).to(log_prob.dtype), floor)


def recovery_term(recovered: Tensor, target: Tensor, steps: Tensor) -> Term:
    """Mean squared error of one modality's recovered to its real shallow features.

    `recovered` and `target` are (batch, time, channels); `steps` (batch, time) is 1 where a recovered step
    has a real one to compare with, else 0.
    """
    squared = (recovered - target).square().mean(-1) * steps
    return Term(squared.sum(), steps.sum().to(squared.dtype))


def recovery_loss(losses: dict[str, Term]) -> Tensor:
    """L_rec: the mean of the recovery terms of those modalities that were recovered at all, 0 if none was."""
    terms = [losses[f"recovery_{name}"] for name in MODALITIES]
    recovered = torch.stack([term.count > 0 for term in terms]).sum()
    return torch.stack([term.value for term in terms]).sum() / recovered.clamp(min=1)


def objective(losses: dict[str, Term], config: DiCMoRConfig) -> Tensor:
    """Return the scalar to minimise from a model's `losses`: one "task", three "nll_*", three "recovery_*" terms."""
    nll = torch.stack([losses[f"nll_{name}"].value for name in MODALITIES]).sum()
    return losses["task"].value + config.nll_weight * nll + config.recovery_weight * recovery_loss(losses)
