"""Validation: predictions under any patterns, in eval mode, without labels, shared between the processes."""

from __future__ import annotations

import numpy as np
import torch

from dicmor_lib.data.dataset import Split, collate
from dicmor_lib.errors import TrainingError
from dicmor_lib.modalities import PATTERNS, pattern_mask
from dicmor_lib.model import DiCMoR
from dicmor_lib.training.engine import Engine
from dicmor_lib.training.steps import to_device
from dicmor_lib.training.tuning import LiveLanguage

ROWS = 224
"""(sample, pattern) pairs per forward pass; 32 samples under seven patterns."""


def predict_patterns(
    model: DiCMoR,
    split: Split,
    patterns: tuple[str, ...],
    engine: Engine,
    live: LiveLanguage | None = None,
) -> np.ndarray:
    """Return predictions (patterns, N); NaN where a sample has none of a pattern's modalities.

    Only what is available is given to the model: no label and nothing about what is missing. `live` computes the
    language features with an encoder that is in training.
    """
    wanted = np.array([pattern_mask(pattern) for pattern in patterns])  # (patterns, 3)
    available = wanted[:, None, :] & split.observed[None, :, :]  # (patterns, N, 3)
    # Samples vary slowest, so that the rows of one pass have few different lengths to pad.
    rows = np.argwhere(available.any(2).T)[:, ::-1]  # (pairs, 2): pattern, sample
    result = torch.zeros(len(patterns), len(split), dtype=torch.float64, device=engine.device)
    mine = engine.share(rows)
    training = model.training
    for part in (model,) if live is None else (model, live.encoder):
        part.eval()
    with torch.no_grad():
        for start in range(0, len(mine), ROWS):
            pattern, sample = (torch.from_numpy(part.copy()) for part in mine[start : start + ROWS].T)
            batch = to_device(collate(split, sample.numpy()), engine.device)
            mask = torch.from_numpy(available[pattern.numpy(), sample.numpy()])
            with engine.autocast():
                batch = batch if live is None else live(batch)
                prediction = model(batch.features, mask, batch.lengths).prediction
            result[pattern, sample] = prediction.double()
    model.train(training)
    values = engine.add_up(result).cpu().numpy()  # every pair belongs to one process, the others add zero
    return np.where(available.any(2), values, np.nan)


def validate(
    model: DiCMoR, split: Split, stage: int, engine: Engine, live: LiveLanguage | None = None
) -> dict[str, float]:
    """Return "valid_mae", by which checkpoints are selected, and the MAE, Acc-2 and Pearson's r per pattern.

    The selection error is the MAE with all modalities in stage 1, and its mean over the seven patterns in
    stage 2.

    Raises:
        TrainingError: if a prediction is not finite.
    """
    from dicmor_lib.evaluation.metrics import weighted_metrics

    patterns = PATTERNS[-1:] if stage == 1 else PATTERNS
    row: dict[str, float] = {}
    for pattern, prediction in zip(patterns, predict_patterns(model, split, patterns, engine, live)):
        rows = (split.observed & np.array(pattern_mask(pattern))).any(1)
        if not rows.any():
            continue
        if not np.isfinite(prediction[rows]).all():
            raise TrainingError(
                f"a validation prediction with pattern '{pattern}' is not finite after an epoch of stage "
                f"{stage}: lower the learning rate; the checkpoints of earlier epochs are intact"
            )
        metrics = weighted_metrics(
            prediction[rows], split.labels[rows], np.ones((1, rows.sum()))
        )  # the quick way
        row |= {f"valid_{name}_{pattern}": float(metrics[name][0]) for name in ("mae", "acc2", "pearson")}
    errors = [row[f"valid_mae_{pattern}"] for pattern in patterns if f"valid_mae_{pattern}" in row]
    return {"valid_mae": float(np.mean(errors)), **row}
