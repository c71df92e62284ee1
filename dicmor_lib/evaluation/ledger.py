"""The ledger of results: who measured what, on which data, masks and seed, with which settings and software.

Three files in one folder, swapped in together so that a reader never sees half of a change:

- runs.csv: one line per data set, method and seed (or several seeds, for a mean over them);
- measures.csv: the numbers, each with the run that it belongs to; five significant digits, bounds and p-values four;
- configs.json: every configuration once, under its hash.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import math
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.ledger_rows import KINDS, Measure, Run
from dicmor_lib.training.atomic import find, write_folder
from dicmor_lib.training.lock import locked


@dataclass
class Ledger:
    """Runs by id, measures by key, configurations by hash."""

    runs: dict[str, Run] = field(default_factory=dict)
    measures: dict[tuple[str, ...], Measure] = field(default_factory=dict)
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, run: Run, measures: Iterable[Measure], config: dict[str, Any] | None = None) -> None:
        """Add a run with its numbers.

        Raises:
            DataError: if the run is there already (`merge` replaces), or a measure is another run's or given twice.
        """
        if run.id in self.runs:
            raise DataError(
                f"the ledger already holds {run.method!r} on {run.data} for seed {run.seeds} with these settings; "
                "merge another ledger into it to replace that"
            )
        if config is not None:
            self.configs[run.config] = config
        self.runs[run.id] = run
        for measure in measures:
            self._put(measure)

    def _put(self, measure: Measure) -> None:
        if measure.run not in self.runs:
            raise DataError(
                f"a measure ({measure.measure}) belongs to the run {measure.run}, which is not there"
            )
        if measure.key in self.measures:
            raise DataError(f"the measure {' / '.join(filter(None, measure.key))} is there twice")
        self.measures[measure.key] = measure

    def merge(self, other: Ledger) -> None:
        """Take all runs of another ledger over; a run that both hold is replaced, with all its measures."""
        self._drop(set(other.runs))
        self.runs |= other.runs
        self.measures |= other.measures
        self.configs |= other.configs

    def replace_studies(self, other: Ledger) -> None:
        """As `merge`, but every run of this ledger with the data, split and preset of one there goes first.

        So a ledger never holds numbers of the same thing from before and after a change.
        """
        studies = {_study(run) for run in other.runs.values()}
        self._drop({id for id, run in self.runs.items() if _study(run) in studies})
        self.merge(other)

    def _drop(self, ids: set[str]) -> None:
        self.runs = {id: run for id, run in self.runs.items() if id not in ids}
        self.measures = {key: m for key, m in self.measures.items() if m.run not in ids}
        used = {run.config for run in self.runs.values()}
        self.configs = {key: config for key, config in self.configs.items() if key in used}

    def write(self, folder: Path) -> None:
        """Write the three files, all or nothing."""
        runs = [run for _, run in sorted(self.runs.items(), key=_order)]
        place = {run.id: number for number, run in enumerate(runs)}
        measures = sorted(self.measures.values(), key=lambda m: place[m.run])  # stable: within a run as added
        files = {
            "runs.csv": _csv(RUN_COLUMNS, [[run.id, *_values(run)] for run in runs]),
            "measures.csv": _csv(MEASURE_COLUMNS, map(_values, measures)),
            "configs.json": (json.dumps(dict(sorted(self.configs.items())), indent=0) + "\n").encode(),
        }
        write_folder(Path(folder), files)

    @classmethod
    def read(cls, folder: str | Path) -> Ledger:
        """Read what `write` wrote.

        Raises:
            DataError: if a file is absent or a line of it is not what `write` writes; the line is named.
        """
        folder = find(Path(folder))
        ledger = cls()
        try:
            ledger.configs = dict(json.loads((folder / "configs.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError) as problem:
            raise DataError(f"{folder / 'configs.json'} is not part of a ledger: {problem}") from None
        for where, cells in _lines(folder / "runs.csv", RUN_COLUMNS):
            ledger._read_run(where, cells)
        for where, cells in _lines(folder / "measures.csv", MEASURE_COLUMNS):
            numbers = {name: _number(cells[name], name, where) for name in ("value", "low", "high", "p")}
            try:
                ledger._put(Measure(**(cells | numbers)))  # type: ignore[arg-type]
            except DataError as problem:
                raise DataError(f"{where}: {problem}") from None
        return ledger

    def _read_run(self, where: str, cells: dict[str, str]) -> None:
        known = cells.pop("run")
        clips, seconds = (_number(cells[name], name, where) for name in ("clips", "seconds"))
        if not (clips >= 1 and clips.is_integer()):
            raise DataError(f"{where}: clips is {cells['clips']!r}; it must be a whole number of at least 1")
        run = Run(**(cells | {"clips": int(clips), "seconds": seconds}))  # type: ignore[arg-type]
        if run.selected_on != "valid":
            raise DataError(
                f"{where}: selected_on is {run.selected_on!r}; only weights that were selected on the validation "
                "split belong into a ledger"
            )
        if run.kind not in KINDS or run.synthetic not in ("yes", "no"):
            raise DataError(
                f"{where}: kind is {run.kind!r} and synthetic {run.synthetic!r}; they must be one of "
                f"{', '.join(KINDS)} and of yes, no"
            )
        if run.config and run.config not in self.configs:
            raise DataError(f"{where}: configs.json lacks the configuration {run.config}")
        if known != run.id or known in self.runs:
            twice = known in self.runs
            raise DataError(
                f"{where}: the run {known} {'is there twice' if twice else 'was changed by hand: its id should be ' + run.id}"
            )
        self.runs[known] = run


RUN_COLUMNS: tuple[str, ...] = ("run", *(f.name for f in dataclasses.fields(Run)))
MEASURE_COLUMNS: tuple[str, ...] = tuple(f.name for f in dataclasses.fields(Measure))


def append(folder: Path, ledger: Ledger) -> Ledger:
    """Put studies into the ledger in `folder`, if there is one, and write it; several processes may do so."""
    folder = Path(folder)
    # not beside the ledger, which may be part of a source tree
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    with locked(Path(tempfile.gettempdir()) / "dicmor-locks" / name, wait=True):
        whole = Ledger.read(folder) if find(folder).is_dir() else Ledger()
        whole.replace_studies(ledger)
        whole.write(folder)
    return whole


def _study(run: Run) -> tuple[str, str, str]:
    return run.data_sha256, run.split, run.preset


def _order(item: tuple[str, Run]) -> tuple[Any, ...]:
    run = item[1]
    return run.data, run.data_sha256, len(run.seeds.split()), tuple(map(int, run.seeds.split()))


def _values(row: Run | Measure) -> list[str]:
    """The cells of a line: numbers rounded, NaN empty."""
    values = vars(row)
    rough = ("low", "high", "p")
    return [_cell(value, 4 if name in rough else 5) for name, value in values.items()]


def _csv(columns: tuple[str, ...], rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any, digits: int) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.{digits}g}"
    return str(value)


def _lines(path: Path, columns: tuple[str, ...]) -> Iterable[tuple[str, dict[str, str]]]:
    """Each line of a CSV file with these columns as (where it stands, column -> cell)."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(f"{path} is not part of a ledger: {problem}") from None
    if not rows or tuple(rows[0]) != columns:
        raise DataError(f"{path} line 1: the columns must be {', '.join(columns)}")
    for number, row in enumerate(rows[1:], start=2):
        where = f"{path} line {number}"
        if len(row) != len(columns):
            raise DataError(f"{where}: there are {len(row)} cells instead of {len(columns)}")
        yield where, dict(zip(columns, row))


def _number(cell: str, name: str, where: str) -> float:
    try:
        return float(cell) if cell else math.nan
    except ValueError:
        raise DataError(f"{where}: {name} is {cell!r}, which is no number") from None
