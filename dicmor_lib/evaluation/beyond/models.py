"""Training of one seed: the class model in both stages, then the joint model's density on the same stage 1."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from dicmor_lib.data.dataset import MultimodalData
from dicmor_lib.data.standardise import Standardiser
from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.beyond.setting import Setting
from dicmor_lib.model import DiCMoR
from dicmor_lib.training import fit
from dicmor_lib.training.checkpoint import BEST, STAGE1, load_checkpoint
from dicmor_lib.training.density import fit_density
from dicmor_lib.training.given_stage1 import SHARED

CLASS_RUN, JOINT_WEIGHTS = "class", "joint.safetensors"


@dataclass(frozen=True)
class Models:
    """Three models with one C^m, and the standardised data that they were trained on.

    Attributes:
        stage1: complete data only; its fusion reads the imputers' fills and the joint model's draws.
        paper: DiCMoR, both stages; its fusion went on training on its own recovered features.
        joint: stage 1 with the joint prior and its flows, trained by maximum likelihood alone.
    """

    stage1: DiCMoR
    paper: DiCMoR
    joint: DiCMoR
    data: MultimodalData
    standardiser: Standardiser


def train_models(setting: Setting, raw: MultimodalData, seed: int, folder: Path) -> Models:
    """Train what the folder does not hold yet, and return the models."""
    standardiser = Standardiser.fit(raw)
    run = folder / CLASS_RUN
    torch.manual_seed(seed)
    begun = (run / "config.json").exists()
    model = DiCMoR(setting.config("class", raw.feature_dims))
    fit(model, raw, setting.train.replace(seed=seed), run, resume=begun, progress=False)
    stage1, paper = load_checkpoint(run, STAGE1)[0], load_checkpoint(run, BEST)[0]
    data = standardiser.apply(raw)
    joint = _joint_model(setting, stage1, data, seed, folder / JOINT_WEIGHTS)
    return Models(stage1, paper, joint, data, standardiser)


def _joint_model(setting: Setting, stage1: DiCMoR, data: MultimodalData, seed: int, path: Path) -> DiCMoR:
    """C^m and fusion of stage 1, flows and prior of their own; the weights are kept in `path`."""
    torch.manual_seed(seed)
    joint = DiCMoR(setting.config("joint", stage1.config.feature_dims))
    if path.exists():
        try:
            joint.load_state_dict(safetensors.torch.load_file(path))
        except (safetensors.SafetensorError, RuntimeError):
            raise DataError(
                f"{path} is damaged; delete it to train the joint model of this seed again"
            ) from None
        return joint.eval()
    shared = {name: value for name, value in stage1.state_dict().items() if name.startswith(SHARED)}
    joint.load_state_dict(shared, strict=False)
    fit_density(
        joint,
        data.train,
        steps=setting.density_steps,
        batch_size=setting.density_batch,
        learning_rate=setting.density_rate,
        seed=seed,
        valid=data.valid,
    )
    partial = path.with_suffix(".partial")
    safetensors.torch.save_file({k: v.contiguous() for k, v in joint.state_dict().items()}, partial)
    partial.replace(path)
    return joint
