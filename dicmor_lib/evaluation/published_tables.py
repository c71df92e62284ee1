"""Published numbers as tables, with their doubts; alone, or beside our own scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dicmor_lib.data.known_files import recognise
from dicmor_lib.errors import ConfigError
from dicmor_lib.evaluation.protocols import MIXED
from dicmor_lib.evaluation.published_checks import DATASETS, Doubt, check_published
from dicmor_lib.evaluation.published_numbers import (
    NUMBERS,
    TITLES,
    PublishedRow,
    by_group,
    published_rows,
    select,
)
from dicmor_lib.evaluation.render import SYNTHETIC_NOTE, aligned
from dicmor_lib.evaluation.table import require_baselines
from dicmor_lib.modalities import PATTERNS

OURS = {"acc2": "acc2", "f1": "f1", "acc7": "acc7", "mae": "mae", "corr": "pearson"}
"""Column of a published row -> name of the metric in our tables."""
PERCENT = ("acc2", "f1", "acc7")
DIFFER = "features differ"
UNKNOWN = "features not known to be the same"
CAUTION = (
    "Published rows are quoted from their sources and were not measured here. Training, features, splits and masks "
    "may differ from ours and from each other, so a difference between two rows is no result."
)


def published_to_text(
    rows: Sequence[PublishedRow], doubts: Sequence[Doubt], metrics: Sequence[str] = NUMBERS
) -> str:
    """Return aligned text: per data set and protocol one table per metric, sources x rates or patterns.

    A row with a doubt has its number in brackets; the doubts are listed below.

    Raises:
        ConfigError: for a metric that is not one of `NUMBERS`.
    """
    _check_metrics(metrics)
    lines, shown = [CAUTION], {id(row) for row in rows}
    listed = [doubt for doubt in doubts if any(id(row) in shown for row in doubt.rows)]
    for dataset, protocol in dict.fromkeys((row.dataset, row.protocol) for row in rows):
        chosen = select(rows, dataset, protocol)
        cases = _cases(chosen)
        for metric in metrics:
            held = [row for row in chosen if metric in row.values]
            if not held:
                continue
            table = [["method", "source", *cases]]
            for group in by_group(held).values():
                found = {row.where: row.values[metric] for row in group}
                marks = _marks(group, listed)
                name = group[0].method + (f" {marks}" if marks else "")
                table.append([name, group[0].source, *(_plain(found.get(case)) for case in cases)])
            unit = " (%)" if metric in PERCENT else ""
            lines += ["", f"{dataset} {protocol}: {TITLES[metric]}{unit}", *aligned(table)]
    return "\n".join([*lines, "", *doubts_to_lines(listed)])


def doubts_to_lines(doubts: Sequence[Doubt]) -> list[str]:
    """Return one numbered line per doubt with its evidence."""
    return [f"[{i}] {d.kind}: {d.about}: {d.evidence}." for i, d in enumerate(doubts, start=1)]


def published_beside(
    scores: Sequence[Any],
    info: Mapping[str, Any],
    protocol: str = "dicmor",
    *,
    dataset: str | None = None,
    metrics: Sequence[str] = ("acc2", "f1"),
    rows: Sequence[PublishedRow] | None = None,
) -> str:
    """Return a Markdown table of our scores with the published ones below them, and everything to be said.

    Columns are the missing rates (or patterns) of our scores; a cell holds the metrics in order, percent for
    accuracies and F1. Our F1 and r under a protocol are the mixed ones.

    Args:
        scores: `ProtocolScore`s, `Row`s of an `EvaluationTable`, or anything with `method`, `kind`, `metrics`
            (name -> `Estimate` or number) and either `protocol` and `rate`, or `pattern`. Scores of other
            protocols are passed over.
        info: of their table: "sha256", "data", "synthetic".
        protocol: one of ours, printed beside the published "random" rows; or "fixed", beside the fixed ones.
        dataset: whose published rows; default: the recognised file's, else "mosei" if the data's name says so,
            else "mosi".
        metrics: of `NUMBERS`.
        rows: default: the package's.

    Raises:
        ConfigError: if no score is of this protocol, or a name is unknown.
        DataError: if a model's score lacks a required baseline.
    """
    _check_metrics(metrics)
    dataset = dataset or _dataset(info)
    if dataset not in DATASETS:
        raise ConfigError(f"there are no published numbers of {dataset!r}; choose from {', '.join(DATASETS)}")
    ours = [score for score in scores if _where(score, protocol) is not None]
    if not ours:
        raise ConfigError(f"no score under the protocol {protocol!r} was given; evaluate it first")
    cases = list(dict.fromkeys(case for score in ours if (case := _where(score, protocol)) is not None))
    for case in cases:
        kinds = {s.method: s.kind for s in ours if _where(s, protocol) == case}
        require_baselines(kinds, f"{protocol} {case}")
    everything = published_rows() if rows is None else rows
    doubts = check_published(everything)
    theirs = select(everything, dataset, "fixed" if protocol == "fixed" else "random")
    theirs = [row for row in theirs if row.where in cases and set(metrics) & row.values.keys()]
    used = {id(row) for row in theirs}
    listed = [doubt for doubt in doubts if any(id(row) in used for row in doubt.rows)]

    title = " / ".join(
        TITLES[m] + (" (ours: mixed)" if OURS[m] in MIXED and protocol != "fixed" else "") for m in metrics
    )
    table = [["method", "where from", "features", *(case.replace("0.", ".", 1) for case in cases)]]
    table.append([f"{title}", "", "", *([""] * len(cases))])
    for method in dict.fromkeys(score.method for score in ours):
        found = {_where(s, protocol): s.metrics for s in ours if s.method == method}
        cells = [_ours(found.get(case), metrics) for case in cases]
        table.append([method, f"ours, {protocol}", "ours", *cells])
    for group in by_group(theirs).values():
        found = {row.where: row for row in group}
        marks = _marks(group, listed)
        name = group[0].method + (f" {marks}" if marks else "")
        cells = [_theirs(found.get(case), metrics) for case in cases]
        table.append([name, f"{group[0].source} ({group[0].kind})", _features(group[0], info), *cells])
    rule = ["---", "---", "---", *(["---:"] * len(cases))]
    lines = ["| " + " | ".join(cells) + " |" for cells in (table[0], rule, *table[1:])]
    notes = [*_about_ours(info, dataset), *_hashes(ours, protocol), CAUTION, *_random_note(protocol)]
    marked = [line.replace("[", "\\[", 1) for line in doubts_to_lines(listed)]
    return "\n".join([*lines, "", *(f"{line}  " for line in (*notes, *marked))])


def _check_metrics(metrics: Sequence[str]) -> None:
    unknown = [name for name in metrics if name not in NUMBERS]
    if unknown or not metrics:
        raise ConfigError(f"there is no published metric {unknown or ''}; choose from {', '.join(NUMBERS)}")


def _dataset(info: Mapping[str, Any]) -> str:
    known = recognise(str(info.get("sha256", "")))
    name = known.name if known else str(info.get("data", ""))
    return "mosei" if "mosei" in name.lower() else "mosi"


def _where(score: Any, protocol: str) -> str | None:
    """The column of a score: its rate as the published table writes it, or its pattern; None if not shown."""
    if protocol == "fixed":
        return getattr(score, "pattern", None)
    return (
        f"{score.rate:.1f}" if getattr(score, "protocol", None) == protocol and _tenth(score.rate) else None
    )


def _tenth(rate: float) -> bool:
    return abs(10 * rate - round(10 * rate)) < 1e-6


def _cases(rows: Sequence[PublishedRow]) -> list[str]:
    found = {row.where for row in rows}
    return [p for p in PATTERNS if p in found] + sorted(found - set(PATTERNS))


def _features(row: PublishedRow, info: Mapping[str, Any]) -> str:
    """Whether our features may be those of a published row; only a file of MMSA, known by its hash, has a chance."""
    if recognise(str(info.get("sha256", ""))) is None or row.features == "other":
        return DIFFER
    return "the same dimensions" if row.features else UNKNOWN


def _about_ours(info: Mapping[str, Any], dataset: str) -> list[str]:
    known = recognise(str(info.get("sha256", "")))
    if info.get("synthetic"):
        return [f"{SYNTHETIC_NOTE} The published rows are of CMU-{dataset.upper()}, other data altogether."]
    name = f"{info.get('data', 'unknown')} (sha256 {str(info.get('sha256', ''))[:12]})"
    if known is not None:
        return [f"Our data: {name}, which looks like {known.name}."]
    return [
        f"Our data: {name}, none of the files that the published methods use: our features differ from all of "
        f"theirs, and the samples may not be those of CMU-{dataset.upper()}."
    ]


def _hashes(ours: Sequence[Any], protocol: str) -> list[str]:
    found = {_where(s, protocol): getattr(s, "mask_hash", None) for s in ours}
    named = [f"{where} {digest}" for where, digest in found.items() if digest]
    return [f"Masks of our rows ({protocol}): {', '.join(named)}."] if named else []


def _random_note(protocol: str) -> list[str]:
    if protocol == "fixed":
        return []
    return [
        f"Ours are scored under {protocol!r}. The published rows are 'random missing' at the same rates; which "
        "samples lack what at a rate differs between papers, and these sources were not checked for it."
    ]


def _marks(group: Sequence[PublishedRow], doubts: Sequence[Doubt]) -> str:
    held = {id(row) for row in group}
    return "".join(f"[{i}]" for i, d in enumerate(doubts, start=1) if held & {id(row) for row in d.rows})


def _ours(found: Mapping[str, Any] | None, metrics: Sequence[str]) -> str:
    if found is None:
        return "-"
    values = [found[OURS[m]] for m in metrics]
    numbers = [getattr(value, "value", value) for value in values]
    return "/".join(
        "-" if math.isnan(x) else f"{100 * x:.1f}" if m in PERCENT else f"{x:.3f}"
        for m, x in zip(metrics, numbers)
    )


def _theirs(row: PublishedRow | None, metrics: Sequence[str]) -> str:
    if row is None:
        return "-"
    cells = [_plain(row.values.get(m)) for m in metrics]
    if row.f1_std is not None and "f1" in metrics:
        cells[list(metrics).index("f1")] += f"±{row.f1_std:g}"
    return "/".join(cells)


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
