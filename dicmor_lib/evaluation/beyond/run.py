"""The study: train and measure every seed (kept in files, so that it may be interrupted), then join them."""

from __future__ import annotations

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
from dicmor_lib.modalities import PATTERNS, pattern_mask

SEPARATOR = "|"


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
        DataError: if no test clip has all modalities.
    """
    folder = seed_folder(out, setting, seed)
    file = folder / "measures.npz"
    if file.exists():
        with np.load(file) as kept:
            return {key_of(name): kept[name] for name in kept.files}
    folder.mkdir(parents=True, exist_ok=True)
    raw = setting.source.load()
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
    partial = folder / "measures.partial.npz"
    named: dict[str, Any] = {SEPARATOR.join(key): value for key, value in found.items()}
    np.savez_compressed(partial, **named)
    partial.replace(file)
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
