"""Checkpoints: safetensors and JSON only, atomic, with the SHA-256 sum of everything they hold.

A run's folder holds config.json and the folders last/ and previous/ (model, optimiser and state of the last
two epochs), best/ (the selected model) and stage1/ (the best complete-data model). A last/ that could not be read
when the run was resumed is kept as damaged/.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from torch import Tensor

from dicmor_lib.config import DiCMoRConfig
from dicmor_lib.errors import CheckpointError
from dicmor_lib.training.atomic import find, sha256, write_file, write_folder
from dicmor_lib.training.config import TrainConfig

if TYPE_CHECKING:
    from dicmor_lib.data.standardise import Standardiser

FORMAT = 1
MAX_PARAMETERS, MAX_LAYERS = 2**28, 1000
"""Of a model that config.json may ask for: 1 GB of weights; the largest preset has 15 million parameters."""
FILES = {f"{part}.safetensors" for part in ("model", "optimiser", "encoder")}
"""What a checkpoint may hold beside state.json."""
TEXTS, SECTIONS = (
    ("path", "extra_train", "preset", "source", "sha256"),
    ("standardiser", "language", "stage1"),
)
"""Entries of the data section of config.json that are text, or dictionaries, or null."""
LAST, PREVIOUS, BEST, STAGE1 = "last", "previous", "best", "stage1"
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class RunInfo:
    """What a checkpoint says about itself.

    Attributes:
        folder: the run's folder.
        which: "best", "last", "previous" or "stage1".
        model_config, train_config: with what it was made.
        data: source, sha256, synthetic, feature_dims, standardiser (its dictionary or None), and what the
            caller of `fit` added (the command adds path and extra_train).
        state: stage, epoch, valid_mae of these weights, and so on.
    """

    folder: Path
    which: str
    model_config: DiCMoRConfig
    train_config: TrainConfig
    data: dict[str, Any]
    state: dict[str, Any]

    @property
    def standardiser(self) -> Standardiser | None:
        """The `Standardiser` that new data must go through, or None if the model reads raw features."""
        from dicmor_lib.data.standardise import Standardiser

        stored = self.data.get("standardiser")
        return None if stored is None else Standardiser.from_dict(stored)


def load_checkpoint(
    folder: str | Path, which: str = BEST, device: str | torch.device = "cpu"
) -> tuple[Any, RunInfo]:
    """Return a trained model, in eval mode on `device`, and what is known about it.

    Args:
        folder: what `fit(..., out=folder)` or `dicmor train --out folder` wrote.
        which: "best" (selected on validation, the default), "stage1" (best complete-data model), "last",
            "previous".

    Raises:
        CheckpointError: if there is no such checkpoint, or it is damaged.
    """
    from dicmor_lib.model import DiCMoR

    folder = Path(folder)
    if which not in (BEST, STAGE1, LAST, PREVIOUS):
        raise CheckpointError(
            f"there is no checkpoint called {which!r}; choose best, stage1, last or previous"
        )
    model_config, train_config, data = read_config(folder)
    state, tensors = read_state(folder, which)
    model = DiCMoR(model_config)
    restore_model(model, tensors["model"], folder / which)
    info = RunInfo(folder, which, model_config, train_config, data, state)
    return model.to(device).eval(), info


def write_config(folder: Path, model: DiCMoRConfig, training: TrainConfig, data: dict[str, Any]) -> None:
    """Write config.json: with what the run is made."""
    content = {"format": FORMAT, "model": model.to_dict(), "training": training.to_dict(), "data": data}
    write_file(folder / "config.json", _json(content))


def read_config(folder: Path) -> tuple[DiCMoRConfig, TrainConfig, dict[str, Any]]:
    """Read config.json back: model configuration, training configuration, data section.

    Raises:
        CheckpointError: if the folder holds no run or the file is damaged.
    """
    path = folder / "config.json"
    try:
        content = json.loads(_read(path))
        if content["format"] != FORMAT:
            raise CheckpointError(
                f"{path} has format {content['format']!r}, dicmor_lib reads {FORMAT}; update dicmor_lib"
            )
        model, data = DiCMoRConfig.from_dict(content["model"]), dict(content["data"])
        _check_size(model)
        _check_data(data)
        return model, TrainConfig.from_dict(content["training"]), data
    except OSError as problem:
        raise CheckpointError(
            f"{folder} holds no training run ({path.name}: {problem.strerror}); give the folder that "
            "'dicmor train --out' wrote"
        ) from problem
    except CheckpointError:
        raise
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as problem:
        reason = " ".join(str(problem).split())[:300]
        raise CheckpointError(f"{path} is damaged ({reason}); restore it or train again") from problem


def _read(path: Path) -> bytes:
    """The content of a regular file; a pipe or a device would never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path.name} is not a regular file")
    return path.read_bytes()


