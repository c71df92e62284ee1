"""Stage 2 on top of a stage 1 that is already there, so that several models can share one C^m.

Recovery is measured in shallow features, and a smaller C^m would win every distance. Models that are compared
therefore start stage 2 from the same C^m and the same fusion; what stage 1 does not train (flows, recovery) each
model draws anew from its own seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dicmor_lib.errors import CheckpointError, ConfigError
from dicmor_lib.model import DiCMoR
from dicmor_lib.training.checkpoint import STAGE1, Tensors, read_config, read_state
from dicmor_lib.training.config import TrainConfig
from dicmor_lib.training.prepare import Prepared

SHARED: tuple[str, ...] = ("shallow.", "fusion.")
"""Beginnings of the names of the weights that stage 1 trains: C^m, and fusion with its head."""


@dataclass(frozen=True)
class GivenStage1:
    """The weights that stage 1 trains, and where they come from.

    Attributes:
        weights: by their names in the model's state dictionary.
        about: "source" (the run's folder, or "weights in memory") and "sha256" of the weights: the entry "stage1"
            in the data section of config.json.
        state: stage, epoch and validation error of the checkpoint, as far as they are known.
    """

    weights: Tensors
    about: dict[str, Any]
    state: dict[str, Any]

    def load_into(self, model: DiCMoR) -> None:
        """Replace the model's C^m and fusion, and nothing else.

        Raises:
            CheckpointError: if the model has others, or others of another size.
        """
        wanted = {name: value.shape for name, value in model.state_dict().items() if name.startswith(SHARED)}
        given = {name: value.shape for name, value in self.weights.items()}
        if wanted != given:
            names = [name for name in {**wanted, **given} if wanted.get(name) != given.get(name)]
            raise CheckpointError(
                f"the stage 1 of {self.about['source']} does not fit this model ({names[0]} is "
                f"{_shape(given.get(names[0]))} there, {_shape(wanted.get(names[0]))} here); give one of a model "
                "with the same feature_dims, hidden, kernel_size, heads and fusion_layers"
            )
        with torch.no_grad():
            own = model.state_dict()
            for name, value in self.weights.items():
                own[name].copy_(value)


def read_given(
    source: str | Path | Mapping[str, Tensor], config: TrainConfig, prepared: Prepared
) -> GivenStage1:
    """Take stage 1 from the folder of a run that has finished it, or from a model's state dictionary.

    Raises:
        CheckpointError: if the folder holds no stage 1.
        ConfigError: if its features were standardised in another way than these are, or no stage 2 is to follow.
    """
    if config.stage2_epochs == 0 or config.bert_mode == "fine-tune":
        raise ConfigError(
            "a given stage 1 is for training stage 2 on top of it: stage2_epochs must be above 0 and bert_mode "
            "'frozen'"
        )
    if isinstance(source, Mapping):
        return _given(source, "weights in memory", {"stage": 1, "epoch": 0, "valid_mae": None})
    data = read_config(Path(source))[2]
    if data.get("standardiser") != prepared.standardiser:
        raise ConfigError(
            f"the stage 1 of {source} read features in other units (its standardisation is not that of this "
            "data); give one that was trained on the same training split with the same 'standardise'"
        )
    state, tensors = read_state(Path(source), STAGE1)
    return _given(tensors["model"], str(source), state)


def _given(weights: Mapping[str, Tensor], source: str, state: dict[str, Any]) -> GivenStage1:
    shared = {name: value.detach().cpu() for name, value in weights.items() if name.startswith(SHARED)}
    return GivenStage1(shared, {"source": source, "sha256": weights_hash(shared)}, state)


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 sum of named tensors: of names, types, shapes and values, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        total.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _shape(shape: torch.Size | None) -> str:
    return "absent" if shape is None else str(tuple(shape))
