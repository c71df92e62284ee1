"""What is measured: a training step, a prediction, all seven patterns of one clip; by the library's own code."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from dicmor_lib.config import DiCMoRConfig
from dicmor_lib.data.dataset import Split, collate
from dicmor_lib.errors import ConfigError
from dicmor_lib.modalities import PATTERNS, pattern_mask
from dicmor_lib.model import DiCMoR
from dicmor_lib.training.config import TrainConfig
from dicmor_lib.training.engine import Engine, launch
from dicmor_lib.training.stage import trainable
from dicmor_lib.training.state import make_optimiser
from dicmor_lib.training.steps import Stepper, to_device
from dicmor_lib.training.validation import predict_patterns

Task = Literal["train", "predict", "patterns"]
TASKS: tuple[Task, ...] = ("train", "predict", "patterns")
TIME = 50
"""Time steps of every clip, the length of MOSI's and MOSEI's aligned files; none is padding."""


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes:
        task: "train": an optimiser step of stage 2 (batch to device, forward, backward, clip, Adam; every
            parameter trains, C^m too); "predict": a prediction, the seven patterns mixed in the batch;
            "patterns": all seven patterns of each of `batch` clips, in one pass.
        device: "cpu", "cuda" or "mps".
        precision: "32-true" or "bf16-mixed".
        compiled: whether torch.compile runs the model's blocks.
    """

    preset: str
    task: Task
    batch: int
    time: int = TIME
    device: str = "cpu"
    precision: str = "32-true"
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ConfigError(f"task is {self.task!r}; it must be one of {', '.join(TASKS)}")
        for name in ("batch", "time"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} is {getattr(self, name)!r}; it must be a whole number of at least 1"
                )

    @property
    def samples(self) -> int:
        """Predictions that one call makes."""
        return self.batch * (len(PATTERNS) if self.task == "patterns" else 1)

    def title(self) -> str:
        """The case in words, such as "mosi train, batch 32, cpu, 32-true"."""
        compiled = ", compiled" if self.compiled else ""
        return f"{self.preset} {self.task}, batch {self.batch}, {self.device}, {self.precision}{compiled}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return dataclasses.asdict(self)


@dataclass
class Built:
    """A case ready to run: `call` does it once; `stepper` only where it trains."""

    call: Callable[[], object]
    model: DiCMoR
    engine: Engine
    stepper: Stepper | None = None


def build(case: Case, seed: int = 0) -> Built:
    """Make the model, the clips and the call of a case.

    Raises:
        ConfigError: if there is no such preset.
        DeviceError: if the device or its precision is not to be had.
    """
    torch.manual_seed(seed)
    config = TrainConfig.preset(
        case.preset, accelerator=case.device, precision=case.precision, compile=case.compiled
    )
    engine = launch(config)
    model = DiCMoR(DiCMoRConfig.preset(case.preset)).to(engine.device)
    clips = random_split(case.batch, case.time, model.config.feature_dims, seed)
    engine.compile_blocks(model)
    if case.task == "train":
        optimiser = make_optimiser(trainable(model, 2), config)
        stepper = Stepper(model, optimiser, engine, config, 2, clips, mixed_patterns(case.batch))
        index = np.arange(case.batch)
        return Built(lambda: list(stepper.run([[index]])), model, engine, stepper)
    model.eval()
    if case.task == "patterns":
        return Built(lambda: predict_patterns(model, clips, PATTERNS, engine), model, engine)
    return Built(lambda: _predict(model, clips, engine), model, engine)


@torch.no_grad()
def _predict(model: DiCMoR, clips: Split, engine: Engine) -> torch.Tensor:
    batch = to_device(collate(clips, np.arange(len(clips))), engine.device)
    available = torch.from_numpy(mixed_patterns(len(clips)))
    with engine.autocast():
        return model(batch.features, available, batch.lengths).prediction


def mixed_patterns(batch: int) -> np.ndarray:
    """The seven patterns in turn, (batch, 3) bool."""
    return np.array([pattern_mask(PATTERNS[i % len(PATTERNS)]) for i in range(batch)])


def random_split(batch: int, time: int, feature_dims: tuple[int, int, int], seed: int = 0) -> Split:
    """`batch` clips of normal noise, all of full length and with a label."""
    rng = np.random.default_rng(seed)
    language, audio, vision = (rng.standard_normal((batch, time, d), dtype=np.float32) for d in feature_dims)
    return Split(
        features=(language, audio, vision),
        lengths=np.full((batch, 3), time),
        observed=np.ones((batch, 3), dtype=bool),
        labels=rng.uniform(-3, 3, batch).astype(np.float32),
        ids=[str(i) for i in range(batch)],
    )
