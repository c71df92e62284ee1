"""Where a run stands after an epoch: everything that resuming needs beside the weights."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from dicmor_lib.errors import CheckpointError
from dicmor_lib.training.config import TrainConfig


@dataclass
class RunState:
    """Progress of the current stage.

    Attributes:
        stage: 1 (complete data) or 2 (missing modalities).
        epoch: finished epochs of this stage.
        best: smallest validation error of this stage so far (None before the first epoch), and in which
            epoch.
        stale: epochs since then.
        learning_rate: of the next epoch; None before the first.
        scheduler: counters of the learning-rate schedule.
    """

    stage: int = 1
    epoch: int = 0
    best: float | None = None
    best_epoch: int = 0
    stale: int = 0
    learning_rate: float | None = None
    scheduler: dict[str, Any] = dataclasses.field(default_factory=dict)

    def record(self, error: float) -> bool:
        """Count one finished epoch with this validation error; return whether it is the best so far."""
        self.epoch += 1
        improved = self.best is None or error < self.best
        if improved:
            self.best, self.best_epoch, self.stale = error, self.epoch, 0
        else:
            self.stale += 1
        return improved

    def is_over(self, config: TrainConfig) -> bool:
        """Whether the stage has run all its epochs or has not improved for `patience` of them."""
        epochs = config.stage1_epochs if self.stage == 1 else config.stage2_epochs
        return self.epoch >= epochs or 0 < config.patience <= self.stale

    def keep_schedule(self, scheduler: ReduceLROnPlateau) -> None:
        """Note the state of the learning-rate schedule."""
        self.learning_rate = scheduler.optimizer.param_groups[0]["lr"]
        values = scheduler.state_dict()
        self.scheduler = {name: values[name] for name in _SCHEDULER_STATE}

    def restore_schedule(self, scheduler: ReduceLROnPlateau) -> None:
        """Put back what `keep_schedule` noted, if anything."""
        if self.learning_rate is not None:
            rates = self.scheduler.get("_last_lr", [self.learning_rate])  # of each group of parameters
            scheduler.load_state_dict({**scheduler.state_dict(), **self.scheduler, "_last_lr": rates})
            for group, rate in zip(scheduler.optimizer.param_groups, rates):
                group["lr"] = rate

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RunState:
        """The inverse of `to_dict`; further entries of `values` are ignored.

        Raises:
            CheckpointError: if an entry is absent or holds what no run writes.
        """
        try:
            state = cls(**{field.name: values[field.name] for field in dataclasses.fields(cls)})
            rates = state.scheduler.get("_last_lr", [])
            numbers = [state.best, state.learning_rate, *rates, *_without(state.scheduler, "_last_lr")]
            counts = (state.epoch, state.best_epoch, state.stale)
            good = type(state.stage) is int and state.stage in (1, 2)
            good = good and all(type(count) is int and 0 <= count < 2**31 for count in counts)
            good = good and all(number is None or type(number) in (int, float) for number in numbers)
            good = good and set(state.scheduler) <= set(_SCHEDULER_STATE)
        except (KeyError, TypeError, AttributeError):
            good = False
        if not good:
            raise CheckpointError(
                "state.json of the checkpoint holds values that no run writes; train again, or restore the folder"
            )
        return state


def _without(values: dict[str, Any], name: str) -> list[Any]:
    return [value for key, value in values.items() if key != name]


_SCHEDULER_STATE = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch", "_last_lr")


_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def make_optimiser(
    parameters: list[torch.nn.Parameter] | list[dict[str, Any]], config: TrainConfig
) -> torch.optim.Optimizer:
    """Adam or AdamW in one fused kernel per step; groups of parameters may have a learning rate of their own."""
    kind = torch.optim.AdamW if config.optimiser == "adamw" else torch.optim.Adam
    return kind(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)


def make_scheduler(optimiser: torch.optim.Optimizer, config: TrainConfig) -> ReduceLROnPlateau:
    """Multiply the learning rate by `plateau_factor` when the validation error stops falling."""
    return ReduceLROnPlateau(optimiser, factor=config.plateau_factor, patience=config.plateau_patience)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Moments and step counts of an optimiser under flat names: "7.exp_avg" for its parameter number 7."""
    state = optimiser.state_dict()["state"]
    return {f"{number}.{name}": value for number, values in state.items() for name, value in values.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put what `optimiser_tensors` returned back.

    Raises:
        CheckpointError: if they are the moments of another model.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    shapes = {str(number): parameter.shape for number, parameter in enumerate(parameters)}
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, key = name.partition(".")
        shape = torch.Size() if key == "step" else shapes.get(number)
        if (
            key not in _MOMENTS
            or number not in shapes
            or value.shape != shape
            or not value.is_floating_point()
        ):
            raise CheckpointError(
                f"the optimiser's {name} in the checkpoint does not fit this model; train again, or restore the folder"
            )
        state.setdefault(int(number), {})[key] = value
    if any(len(moments) != len(_MOMENTS) for moments in state.values()):
        raise CheckpointError("the optimiser's moments in the checkpoint are incomplete; train again")
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
