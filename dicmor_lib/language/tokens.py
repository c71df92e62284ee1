"""Token ids before a BERT sees them: checks, and where a sequence begins and ends.

The attention mask decides, as the values do for features (`dicmor_lib.data.padding`): a sequence reaches from
its first to its last attended token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dicmor_lib.data.padding import valid_span
from dicmor_lib.errors import DataError, ShapeError


def token_span(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First attended token and length of each sequence in tokens (N, 3, T), both (N,) int64; (0, 0) if none."""
    return valid_span(tokens[:, 1, :, None])


def check_tokens(tokens: np.ndarray, config: Mapping[str, Any], where: str, everything: bool = False) -> None:
    """Refuse tokens (N, 3, T) that a BERT of this configuration cannot read.

    Only what is attended to is looked at, unless `everything` is read (the published layout). `where` names the
    array in messages.

    Raises:
        ShapeError: if the array is not three rows of whole numbers per sample.
        DataError: if the mask is not one of 0 and 1, an id or a segment is unknown to this BERT, or a sequence
            is too long for it.
    """
    if tokens.ndim != 3 or tokens.shape[1] != 3 or tokens.dtype.kind not in "iu":
        raise ShapeError(
            f"{where} is {tokens.dtype} {tokens.shape}; token ids, attention mask and segments must be whole "
            "numbers of shape (samples, 3, tokens)"
        )
    ids, mask, segments = tokens.swapaxes(0, 1)
    _refuse((mask != 0) & (mask != 1), mask, where, "as attention mask, which is 0 or 1 in every step")
    read = np.ones_like(mask, dtype=bool) if everything else mask == 1
    known = {"token id": (ids, config["vocab_size"]), "segment": (segments, config["type_vocab_size"])}
    for what, (values, limit) in known.items():
        why = f"as {what}, and this BERT knows 0 to {limit - 1}; give the one whose tokeniser wrote the file"
        _refuse(read & ((values < 0) | (values >= limit)), values, where, why)
    limit = config["max_position_embeddings"]
    time = int(np.flatnonzero(read.any(0)).max(initial=-1)) + 1
    if time > limit:
        raise DataError(f"{where} has sequences of {time} tokens, the BERT reads {limit} at most; cut them")


def _refuse(bad: np.ndarray, values: np.ndarray, where: str, why: str) -> None:
    """Raise `DataError` for the first True of bad (N, T)."""
    if bad.any():
        row, step = (int(i[0]) for i in bad.nonzero())
        raise DataError(f"{where} holds {values[row, step]} in row {row}, step {step}, {why}")
