"""The fields of a data file besides its features, one by one: arrays of a known type, or one clear sentence."""

from __future__ import annotations

import numpy as np

from dicmor_lib.data.files import show
from dicmor_lib.errors import DataError

LABEL_ROUNDING = 1e-3
"""How far float16 rounding may carry a label over the edge of [-3, 3]."""
ID_PARTS = 8
ID_LENGTH = 200


def _is_number(value: object) -> bool:
    """A real number of ordinary size. Only flat lists are converted: nested ones can be made to explode."""
    return isinstance(value, (int, float, np.integer, np.floating)) and bool(
        value != value or -(2**31) < value < 2**31
    )


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
