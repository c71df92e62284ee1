"""Results as aligned text and Markdown, rounded for reading; `table_files` keeps every digit.

Only complete tables can be rendered: an `EvaluationTable` does not exist without its baselines. Scores under
protocols are rendered by `protocol_tables`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dicmor_lib.evaluation.bootstrap import Estimate
from dicmor_lib.evaluation.distances import FLOOR, POOLED, Distance
from dicmor_lib.evaluation.metrics import METRIC_TITLES
from dicmor_lib.evaluation.table import EvaluationTable

SHOWN: tuple[str, ...] = ("acc2", "f1", "acc7", "mae", "pearson")
SYNTHETIC_NOTE = "SYNTHETIC DATA: measured on the library's oracle, which says nothing about real sentiment."
PATTERN_NOTE = (
    "Pattern: the modalities that are available (l language, a audio, v vision); the rest is missing."
)
IMPUTER_NOTE = (
    "zero-fill, mean-fill, gaussian, ridge, k nearest and auto-encoder fill in the missing shallow features; "
    "the model trained on complete data (stage 1) then predicts. With nothing missing they are all that model."
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
    return [*lines, *mask_line(info)]


def mask_line(info: Mapping[str, Any]) -> list[str]:
    """Return the line with the hash of every pattern's mask, or nothing if no mask was used."""
    hashes = [f"{pattern} {mask['hash']}" for pattern, mask in info.get("masks", {}).items()]
    return [f"Masks: {', '.join(hashes)}."] if hashes else []


def notes(table: EvaluationTable) -> list[str]:
    """Return the lines a reader needs to read the table correctly."""
    lines = [PATTERN_NOTE]
    if any(row.kind == "imputer" for row in table.rows):
        lines.append(IMPUTER_NOTE)
    if table.info.get("majority_share") is not None:
        lines.append(
            "majority is the training labels' median; the best constant known in hindsight, the majority "
            f"class of the {table.info['split']} split itself, has an Acc-2 of "
            f"{short_number(table.info['majority_share'], 3)}."
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
    return f"{short_number(estimate.value, 3)} [{short_number(estimate.low, 2)}, {short_number(estimate.high, 2)}]"


def distances_to_text(distances: Sequence[Distance], info: Mapping[str, Any], group: str = POOLED) -> str:
    """Return the distances of one group of clips as aligned text, a block per space and statistic."""
    rows = [row for row in distances if row.group == group]
    lines = [SYNTHETIC_NOTE] if info.get("synthetic") else []
    lines.append(
        f"Distances between recovered and real features ({group}), in training standard deviations, on halves "
        "of the clips, one step per clip; p-values in brackets. Space 'feature': shallow features; 'latent': "
        f"their latents by the reference model's flows. '{FLOOR}' is the noise floor, real against real."
    )
    lines += mask_line(info)
    for space, statistic in dict.fromkeys((row.space, row.statistic) for row in rows):
        some = [row for row in rows if (row.space, row.statistic) == (space, statistic)]
        lines += ["", f"{statistic} ({space} space)", *aligned(distance_cells(some), left=1)]
    return "\n".join(lines)


def distance_cells(rows: Sequence[Distance]) -> list[list[str]]:
    """Return distances of one statistic as cells: a line per method, a column per pattern and target."""
    found = {(row.pattern, row.target, row.method): row for row in rows}
    cases = list(dict.fromkeys((row.pattern, row.target) for row in rows))
    cells = [["method", *(f"{pattern} to {target}" for pattern, target in cases)]]
    for method in dict.fromkeys(row.method for row in rows):
        chosen = [found.get((*case, method)) for case in cases]
        cells.append([method, *("-" if row is None else _with_p(row) for row in chosen)])
    return cells


def _with_p(row: Distance) -> str:
    value = f"{row.value:.4f}" if row.statistic == "mmd" else f"{row.value:.3f}"  # a square, so small
    return value if math.isnan(row.p_value) else f"{value} [{row.p_value:.3f}]"


def short_number(value: float, digits: int) -> str:
    """Return a number without its leading zero: .783, -.05, 1.02."""
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"


def aligned(cells: list[list[str]], left: int = 2) -> list[str]:
    """Return lines with columns padded to equal width; the first `left` are text, the others end flush right."""
    if not cells:
        return []
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in cells
    ]
