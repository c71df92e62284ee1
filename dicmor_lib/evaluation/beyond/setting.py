"""What is compared beyond the paper: one data set, two models of one size on it, and how long each is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dicmor_lib.config import DiCMoRConfig, FeatureDims
from dicmor_lib.data.oracle import Oracle
from dicmor_lib.evaluation.study import Source
from dicmor_lib.training.config import TrainConfig

SEEDS: tuple[int, ...] = (0, 1, 2, 3, 4)
DIM = 4
"""Channels of each modality of the oracle here: its class, its content, and nothing more to learn."""

FLOWS: dict[str, Any] = dict(flow_layers=8, flow_width=64, mixing="conv1x1")
"""Of both models. A learned mixing, because a density is asked for, not only a transfer."""


@dataclass(frozen=True)
class Setting:
    """A data set and two models, "class" (the paper's prior) and "joint", that share C^m and the fusion of stage 1.

    Attributes:
        source: where the data comes from.
        model: changes to `DiCMoRConfig.tiny`, the same for both.
        train: both stages of the class model; the joint model takes over its stage 1.
        density_steps, density_batch, density_rate: of `fit_density`, the joint model's training.
        draws: fixed draws through the fusion.
    """

    source: Source
    model: dict[str, Any] = field(default_factory=dict)
    train: TrainConfig = TrainConfig()
    density_steps: int = 3000
    density_batch: int = 128
    density_rate: float = 4e-3
    draws: int = 16

    def config(self, prior: str, dims: FeatureDims) -> DiCMoRConfig:
        """The model with this prior, "class" or "joint"."""
        return DiCMoRConfig.tiny(dims, **{**FLOWS, **self.model, "prior": prior})

    @classmethod
    def of_oracle(cls, sizes: tuple[int, int, int] = (20_000, 1000, 20_000), **changes: Any) -> Setting:
        """The oracle with features as they are (C^m is the identity), so that their true law is known."""
        oracle = Oracle(dims=(DIM, DIM, DIM), time=16, mean_length=8.0, sizes=sizes)
        model = dict(
            hidden=DIM, heads=2, shallow="identity", kernel_size=1, log_scale_bound=1.0, output_dropout=0.1
        )
        model |= dict(language_dropout=0.0, embedding_dropout=0.0, attention_dropout=(0.0, 0.0, 0.0))
        train = TrainConfig(
            stage1_epochs=8, stage2_epochs=8, batch_size=128, learning_rate=3e-3, plateau_patience=0
        )
        return cls(**{"source": Source(oracle=oracle), "model": model, "train": train, **changes})

    @classmethod
    def of_file(cls, path: str, **changes: Any) -> Setting:
        """A file of real features, through the C^m of stage 1, in half the epochs of `dicmor reproduce`."""
        train = TrainConfig.preset("tiny", stage1_epochs=10, stage2_epochs=20)
        start = dict(source=Source.of(path), train=train, density_steps=800)
        return cls(**{**start, **changes})
