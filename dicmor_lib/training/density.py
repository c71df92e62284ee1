"""Maximum likelihood alone: the flows and the joint prior learn p(x_language, x_audio, x_vision, class).

`fit` trains them beside the task. Where only the density is wanted (chapter 12), this is the shorter way: nothing is
hidden, nothing is drawn, and what a clip really lacks is integrated out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dicmor_lib.data.dataset import Split, collate
from dicmor_lib.errors import ConfigError, TrainingError
from dicmor_lib.model import DiCMoR

WARM_UP = 100
"""Steps over which the learning rate rises from 0; then it falls to 0 along a half cosine."""
LOOK_EVERY = 100
LEAST_LOOK = 10
"""Steps between two looks at the loss, each of which waits for the device: one epoch's, but within these bounds."""


@dataclass(frozen=True)
class DensityPoint:
    """-log p(x, c) in nats per value at one step.

    Attributes:
        step: optimiser steps so far.
        loss: mean over the training batches since the last look.
        valid: on the validation clips; NaN without.
    """

    step: int
    loss: float
    valid: float = math.nan


def fit_density(
    model: DiCMoR,
    split: Split,
    *,
    steps: int = 2000,
    batch_size: int = 128,
    learning_rate: float = 4e-3,
    seed: int = 0,
    valid: Split | None = None,
    progress: Callable[[DensityPoint], None] | None = None,
) -> list[DensityPoint]:
    """Train the flows and the joint prior of `model` in place on a standardised split; C^m and fusion stay as they are.

    Args:
        split: every clip counts with the modalities that are observed in it.
        steps: optimiser steps (Adam) on `batch_size` clips each, drawn with the seed.
        valid: if given, the model ends with the weights of the look at which these clips were most probable: with few
            training clips the density overfits.
        progress: called at every look: after each epoch, at least every 100 steps, at most every 10.

    Raises:
        ConfigError: if the model's prior is not joint, or a setting is out of range.
        TrainingError: if the loss stops being finite.
    """
    if model.config.prior != "joint":
        raise ConfigError(
            f"prior is {model.config.prior!r}; fit_density trains a joint prior: make the model with prior='joint'"
        )
    if min(steps, batch_size, len(split)) < 1 or not 0 < learning_rate < 1:
        raise ConfigError(
            f"steps ({steps}), batch_size ({batch_size}) and clips ({len(split)}) must be at least 1, and "
            f"learning_rate ({learning_rate}) between 0 and 1"
        )
    rng = np.random.default_rng([seed, 5])
    parameters, best = list(model.flow.parameters()), _Best(model, valid)
    optimiser = torch.optim.Adam(parameters, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    look = min(LOOK_EVERY, max(LEAST_LOOK, math.ceil(len(split) / batch_size)))
    points, recent = [], []
    model.train()
    for step in range(1, steps + 1):
        index = rng.choice(len(split), min(batch_size, len(split)), replace=False)
        loss = negative_log_density(model, split, index)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        recent.append(loss.detach())
        if step % look == 0 or step == steps:
            points.append(DensityPoint(step, float(torch.stack(recent).mean()), best.look()))
            recent = []
            if not math.isfinite(points[-1].loss):
                raise TrainingError(
                    f"-log p(x, c) stopped being finite by step {step}: lower the learning rate ({learning_rate}) or look "
                    "for extreme values with 'dicmor data check'"
                )
            if progress is not None:
                progress(points[-1])
    best.restore()
    model.eval()
    return points


class _Best:
    """The flows and the prior as they were when the validation clips were most probable."""

    def __init__(self, model: DiCMoR, valid: Split | None) -> None:
        self.model, self.valid, self.least = model, valid, math.inf
        self.kept: dict[str, Tensor] = {}

    def look(self) -> float:
        """Measure, and keep the weights if they are the best so far; NaN without validation clips."""
        if self.valid is None:
            return math.nan
        with torch.no_grad():
            value = mean_negative_log_density(self.model, self.valid)
        if value < self.least:
            self.least = value
            self.kept = {name: x.detach().clone() for name, x in self.model.flow.state_dict().items()}
        return value

    def restore(self) -> None:
        if self.kept:
            self.model.flow.load_state_dict(self.kept)


def mean_negative_log_density(model: DiCMoR, split: Split, batch_size: int = 512) -> float:
    """Return -log p(x, c) of a whole split, in nats per value of what is observed of it."""
    total, values = 0.0, 0.0
    for index in np.array_split(np.arange(len(split)), -(-len(split) // batch_size)):
        weight = float((split.lengths * split.observed)[index].sum())
        total += weight * negative_log_density(model, split, index).item()
        values += weight
    return total / values


def negative_log_density(model: DiCMoR, split: Split, index: np.ndarray) -> Tensor:
    """Return -log p(x, c) of some clips, in nats per value of what is observed of them."""
    batch = collate(split, index).to(next(model.parameters()).device)
    lengths = batch.lengths * batch.observed
    with torch.no_grad():
        x = model.shallow_features(batch.features, lengths)
    mask = model.step_mask(lengths, x.shape[2])
    anything = mask.amax(0) > 0  # (batch, time): the flows see valid steps only, side by side
    packed, log_det = model.flow(x[:, anything][:, None], mask[:, anything][:, None])
    z = torch.zeros_like(x)
    z[:, anything] = packed[:, 0]
    prior = model.flow.prior
    log_prob = (
        prior.log_prob(z, batch.label, mask) + prior.log_class(batch.label, mask)
    ).sum() + log_det.sum()
    return -log_prob / (mask.sum() * model.config.hidden)


def _rate(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / steps))
