"""The fields of a data file, one by one: arrays of a known type, or one clear sentence."""

from __future__ import annotations

import numpy as np

from dicmor_lib.data.files import show
from dicmor_lib.data.padding import inner_zero_steps, padding_sides, shift_to_start, valid_span
from dicmor_lib.data.report import ModalityReport
from dicmor_lib.errors import DataError

LABEL_ROUNDING = 1e-3
"""How far float16 rounding may carry a label over the edge of [-3, 3]."""
ID_PARTS = 8
ID_LENGTH = 200


def read_features(value: object, where: str) -> tuple[np.ndarray, int]:
    """Features as float32 (N, T, d), and how many NaN and infinite values were replaced by 0."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu" or value.ndim != 3:
        found = (
            f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
        )
        raise DataError(
            f"{where} is {found}; it must be an array of numbers of shape (samples, time, channels)"
        )
    if len(value) and 0 in value.shape:
        raise DataError(f"{where} has shape {value.shape}; it must have at least one step and one channel")
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.ascontiguousarray(value, dtype=np.float32)  # what overflows becomes infinite, and is counted
    if not x.size or np.isfinite([x.min(), x.max()]).all():  # both are NaN if one value is
        return x, 0
    finite = np.isfinite(x)
    return np.where(finite, x, np.float32(0)), x.size - int(finite.sum())


def read_sequences(
    value: object, stored_lengths: np.ndarray | None, published_layout: bool, where: str
) -> tuple[np.ndarray, np.ndarray, ModalityReport]:
    """One modality: features (N, T, d) float32 from step 0 on, lengths (N,) int64, and what was found.

    Non-finite values are replaced first; a step that held nothing else is then a zero step like any other:
    padding at either end, valid inside. With `published_layout` nothing is shifted and every length is T.
    """
    x, nonfinite = read_features(value, where)
    first, length = valid_span(x)
    shifted = shift_to_start(x, first)
    existing = length[length > 0]
    report = ModalityReport(
        shape=value.shape,  # type: ignore[attr-defined]
        dtype=str(value.dtype),  # type: ignore[attr-defined]
        nonfinite=nonfinite,
        absent=len(x) - len(existing),
        padding=padding_sides(first, length, x.shape[1]),
        inner_zero_steps=inner_zero_steps(shifted, length),
    )
    if len(existing):
        report.lengths = (int(existing.min()), float(np.median(existing)), int(existing.max()))
    if stored_lengths is not None and len(x):
        report.stored_lengths_right = float((stored_lengths == length).mean())
    if published_layout:
        shifted, length = x, np.full(len(x), x.shape[1], np.int64)
    return np.require(shifted, requirements="W"), length, report  # arrays of a pickle are read-only


def _is_number(value: object) -> bool:
    """A real number of ordinary size. Only flat lists are converted: nested ones can be made to explode."""
    return isinstance(value, (int, float, np.integer, np.floating)) and (value != value or abs(value) < 2**31)


def read_labels(value: object, ids: list[str] | None, where: str) -> np.ndarray:
    """Sentiment labels as float32 (N,), all in [-3, 3]; stored as (N,), (N, 1), (N, 1, 1) or a flat list."""
    if isinstance(value, list) and all(map(_is_number, value)):
        value = np.array([float(item) for item in value])
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        found = value.dtype if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
        raise DataError(f"{where} is {found}; labels must be an array of numbers in [-3, 3]")
    if value.ndim == 0 or value.ndim > 3 or any(size != 1 for size in value.shape[1:]):
        raise DataError(
            f"{where} has shape {value.shape}; "
            "labels must have shape (samples,), (samples, 1) or (samples, 1, 1)"
        )
    labels = value.reshape(len(value)).astype(np.float64)
    bad = np.flatnonzero(~(np.abs(labels) <= 3 + LABEL_ROUNDING))  # ~(<=) is also true for NaN
    if bad.size:
        row = int(bad[0])
        sample = f"row {row}" + (f" ({ids[row]})" if ids and row < len(ids) else "")
        raise DataError(
            f"{where} holds {labels[row]:g} in {sample}; "
            "sentiment labels lie in [-3, 3]: correct or remove it"
        )
    return np.clip(labels, -3, 3).astype(np.float32)


def read_ids(value: object, where: str) -> list[str]:
    """Sample names; rows such as MulT's (video, start, end) are joined with "$_$"."""
    if isinstance(value, np.ndarray) and value.ndim in (1, 2):
        value = value.tolist() if value.ndim == 1 or value.shape[1] <= ID_PARTS else None
    if not isinstance(value, (list, tuple)):
        raise DataError(f"{where} is not a list of sample names; remove it, or give one name per sample")
    return [_name(item, where) for item in value]


def _name(item: object, where: str) -> str:
    if isinstance(item, (list, tuple)) and 0 < len(item) <= ID_PARTS:
        return "$_$".join(_part(part, where) for part in item)
    return _part(item, where)


def _part(item: object, where: str) -> str:
    if isinstance(item, bytes):
        item = item[:ID_LENGTH].decode("utf-8", "replace")
    if not isinstance(item, (str, int, float, np.generic)):
        raise DataError(f"{where} holds a {type(item).__name__}; sample names must be text")
    return show(item, ID_LENGTH)


def read_lengths(value: object, count: int) -> np.ndarray | None:
    """The file's own lengths as int64 (N,); they are only ever compared. None if they are not N numbers."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if not isinstance(value, list) or len(value) != count:
        return None
    if not all(map(_is_number, value)):
        return None
    return np.array([-1 if item != item else int(item) for item in value], dtype=np.int64)


def read_tokens(value: object, count: int, where: str) -> np.ndarray:
    """BERT's (token ids, attention mask, segments) as int64 (N, 3, T)."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu" or value.ndim != 3:
        raise DataError(f"{where} must be an array of numbers of shape (samples, 3, tokens)")
    if value.shape[:2] != (count, 3) or value.shape[2] == 0:
        raise DataError(
            f"{where} has shape {value.shape}; for {count} samples it must be ({count}, 3, tokens)"
        )
    if not ((value >= 0) & (value < 2**31)).all():
        raise DataError(
            f"{where} holds values that are not token ids (NaN, negative or huge); write it again"
        )
    return value.astype(np.int64)
