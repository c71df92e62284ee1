"""What `dicmor reproduce` is asked to do: data sets x seeds x variants, and where everything lies."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dicmor_lib.data.dataset import MultimodalData
from dicmor_lib.data.oracle import Oracle
from dicmor_lib.errors import ConfigError
from dicmor_lib.evaluation.bootstrap import RESAMPLES
from dicmor_lib.evaluation.two_sample import PERMUTATIONS
from dicmor_lib.evaluation.variants import Variant, choose_variants
from dicmor_lib.training.config import TrainConfig

SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Source:
    """A data set by its path or, if `oracle` is given, drawn from it (data seed 0, whatever the training seed)."""

    path: str = SYNTHETIC
    oracle: Oracle | None = None

    @classmethod
    def of(cls, path: str) -> Source:
        """The default oracle for "synthetic", else the file."""
        return cls(oracle=Oracle()) if path == SYNTHETIC else cls(str(Path(path).resolve()))

    @property
    def name(self) -> str:
        """Of its folder: "synthetic" or the file's name without ending."""
        return SYNTHETIC if self.oracle else re.sub(r"[^\w.-]+", "-", Path(self.path).stem)

    def load(self) -> MultimodalData:
        """Read the file, or draw the clips."""
        from dicmor_lib.data.readers import read

        return self.oracle.dataset() if self.oracle else read(self.path)


@dataclass(frozen=True)
class Study:
    """Settings of one reproduction; every (data set, seed) is a piece that is trained and evaluated by itself.

    Attributes:
        out: OUT/DATA/seed-N/ holds the runs stage1/ and one per variant, and evaluation/; OUT/ledger/ the results.
        permutations: for the p-values of distances. resamples: of the bootstrap.
        model, training: changes to the preset's settings, for all variants alike.

    Raises:
        ConfigError: if something is asked for twice or not at all, or a setting does not exist.
    """

    sources: tuple[Source, ...]
    out: Path
    preset: str = "tiny"
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    variants: tuple[Variant, ...] = field(default_factory=lambda: tuple(choose_variants()))
    permutations: int = PERMUTATIONS
    resamples: int = RESAMPLES
    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, values in (("seeds", self.seeds), ("data sets", [source.name for source in self.sources])):
            if not values or len(set(values)) < len(values):
                raise ConfigError(
                    f"the {what} are {', '.join(map(str, values)) or 'none'}; give at least one, each once and "
                    "with a name of its own"
                )
        if self.permutations < 99 or self.resamples < 2:
            raise ConfigError(
                f"permutations is {self.permutations} and resamples {self.resamples}; they must be at least 99 "
                "(or no p-value can be below .05) and 2"
            )
        if {"seed", "stage1_epochs", "stage2_epochs"} & {
            k for k, v in self.training.items() if v == 0 or k == "seed"
        }:
            raise ConfigError("seeds have an option of their own, and both stages need at least one epoch")
        self.train_config(self.seeds[0])
        for variant in self.variants:
            variant.config(self.preset, (2, 2, 2), **self.model)

    def folder(self, source: Source, seed: int) -> Path:
        """Where a piece lies."""
        return Path(self.out) / source.name / f"seed-{seed}"

    @property
    def pieces(self) -> list[tuple[Source, int]]:
        """Every data set with every seed; all seeds of one data set first."""
        return [(source, seed) for source in self.sources for seed in self.seeds]

    def train_config(self, seed: int) -> TrainConfig:
        """The settings of training, the same for all variants."""
        return TrainConfig.preset(self.preset, **{**self.training, "seed": seed})


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds that "0-4" or "0,2,5-7" lists.

    Raises:
        ConfigError: if the text is something else.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not match:
            raise ConfigError(f"--seeds {text!r} is no list of seeds; write 0-4 or 0,2,5")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < first + 1000:
            raise ConfigError(f"--seeds {text!r}: {part.strip()} is no range from a smaller to a larger seed")
        seeds += range(first, last + 1)
    return tuple(seeds)
