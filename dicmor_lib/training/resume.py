"""Where a run begins: anew, or from the last checkpoint that is whole."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from dicmor_lib.data.dataset import MultimodalData
from dicmor_lib.errors import CheckpointError
from dicmor_lib.model import DiCMoR
from dicmor_lib.training.atomic import explain_os_errors, finish_swap
from dicmor_lib.training.checkpoint import (
    BEST,
    LAST,
    PREVIOUS,
    STAGE1,
    Tensors,
    read_config,
    read_state,
    restore_model,
    write_config,
    write_state,
)
from dicmor_lib.training.config import TrainConfig
from dicmor_lib.training.engine import Engine
from dicmor_lib.training.given_stage1 import GivenStage1
from dicmor_lib.training.prepare import Prepared
from dicmor_lib.training.state import RunState
from dicmor_lib.training.tuning import read_tuned

MAY_CHANGE = ("stage1_epochs", "stage2_epochs", "patience", "accelerator", "devices", "nodes", "compile")
"""Settings that may differ when a run is resumed; all others decide what its weights become."""

DAMAGED = "damaged"
"""Where a last checkpoint that could not be read is kept."""


@dataclass
class Start:
    """What `Stage` goes on from; `weights` and `best` are by part: "model", and "encoder" if it is tuned.

    Parts without an entry in `weights` keep what the caller gave. `given_stage1`: stage 1 was another run's.
    """

    state: RunState
    weights: dict[str, Tensors] = field(default_factory=dict)
    best: dict[str, Tensors] | None = None
    moments: Tensors | None = None
    notices: list[str] = field(default_factory=list)
    given_stage1: bool = False


def begin(
    parts: dict[str, torch.nn.Module],
    data: MultimodalData,
    prepared: Prepared,
    config: TrainConfig,
    folder: Path | None,
    resume: bool,
    origin: dict[str, Any] | None,
    engine: Engine,
    given: GivenStage1 | None = None,
) -> Start:
    """Check or write config.json, and load the checkpoint if there is one to resume.

    A new run saves its initial weights at once, so that it can be resumed from its first moment on, and so
    that a folder that cannot be written is noticed before an epoch is spent. `parts` holds the "model" and, if
    it is tuned, the "encoder". A `given` stage 1 is put into the model, and kept as the run's own, so that its
    folder holds all that an evaluation needs.

    Raises:
        CheckpointError: if `folder` already holds a run and `resume` is not set, if the run was made with
            other settings or data, or if every checkpoint is damaged.
    """
    if given is not None:
        given.load_into(parts["model"])  # type: ignore[arg-type]
    if folder is None:
        return _anew(given)
    about = {
        **(origin or {}),
        "source": data.source,
        "sha256": data.sha256,
        "synthetic": data.synthetic,
        "feature_dims": list(data.feature_dims),
        "standardiser": prepared.standardiser,
        "language": data.language,
        "stage1": None if given is None else given.about,
    }
    start = engine.on_main(lambda: _begin(parts, config, folder, resume, about, given))
    for name, weights in start.weights.items():
        restore_model(parts[name], weights, folder)
    return start


def _begin(
    parts: dict[str, torch.nn.Module],
    config: TrainConfig,
    folder: Path,
    resume: bool,
    about: dict[str, Any],
    given: GivenStage1 | None,
) -> Start:
    model: DiCMoR = parts["model"]  # type: ignore[assignment]
    exists = (folder / "config.json").exists()
    if exists and not resume:
        raise CheckpointError(f"{folder} already holds a training run; resume it, or choose another folder")
    start = _load(model, config, folder, about) if exists else None
    write_config(folder, model.config, config, about)
    if start is None:
        start = _anew(given)
        if resume:
            start.notices.append(f"{folder} holds no checkpoint yet: the run starts from the beginning")
        if given is not None:
            write_state(folder, STAGE1, given.state, model=model.state_dict())
        weights = {name: part.state_dict() for name, part in parts.items()}
        write_state(folder, LAST, start.state.to_dict(), **weights, optimiser={})
    return start


def _anew(given: GivenStage1 | None) -> Start:
    return Start(RunState()) if given is None else Start(RunState(stage=2), given_stage1=True)


def _load(model: DiCMoR, config: TrainConfig, folder: Path, about: dict[str, Any]) -> Start | None:
    """The newest whole checkpoint, None if the run stopped before its first one."""
    model_config, train_config, stored = read_config(folder)
    _refuse_changes(folder, "model", model_config.to_dict(), model.config.to_dict(), ())
    _refuse_changes(folder, "training", train_config.to_dict(), config.to_dict(), MAY_CHANGE)
    if stored.get("sha256") != about["sha256"]:
        raise CheckpointError(
            f"the run in {folder} was started on other data ({stored.get('source')}); resume it with "
            "the same file, or choose another folder"
        )
    _refuse_other_encoder(folder, stored.get("language"), about["language"])
    exists = any((folder / name).exists() for name in (LAST, PREVIOUS))
    about["stage1"] = _same_stage1(folder, stored.get("stage1"), about["stage1"], exists)
    if not exists:
        return None
    for name in (BEST, STAGE1):
        finish_swap(folder / name)
    notices: list[str] = []
    values, tensors = _read_newest(folder, notices)
    state = RunState.from_dict(values)
    if state.stage == 2 and train_config.stage1_epochs != config.stage1_epochs:
        raise CheckpointError(
            f"the run in {folder} is in stage 2: stage1_epochs must stay {train_config.stage1_epochs}"
        )
    moments = tensors.pop("optimiser", None)
    if moments is None:
        raise CheckpointError(
            f"the last checkpoint of {folder} lacks optimiser.safetensors; train again elsewhere"
        )
    if config.bert_mode == "fine-tune" and state.stage == 2:  # stage 2 only reads the encoder of stage 1
        tensors["encoder"] = read_tuned(folder)
    start = Start(state, tensors, None, moments, notices, about["stage1"] is not None)
    if state.best is not None:
        _load_best(folder, start)
    return start


def _read_newest(folder: Path, notices: list[str]) -> tuple[dict[str, Any], dict[str, Tensors]]:
    try:
        return read_state(folder, LAST)
    except CheckpointError as problem:
        try:
            found = read_state(folder, PREVIOUS)
        except CheckpointError as second:
            raise CheckpointError(
                f"neither checkpoint of {folder} can be used: {problem}; {second}; train again elsewhere"
            ) from problem
        kept = _set_aside(folder)
        notices.append(f"{problem}; the run goes on from the one before ({folder / PREVIOUS}){kept}")
        return found


def _set_aside(folder: Path) -> str:
    """Move the damaged last checkpoint out of the way; return a phrase that says where it is.

    In its place it would become "previous" when the next one is written, and a process that died within that swap
    would leave nothing but the damaged one.
    """
    if not (folder / LAST).exists():
        return ""  # the process died between the two renames of a swap: nothing is damaged, one epoch is repeated
    with explain_os_errors(str(folder / DAMAGED)):
        shutil.rmtree(folder / DAMAGED, ignore_errors=True)
        (folder / LAST).rename(folder / DAMAGED)
    return f"; the damaged one is kept as {folder / DAMAGED}"


def _load_best(folder: Path, start: Start) -> None:
    """The weights selected so far; should they be damaged, the selection begins again, and that is said."""
    try:
        start.best = read_state(folder, STAGE1 if start.state.stage == 1 else BEST)[1]
    except CheckpointError as problem:
        start.state.best, start.state.best_epoch, start.state.stale = None, 0, 0
        start.notices.append(f"{problem}; the best model is selected anew from the epochs that follow")


def _refuse_other_encoder(folder: Path, stored: dict[str, Any] | None, given: dict[str, Any] | None) -> None:
    if (stored or {}).get("sha256") != (given or {}).get("sha256"):
        was, now = (
            "the data's own features" if x is None else f"the BERT {x['source']}" for x in (stored, given)
        )
        change = f"{was}, not {now}" if was != now else f"{was}, whose weights have changed since"
        raise CheckpointError(
            f"the run in {folder} was started with language from {change}; resume it with the same, or "
            "choose another folder"
        )


def _same_stage1(
    folder: Path, stored: dict[str, Any] | None, given: dict[str, Any] | None, exists: bool
) -> dict[str, Any] | None:
    """What config.json says about the stage 1 that a run started from, None if it trains its own."""
    if given is None and (exists or stored is None):
        return stored
    if (stored or {}).get("sha256") != (given or {}).get("sha256"):
        was = "a stage 1 of its own" if stored is None else f"the stage 1 of {stored['source']}"
        now = "none is given" if given is None else f"that of {given['source']} has other weights"
        raise CheckpointError(
            f"the run in {folder} was started with {was}, and {now}; resume it with the same, or choose another "
            "folder"
        )
    return given


def _refuse_changes(
    folder: Path, kind: str, stored: dict[str, Any], given: dict[str, Any], free: tuple[str, ...]
) -> None:
    changed = [name for name in stored if name not in free and stored[name] != given[name]]
    if changed:
        name = changed[0]
        raise CheckpointError(
            f"the run in {folder} was started with the {kind} setting {name}={stored[name]!r}, not "
            f"{given[name]!r}; resume it with the same settings, or choose another folder"
        )
