"""One data set of a ledger, ready to be printed: the means over its seeds, by method."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.joint import ALL, INCOMPLETE
from dicmor_lib.evaluation.ledger import Ledger
from dicmor_lib.evaluation.ledger_rows import Measure, Run
from dicmor_lib.evaluation.metrics import METRIC_TITLES, METRICS
from dicmor_lib.evaluation.render import short_number
from dicmor_lib.evaluation.table import require_baselines
from dicmor_lib.evaluation.variants import MAIN
from dicmor_lib.modalities import PATTERNS

NOTHING = "-"


@dataclass(frozen=True)
class Line:
    """One line of a table of estimates: what it is called there, whose it is, and which of its estimates."""

    label: str
    method: str
    kind: str = "recovered"

    @property
    def against(self) -> str:
        """Its name in a difference."""
        return (
            self.method if self.kind == "recovered" and self.method != MAIN else f"{self.method} {self.kind}"
        )


@dataclass(frozen=True)
class View:
    """The runs over all seeds of one data set, and their measures by (method, pattern, target, measure, against).

    Raises:
        DataError: if DiCMoR or a baseline is not among the methods: no result is printed without them.
    """

    runs: dict[str, Run]
    numbers: dict[tuple[str, str, str, str, str], Measure]

    def __post_init__(self) -> None:
        kinds = {method: run.kind for method, run in self.runs.items()}
        if MAIN not in kinds:
            raise DataError(
                f"the ledger lacks {MAIN} for {', '.join({run.data for run in self.runs.values()})}"
            )
        require_baselines(kinds, self.run.data)

    @property
    def run(self) -> Run:
        """DiCMoR's, for what all have in common."""
        return self.runs[MAIN]

    @property
    def synthetic(self) -> bool:
        """Whether this was measured on the oracle."""
        return self.run.synthetic == "yes"

    @property
    def patterns(self) -> list[str]:
        """The evaluated patterns, in the usual order."""
        return [p for p in PATTERNS if (MAIN, p, "", "mae", "") in self.numbers]

    @property
    def cases(self) -> list[tuple[str, str]]:
        """The (pattern, missing modality) pairs in which errors were measured."""
        keys = [key for key in self.numbers if key[0] == MAIN and key[3:] == ("mse recovered", "")]
        return [(pattern, target) for _, pattern, target, _, _ in keys if target != ALL]

    def of_kind(self, *kinds: str) -> list[str]:
        """The methods of these kinds, in order."""
        return [method for method, run in self.runs.items() if run.kind in kinds]

    def get(self, method: str, pattern: str, target: str, measure: str, against: str = "") -> Measure | None:
        """One measure, None if it was not taken."""
        return self.numbers.get((method, pattern, target, measure, against))

    def mean(self, line: Line, what: str) -> Measure | None:
        """The mean over all cases of "mse" or "paired mmd" of an estimate."""
        return self.get(line.method, INCOMPLETE, ALL, f"{what} {line.kind}")

    def gap(self, line: Line, what: str) -> Measure | None:
        """The mean over all cases of DiCMoR's recovered estimate minus this one."""
        return self.get(MAIN, INCOMPLETE, ALL, f"{what} recovered", line.against)


def views(ledger: Ledger) -> list[View]:
    """One view per data set and preset, synthetic ones first.

    Raises:
        DataError: if the ledger is empty, or lacks baselines.
    """
    if not ledger.runs:
        raise DataError("the ledger is empty; fill it with 'dicmor reproduce'")
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in ledger.runs.values():
        groups.setdefault((run.data_sha256, run.split, run.preset), []).append(run)
    measures: dict[str, list[Measure]] = {}
    for m in ledger.measures.values():
        measures.setdefault(m.run, []).append(m)
    found = []
    for runs in groups.values():
        seeds = max((run.seeds for run in runs), key=lambda seeds: len(seeds.split()))
        whole = {run.method: run for run in runs if run.seeds == seeds}
        order = sorted(whole.values(), key=lambda run: _PLACE.get(run.kind, 9))  # stable within a kind
        numbers = {(run.method, *m.key[1:]): m for run in order for m in measures.get(run.id, [])}
        found.append(View({run.method: run for run in order}, numbers))
    return sorted(found, key=lambda view: (not view.synthetic, view.run.data, view.run.preset))


_PLACE = {"model": 0, "imputer": 1, "reference": 2, "bound": 3, "floor": 4}


def number(measure: Measure | None, digits: int = 3) -> str:
    """The value as in a table: .783, or a dash."""
    if measure is None or math.isnan(measure.value):
        return NOTHING
    return rounded(measure.value, digits)


def rounded(value: float, digits: int) -> str:
    """A number without its leading zero, and without the sign of a negative one that rounds to 0."""
    return short_number(value if round(value, digits) else 0.0, digits)


def interval(measure: Measure | None, digits: int = 3) -> str:
    """The value with its interval, bold if that excludes 0 (for differences)."""
    text = number(measure, digits)
    if text == NOTHING or measure is None or math.isnan(measure.low):
        return text
    text = f"{text} [{rounded(measure.low, digits)}, {rounded(measure.high, digits)}]"
    return f"**{text}**" if measure.against and (measure.low > 0 or measure.high < 0) else text


def p_value(p: float) -> str:
    """A p-value with two digits, or "<.01"."""
    return "<.01" if p < 0.01 else short_number(p, 2)


def markdown(rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table, the first row its head; the first column is text."""
    rule = ["---", *["---:"] * (len(rows[0]) - 1)]
    return ["| " + " | ".join(cells) + " |" for cells in (rows[0], rule, *rows[1:])]


def details(title: str, lines: list[str]) -> list[str]:
    """A section that opens on a click."""
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>", ""]


TITLES = {metric: METRIC_TITLES[metric].replace("Pearson r", "r") for metric in METRICS}
