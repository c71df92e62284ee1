"""What other papers print for CMU-MOSI and CMU-MOSEI with missing modalities: facts with their sources.

`published_numbers.csv` beside this file holds one row per (dataset, protocol, rate or pattern, method, source):
tables of peer papers and independent re-runs. Nothing in it was measured by us, and none of it can be compared
with our numbers without reading how it was made: "random" missing is not one protocol (`protocols`), features
differ, and some columns look exchanged (`published_checks`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from dicmor_lib.errors import DataError

NUMBERS: tuple[str, ...] = ("acc2", "f1", "acc7", "mae", "corr")
"""Columns of numbers: Acc-2, weighted F1 and Acc-7 in percent, MAE in units of the label, Pearson's r."""
TITLES = {"acc2": "Acc-2", "f1": "F1", "acc7": "Acc-7", "mae": "MAE", "corr": "Pearson r"}
QUOTABLE: tuple[str, ...] = ("peer paper table", "independent re-run")
_SAME_NAME = {"mr_or_available": "where"}


@dataclass(frozen=True)
class PublishedRow:
    """One line of a published table.

    Attributes:
        dataset: "mosi" or "mosei".
        protocol: "random" (`where` is a missing rate, "0.3") or "fixed" (`where` is the available pattern, "la").
        method: as the source names it.
        values: name of `NUMBERS` -> number; what the source does not print is not there.
        f1_std: standard deviation of the F1 over the source's seeds, or None.
        source, kind, note: where it stands; one of `QUOTABLE`; what a reader must know.
        features: "mmsa dimensions" (those of MMSA's files), "other", or "" where the source does not say.
        line: in the file, for messages.
    """

    dataset: str
    protocol: str
    where: str
    method: str
    values: dict[str, float]
    f1_std: float | None
    source: str
    kind: str
    features: str
    note: str
    line: int

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What may stand in the table once: dataset, protocol, where, method, source."""
        return self.dataset, self.protocol, self.where, self.method, self.source

    @property
    def group(self) -> tuple[str, str, str, str]:
        """Rows of one method in one table: source, dataset, protocol, method."""
        return self.source, self.dataset, self.protocol, self.method

    @property
    def rate(self) -> float:
        """The missing rate of a "random" row; NaN otherwise."""
        return _number(self.where) if self.protocol == "random" else float("nan")


def published_rows(
    path: str | Path | None = None, kinds: Sequence[str] | None = QUOTABLE
) -> list[PublishedRow]:
    """Read published numbers: the package's, or those of another file with the same columns.

    Args:
        path: a CSV file; columns it lacks (f1_std, features, note) count as empty.
        kinds: kinds of rows to keep; None keeps all, for cross-checks only.

    Raises:
        DataError: if the file cannot be read, lacks a column, or holds something else than a number.
    """
    name = "published_numbers.csv" if path is None else str(path)
    try:
        file = resources.files("dicmor_lib.evaluation") / name if path is None else Path(path)
        lines = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
        rows = [_row(line, number, name) for number, line in enumerate(lines, start=2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{name} cannot be read as a table of published numbers: {error}") from error
    return [row for row in rows if kinds is None or row.kind in kinds]


def select(
    rows: Iterable[PublishedRow], dataset: str | None = None, protocol: str | None = None
) -> list[PublishedRow]:
    """Return the rows of one data set and one protocol; None means all."""
    return [
        row
        for row in rows
        if (dataset is None or row.dataset == dataset) and (protocol is None or row.protocol == protocol)
    ]


def by_group(rows: Iterable[PublishedRow]) -> dict[tuple[str, str, str, str], list[PublishedRow]]:
    """Return the rows of each method in each table, in order."""
    groups: dict[tuple[str, str, str, str], list[PublishedRow]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return groups


def _row(line: dict[str, str | None], number: int, name: str) -> PublishedRow:
    cells = {
        _SAME_NAME.get(key, key): (value or "").strip() for key, value in line.items() if key is not None
    }
    lacking = {"dataset", "protocol", "where", "method", "source", "kind", *NUMBERS} - cells.keys()
    if lacking or None in line:
        what = (
            f"lacks the columns {', '.join(sorted(lacking))}"
            if lacking
            else f"has too many cells in line {number}"
        )
        raise DataError(f"{name} {what}; it is no table of published numbers")
    try:
        values = {column: float(cells[column]) for column in NUMBERS if cells[column]}
        f1_std = float(cells["f1_std"]) if cells.get("f1_std") else None
    except ValueError as error:
        raise DataError(
            f"line {number} of {name} holds something that is no number ({error}); mend it"
        ) from error
    where = cells["where"]
    if cells["protocol"] == "fixed":
        where = where.replace(",", "")
    texts = {key: cells[key] for key in ("dataset", "protocol", "method", "source", "kind")}
    return PublishedRow(
        **texts, where=where, values=values, f1_std=f1_std, features=cells.get("features", ""),
        note=cells.get("note", ""), line=number,
    )  # fmt: skip


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