def _check_size(c: DiCMoRConfig) -> None:
    """Raise `ValueError` if a model would fill the memory before its weights could be compared with the stored ones."""
    fusion = (6 + 3 * 4) * 12 * c.fusion_layers * c.hidden**2 + 2 * (6 * c.hidden) ** 2
    flow = 3 * c.flow_layers * c.flow_width * (c.hidden + c.flow_width)
    recovery = 3 * c.rcab_blocks * 2 * 3 * c.rcab_width**2
    parameters = c.kernel_size * sum(c.feature_dims) * c.hidden + fusion + flow + recovery
    layers = max(c.flow_layers, c.fusion_layers, c.rcab_blocks)
    if parameters > MAX_PARAMETERS or layers > MAX_LAYERS:
        raise ValueError(
            f"a model of more than {MAX_PARAMETERS:,} parameters or {MAX_LAYERS:,} layers of a kind"
        )


def _check_data(data: dict[str, Any]) -> None:
    """Raise `ValueError` if an entry of the data section is of a kind that is never written."""
    sections = [data.get(name) for name in SECTIONS]
    if not all(section is None or isinstance(section, dict) for section in sections):
        raise ValueError(f"one of {', '.join(SECTIONS)} is neither null nor an object")
    texts = [data.get(name) for name in TEXTS]
    texts += [section[name] for section in sections[1:] if section for name in ("source", "sha256")]
    for text in texts:
        if not (text is None or isinstance(text, str)) or "\0" in (text or ""):
            raise ValueError(f"{str(text)[:80]!r} in the data section is not text")
        os.fsencode(text or "")


def write_state(folder: Path, name: str, state: dict[str, Any], **tensors: Tensors) -> None:
    """Write the checkpoint folder/name: state.json and one .safetensors file per keyword.

    Writing "last" turns the one that was there into "previous".
    """
    files = {f"{key}.safetensors": safetensors.torch.save(_portable(value)) for key, value in tensors.items()}
    sums = {key: sha256(content) for key, content in files.items()}
    sums["state"] = sha256(_json(state))
    files["state.json"] = _json({**state, "sha256": sums})
    write_folder(folder / name, files, keep=folder / PREVIOUS if name == LAST else None)


def read_state(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, Tensors]]:
    """Read the checkpoint folder/name after checking every sum.

    Raises:
        CheckpointError: if it does not exist or any part of it is not what was written.
    """
    path = find(folder / name)
    if not path.is_dir():
        raise CheckpointError(f"{folder} holds no checkpoint '{name}' (yet); {_what_there_is(folder)}")
    try:
        state = json.loads(_read(path / "state.json"))
        sums = state.pop("sha256")
        if sums.pop("state") != sha256(_json(state)):
            raise ValueError("state.json does not match its SHA-256 sum")
        if "model.safetensors" not in sums or not set(sums) <= FILES:
            raise ValueError(
                f"state.json must list model.safetensors, and nothing but {', '.join(sorted(FILES))}"
            )
        tensors = {}
        for file, expected in sums.items():
            content = _read(path / file)
            if sha256(content) != expected:
                raise ValueError(f"{file} does not match its SHA-256 sum")
            tensors[file.removesuffix(".safetensors")] = safetensors.torch.load(content)
        return state, tensors
    except (
        *(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError),
        safetensors.SafetensorError,
    ) as problem:
        reason = " ".join(str(problem).split())[:300]
        if isinstance(problem, OSError):
            reason = f"{problem.strerror} ({Path(problem.filename or path).name})"
        raise CheckpointError(f"the checkpoint {path} is damaged: {reason}") from problem


def restore_model(model: torch.nn.Module, tensors: Tensors, path: Path) -> None:
    """Load weights into `model`.

    Raises:
        CheckpointError: if names or shapes are not the model's.
    """
    try:
        model.load_state_dict(tensors)
    except RuntimeError as problem:
        detail = " ".join(str(problem).split())[:300]
        raise CheckpointError(f"the weights in {path} belong to another model: {detail}") from problem


def _portable(tensors: Tensors) -> Tensors:
    """On the CPU, contiguous and without shared memory, as safetensors wants them."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True, allow_nan=False).encode()


def _what_there_is(folder: Path) -> str:
    found = [name for name in (BEST, STAGE1, LAST, PREVIOUS) if find(folder / name).is_dir()]
    return f"it holds {', '.join(found)}" if found else "it holds none; train first, or resume with --resume"
