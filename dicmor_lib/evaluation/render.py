"""Results as aligned text and Markdown, rounded for reading; `table_files` keeps every digit.

Only complete tables can be rendered: an `EvaluationTable` or a `ProtocolTable` does not exist without its
baselines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dicmor_lib.evaluation.bootstrap import Estimate
from dicmor_lib.evaluation.distances import FLOOR, POOLED, Distance
from dicmor_lib.evaluation.metrics import METRIC_TITLES
from dicmor_lib.evaluation.protocols import MIXED, ProtocolTable
from dicmor_lib.evaluation.table import EvaluationTable

SHOWN: tuple[str, ...] = ("acc2", "f1", "acc7", "mae", "pearson")
SYNTHETIC_NOTE = "SYNTHETIC DATA: measured on the library's oracle, which says nothing about real sentiment."
PATTERN_NOTE = (
    "Pattern: the modalities that are available (l language, a audio, v vision); the rest is missing."
)
IMPUTER_NOTE = (
    "zero-fill, mean-fill, ridge and k nearest fill in the missing shallow features; the model trained on "
    "complete data (stage 1) then predicts. With nothing missing they are all that model."
)


def to_text(table: EvaluationTable, metrics: tuple[str, ...] = SHOWN) -> str:
    """Return the table as aligned plain text with its provenance above and its notes below."""
    header = ["pattern", "method", "n", *(METRIC_TITLES[m] for m in metrics)]
    lines, last = [], None
    for row in table.rows:
        if last not in (None, row.pattern):
            lines.append([""] * len(header))
        first = row.pattern if row.pattern != last else ""
        lines.append([first, row.method, str(row.n), *(format_estimate(row.metrics[m]) for m in metrics)])
        last = row.pattern
    return "\n".join([*provenance(table.info), "", *aligned([header, *lines]), "", *notes(table)])


def to_markdown(table: EvaluationTable, metrics: tuple[str, ...] = SHOWN) -> str:
    """Return the table as Markdown; pattern and method are repeated in every row."""
    header = ["pattern", "method", "n", *(METRIC_TITLES[m] for m in metrics)]
    rows = [
        [f"`{row.pattern}`", row.method, str(row.n), *(format_estimate(row.metrics[m]) for m in metrics)]
        for row in table.rows
    ]
    rule = ["---", "---", *(["---:"] * (len(header) - 2))]
    body = ["| " + " | ".join(cells) + " |" for cells in (header, rule, *rows)]
    return "\n".join([*(f"{line}  " for line in provenance(table.info)), "", *body, "", *notes(table)])


def provenance(info: Mapping[str, Any]) -> list[str]:
    """Return the lines that say what was measured, where and on which masks."""
    lines = [SYNTHETIC_NOTE] if info.get("synthetic") else []
    lines.append(
        f"Data: {info.get('data', 'unknown')} (sha256 {str(info.get('sha256', ''))[:12]}), "
        f"split {info['split']}."
    )
    lines.append(
        f"Intervals: {info['level']:.0%} percentile bootstrap over samples, {info['resamples']} resamples, "
        f"seed {info['seed']}; the spread between training seeds is not in them."
    )
    hashes = [f"{pattern} {mask['hash'][:8]}" for pattern, mask in info.get("masks", {}).items()]
    if hashes:
        lines.append(f"Masks: {', '.join(hashes)}.")
    return lines


def notes(table: EvaluationTable) -> list[str]:
    """Return the lines a reader needs to read the table correctly."""
    lines = [PATTERN_NOTE]
    if any(row.kind == "imputer" for row in table.rows):
        lines.append(IMPUTER_NOTE)
    if table.info.get("majority_share") is not None:
        lines.append(
            "majority is the training labels' median; the best constant known in hindsight, the majority "
            f"class of the {table.info['split']} split itself, has an Acc-2 of "
            f"{_short(table.info['majority_share'], 3)}."
        )
    if any(math.isnan(row.metrics["pearson"].value) for row in table.rows):
        lines.append("A dash: the number does not exist (a constant prediction has no correlation).")
    excluded = {p: mask["excluded"] for p, mask in table.info.get("masks", {}).items() if mask["excluded"]}
    if excluded:
        told = ", ".join(f"{count} for {pattern}" for pattern, count in excluded.items())
        lines.append(f"Left out because nothing of the pattern is observed in them: {told}.")
    return [*lines, *table.info.get("notes", [])]


def format_estimate(estimate: Estimate) -> str:
    """Return ".783 [.75, .82]", or a dash if the value does not exist."""
    if math.isnan(estimate.value):
        return "-"
    return f"{_short(estimate.value, 3)} [{_short(estimate.low, 2)}, {_short(estimate.high, 2)}]"


def protocols_to_text(table: ProtocolTable, metrics: tuple[str, ...] = SHOWN) -> str:
    """Return the scores under random-missing protocols as aligned text."""
    titles = [METRIC_TITLES[m] + (" (mixed)" if m in MIXED else "") for m in metrics]
    lines = [["protocol", "method", "rate", *titles]]
    for s in table.scores:
        lines.append([s.protocol, s.method, f"{s.rate:g}", *(format_estimate(s.metrics[m]) for m in metrics)])
    return "\n".join(
        [
            *provenance(table.info),
            "",
            *aligned(lines),
            "",
            "Expected over all masks of a protocol, computed from the seven fixed patterns; none is drawn.",
            "(mixed): from confusion counts or moments mixed with the patterns' shares; no mean over masks.",
        ]
    )


def distances_to_text(distances: Sequence[Distance], info: Mapping[str, Any], group: str = POOLED) -> str:
    """Return the distances of one group of clips as aligned text, a block per statistic."""
    rows = [row for row in distances if row.group == group]
    found = {(row.statistic, row.pattern, row.target, row.method): row for row in rows}
    methods = list(dict.fromkeys(row.method for row in rows))
    lines = [SYNTHETIC_NOTE] if info.get("synthetic") else []
    lines.append(
        f"Distances between recovered and real shallow features ({group}), in training standard deviations, "
        "on halves of the clips, one step per clip; p-values in brackets. "
        f"'{FLOOR}' is the noise floor, real against real."
    )
    for statistic in dict.fromkeys(row.statistic for row in rows):
        cases = list(dict.fromkeys((row.pattern, row.target) for row in rows if row.statistic == statistic))
        cells = [["pattern", "missing", *methods]]
        for case in cases:
            chosen = [found.get((statistic, *case, method)) for method in methods]
            cells.append([*case, *("-" if row is None else _with_p(row) for row in chosen)])
        lines += ["", statistic, *aligned(cells)]
    return "\n".join(lines)


def _with_p(row: Distance) -> str:
    return f"{row.value:.3f}" if math.isnan(row.p_value) else f"{row.value:.3f} [{row.p_value:.3f}]"


def _short(value: float, digits: int) -> str:
    """A number without its leading zero: .783, -.05, 1.02."""
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"


def aligned(cells: list[list[str]]) -> list[str]:
    """Return lines with columns padded to equal width; the first two are text, the others end flush right."""
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in cells
    ]
