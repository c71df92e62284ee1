"""Scores under missing-data protocols as text and Markdown: one table per metric, methods x (protocol, rate).

Protocols that are one law under two names share their columns. Only values are printed, with the widest interval
below each table; every interval is in the CSV and JSON (`table_files`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dicmor_lib.data.missingness import FRAMES
from dicmor_lib.evaluation.metrics import METRIC_TITLES
from dicmor_lib.evaluation.protocols import LAW, MIXED, MIXTURE, ProtocolTable
from dicmor_lib.evaluation.render import IMPUTER_NOTE, SHOWN, provenance, short_number

WIDTH = 110
"""Text tables are cut between protocols to stay within so many columns."""

Group = tuple[tuple[str, ...], list[float]]
"""Protocols that are the same law at all rates of the table, and these rates."""

LAW_NOTE = (
    f"Expectations over all masks of a protocol, by the identity '{MIXTURE}': no mask is drawn, and the hash is "
    "that of the law of pattern shares."
)
MIXED_NOTE = (
    "(mixed): F1 and r come from confusion counts and moments mixed with the patterns' shares, a definition of "
    "its own: they are not the mean over drawn masks."
)
FRAME_NOTE = (
    "frames: the rate is the share of steps dropped in every modality (one drawn mask, its own pass; F1 and r are "
    "plain ones there). Dropped steps are zero in the features as the model reads them, after BERT where there "
    "is one, which is milder than dropping words before it. Imputers fill in only modalities without any step left."
)


def protocols_to_text(table: ProtocolTable, metrics: Sequence[str] = SHOWN, width: int = WIDTH) -> str:
    """Return one aligned table per metric, cut into blocks of protocols that fit the width."""
    lines = [*provenance(table.info), *mask_lines(table)]
    for metric in metrics:
        lines += ["", _title(table, metric)]
        for block in _blocks(table, width):
            lines += ["", *_block(table, metric, block)]
        lines += ["", _widest(table, metric)]
    return "\n".join([*lines, "", *protocol_notes(table)])


def protocols_to_markdown(table: ProtocolTable, metrics: Sequence[str] = SHOWN) -> str:
    """Return one Markdown table per metric; a column is headed by its protocol and rate."""
    lines = [f"{line}  " for line in (*provenance(table.info), *mask_lines(table))]
    columns = [(names, rate) for names, rates in column_groups(table) for rate in rates]
    head = ["method", *(f"{' = '.join(names)} {_rate(rate)}" for names, rate in columns)]
    for metric in metrics:
        rows = [
            [method, *(_cell(table, names[0], rate, method, metric) for names, rate in columns)]
            for method in table.methods
        ]
        rule = ["---", *(["---:"] * len(columns))]
        lines += ["", f"**{_title(table, metric)}**", ""]
        lines += ["| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)]
        lines += ["", _widest(table, metric)]
    return "\n".join([*lines, "", *protocol_notes(table)])


def column_groups(table: ProtocolTable) -> list[Group]:
    """Return the table's protocols with their rates; those of equal masks at equal rates are one group."""
    found: dict[tuple[tuple[float, str], ...], list[str]] = {}
    for protocol in dict.fromkeys(protocol for protocol, _ in table.cases):
        rates = [rate for name, rate in table.cases if name == protocol]
        key = tuple((rate, table.of(protocol, rate)[0].mask_hash) for rate in rates)
        found.setdefault(key, []).append(protocol)
    return [(tuple(names), [rate for rate, _ in key]) for key, names in found.items()]


def mask_lines(table: ProtocolTable) -> list[str]:
    """Return lines with the hash of every law and every drawn mask of the table."""
    lines = []
    for names, rates in column_groups(table):
        scores = [table.of(names[0], rate)[0] for rate in rates]
        hashes = ", ".join(f"{_rate(s.rate)} {s.mask_hash}" for s in scores)
        lines.append(f"{' = '.join(names)}, hashes of the {scores[0].hash_of}: {hashes}.")
    return lines


def protocol_notes(table: ProtocolTable) -> list[str]:
    """Return the lines a reader needs to read the tables correctly."""
    lines = [LAW_NOTE, MIXED_NOTE] if any(s.hash_of == LAW for s in table.scores) else []
    frames = {s.rate: s.n for s in table.scores if s.protocol == FRAMES}
    if frames:
        lines.append(FRAME_NOTE)
        whole = max(s.n for s in table.scores)
        lost = [f"{whole - n} at {_rate(rate)}" for rate, n in frames.items() if n < whole]
        lines += [f"Samples that lost every step are not scored: {', '.join(lost)}."] if lost else []
    lines += [IMPUTER_NOTE] if any(s.kind == "imputer" for s in table.scores) else []
    return [*lines, *table.info.get("notes", [])]


def _title(table: ProtocolTable, metric: str) -> str:
    mixed = [score.hash_of == LAW for score in table.scores]
    if metric not in MIXED or not any(mixed):
        return METRIC_TITLES[metric]
    return METRIC_TITLES[metric] + (" (mixed)" if all(mixed) else " (mixed; plain for frames)")


def _blocks(table: ProtocolTable, width: int) -> list[list[Group]]:
    """Groups side by side as long as they fit."""
    room = width - max(len(method) for method in table.methods)
    blocks: list[list[Group]] = []
    used = width + 1
    for names, rates in column_groups(table):
        need = max(7 * len(rates), len(" = ".join(names)) + 2)
        if used + need > room:
            blocks.append([])
            used = 0
        blocks[-1].append((names, rates))
        used += need
    return blocks


def _block(table: ProtocolTable, metric: str, groups: list[Group]) -> list[str]:
    first = max(len(method) for method in table.methods)
    heads, rates = ["protocol".ljust(first)], ["rate".ljust(first)]
    for names, values in groups:
        title = " = ".join(names)
        wide = max(7 * len(values), len(title) + 2)
        heads.append("  " + title.ljust(wide - 2))
        rates.append("".join(_rate(rate).rjust(7) for rate in values).ljust(wide))
    lines = ["".join(heads).rstrip(), "".join(rates).rstrip()]
    for method in table.methods:
        cells = [method.ljust(first)]
        for (names, values), head in zip(groups, heads[1:]):
            row = "".join(_cell(table, names[0], rate, method, metric).rjust(7) for rate in values)
            cells.append(row.ljust(len(head)))
        lines.append("".join(cells).rstrip())
    return lines


def _cell(table: ProtocolTable, protocol: str, rate: float, method: str, metric: str) -> str:
    value = table.value(protocol, rate, method, metric)
    return "-" if math.isnan(value) else short_number(value, 3)


def _widest(table: ProtocolTable, metric: str) -> str:
    halves = [(s.metrics[metric].high - s.metrics[metric].low) / 2 for s in table.scores]
    halves = [half for half in halves if not math.isnan(half)]
    if not halves:
        return "No method has this number."
    return f"Widest {table.info['level']:.0%} interval: +-{short_number(max(halves), 3)}; each is in the CSV."


def _rate(rate: float) -> str:
    return f"{rate:g}".replace("0.", ".", 1)
