"""Results in files, unrounded: CSV for people and pandas, JSON for reading back; NaN is empty or null."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.bootstrap import Estimate
from dicmor_lib.evaluation.distances import Distance
from dicmor_lib.evaluation.metrics import METRICS
from dicmor_lib.evaluation.protocols import ProtocolScore, ProtocolTable
from dicmor_lib.evaluation.table import EvaluationTable, Row

_FACTS = ("data", "sha256", "synthetic", "split", "seed", "resamples", "level")
_BOUNDS = tuple(f"{metric}{suffix}" for metric in METRICS for suffix in ("", "_low", "_high"))


def write_csv(table: EvaluationTable, path: Path) -> None:
    """Write one line per row with all metrics and the bounds of their intervals."""
    header = ["pattern", "method", "kind", "n", "excluded", "mask_hash", *_BOUNDS]
    rows = []
    for row in table.rows:
        mask = table.info.get("masks", {}).get(row.pattern, {"excluded": "", "hash": ""})
        rows.append(
            [row.pattern, row.method, row.kind, row.n, mask["excluded"], mask["hash"], *_values(row.metrics)]
        )
    _write(path, table.info, header, rows)


def write_protocols(table: ProtocolTable, path: Path) -> None:
    """Write one line per protocol, rate and method; F1 and r of a law are the mixed ones (see `protocols`)."""
    header = ["protocol", "rate", "method", "kind", "n", "mask_hash", "hash_of", "identity", *_BOUNDS]
    rows = [
        [s.protocol, s.rate, s.method, s.kind, s.n, s.mask_hash, s.hash_of, s.identity, *_values(s.metrics)]
        for s in table.scores
    ]
    _write(path, table.info, header, rows)


def write_protocols_json(table: ProtocolTable, path: Path) -> None:
    """Write the whole table of protocols, unrounded; NaN is null."""
    scores = [vars(s) | {"metrics": _plain(s.metrics)} for s in table.scores]
    text = json.dumps({"info": table.info, "scores": scores}, indent=1, allow_nan=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def read_protocols_json(path: Path) -> ProtocolTable:
    """Return the table that `write_protocols_json` wrote. Raises `DataError` if the file is something else."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        scores = [ProtocolScore(**(s | {"metrics": _estimates(s["metrics"])})) for s in content["scores"]]
        return ProtocolTable(tuple(scores), content["info"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is not a saved table of scores under protocols: {error}") from error


def write_distances(distances: Sequence[Distance], info: Mapping[str, Any], path: Path) -> None:
    """Write one line per pattern, missing modality, space, group of clips, method and statistic."""
    header = ["pattern", "mask_hash", "missing", "space", "group", "method", "statistic", "value", "p_value"]
    header.append("clips_per_set")
    masks = info.get("masks", {})
    rows = [
        [
            d.pattern, masks.get(d.pattern, {}).get("hash", ""), d.target, d.space, d.group,
            d.method, d.statistic, _cell(d.value), _cell(d.p_value), d.n,
        ]
        for d in distances
    ]  # fmt: skip
    _write(path, info, header, rows)


def write_json(table: EvaluationTable, path: Path) -> None:
    """Write the whole table, unrounded; NaN is null."""
    rows = [
        {
            "pattern": row.pattern,
            "method": row.method,
            "kind": row.kind,
            "n": row.n,
            "metrics": _plain(row.metrics),
        }
        for row in table.rows
    ]
    text = json.dumps({"info": table.info, "rows": rows}, indent=1, allow_nan=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> EvaluationTable:
    """Return the table that `write_json` wrote. Raises `DataError` if the file is something else."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        rows = [Row(**(row | {"metrics": _estimates(row["metrics"])})) for row in content["rows"]]
        return EvaluationTable(tuple(rows), content["info"])
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is not a saved table of results: {error}") from error


def _write(path: Path, info: Mapping[str, Any], header: list[str], rows: Iterable[list[Any]]) -> None:
    facts = [info.get(name, "") for name in _FACTS]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*_FACTS, *header])
        writer.writerows([*facts, *row] for row in rows)


def _values(metrics: Mapping[str, Estimate]) -> list[str]:
    return [_cell(x) for m in METRICS for x in _bounds(metrics[m])]


def _bounds(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def _plain(metrics: Mapping[str, Estimate]) -> dict[str, list[float | None]]:
    return {m: [None if math.isnan(x) else x for x in _bounds(metrics[m])] for m in METRICS}


def _estimates(metrics: dict[str, list[float | None]]) -> dict[str, Estimate]:
    return {m: Estimate(*(float("nan") if x is None else x for x in metrics[m])) for m in METRICS}


def _cell(value: float) -> str:
    return "" if math.isnan(value) else repr(value)
