"""Cleaning the features of one modality chunk by chunk, so that working memory does not grow with the file.

The stored array may be mapped (see `pages`): each chunk of samples is read, made float32, cleaned, shifted to
start at step 0 and handed to `write`, and its pages are given back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dicmor_lib.data.padding import inner_zero_steps, padding_sides, shift_to_start, valid_span
from dicmor_lib.data.pages import chunks, release
from dicmor_lib.data.report import ModalityReport
from dicmor_lib.errors import DataError

Write = Callable[[slice, np.ndarray], None]
"""Called as write(rows, x) for consecutive rows, x (len(rows), T, d) float32."""


@dataclass
class Spans:
    """Where the sequences of one modality were found, and what was changed in them."""

    first: np.ndarray  # (N,) int64, the step that was moved to step 0
    length: np.ndarray  # (N,) int64, 0 for a sequence of zeros
    nonfinite: int  # values replaced by 0
    inner_zero_steps: int


def check_features(value: object, where: str) -> np.ndarray:
    """`value` if it can be features: an array of numbers (N, T, d); nothing is converted yet."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu" or value.ndim != 3:
        found = (
            f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
        )
        raise DataError(
            f"{where} is {found}; it must be an array of numbers of shape (samples, time, channels)"
        )
    if len(value) and 0 in value.shape:
        raise DataError(f"{where} has shape {value.shape}; it must have at least one step and one channel")
    return value


def clean(value: np.ndarray, write: Write, shift: bool = True) -> Spans:
    """Hand the features to `write`: float32, NaN and infinite values 0, each sequence from step 0 on.

    Non-finite values are replaced first; a step that held nothing else is then a zero step like any other:
    padding at either end, valid inside. Without `shift` nothing is moved; the spans are found all the same.
    """
    spans = Spans(np.zeros(len(value), np.int64), np.zeros(len(value), np.int64), 0, 0)
    for rows in chunks(value.shape, max(value.itemsize, 4)):
        x, replaced = _finite(value[rows])
        first, length = valid_span(x)
        spans.first[rows], spans.length[rows] = first, length
        spans.nonfinite += replaced
        spans.inner_zero_steps += inner_zero_steps(x, length)
        write(rows, shift_to_start(x, first) if shift else x)
        release(value)
    return spans


def _finite(value: np.ndarray) -> tuple[np.ndarray, int]:
    """A float32 copy with NaN and infinite values 0, and how many there were."""
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.array(value, dtype=np.float32, order="C")  # what overflows becomes infinite, and is counted
    if not x.size or np.isfinite([x.min(), x.max()]).all():  # both are NaN if one value is
        return x, 0
    finite = np.isfinite(x)
    x[~finite] = 0
    return x, x.size - int(finite.sum())


def describe(value: np.ndarray, spans: Spans, stored_lengths: np.ndarray | None) -> ModalityReport:
    """What was found in a modality; the file's own lengths (N,) are only compared."""
    existing = spans.length[spans.length > 0]
    report = ModalityReport(
        shape=value.shape,
        dtype=str(value.dtype),
        nonfinite=spans.nonfinite,
        absent=len(value) - len(existing),
        padding=padding_sides(spans.first, spans.length, value.shape[1]),
        inner_zero_steps=spans.inner_zero_steps,
    )
    if len(existing):
        report.lengths = (int(existing.min()), float(np.median(existing)), int(existing.max()))
    if stored_lengths is not None and len(value):
        report.stored_lengths_right = float((stored_lengths == spans.length).mean())
    return report


def drop_rows(x: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The rows of x (N, ...) where kept (N,) is true, moved together within x itself: no second copy."""
    rows = np.flatnonzero(kept)
    for target in chunks((len(rows), *x.shape[1:]), x.itemsize):
        x[target] = x[rows[target]]  # row i comes from i or later, so nothing is overwritten before it moved
    return x[: len(rows)]
