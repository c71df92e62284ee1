"""Deterministic passes of a model over a split: what it predicts and recovers under given masks.

Everything that is evaluated comes from here. The model runs in eval mode without gradients, in the split's
order and in batches of a fixed size, and nothing random is drawn, so the same model and data give the same
numbers on the same machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dicmor_lib.data.dataset import Split, collate
from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.evaluation.frame import effective_lengths
from dicmor_lib.model import DiCMoR

BATCH_SIZE = 64


@dataclass
class ShallowSplit:
    """The shallow features (3, N, T, d) of a split, their lengths (N, 3), and what is observed (N, 3)."""

    features: np.ndarray
    lengths: np.ndarray
    observed: np.ndarray


@dataclass
class ModelPass:
    """What one model said about one split under one mask.

    Attributes:
        prediction: (N,) float64; NaN for a sample with nothing available.
        available: (N, 3) bool: the mask that was used, within what is observed.
        lengths: (N, 3) valid steps of `transferred` and `recovered`.
        transferred: X~ of the missing modalities, zero elsewhere, (3, N, T, d).
        recovered: X^ = D(X~), likewise.
    """

    prediction: np.ndarray
    available: np.ndarray
    lengths: np.ndarray
    transferred: np.ndarray
    recovered: np.ndarray


def shallow_split(model: DiCMoR, split: Split, batch_size: int = BATCH_SIZE) -> ShallowSplit:
    """Return the shallow features C^m(raw) of everything that is observed in a split."""
    if not len(split):
        raise DataError("the split is empty: there is nothing to compute shallow features of")
    parts, lengths = [], []
    with evaluating(model) as device:
        for index in index_batches(np.arange(len(split)), batch_size):
            batch = collate(split, index).to(device)
            x = model.shallow_features(batch.features, batch.lengths * batch.observed)
            parts.append(x.float().cpu().numpy())
            lengths.append(_steps_of(model, batch.lengths * batch.observed, x.shape[2]))
    return ShallowSplit(join_padded(parts), np.concatenate(lengths), np.asarray(split.observed, dtype=bool))


def run_pass(model: DiCMoR, split: Split, available: np.ndarray, batch_size: int = BATCH_SIZE) -> ModelPass:
    """Run a model over a split under a mask `available` (N, 3) bool; no label is given to it.

    A modality that is not observed is not available whatever the mask says; a sample with nothing left is
    skipped and gets a NaN prediction.

    Raises:
        ShapeError: if the mask has another shape.
    """
    available = np.asarray(available, dtype=bool)
    if available.shape != (len(split), 3):
        raise ShapeError(
            f"available must have shape ({len(split)}, 3), one row per sample, not {available.shape}"
        )
    available = available & split.observed
    rows = np.flatnonzero(available.any(axis=1))
    if not len(rows):
        raise DataError("no sample of the split has anything available under this mask")
    prediction = np.full(len(split), np.nan)
    lengths = np.zeros((len(split), 3), dtype=np.int64)
    transferred, recovered = [], []
    with evaluating(model) as device:
        for index in index_batches(rows, batch_size):
            batch = collate(split, index).to(device)
            mask = torch.from_numpy(available[index])
            out = model(batch.features, mask, batch.lengths.cpu())
            prediction[index] = out.prediction.double().cpu().numpy()
            lengths[index] = _steps_of(model, out.lengths, out.recovered.shape[2])
            transferred.append(out.transferred.float().cpu().numpy())
            recovered.append(out.recovered.float().cpu().numpy())
    everywhere = (_spread(join_padded(parts), rows, len(split)) for parts in (transferred, recovered))
    return ModelPass(prediction, available, lengths, *everywhere)


def predict_filled(
    model: DiCMoR,
    filled: np.ndarray,
    lengths: np.ndarray,
    available: np.ndarray,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Return the fusion's predictions (N,) from shallow features (3, N, T, d) without gaps."""
    full = effective_lengths(lengths, available)
    prediction = np.empty(filled.shape[1])
    order = np.arange(filled.shape[1])
    if (
        model.config.honour_lengths
    ):  # then padding changes nothing, and batches of like lengths have the least
        order = np.argsort(full.max(axis=1), kind="stable")
    with evaluating(model) as device:
        for index in index_batches(order, batch_size):
            steps = max(int(full[index].max()), 1)
            x = torch.from_numpy(np.ascontiguousarray(filled[:, index, :steps])).float().to(device)
            out = model.predict_from_shallow(x, torch.from_numpy(full[index]).to(device))
            prediction[index] = out.double().cpu().numpy()
    return prediction


@contextmanager
def evaluating(model: DiCMoR) -> Iterator[torch.device]:
    """Eval mode without gradients, undone afterwards; gives the model's device."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield next(model.parameters()).device
    finally:
        model.train(was_training)


def index_batches(rows: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Cut row numbers into consecutive batches."""
    for start in range(0, len(rows), batch_size):
        yield rows[start : start + batch_size]


def join_padded(parts: list[np.ndarray]) -> np.ndarray:
    """Join (3, B, T_b, d) along B; shorter ones get zero steps at their end."""
    steps = max(part.shape[2] for part in parts)
    return np.concatenate([with_steps(part, steps) for part in parts], axis=1)


def shifted_steps(values: np.ndarray, shift: int, steps: int) -> np.ndarray:
    """Return (3, B, T, d) with T = steps in which step t holds what was at step t - shift; zeros elsewhere."""
    if shift < 0:
        return with_steps(values[:, :, -shift:], steps)
    return with_steps(np.pad(values, ((0, 0), (0, 0), (shift, 0), (0, 0))), steps)


def with_steps(values: np.ndarray, steps: int) -> np.ndarray:
    """Return (3, B, T, d) with T = steps: cut at the end, or zeros put there."""
    extra = max(0, steps - values.shape[2])
    return np.pad(values[:, :, :steps], ((0, 0), (0, 0), (0, extra), (0, 0)))


def _steps_of(model: DiCMoR, lengths: Tensor, steps: int) -> np.ndarray:
    """Lengths in steps of the shallow features; without `honour_lengths` every sequence has all T'."""
    mask = model.step_mask(lengths, steps)  # (3, B, T')
    return mask.sum(-1).t().round().long().cpu().numpy()


def _spread(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """Put (3, R, T, d) into the rows of (3, n, T, d), zero elsewhere."""
    if len(rows) == n:
        return values
    out = np.zeros((3, n, *values.shape[2:]), dtype=values.dtype)
    out[:, rows] = values
    return out
