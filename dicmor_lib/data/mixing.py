"""Adding clips that lack a modality to a training set."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from dicmor_lib.data.dataset import Features, MultimodalData, Split
from dicmor_lib.data.mapped import MappedFeatures
from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.modalities import MODALITIES


def mix_in(data: MultimodalData, extra: MultimodalData) -> MultimodalData:
    """`data` with the train split of `extra` appended to its own; valid and test stay as they are.

    A modality that `extra` does not have takes the channels of `data` and is not observed. Mix before
    standardising. Features of a store stay on disk.

    >>> from dicmor_lib.data import Oracle
    >>> data, extra = (Oracle(sizes=sizes).dataset() for sizes in ((8, 2, 2), (5, 0, 0)))
    >>> {name: len(split) for name, split in mix_in(data, extra).splits.items()}
    {'train': 13, 'valid': 2, 'test': 2}

    Raises:
        ShapeError: if a modality has another number of channels in `extra`.
        DataError: if a clip of `extra` has the id of a clip of valid or test, which must not be trained on.
    """
    for name, ours, theirs in zip(MODALITIES, data.feature_dims, extra.feature_dims):
        if theirs and ours != theirs:
            raise ShapeError(
                f"{extra.source} has {theirs} {name} channels, {data.source} has {ours}; "
                "only clips with the same features can be mixed in"
            )
    held_out = set(data.valid.ids) | set(data.test.ids)
    leaked = [name for name in extra.train.ids if name in held_out]
    if leaked:
        raise DataError(
            f"{extra.source} has {len(leaked)} clips of the valid or test split of {data.source} "
            f"(the first is {leaked[0]}); remove them from the clips to mix in"
        )
    notes = [f"{len(extra.train):,} clips of {extra.source} were added to train."]
    notes += [f"{extra.source}: {sentence}" for sentence in extra.report.sentences()]
    return replace(
        data,
        train=_append(data.train, extra.train),
        source=f"{data.source} + {extra.source}",
        sha256=hashlib.sha256(f"{data.sha256}+{extra.sha256}".encode()).hexdigest(),
        synthetic=data.synthetic or extra.synthetic,
        report=replace(data.report, notes=data.report.notes + notes),
    )


def _append(ours: Split, theirs: Split) -> Split:
    features = tuple(
        _append_features(a, b, ours.lengths[:, m], theirs.lengths[:, m])
        for m, (a, b) in enumerate(zip(ours.features, theirs.features))
    )
    return Split(
        features=features,  # type: ignore[arg-type]
        lengths=np.concatenate([ours.lengths, theirs.lengths]),
        observed=np.concatenate([ours.observed, theirs.observed]),
        labels=np.concatenate([ours.labels, theirs.labels]),
        ids=ours.ids + theirs.ids,
        tokens=None if ours.tokens is None else _append_tokens(ours.tokens, theirs),
    )


def _append_features(a: Features, b: Features, a_lengths: np.ndarray, b_lengths: np.ndarray) -> Features:
    """Rows of a, then of b, padded with zeros to the longer T; b may have no steps and no channels."""
    if isinstance(a, MappedFeatures):
        return a.append(b, b_lengths)
    if isinstance(b, MappedFeatures):
        return MappedFeatures([a], np.arange(len(a)), a_lengths).append(b, b_lengths)
    out = np.zeros((len(a) + len(b), max(a.shape[1], b.shape[1]), a.shape[2]), np.float32)
    out[: len(a), : a.shape[1]] = a
    if b.shape[1] and b.shape[2]:
        out[len(a) :, : b.shape[1]] = b
    return out


def _append_tokens(a: np.ndarray, theirs: Split) -> np.ndarray:
    """As `_append_features` for tokens (N, 3, T); clips without tokens get an attention mask of zeros."""
    b = np.zeros((len(theirs), 3, a.shape[2]), np.int64) if theirs.tokens is None else theirs.tokens
    out = np.zeros((len(a) + len(b), 3, max(a.shape[2], b.shape[2])), np.int64)
    out[: len(a), :, : a.shape[2]] = a
    out[len(a) :, :, : b.shape[2]] = b
    return out
