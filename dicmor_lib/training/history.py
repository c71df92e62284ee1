"""The record of a run: one row per epoch, in memory, in metrics.csv and for TensorBoard."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dicmor_lib.errors import CheckpointError
from dicmor_lib.modalities import MODALITIES, PATTERNS
from dicmor_lib.training.atomic import explain_os_errors, write_file
from dicmor_lib.training.epoch_log import TERMS
from dicmor_lib.training.events import EventFile

Row = dict[str, float]

COLUMNS: tuple[str, ...] = (
    *("stage", "epoch", "learning_rate", "loss", *TERMS[2], "gradient_norm", "valid_mae", "is_best"),
    *(f"valid_{metric}_{pattern}" for metric in ("mae", "acc2", "pearson") for pattern in PATTERNS),
    *(f"inverse_error_{name}" for name in MODALITIES),
    *("seconds", "samples_per_second"),
)
"""Columns of metrics.csv; a cell is empty where its stage has no such value."""

_WHOLE = ("stage", "epoch", "is_best")


@dataclass
class History:
    """What `fit` returns.

    Attributes:
        rows: one dictionary per epoch with those of `COLUMNS` that the stage has.
        notices: what was decided along the way and should be known, in sentences.
    """

    rows: list[Row] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def column(self, name: str, stage: int | None = None) -> list[float]:
        """The values of one column, of one stage or of both; rows without it are left out."""
        return [row[name] for row in self.rows if name in row and stage in (None, row["stage"])]

    def best(self, stage: int) -> Row | None:
        """The row of the epoch that was selected in a stage, None if the stage did not run."""
        rows = [row for row in self.rows if row["stage"] == stage and row["is_best"]]
        return rows[-1] if rows else None


class Recorder:
    """Writes rows to metrics.csv and tensorboard/ in a folder, beginning with those of `rows`.

    A row is on disk before the checkpoint of its epoch, so after a crash there may be rows too many, never
    too few: a run that goes on from a checkpoint passes the `earlier_rows` up to it.
    """

    def __init__(self, folder: Path, rows: list[Row]) -> None:
        self._csv, self._count = folder / "metrics.csv", len(rows)
        write_file(self._csv, _format(rows, header=True).encode())
        with explain_os_errors(str(folder / "tensorboard")):
            self._events = EventFile(folder / "tensorboard", first=self._count + 1)

    def add(self, row: Row) -> None:
        """Write one epoch's row."""
        self._count += 1
        with explain_os_errors(str(self._csv)), open(self._csv, "a", encoding="utf-8", newline="") as file:
            file.write(_format([row]))
        with explain_os_errors(str(self._csv.parent / "tensorboard")):
            self._events.add(self._count, _tagged(row))


def _tagged(row: Row) -> Row:
    """The numbers of a row by their TensorBoard tags; those that are not finite cannot be drawn."""
    tagged = {}
    for name, value in row.items():
        if name not in _WHOLE and math.isfinite(value):
            group = "valid" if name.startswith(("valid_", "inverse_")) else "train"
            tagged[f"stage{row['stage']}/{group}/{name.removeprefix('valid_')}"] = value
    return tagged


def earlier_rows(folder: Path, stage: int, epoch: int) -> list[Row]:
    """The rows of a folder's metrics.csv up to an epoch of a stage; none if there is no such file."""
    return [row for row in _read(folder / "metrics.csv") if (row["stage"], row["epoch"]) <= (stage, epoch)]


def _format(rows: list[Row], header: bool = False) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _read(path: Path) -> list[Row]:
    """The rows of an earlier metrics.csv; a last line that was cut short is left out."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            lines = [line for line in file.read().splitlines(keepends=True) if line.endswith("\n")]
        return [_parse(row) for row in csv.DictReader(lines) if None not in row.values()]
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise CheckpointError(f"cannot read {path}: {problem.strerror}") from problem
    except (ValueError, KeyError, TypeError, csv.Error) as problem:
        raise CheckpointError(
            f"{path} is damaged ({problem}); remove it, the checkpoints do not need it"
        ) from problem


def _parse(row: dict[str, Any]) -> Row:
    values = {name: float(value) for name, value in row.items() if value != ""}
    whole = {name: int(values[name]) for name in _WHOLE}  # every row has these
    return {name: whole.get(name, value) for name, value in values.items()}
