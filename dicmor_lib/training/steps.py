"""The optimiser steps of an epoch: micro-batches, losses, gradients, clipping; none waits for the device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from dicmor_lib.data.dataset import Batch, Split, collate
from dicmor_lib.inputs import check_inputs
from dicmor_lib.modalities import MODALITIES
from dicmor_lib.model import DiCMoR
from dicmor_lib.objective import Moments, Term, objective, task_term
from dicmor_lib.training.config import TrainConfig
from dicmor_lib.training.engine import Engine
from dicmor_lib.training.epoch_log import MADE_OF_TERMS, TERMS, EpochLog
from dicmor_lib.training.tuning import LiveLanguage


def micro_batches(order: np.ndarray, config: TrainConfig) -> list[list[np.ndarray]]:
    """Divide an epoch's sample numbers into optimiser steps of micro-batches, over all processes."""
    if config.drop_remainder:
        order = order[: len(order) // config.step_size * config.step_size]
    steps = [order[i : i + config.step_size] for i in range(0, len(order), config.step_size)]
    return [
        [step[i : i + config.batch_size] for i in range(0, len(step), config.batch_size)] for step in steps
    ]


class Stepper:
    """Runs the optimiser steps of one epoch of a stage.

    Args:
        stage: 1 trains on the task loss of complete samples, 2 on the full objective.
        available: what the model may see of each sample of `split`, (N, 3) bool.
        live: computes the language features of each batch with an encoder that trains too.
    """

    def __init__(
        self,
        model: DiCMoR,
        optimiser: torch.optim.Optimizer,
        engine: Engine,
        config: TrainConfig,
        stage: int,
        split: Split,
        available: np.ndarray,
        live: LiveLanguage | None = None,
    ) -> None:
        self.model, self.optimiser, self.engine, self.config = model, optimiser, engine, config
        self.stage, self.split, self.live = stage, split, live
        self.available = torch.from_numpy(np.ascontiguousarray(available))
        self.parameters = [p for group in optimiser.param_groups for p in group["params"]]
        names = TERMS[stage]
        self.log = EpochLog(
            (*names, *MADE_OF_TERMS),
            torch.zeros(len(names), 2, device=engine.device),
            about_step=self._largest_input,
        )
        self._steps: list[list[np.ndarray]] = []

    def run(self, steps: list[list[np.ndarray]]) -> Iterator[int]:
        """Take every step; yield the number of samples of each when it is done."""
        self._steps = steps
        self.model.train()
        if self.live is not None:
            self.live.encoder.train()
        for micro in steps:
            self._step(micro)
            yield sum(map(len, micro))

    def _step(self, micro: list[np.ndarray]) -> None:
        config, size = self.config, sum(map(len, micro))
        self.optimiser.zero_grad(set_to_none=True)
        seen: list[Tensor] = []
        norms: list[Tensor] = []
        for index in micro:
            share = len(index) / size if config.accumulate_reduction == "mean" else 1.0
            seen.append(self._backward(index, share))
            if config.clip_each == "micro-batch":
                norms.append(self._clip())
        self.engine.add_up_gradients(self.parameters)
        if config.clip_each == "step":
            norms.append(self._clip())
        self.optimiser.step()
        # the largest of several: clipping by value makes 0.6 of infinity, and only the norm from before knows
        norm = norms[0] if len(norms) == 1 else torch.stack(norms).amax()
        self.log.values.append(torch.cat([torch.stack(seen).mean(0), norm.reshape(1)]))

    def _backward(self, index: np.ndarray, share: float) -> Tensor:
        """Add the gradient of `share` times a micro-batch's loss; return its terms and loss, (names - 1,)."""
        mine = self.engine.share(index)
        losses = (
            self._losses(mine)
            if len(mine)
            else _nothing(self.stage, self.model.config.hidden, self.engine.device)
        )
        losses = self.engine.add_up_terms({name: losses[name] for name in TERMS[self.stage]})
        loss = losses["task"].value if self.stage == 1 else objective(losses, self.model.config)
        if len(mine):
            self.engine.fabric.backward(share * loss)
        with torch.no_grad():
            self.log.sums += torch.stack([torch.stack([term.sum, term.count]) for term in losses.values()])
            return torch.stack([*(term.value for term in losses.values()), loss]).detach()

    def _largest_input(self, step: int) -> str:
        """Name the largest feature value among the samples of a step: where an overflow most likely began."""
        index = np.concatenate(self._steps[step])
        batch, observed = collate(self.split, index), self.split.observed[index]
        peaks = np.stack([x.abs().amax((1, 2)).numpy() for x in batch.features], axis=1)  # (samples, 3)
        peaks = np.where(observed, peaks, 0.0)
        row, m = np.unravel_index(peaks.argmax(), peaks.shape)
        clip = self.split.ids[index[row]]
        return (
            f"the largest feature of its {len(index)} clips is {peaks.max():.1e}, {MODALITIES[m]} of {clip!r}"
        )

    def _losses(self, index: np.ndarray) -> dict[str, Term]:
        batch = to_device(collate(self.split, index), self.engine.device)
        available = self.available[torch.from_numpy(index)]
        with self.engine.autocast():
            batch = batch if self.live is None else self.live(batch)
            if self.stage == 2:
                return self.model(
                    batch.features, available, batch.lengths, batch.label, batch.observed
                ).losses
            return {"task": complete_task_term(self.model, batch)}

    def _clip(self) -> Tensor:
        """Clip the gradients as configured; return their total norm from before."""
        if self.config.clip == "norm":
            return nn.utils.clip_grad_norm_(self.parameters, self.config.clip_amount)
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if self.config.clip == "value":
            nn.utils.clip_grad_value_(self.parameters, self.config.clip_amount)
        return norm


def complete_task_term(model: DiCMoR, batch: Batch) -> Term:
    """The task loss on complete samples: shallow features straight into fusion."""
    inputs = check_inputs(
        model.config, batch.features, batch.observed, batch.lengths, batch.label, batch.observed
    )
    device = batch.features[0].device
    lengths = inputs.lengths.to(device, non_blocking=True)
    prediction = model.predict_from_shallow(model.shallow_features(inputs.features, lengths), lengths)
    return task_term(prediction, batch.label.to(device, non_blocking=True))


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move the features; masks, lengths and labels stay on the CPU, where looking costs no waiting."""
    if device.type != "cpu":
        language, audio, vision = (x.pin_memory().to(device, non_blocking=True) for x in batch.features)
        batch.features = (language, audio, vision)
    return batch


def _nothing(stage: int, channels: int, device: torch.device) -> dict[str, Term]:
    """The terms of a process without a sample."""
    zero, moments = torch.zeros((), device=device), torch.zeros(4, channels, device=device)
    return {
        name: Moments(moments, zero) if name.startswith("distance") else Term(zero, zero)
        for name in TERMS[stage]
    }
