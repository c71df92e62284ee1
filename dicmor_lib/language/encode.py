"""Language features of a data set, computed once: token ids through a BERT in eval mode."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch

from dicmor_lib.data.dataset import MultimodalData, Split
from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.language.encoder import LanguageEncoder
from dicmor_lib.language.tokens import check_tokens, token_span

Progress = Callable[[int, int], None]
"""Called as progress(done, total), in samples, after each batch."""


def encode_language(
    data: MultimodalData, encoder: LanguageEncoder, batch_size: int = 32, progress: Progress | None = None
) -> MultimodalData:
    """The data set with the language features of its token ids in place of the file's own.

    Features are BERT's last hidden states in eval mode, computed where the encoder is; each sequence starts at
    step 0 and reaches from its first to its last attended token, whatever lengths the other modalities have. The
    time axis of language is as long as the longest sequence of a split. A sample without tokens has no observed
    language. Mix further clips in before, standardise afterwards. `data` itself and the encoder are left as they
    are; data that was encoded before is encoded anew from its tokens.

    With data read in the published layout nothing is moved or zeroed, and every length is T, as there.

    Raises:
        DataError: if the data has no token ids, or ones that this BERT does not know.
    """
    if batch_size < 1:
        raise ConfigError(f"the batch size is {batch_size}; it must be at least 1")
    splits, total, done = {}, sum(map(len, data.splits.values())), 0
    published = data.report.published_layout
    check_language(data, encoder)
    notes = []
    for name, split in data.splits.items():

        def report(count: int, done: int = done) -> None:
            if progress is not None:
                progress(done + count, total)

        splits[name] = _encode_split(split, encoder, batch_size, published, report)
        done += len(split)
        lost = int((split.observed[:, 0] & ~splits[name].observed[:, 0]).sum())
        if lost:
            notes.append(f"{name}: {lost:,} samples have no tokens, so their language is not observed.")
    notes.append(f"Language features were computed from token ids by the BERT {encoder.source}.")
    notes = [note for note in notes if note not in data.report.notes]
    return dataclasses.replace(
        data.replace_splits(splits),
        language=encoder.about(),
        report=dataclasses.replace(data.report, notes=data.report.notes + notes),
    )


def check_language(data: MultimodalData, encoder: LanguageEncoder) -> None:
    """Refuse data that the encoder cannot read, before anything is computed.

    Raises:
        DataError: if the data has no token ids, or ones that this BERT does not know.
    """
    for name, split in data.splits.items():
        if not len(split):
            continue
        if split.tokens is None:
            raise DataError(
                f"{data.source} has no token ids (text_bert), which a BERT needs; give a file that has them, or "
                "use its own language features without a BERT"
            )
        where = f"{data.source}: 'text_bert' of split {name!r}"
        check_tokens(split.tokens, encoder.architecture, where, data.report.published_layout)


def _encode_split(
    split: Split, encoder: LanguageEncoder, batch_size: int, published: bool, report: Callable[[int], None]
) -> Split:
    """One split with computed language features, lengths and `observed`."""
    if split.tokens is None or not len(split):  # `check_language` refuses samples without tokens
        empty = np.zeros((0, 0, encoder.channels), np.float32)
        return dataclasses.replace(split, features=(empty, *split.features[1:]))
    first, length = token_span(split.tokens)
    if published:
        length = np.where(length > 0, split.tokens.shape[2], 0)
    features = np.zeros((len(split), max(int(length.max()), 1), encoder.channels), np.float32)
    # Sequences of one length together leave little padding to compute.
    order = np.argsort(first + length, kind="stable")
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.inference_mode():
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                tokens = torch.from_numpy(split.tokens[rows])
                features[rows] = encoder(tokens, features.shape[1], published).cpu().numpy()
                report(start + len(rows))
    finally:
        encoder.train(was_training)
    lengths = np.column_stack([length, split.lengths[:, 1:]])
    observed = np.column_stack([length > 0, split.observed[:, 1:]])
    return dataclasses.replace(
        split, features=(features, *split.features[1:]), lengths=lengths, observed=observed
    )
