"""Where a sequence begins and ends, whatever side it was padded on.

Files pad with zeros at the front, at the back or on both sides, and the lengths stored beside them are often
wrong. So the values decide: a sequence reaches from its first to its last non-zero step, and the zero steps
inside it stay valid.
"""

from __future__ import annotations

import numpy as np

from dicmor_lib.data.report import PADDING_SIDES


def valid_span(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First non-zero step and length of each sequence in x (N, T, d), both (N,) int64; (0, 0) if all zero."""
    nonzero = np.any(x, axis=2)  # (N, T)
    exists = nonzero.any(axis=1)
    if x.shape[1] == 0:
        return np.zeros(len(x), np.int64), np.zeros(len(x), np.int64)
    first = nonzero.argmax(axis=1)  # 0 where there is no non-zero step
    end = x.shape[1] - nonzero[:, ::-1].argmax(axis=1)
    return first.astype(np.int64), np.where(exists, end - first, 0).astype(np.int64)


def shift_to_start(x: np.ndarray, first: np.ndarray) -> np.ndarray:
    """x (N, T, d) with step `first` of each sequence moved to step 0; zeros follow its last non-zero step.

    first: (N,) as found by `valid_span`. Returns x itself if no sequence has to move.
    """
    if not (first > 0).any():
        return x
    out = np.zeros(x.shape, x.dtype)
    for k in np.unique(first):  # at most T different shifts, each a block copy of all its samples
        rows = first == k
        out[rows, : x.shape[1] - k] = x[rows, k:]
    return out


def inner_zero_steps(x: np.ndarray, length: np.ndarray) -> int:
    """How many valid steps of x (N, T, d), shifted to the start, are zero in every channel."""
    return int(length.sum() - x.any(axis=2).sum())


def padding_sides(first: np.ndarray, length: np.ndarray, time: int) -> dict[str, int]:
    """How many of the existing sequences are padded on no side, the front, the back, or on both sides."""
    exists = length > 0
    front, back = first > 0, first + length < time
    sides = (~front & ~back, front & ~back, ~front & back, front & back)
    return {name: int((exists & side).sum()) for name, side in zip(PADDING_SIDES, sides)}
