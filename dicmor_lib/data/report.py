"""What a reader found in a file and what it changed, so that nothing happens silently."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from dicmor_lib.data.files import show
from dicmor_lib.modalities import MODALITIES

NOTE_LENGTH = 600
PADDING_SIDES = ("none", "front", "back", "both")


@dataclass
class ModalityReport:
    """One modality of one split, as stored in the file."""

    shape: tuple[int, ...] = ()  # (N, T, d) as stored; () if the file does not have this modality
    dtype: str = ""
    nonfinite: int = 0  # NaN and infinite values, replaced by 0
    absent: int = 0  # samples whose sequence is all zero, or all of them if the modality is not in the file
    padding: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(PADDING_SIDES, 0)
    )  # sequences by side
    inner_zero_steps: int = 0  # zero steps between the first and the last non-zero one; they stay valid
    lengths: tuple[int, float, int] | None = None  # shortest, median and longest sequence found
    stored_lengths_right: float | None = None  # share of the file's own lengths that equal the found ones


@dataclass
class SplitReport:
    """One split; its modalities are (language, audio, vision)."""

    samples: int = 0  # as stored
    dropped: int = 0  # samples without a single observed modality
    modalities: tuple[ModalityReport, ModalityReport, ModalityReport] = field(
        default_factory=lambda: (ModalityReport(), ModalityReport(), ModalityReport())
    )


@dataclass
class ReadReport:
    """Counts and remarks of one reading; empty for synthetic data."""

    format: str = "synthetic"
    splits: dict[str, SplitReport] = field(default_factory=dict)
    published_layout: bool = False  # read as the published code does: nothing shifted, every step valid
    notes: list[str] = field(default_factory=list)  # whole sentences

    @property
    def nonfinite_total(self) -> int:
        """How many NaN and infinite feature values were replaced by 0."""
        return sum(modality.nonfinite for split in self.splits.values() for modality in split.modalities)

    def sentences(self) -> list[str]:
        """What the user should know before using the data, one sentence each; empty if there is nothing."""
        said = []
        for split_name, split in self.splits.items():
            for name, modality in zip(MODALITIES, split.modalities):
                if modality.nonfinite:
                    said.append(
                        f"{split_name}: {modality.nonfinite:,} {name} values were NaN or infinite "
                        "and were replaced by 0."
                    )
                if modality.absent:
                    share = f"{modality.absent:,} of {split.samples:,}"
                    said.append(f"{split_name}: {name} is not observed in {share} samples.")
            if split.dropped:
                said.append(
                    f"{split_name}: {split.dropped:,} samples without any observed modality were dropped."
                )
        return said + self.notes

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ReadReport:
        """The inverse of `to_dict`, also after JSON. Values are taken over as plain numbers and printable text.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: if they are not such.
        """
        splits = {show(name): _split_report(split) for name, split in values["splits"].items()}
        notes = [show(note, NOTE_LENGTH) for note in values["notes"]]
        return cls(show(values["format"]), splits, bool(values["published_layout"]), notes)


def _split_report(values: dict[str, Any]) -> SplitReport:
    language, audio, vision = map(_modality_report, values["modalities"])
    return SplitReport(int(values["samples"]), int(values["dropped"]), (language, audio, vision))


def _modality_report(values: dict[str, Any]) -> ModalityReport:
    lengths, right = values["lengths"], values["stored_lengths_right"]
    return ModalityReport(
        shape=tuple(map(int, values["shape"])),
        dtype=show(values["dtype"]),
        nonfinite=int(values["nonfinite"]),
        absent=int(values["absent"]),
        padding={side: int(values["padding"][side]) for side in PADDING_SIDES},
        inner_zero_steps=int(values["inner_zero_steps"]),
        lengths=None if lengths is None else (int(lengths[0]), float(lengths[1]), int(lengths[2])),
        stored_lengths_right=None if right is None else float(right),
    )
