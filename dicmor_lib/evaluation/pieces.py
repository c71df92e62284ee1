"""Training of one piece of a study: stage 1 once, then stage 2 of each variant on top of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from dicmor_lib.config import DiCMoRConfig
from dicmor_lib.data.dataset import MultimodalData
from dicmor_lib.errors import CheckpointError
from dicmor_lib.evaluation.study import Source, Study
from dicmor_lib.evaluation.variants import MAIN, VARIANTS, Variant
from dicmor_lib.model import DiCMoR
from dicmor_lib.training import fit
from dicmor_lib.training.checkpoint import BEST, LAST, STAGE1, read_config, read_state
from dicmor_lib.training.config import TrainConfig
from dicmor_lib.training.stage import Callback
from dicmor_lib.training.state import RunState

STAGE1_RUN = "stage1"
"""The folder of the run that all variants start from."""

Step = Callable[[str, Callable[[Callback], None] | None], None]
"""Called as step(name, work): does the work, which takes a callback for its epochs; None: it was done before."""


def train_piece(study: Study, source: Source, seed: int, data: MultimodalData, step: Step) -> None:
    """Train what is not trained yet; a run that was interrupted goes on from its last checkpoint.

    Raises:
        CheckpointError: if a run in the study's folder was made with other settings or data, or was damaged.
    """
    folder, config = study.folder(source, seed), study.train_config(seed)
    origin = {"path": source.path, "preset": study.preset}
    begun = folder / STAGE1_RUN
    runs: list[tuple[str, Path, Variant, TrainConfig, Path | None]] = [
        ("stage 1", begun, VARIANTS[MAIN], config.replace(stage2_epochs=0), None)
    ]
    runs += [(variant.name, folder / variant.folder, variant, config, begun) for variant in study.variants]
    for name, out, variant, settings, stage1 in runs:
        model = variant.config(study.preset, data.feature_dims, **study.model)
        done = is_trained(out, model.to_dict(), settings, data.sha256)
        work = partial(_train, model, data, settings, out, stage1, origin)
        step(name, None if done else work)


def _train(
    model_config: DiCMoRConfig,
    data: MultimodalData,
    config: TrainConfig,
    out: Path,
    stage1: Path | None,
    origin: dict[str, Any],
    callback: Callback,
) -> None:
    torch.manual_seed(config.seed)  # what stage 1 does not give is drawn from the seed
    resume = (out / "config.json").exists()
    options: dict[str, Any] = {"progress": False, "callback": callback, "origin": origin, "stage1": stage1}
    fit(DiCMoR(model_config), data, config, out, resume, **options)


def is_trained(folder: Path, model: dict, config: TrainConfig, sha256: str) -> bool:
    """Whether a run of exactly these settings and data is there and over.

    A run with other settings is not: training it again is then refused by `fit`, in a sentence that names the one
    that differs.
    """
    try:
        model_config, train_config, about = read_config(folder)
        state = RunState.from_dict(read_state(folder, LAST)[0])
        read_state(folder, BEST), read_state(folder, STAGE1)
    except (CheckpointError, KeyError):
        return False
    same = (model_config.to_dict(), train_config, about.get("sha256")) == (model, config, sha256)
    return same and state.stage == (2 if config.stage2_epochs else 1) and state.is_over(config)
