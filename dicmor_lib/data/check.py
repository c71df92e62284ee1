"""What a data file holds, in words and small tables: `dicmor data check FILE`, also for a store."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dicmor_lib.data.dataset import MultimodalData, Split
from dicmor_lib.data.files import show
from dicmor_lib.data.known_files import describe
from dicmor_lib.data.readers import read
from dicmor_lib.data.report import PADDING_SIDES, ReadReport
from dicmor_lib.data.standardise import channel_moments
from dicmor_lib.data.store import check_sums
from dicmor_lib.data.store_files import is_store
from dicmor_lib.modalities import MODALITIES

RAW_SCALE = 50.0
"""A channel whose mean or standard deviation exceeds this has surely not been standardised."""
CLASSES = tuple(range(-3, 4))


@dataclass
class LabelLaw:
    """How the labels of one split are distributed."""

    count: int
    minimum: float
    mean: float
    maximum: float
    zero_share: float  # share of labels that are exactly 0: Acc-2 leaves them out
    class_shares: tuple[float, ...]  # of the classes round(y) = -3 .. 3

    @classmethod
    def of(cls, labels: np.ndarray) -> LabelLaw:
        """The law of labels (N,), N at least 1."""
        classes = np.round(labels).astype(int)
        shares = tuple(float((classes == c).mean()) for c in CLASSES)
        mean, zero = float(labels.mean(dtype=np.float64)), float((labels == 0).mean())
        return cls(len(labels), float(labels.min()), mean, float(labels.max()), zero, shares)


@dataclass
class ScaleReport:
    """The channels of one modality over the valid steps of the train split."""

    largest_mean: float  # largest absolute mean of a channel
    largest_sd: float
    constant: int  # channels that never vary

    @property
    def raw(self) -> bool:
        """Whether the features have surely not been standardised."""
        return max(self.largest_mean, self.largest_sd) > RAW_SCALE


@dataclass
class CheckReport:
    """Everything that `render` prints."""

    path: str
    size: int  # bytes
    sha256: str
    identity: str  # whether it is a known MMSA file, one sentence
    reading: ReadReport
    labels: dict[str, LabelLaw]
    scales: dict[str, ScaleReport]  # by modality
    remarks: list[str] = field(default_factory=list)  # whole sentences
    tokens: str = ""  # what token ids there are, one sentence; "" without any
    store: str = ""  # what is said of a store, one sentence; "" for a file


def check_file(path: str | os.PathLike[str]) -> CheckReport:
    """Read a data file and describe it; of a store every file is compared with its SHA-256.

    Raises:
        DataError: if it cannot be read, with the reason (see `read`).
    """
    data = read(path)
    store, size = "", Path(path).stat().st_size
    if is_store(path):
        files, size = check_sums(path)
        store = (
            f"A store made from {data.source}: all {files} files match their SHA-256; everything else here, and "
            "the SHA-256 above, is about the source."
        )
    scales = _scales(data)
    sizes = tuple(found.samples for found in data.report.splits.values())
    return CheckReport(
        path=show(path, 300),
        size=size,
        sha256=data.sha256,
        identity=describe(data.sha256, sizes),  # type: ignore[arg-type]
        reading=data.report,
        labels={name: LabelLaw.of(split.labels) for name, split in data.splits.items() if len(split)},
        scales=scales,
        remarks=data.report.sentences() + _remarks(data, scales),
        tokens=_tokens(data.splits),
        store=store,
    )


def _tokens(splits: dict[str, Split]) -> str:
    arrays = [split.tokens for split in splits.values() if split.tokens is not None and len(split)]
    if not arrays:
        return ""
    time, largest = (
        max(int(size) for size in sizes) for sizes in zip(*((x.shape[2], x[:, 0].max()) for x in arrays))
    )
    return (
        f"Token ids (text_bert): {time} per sample, the largest is {largest}; `dicmor train --bert FOLDER` computes "
        "language features from them."
    )


def _scales(data: MultimodalData) -> dict[str, ScaleReport]:
    scales = {}
    for m, name in enumerate(MODALITIES):
        if data.train.observed[:, m].any():
            found = channel_moments(data.train.features[m], data.train.lengths[:, m])
            largest_mean, largest_sd = float(np.abs(found.mean).max()), float(found.sd.max())
            scales[name] = ScaleReport(largest_mean, largest_sd, int(found.constant.sum()))
    return scales


def _remarks(data: MultimodalData, scales: dict[str, ScaleReport]) -> list[str]:
    said = []
    for name, scale in scales.items():
        if scale.raw:
            said.append(
                f"The {name} features are raw (channel means up to {scale.largest_mean:.3g}, standard "
                f"deviations up to {scale.largest_sd:.3g}): standardise them, which training does by default."
            )
        if scale.constant:
            channels = "channel never varies" if scale.constant == 1 else "channels never vary"
            said.append(f"{scale.constant} {name} {channels} in training: nothing can be learnt from that.")
    for name, split in data.splits.items():
        repeated = sum(count - 1 for count in Counter(split.ids).values())
        if repeated:
            said.append(f"{name}: {repeated} ids occur again; the same clips may be there twice.")
    return said + _leaks(data.splits)


def _leaks(splits: dict[str, Split]) -> list[str]:
    said = []
    for first, second in (("train", "valid"), ("train", "test"), ("valid", "test")):
        shared = set(splits[first].ids) & set(splits[second].ids)
        if shared:
            said.append(
                f"{len(shared)} ids are both in {first} and in {second} (one is {min(shared)}): "
                f"results on {second} would be too good."
            )
    return said


def render(report: CheckReport) -> str:
    """The report as text for a terminal, without colours."""
    lines = [
        f"{report.path}: {report.reading.format}, {report.size / 1e6:.1f} MB",
        f"SHA-256 {report.sha256}",
        *([report.store] if report.store else []),
        report.identity,
        "",
        *_table(_SEQUENCE_HEAD, _sequence_rows(report.reading)),
        "Lengths are those found from the values (first to last non-zero step); 'stored right' is the share",
        "of the file's own lengths that equal them. A sequence of zeros counts as absent.",
        "",
        *_table(_LABEL_HEAD, _label_rows(report.labels)),
        "",
        *_table(
            ("training scale", "largest |mean|", "largest sd", "constant channels"),
            _scale_rows(report.scales),
        ),
        *(["", report.tokens] if report.tokens else []),
    ]
    if report.remarks:
        lines += ["", "Worth knowing:", *(f"- {remark}" for remark in report.remarks)]
    else:
        lines += ["", "Nothing unusual was found."]
    return "\n".join(lines)


_SEQUENCE_HEAD: tuple[str, ...] = ("split", "modality", "N x T x d", "type", "NaN/inf", "absent")
_SEQUENCE_HEAD += ("lengths min/med/max", "stored right", "padding", "zero steps inside")
_LABEL_HEAD = (
    "split",
    "labels",
    "min",
    "mean",
    "max",
    "exactly 0",
    *(f"{c:+d}" if c else "0" for c in CLASSES),
)


def _sequence_rows(reading: ReadReport) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for split_name, split in reading.splits.items():
        for name, found in zip(MODALITIES, split.modalities):
            shape = " x ".join(map(str, found.shape)) if found.shape else "not in the file"
            lengths = "{}/{:g}/{}".format(*found.lengths) if found.lengths else "-"
            right = "-" if found.stored_lengths_right is None else f"{found.stored_lengths_right:.0%}"
            row = (split_name, name, shape, found.dtype or "-", f"{found.nonfinite:,}", f"{found.absent:,}")
            rows.append((*row, lengths, right, _padding(found.padding), f"{found.inner_zero_steps:,}"))
    return rows


def _padding(sides: dict[str, int]) -> str:
    """For example "front 97%, none 3%", the most frequent side first."""
    total = sum(sides.values())
    used = sorted((side for side in PADDING_SIDES if sides[side]), key=lambda side: -sides[side])
    shares = {side: sides[side] / total for side in used}
    return (
        ", ".join(
            f"{side} {share:.0%}" if share >= 0.005 else f"{side} <1%" for side, share in shares.items()
        )
        or "-"
    )


def _label_rows(labels: dict[str, LabelLaw]) -> list[tuple[str, ...]]:
    rows = []
    for name, law in labels.items():
        shares = (f"{share:.1%}" for share in (law.zero_share, *law.class_shares))
        rows.append(
            (name, f"{law.count:,}", f"{law.minimum:.2f}", f"{law.mean:.2f}", f"{law.maximum:.2f}", *shares)
        )
    return rows


def _scale_rows(scales: dict[str, ScaleReport]) -> list[tuple[str, ...]]:
    return [
        (name, f"{scale.largest_mean:.3g}", f"{scale.largest_sd:.3g}", str(scale.constant))
        for name, scale in scales.items()
    ]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Left-aligned columns, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in (head, *rows)
    ]
