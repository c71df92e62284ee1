"""The study: train and measure every seed (kept in files, so that it may be interrupted), then join them."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dicmor_lib.data.dataset import MultimodalData, Split
from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.beyond.measures import Asked, Key
from dicmor_lib.evaluation.beyond.models import train_models
from dicmor_lib.evaluation.beyond.setting import Setting
from dicmor_lib.evaluation.beyond.truth import truth_of
from dicmor_lib.evaluation.study import Source
from dicmor_lib.modalities import PATTERNS, pattern_mask
from dicmor_lib.training.atomic import write_file
from dicmor_lib.training.config import TrainConfig
from dicmor_lib.training.lock import locked

SEPARATOR = "|"
ABOUT = "study.json"
"""In the folder of a seed: which data and settings its weights and measures belong to."""


def seed_folder(out: Path, setting: Setting, seed: int) -> Path:
    """Where one seed of one data set lies."""
    return Path(out) / setting.source.name / f"seed-{seed}"


def run_seed(
    setting: Setting,
    seed: int,
    out: Path,
    patterns: tuple[str, ...] = PATTERNS,
    say: Callable[[str], None] = lambda what: None,
) -> dict[Key, np.ndarray]:
    """Train and measure one seed, or read what was measured before.

    Raises:
        DataError: if no test clip has all modalities, or the folder holds another study or a damaged file.
        CheckpointError: if another process is at work on this seed.
    """
    folder = seed_folder(out, setting, seed)
    with locked(folder / ".lock"):
        raw = setting.source.load()
        _claim(folder, setting, raw)
        file = folder / "measures.npz"
        if not file.exists():
            found = _measure(setting, seed, raw, folder, patterns, say)
            partial = folder / "measures.partial.npz"
            named: dict[str, Any] = {SEPARATOR.join(key): value for key, value in found.items()}
            np.savez_compressed(partial, **named)
            partial.replace(file)
        return _read(file)


def _read(file: Path) -> dict[Key, np.ndarray]:
    try:
        with np.load(file) as kept:
            return {key_of(name): kept[name] for name in kept.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as problem:
        raise DataError(f"{file} is damaged ({problem}); delete it to measure this seed again") from None


def _claim(folder: Path, setting: Setting, raw: MultimodalData) -> None:
    """Note what the folder is for; what was kept for other data or settings must not pass for these."""
    settings = dataclasses.asdict(dataclasses.replace(setting, source=Source(), train=TrainConfig()))
    about = settings | {"source": setting.source.name, "train": setting.train.to_dict(), "data": raw.sha256}
    text, file = json.dumps(about, indent=1, sort_keys=True, default=str), folder / ABOUT
    if not file.exists():
        write_file(file, text.encode())
    elif file.read_text(encoding="utf-8") != text:
        raise DataError(
            f"{folder} holds a study of other data or with other settings (see {ABOUT} in it); give another "
            "--out, or delete that folder to measure anew"
        )


def _measure(
    setting: Setting,
    seed: int,
    raw: MultimodalData,
    folder: Path,
    patterns: tuple[str, ...],
    say: Callable[[str], None],
) -> dict[Key, np.ndarray]:
    """Train what is not trained yet, and ask every pattern."""
    models = train_models(setting, raw, seed, folder)
    say(f"{setting.source.name}, seed {seed}: trained")
    rows = complete_clips(raw)
    tested = models.data.test.select(rows)
    asked = Asked(models, setting.draws, seed, tested)
    found: dict[Key, np.ndarray] = {}
    for pattern in patterns:
        available = np.tile(pattern_mask(pattern), (len(rows), 1))
        truth = None
        if setting.source.oracle is not None:
            clips: Split = raw.test.select(rows)
            truth = truth_of(setting.source.oracle, clips, models.standardiser, available)
        found |= asked.under(pattern, available, truth)
        say(f"{setting.source.name}, seed {seed}: measured {pattern}")
    return found


def complete_clips(raw: MultimodalData) -> np.ndarray:
    """Test clips that have all modalities: only of these can anything that is hidden be compared with the truth."""
    rows = np.flatnonzero(raw.test.observed.all(axis=1))
    if not len(rows):
        raise DataError(
            "no test clip has all three modalities, so nothing recovered can be compared with what is real; give a "
            "file whose test split has complete clips"
        )
    return rows


def key_of(name: str) -> Key:
    """Undo the name of an array in measures.npz."""
    measure, pattern, target, method = name.split(SEPARATOR)
    return measure, pattern, target, method
