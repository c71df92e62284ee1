"""`fit`: both stages of training, from a model and data to selected weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dicmor_lib.data.dataset import MultimodalData
from dicmor_lib.errors import ConfigError
from dicmor_lib.language.encoder import LanguageEncoder
from dicmor_lib.model import DiCMoR
from dicmor_lib.training.checkpoint import BEST, write_state
from dicmor_lib.training.config import TrainConfig
from dicmor_lib.training.engine import launch
from dicmor_lib.training.given_stage1 import read_given
from dicmor_lib.training.history import History, Recorder, earlier_rows
from dicmor_lib.training.prepare import Prepared, prepare
from dicmor_lib.training.progress import Progress
from dicmor_lib.training.resume import Start, begin
from dicmor_lib.training.stage import Callback, Context, Stage
from dicmor_lib.training.state import RunState
from dicmor_lib.training.tuning import LiveLanguage, check_encoder, recompute


def fit(
    model: DiCMoR,
    data: MultimodalData,
    config: TrainConfig,
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
    callback: Callback | None = None,
    origin: dict[str, Any] | None = None,
    encoder: LanguageEncoder | None = None,
    stage1: str | Path | Mapping[str, Tensor] | None = None,
) -> History:
    """Train `model` in place; afterwards it holds the weights selected on the validation split.

    >>> from dicmor_lib import DiCMoRConfig
    >>> from dicmor_lib.data import Oracle
    >>> data = Oracle(sizes=(48, 16, 16)).dataset()
    >>> model = DiCMoR(DiCMoRConfig.tiny(data.feature_dims, flow_layers=2, rcab_blocks=1, fusion_layers=1))
    >>> history = fit(model, data, TrainConfig(stage1_epochs=1, stage2_epochs=2), progress=False)
    >>> [(row["stage"], row["epoch"]) for row in history.rows]
    [(1, 1), (2, 1), (2, 2)]

    Args:
        model: its feature dimensions must be the data's.
        data: as read; standardisation is fitted on its training split here (`config.standardise`). The test
            split is never looked at.
        out: folder for config.json, checkpoints, metrics.csv and tensorboard/; None keeps everything in
            memory.
        resume: go on from the last checkpoint in `out`. A run that was interrupted, even killed, ends with
            the same weights as one that was not: bit for bit on a CPU.
        progress: bars on stderr; None shows them on a terminal and prints one line per epoch elsewhere, False
            writes nothing.
        callback: called after every epoch with its row of the history (see `COLUMNS`).
        origin: entries to add to the data section of config.json, such as the path that was read.
        encoder: with `config.bert_mode` "fine-tune", the BERT that computed the data's language features
            (`encode_language`), tuned in place in stage 1; also to resume, as it was loaded at first.
        stage1: skip stage 1 and start from this one, the folder of a run that has finished its own or a model's
            state dictionary: C^m and fusion are taken from it, everything else stays as it is in `model`. Models
            that share it can be compared (`given_stage1`). It is noted in config.json; a resumed run needs it no
            more.

    Raises:
        ConfigError: if model, data and configuration do not go together.
        DataError: if there are too few samples.
        TrainingError: if a loss term, a gradient or a prediction stops being finite.
        CheckpointError: if a checkpoint cannot be written or, with `resume`, read.
        DeviceError: if the device or precision is not to be had.
    """
    _check(model, data, config, resume, out)
    check_encoder(data, config, encoder)
    engine = launch(config)
    prepared = prepare(data, config)
    if encoder is not None:
        _refuse_without_stage1(prepared, config)
    given = None if stage1 is None else read_given(stage1, config, prepared)
    folder = None if out is None else Path(out)
    history = History(notices=list(prepared.notices))
    with _keeping_random_state(engine.device):
        parts: dict[str, torch.nn.Module] = (
            {"model": model} if encoder is None else {"model": model, "encoder": encoder}
        )
        for part in parts.values():
            part.to(engine.device)
        start = begin(parts, data, prepared, config, folder, resume, origin, engine, given)
        history.notices += start.notices
        for part in parts.values():
            engine.same_everywhere(part)
        shown = Progress(progress if engine.is_main else False, may_stop=engine.world == 1)
        context = Context(model, engine, config, folder, None, history, shown, callback)
        if encoder is not None:
            context.live = LiveLanguage(encoder, prepared.standardiser, data.report.published_layout)
        if folder is not None:
            _open_record(context, folder, start.state)
        try:
            for notice in history.notices:
                shown.say(f"note: {notice}")
            engine.compile_blocks(model)
            _run_stages(context, data, prepared, start)
        finally:
            engine.plain_blocks(model)
            shown.close()
    for part in parts.values():
        part.eval()
    return history


def _check(
    model: DiCMoR, data: MultimodalData, config: TrainConfig, resume: bool, out: str | Path | None
) -> None:
    if tuple(model.config.feature_dims) != tuple(data.feature_dims):
        raise ConfigError(
            f"the model takes features of {tuple(model.config.feature_dims)} channels (language, audio, "
            f"vision), the data has {tuple(data.feature_dims)}; build it with feature_dims=data.feature_dims"
        )
    if resume and out is None:
        raise ConfigError("there is nothing to resume from without a folder; give out=")


def _open_record(context: Context, folder: Path, state: RunState) -> None:
    """Begin metrics.csv and tensorboard/, with the rows of the epochs that `state` has behind it."""
    rows = context.engine.on_main(lambda: earlier_rows(folder, state.stage, state.epoch))
    context.history.rows[:] = rows

    def open_it() -> None:
        context.recorder = Recorder(folder, rows)

    context.engine.on_main(open_it)


def _run_stages(context: Context, data: MultimodalData, prepared: Prepared, start: Start) -> None:
    """Stage 1 on the complete samples, stage 2 on all; either may be skipped, stage 1 may be over."""
    model, config, train = context.model, context.config, prepared.train
    index, complete_valid = prepared.complete()
    lacking = not start.given_stage1 and _lacks_complete_samples(index, prepared, config)
    if config.stage1_epochs and not lacking and start.state.stage == 1:
        with _shallow(model, trains=True):
            Stage(context, start.state, train, index, complete_valid, start.best, start.moments).run()
        start = Start(RunState(stage=2))
    elif start.state.stage == 1:
        start = Start(RunState(stage=2))
        if lacking:
            context.notify(
                f"stage 1 is skipped: only {len(index)} training sample(s) have all three modalities; the "
                "shallow features train in stage 2 instead"
            )
    if config.stage2_epochs == 0:
        _select_stage1(context)
        return
    if context.live is not None:
        tuned = recompute(data, context.live.encoder)
        prepared = prepare(tuned, config, prepared.standardiser)
        train = prepared.train
    everything = np.arange(len(train))
    if not _micro_batches_exist(everything, config):
        raise ConfigError(
            f"{len(train)} training samples fill no whole step of {config.step_size} and drop_remainder "
            "leaves out the rest; lower batch_size or accumulate"
        )
    with _shallow(model, trains=lacking or (model.config.shallow_gradient and not config.freeze_shallow)):
        Stage(context, start.state, train, everything, prepared.valid, start.best, start.moments).run()


def _lacks_complete_samples(index: np.ndarray, prepared: Prepared, config: TrainConfig) -> bool:
    """Whether stage 1 is wanted but its samples would not fill a batch (although there are enough others)."""
    needed = config.step_size if config.drop_remainder else min(config.batch_size, len(prepared.train))
    return config.stage1_epochs > 0 and len(index) < needed


def _refuse_without_stage1(prepared: Prepared, config: TrainConfig) -> None:
    index, _ = prepared.complete()
    if _lacks_complete_samples(index, prepared, config):
        raise ConfigError(
            f"only {len(index)} training sample(s) have all three modalities, so there is no stage 1 to fine-tune "
            "the BERT in; use bert_mode 'frozen'"
        )


def _micro_batches_exist(index: np.ndarray, config: TrainConfig) -> bool:
    return len(index) >= config.step_size if config.drop_remainder else len(index) > 0


def _select_stage1(context: Context) -> None:
    """Without a stage 2 the selected model is that of stage 1."""
    row, folder = context.history.best(1), context.folder
    if folder is not None and row is not None:
        about = {name: row[name] for name in ("stage", "epoch", "valid_mae")}
        weights = context.model.state_dict()
        context.engine.on_main(lambda: write_state(folder, BEST, about, model=weights))


@contextmanager
def _shallow(model: DiCMoR, trains: bool) -> Iterator[None]:
    """Let C^m train, or freeze it, for the duration of a stage."""
    gradient = model.shallow_gradient
    flags = [parameter.requires_grad for parameter in model.shallow.parameters()]
    model.shallow_gradient = trains
    for parameter in model.shallow.parameters():
        parameter.requires_grad_(trains)
    try:
        yield
    finally:
        model.shallow_gradient = gradient
        for parameter, flag in zip(model.shallow.parameters(), flags):
            parameter.requires_grad_(flag)


@contextmanager
def _keeping_random_state(device: torch.device) -> Iterator[None]:
    """Training seeds torch's global generators; give them back as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
