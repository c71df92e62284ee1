"""One split of a data file, every field checked and its features cleaned into whatever room they are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dicmor_lib.data import fields
from dicmor_lib.data.dataset import MultimodalData, Split
from dicmor_lib.data.layouts import FEATURE_KEYS, LABEL_KEYS, RawFile, it_has
from dicmor_lib.data.report import ModalityReport, ReadReport, SplitReport
from dicmor_lib.data.sequences import Spans, check_features, clean, describe, drop_rows
from dicmor_lib.errors import DataError

Clean = Callable[[str, str, np.ndarray], tuple[np.ndarray, Spans]]
"""clean(split, key, value) -> the cleaned features (N, T, d) of a modality, and where its sequences were."""


@dataclass
class Part:
    """All rows of one split, those without any observed modality too; columns are language, audio, vision."""

    features: list[
        np.ndarray
    ]  # three (N, T_m, d_m) float32; (N, 0, 0) for a modality that is not in the file
    first: np.ndarray  # (N, 3) int64, the step of the file at which each sequence begins
    length: np.ndarray  # (N, 3) int64, as found from the values
    labels: np.ndarray  # (N,) float32
    ids: list[str]
    tokens: np.ndarray | None  # (N, 3, T) int64
    report: SplitReport


@dataclass
class Place:
    """Where in which file, for messages and generated names."""

    file: str
    split: str
    stem: str

    def of(self, key: str) -> str:
        """A field, in words."""
        return f"{self.file}: {key!r} of split {self.split!r}"

    def require(self, content: dict, keys: tuple[str, ...]) -> str:
        """The first of `keys` that the split has."""
        for key in keys:
            if key in content:
                return key
        raise DataError(
            f"{self.file}: split {self.split!r} has no {' or '.join(map(repr, keys))}{it_has(content)}"
        )


def read_part(
    content: dict[str, Any], raw: RawFile, place: Place, notes: list[str], clean_features: Clean
) -> Part:
    """Read a split; its feature arrays are taken out of `content`, so that they are freed once cleaned.

    notes: takes sentences about what was ignored.
    """
    label_key = place.require(content, LABEL_KEYS)
    if raw.may_lack_modalities:
        place.require(content, FEATURE_KEYS)
    else:
        for key in FEATURE_KEYS:
            place.require(content, (key,))
    ids = fields.read_ids(content["id"], place.of("id")) if content.get("id") is not None else None
    labels = fields.read_labels(content[label_key], ids, place.of(label_key))
    count = len(labels)
    ids = [f"{place.stem}/{place.split}/{row}" for row in range(count)] if ids is None else ids
    if len(ids) != count:
        raise DataError(f"{place.of('id')} names {len(ids)} samples, but {label_key!r} has {count}")
    tokens = content.get("text_bert")
    tokens = None if tokens is None else fields.read_tokens(tokens, count, place.of("text_bert"))

    part = Part([], _zeros(count), _zeros(count), labels, ids, tokens, SplitReport(samples=count))
    modalities = []
    for m, key in enumerate(FEATURE_KEYS):
        stored = fields.read_lengths(content.get(f"{key}_lengths"), count)
        if f"{key}_lengths" in content and stored is None:
            notes.append(f"{place.split}: {key}_lengths is not {count} numbers and was ignored.")
        value = content.pop(key, None)
        if value is None:
            part.features.append(np.zeros((count, 0, 0), np.float32))
            modalities.append(ModalityReport(absent=count))
            continue
        value = check_features(_with_samples(value, count, label_key, place.of(key)), place.of(key))
        x, spans = clean_features(place.split, key, value)
        part.features.append(x)
        part.first[:, m], part.length[:, m] = spans.first, spans.length
        modalities.append(describe(value, spans, stored))
    part.report.modalities = tuple(modalities)  # type: ignore[assignment]
    return part


def _zeros(count: int) -> np.ndarray:
    return np.zeros((count, 3), np.int64)


def _with_samples(value: Any, count: int, label_key: str, where: str) -> Any:
    samples = len(value) if isinstance(value, np.ndarray) and value.ndim else count
    if samples != count:
        raise DataError(f"{where} has {samples} samples, but {label_key!r} has {count}")
    return value


def match_dims(parts: dict[str, Part], name: str) -> None:
    """A modality has the same channels in every split that has it; splits without it get an empty array."""
    for m, key in enumerate(FEATURE_KEYS):
        dims = {split: part.features[m].shape[2] for split, part in parts.items()}
        dims = {split: dim for split, dim in dims.items() if dim}
        if len(set(dims.values())) > 1:
            found = ", ".join(f"{dim} in {split}" for split, dim in dims.items())
            raise DataError(
                f"{name}: {key!r} has a different number of channels from split to split ({found}); write all splits with one extractor"
            )
        for part in parts.values():
            if dims and not part.features[m].shape[2]:
                part.features[m] = np.zeros((len(part.labels), 0, next(iter(dims.values()))), np.float32)


def put_together(
    splits: dict[str, Split], report: ReadReport, name: str, source: str, sha256: str, synthetic: bool
) -> MultimodalData:
    """The data set of these splits; a split that is not there is empty, and an empty train split is refused."""
    if not len(splits["train"]):
        stored = report.splits["train"].samples
        why = "every modality of its samples is zero" if stored else "it has no samples"
        raise DataError(f"{name}: the train split is empty ({why}); there is nothing to learn from")
    nothing = splits["train"].select([])
    return MultimodalData(
        train=splits["train"],
        valid=splits.get("valid", nothing),
        test=splits.get("test", nothing),
        source=source,
        sha256=sha256,
        synthetic=synthetic,
        report=report,
    )


def all_steps(shapes: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Lengths (N, 3) in the published layout: T for every sequence of a modality that the file has."""
    return np.repeat([[shape[1] for shape in shapes]], shapes[0][0], axis=0).astype(np.int64)


def in_memory(shift: bool) -> Clean:
    """A `Clean` into new arrays."""

    def clean_features(split: str, key: str, value: np.ndarray) -> tuple[np.ndarray, Spans]:
        x = np.empty(value.shape, np.float32)
        return x, clean(value, lambda rows, chunk: x.__setitem__(rows, chunk), shift)

    return clean_features


def to_split(part: Part, published_layout: bool) -> Split:
    """The split without the samples in which nothing is observed, counted in its report; reuses the arrays."""
    lengths = all_steps([x.shape for x in part.features]) if published_layout else part.length
    kept = np.any(lengths > 0, axis=1)
    part.report.dropped = int((~kept).sum())
    if not kept.all():
        for m, x in enumerate(part.features):
            part.features[m] = drop_rows(x, kept)
    return Split(
        features=tuple(part.features),  # type: ignore[arg-type]
        lengths=lengths[kept],
        observed=lengths[kept] > 0,
        labels=part.labels[kept],
        ids=[name for name, keep in zip(part.ids, kept) if keep],
        tokens=None if part.tokens is None else part.tokens[kept],
    )
