"""The verdict's tables as text and Markdown; the first line says that they are synthetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicmor_lib.evaluation.distances import Distance
from dicmor_lib.evaluation.metrics import METRIC_TITLES
from dicmor_lib.evaluation.render import (
    SYNTHETIC_NOTE,
    aligned,
    distance_cells,
    format_estimate,
    short_number,
)

if TYPE_CHECKING:
    from dicmor_lib.evaluation.verdict_table import VerdictTable


def to_text(table: VerdictTable) -> str:
    """Return all tables as aligned text."""
    return "\n".join(line for title, cells in _tables(table) for line in (title, *aligned(cells, left=1), ""))


def to_markdown(table: VerdictTable) -> str:
    """Return all tables as Markdown."""
    lines = []
    for title, cells in _tables(table):
        rule = ["---", *["---:"] * (len(cells[0]) - 1)] if cells else []
        body = ["| " + " | ".join(row) + " |" for row in [cells[0], rule, *cells[1:]]] if cells else []
        lines += [title, "", *body, ""]
    return "\n".join(lines)


def _tables(table: VerdictTable) -> list[tuple[str, list[list[str]]]]:
    level = f"{table.info['level']:.0%} bootstrap intervals over clips, {table.info['resamples']} resamples"
    tables: list[tuple[str, list[list[str]]]] = [(f"{SYNTHETIC_NOTE} {level[0].upper()}{level[1:]}.", [])]
    if table.info.get("clipped"):
        tables.append(
            (
                f"{table.info['clipped']} values were cut at the standardiser's limit, where the Bayes mean is "
                "not exactly that of the features.",
                [],
            )
        )
    if table.cases:
        tables.append(_recovery_table(table))
    tables += [_score_table(table, metric) for metric in ("acc2", "mae")] if table.predicted else []
    joint = [d for d in table.distances if d.space == "joint"]
    return tables + [_joint_table(joint, s) for s in dict.fromkeys(d.statistic for d in joint)]


def _recovery_table(table: VerdictTable) -> tuple[str, list[list[str]]]:
    cases = [table.all_cases, *table.cases]
    cells = [["method", "mean", *(f"{pattern} to {target}" for pattern, target in table.cases)]]
    for method in table.recoverers:
        cells.append([method, *(format_estimate(table.recovery_share(case, method)) for case in cases)])
    for method in (table.worst, table.best):
        error = (format_estimate(table.recovery_error(case, method)) for case in cases)
        cells.append([f"error of {method}", *error])
    return (
        "How much of what can be known was recovered: 0 is mean-fill, 1 the Bayes-optimal recovery, below 0 "
        "is worse than mean-fill. A draw from the right law costs twice the Bayes error, so 'transferred' "
        "and samples cannot reach 1. Last lines: mean squared errors in training standard deviations.",
        cells,
    )


def _score_table(table: VerdictTable, metric: str) -> tuple[str, list[list[str]]]:
    patterns, title = list(table.predicted), METRIC_TITLES[metric]
    cells = [["method", *patterns]]
    methods = dict.fromkeys(name for found in table.predicted.values() for name in found.methods)
    for method in [*methods, "Bayes"]:
        pairs = [(table.score(p, method, metric), table.score_share(p, method, metric)) for p in patterns]
        cells.append(
            [method, *(f"{short_number(v.value, 3)}  {format_estimate(share)}" for v, share in pairs)]
        )
    cells.append(["Bayes expected", *(format_estimate(table.expected(p, metric)) for p in patterns)])
    return (
        f"{title} and its share of what can be known: 0 is {table.nothing}, 1 the Bayes prediction on the same "
        "clips, which luck with their labels can exceed; 'Bayes expected' is free of that luck.",
        cells,
    )


def _joint_table(rows: list[Distance], statistic: str) -> tuple[str, list[list[str]]]:
    return (
        f"{statistic} of [available, recovered] to [available, drawn from the true conditional law], p-values "
        "in brackets; 'oracle sample' is the noise floor, law against law.",
        distance_cells([row for row in rows if row.statistic == statistic]),
    )
