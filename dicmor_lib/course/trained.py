"""A trained model for the chapters: the one that ships with the library, or one trained here on a learner's file.

The shipped run is a folder as `dicmor train --out` writes it, without what only a resume needs, so every command takes it:
`dicmor evaluate dicmor_lib/course/weights`. `record.json` beside it says how it was made and what it scores.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicmor_lib.config import DiCMoRConfig
from dicmor_lib.data import MultimodalData, Oracle, Standardiser, read
from dicmor_lib.errors import ConfigError
from dicmor_lib.model import DiCMoR
from dicmor_lib.training import TrainConfig, fit, load_checkpoint

WEIGHTS = Path(__file__).with_name("weights")
EPOCHS: dict[str, tuple[int, int]] = {"fast": (3, 4), "full": (10, 20)}
"""Epochs of stage 1 and 2 on a learner's own file, by profile."""


@dataclass(frozen=True)
class CourseModel:
    """A small trained DiCMoR and the data that belongs to it.

    Attributes:
        model: both stages trained, in eval mode.
        stage1: the complete-data model of stage 1, with the same C^m; its flows and recovery are untrained.
        clips: the data, standardised as the model wants it.
        raw: the data as it was read.
        standardiser: from raw to clips.
        oracle: the law behind synthetic data, None for a file.
    """

    model: DiCMoR
    stage1: DiCMoR
    clips: MultimodalData
    raw: MultimodalData
    standardiser: Standardiser
    oracle: Oracle | None


def course_model(data: str = "synthetic", profile: str = "full", seed: int = 0) -> CourseModel:
    """Return a trained model of the tiny preset.

    Args:
        data: "synthetic" loads the weights that ship with the library (trained on the oracle with seed 0); a path
            trains on that file, for seconds in profile "fast" and a few minutes in "full".
        profile: "fast" or "full".
        seed: of the training on a file.

    Raises:
        ConfigError: if the profile is unknown.
        DataError: if the file cannot be read.
    """
    if profile not in EPOCHS:
        raise ConfigError(f"profile is {profile!r}; choose 'fast' or 'full'")
    if data == "synthetic":
        oracle = Oracle()
        return _open(WEIGHTS, oracle.dataset(seed=record()["data_seed"]), oracle)
    raw = read(data)
    stage1_epochs, stage2_epochs = EPOCHS[profile]
    config = TrainConfig.preset("tiny", seed=seed, stage1_epochs=stage1_epochs, stage2_epochs=stage2_epochs)
    with tempfile.TemporaryDirectory(prefix="dicmor-") as folder:
        run = Path(folder) / "run"
        fit(DiCMoR(DiCMoRConfig.tiny(raw.feature_dims)), raw, config, out=run, progress=False)
        return _open(run, raw, None)


def record() -> dict[str, Any]:
    """Return how the shipped weights were made: command, seed, hashes, versions, and what they score."""
    return json.loads((WEIGHTS / "record.json").read_text(encoding="utf-8"))


def _open(run: Path, raw: MultimodalData, oracle: Oracle | None) -> CourseModel:
    model, info = load_checkpoint(run)
    stage1, _ = load_checkpoint(run, "stage1")
    standardiser = info.standardiser
    if standardiser is None:
        raise ConfigError(f"{run} was trained on raw features; the course needs a run with standardise=true")
    return CourseModel(model, stage1, standardiser.apply(raw), raw, standardiser, oracle)
