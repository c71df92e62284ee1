"""One stage of training: epochs, validation, selection, and a checkpoint after every epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dicmor_lib.data.dataset import Split
from dicmor_lib.model import DiCMoR
from dicmor_lib.training.checkpoint import BEST, LAST, STAGE1, Tensors, write_state
from dicmor_lib.training.config import TrainConfig
from dicmor_lib.training.engine import Engine
from dicmor_lib.training.history import History, Recorder, Row
from dicmor_lib.training.inverse import inverse_errors, inverse_warning
from dicmor_lib.training.progress import Progress
from dicmor_lib.training.randomness import epoch_masks, epoch_order, seed_dropout
from dicmor_lib.training.state import (
    RunState,
    make_optimiser,
    make_scheduler,
    optimiser_tensors,
    restore_optimiser,
)
from dicmor_lib.training.steps import Stepper, micro_batches
from dicmor_lib.training.tuning import LiveLanguage
from dicmor_lib.training.validation import validate

Callback = Callable[[Row], None]


@dataclass
class Context:
    """What both stages share. Without a `folder` nothing is written; the `recorder` is the main process's."""

    model: DiCMoR
    engine: Engine
    config: TrainConfig
    folder: Path | None
    recorder: Recorder | None
    history: History
    progress: Progress
    callback: Callback | None
    live: LiveLanguage | None = None  # stage 1 trains the encoder of the language features too

    def notify(self, sentence: str) -> None:
        """Keep a sentence that should be known in the history, and show it."""
        self.history.notices.append(sentence)
        self.progress.say(f"note: {sentence}")


class Stage:
    """Trains one stage from `state` to its end.

    Args:
        train: the training split; `index` (n,) numbers the samples of it that this stage uses.
        best: the weights selected so far in this stage (of each part: the model, and an encoder that is tuned), if
            it goes on from a checkpoint.
        moments: the optimiser's tensors, likewise.
    """

    def __init__(
        self,
        context: Context,
        state: RunState,
        train: Split,
        index: np.ndarray,
        valid: Split,
        best: dict[str, Tensors] | None = None,
        moments: Tensors | None = None,
    ) -> None:
        self.context, self.state, self.train, self.index, self.valid = context, state, train, index, valid
        self.best = best
        self._warned = False
        self.live = context.live if state.stage == 1 else None
        self.parts: dict[str, torch.nn.Module] = {"model": context.model}
        groups: list[dict[str, Any]] = [{"params": trainable(context.model, state.stage)}]
        if self.live is not None:
            self.parts["encoder"] = self.live.encoder
            groups.append(
                {"params": list(self.live.encoder.parameters()), "lr": context.config.bert_learning_rate}
            )
        self.optimiser = make_optimiser(groups, context.config)
        self.scheduler = make_scheduler(self.optimiser, context.config)
        if moments:
            restore_optimiser(self.optimiser, moments)
        state.restore_schedule(self.scheduler)

    def run(self) -> None:
        """Train until the stage is over, then put its best weights into the model."""
        context = self.context
        while not self.state.is_over(context.config):
            row = self._epoch()
            if context.callback is not None:
                context.callback(row)
        for name, weights in (self.best or {}).items():
            self.parts[name].load_state_dict(weights)

    def _epoch(self) -> Row:
        context, state = self.context, self.state
        began, epoch = time.perf_counter(), state.epoch + 1
        row: Row = {
            "stage": state.stage,
            "epoch": epoch,
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            **self._train(epoch),
            **validate(context.model, self.valid, state.stage, context.engine, self.live),
        }
        if state.stage == 2:
            row |= inverse_errors(context.model, self.valid, context.engine)
        improved = state.record(row["valid_mae"])
        self.scheduler.step(row["valid_mae"])
        state.keep_schedule(self.scheduler)
        row |= {"is_best": int(improved), "seconds": time.perf_counter() - began}
        row["samples_per_second"] = len(self.index) / row["seconds"]
        if improved:
            self.best = {
                part: {name: value.detach().clone() for name, value in module.state_dict().items()}
                for part, module in self.parts.items()
            }
        if context.folder is not None:
            context.engine.on_main(lambda: self._write(row, improved))
        context.history.rows.append(row)
        context.progress.end_epoch(row)
        warning = inverse_warning(row)
        if warning is not None and not self._warned:  # once; the history holds the other epochs
            self._warned = True
            context.notify(warning)
        return row

    def _train(self, epoch: int) -> dict[str, float]:
        """Take every step of an epoch; return the means of its loss terms."""
        context, config, stage = self.context, self.context.config, self.state.stage
        order = epoch_order(self.index, config.seed, stage, epoch)
        observed = self.train.observed
        available = observed if stage == 1 else epoch_masks(config, observed, order, epoch)
        seed_dropout(config.seed, stage, epoch, context.engine.rank)
        stepper = Stepper(
            context.model, self.optimiser, context.engine, config, stage, self.train, available, self.live
        )
        epochs = config.stage1_epochs if stage == 1 else config.stage2_epochs
        steps = micro_batches(order, config)
        context.progress.start_epoch(
            stage, epoch, epochs, sum(len(part) for micro in steps for part in micro)
        )
        for samples in stepper.run(steps):
            context.progress.step(samples, stepper.log, stage, epoch)
        stepper.log.check_finite(stage, epoch)
        return stepper.log.means()

    def _write(self, row: Row, improved: bool) -> None:
        """The row first, then the selected weights, then "last": a crash in between repeats all three."""
        state, folder, recorder = self.state, self.context.folder, self.context.recorder
        if folder is None or recorder is None:  # nothing is kept
            return
        recorder.add(row)
        if improved and self.best is not None:
            about = {name: row[name] for name in ("stage", "epoch", "valid_mae")}
            write_state(folder, STAGE1 if state.stage == 1 else BEST, about, **self.best)
        weights = {part: module.state_dict() for part, module in self.parts.items()}
        tensors = optimiser_tensors(self.optimiser)
        write_state(folder, LAST, state.to_dict(), **weights, optimiser=tensors)


def trainable(model: DiCMoR, stage: int) -> list[torch.nn.Parameter]:
    """The parameters that a stage trains; in stage 1 those that complete samples reach."""
    parts = (model.shallow, model.fusion) if stage == 1 else (model,)
    return [p for part in parts for p in part.parameters() if p.requires_grad]
