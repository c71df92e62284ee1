"""All seeds of one data set joined: means with two-way intervals, and the joint prior minus every other method."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.beyond.measures import Key
from dicmor_lib.evaluation.bootstrap import LEVEL
from dicmor_lib.evaluation.two_way import TwoWay

RESULTS = Path(__file__).with_name("results.json")
"""What was measured for the course and the README; `dicmor beyond` writes it."""

MAIN: dict[str, tuple[str, ...]] = {
    "acc2": ("joint, class", "joint"),
    "absolute_error": ("joint", "joint, class"),
    "log_density": ("joint",),
    "squared_error": ("joint mean",),
    "law": ("joint draw",),
    "conditional_law": ("joint draw",),
}
"""What stands for the joint prior when others are compared with it; each is compared."""


@dataclass(frozen=True)
class Found:
    """One number: of a method, or the joint prior's minus it (`against` is then what stands for the joint prior).

    `low` and `high` bound the central 95 % over clips and seeds; of numbers that are no mean over clips, over seeds
    (Student's t).
    """

    data: str
    measure: str
    pattern: str
    target: str
    method: str
    against: str
    value: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True)
class Results:
    """`info`: data set -> facts (sizes, settings, machine); `found`: every number."""

    info: dict[str, dict[str, Any]]
    found: tuple[Found, ...]

    def get(
        self, data: str, measure: str, pattern: str, method: str, target: str = "", against: str = ""
    ) -> Found:
        """Return one number.

        Raises:
            DataError: if there is none.
        """
        wanted = (data, measure, pattern, target, method, against)
        for row in self.found:
            if (row.data, row.measure, row.pattern, row.target, row.method, row.against) == wanted:
                return row
        raise DataError(f"there is no result {wanted}; see `Results.found` for those that there are")

    def targets(self, data: str, measure: str, pattern: str) -> list[str]:
        """The missing modalities that a measure has a number for."""
        same = (r for r in self.found if (r.data, r.measure, r.pattern) == (data, measure, pattern))
        return list(dict.fromkeys(row.target for row in same))


def join_seeds(data: str, seeds: Sequence[Mapping[Key, np.ndarray]], resamples: int = 1000) -> list[Found]:
    """Return every measure that all seeds have, and the differences, from the seeds' arrays."""
    keys = [key for key in seeds[0] if all(key in seed for seed in seeds)]
    clips = next(seeds[0][key].shape[0] for key in keys if seeds[0][key].ndim)
    two_way = TwoWay.draw(clips, len(seeds), resamples)
    rows = []
    for measure, pattern, target, method in keys:
        own = np.stack([seed[measure, pattern, target, method] for seed in seeds])
        rows.append(_found(data, (measure, pattern, target, method), "", own, two_way))
        for main in MAIN.get(measure, ()):
            other = (measure, pattern, target, main)
            if method != main and other in keys:
                joint = np.stack([seed[other] for seed in seeds])
                rows.append(_found(data, (measure, pattern, target, method), main, joint - own, two_way))
    return rows


def _found(data: str, key: Key, against: str, values: np.ndarray, two_way: TwoWay) -> Found:
    """Of values (S,) or (S, N)."""
    measure, pattern, target, method = key
    if values.ndim == 2:
        estimate = two_way.mean(values.astype(np.float64)).estimate()
        value, low, high = estimate.value, estimate.low, estimate.high
    else:
        value, n = float(values.mean()), len(values)
        half = student.ppf(0.5 + LEVEL / 2, n - 1) * values.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
        low, high = value - half, value + half
    return Found(
        data, measure, pattern, target, method, against, float(value), float(low), float(high), len(values)
    )


def write_results(results: Results, path: Path = RESULTS) -> None:
    """Write as JSON with six significant digits, one number a line."""
    lines = [
        json.dumps(
            {
                k: (None if v != v else float(f"{v:.6g}")) if isinstance(v, float) else v
                for k, v in asdict(row).items()
            }
        )
        for row in results.found
    ]
    text = '{"info": ' + json.dumps(results.info, indent=1) + ',\n"found": [\n' + ",\n".join(lines) + "\n]}\n"
    path.write_text(text, encoding="utf-8")


def read_results(path: Path = RESULTS) -> Results:
    """Read what `write_results` wrote.

    Raises:
        DataError: if the file is not there or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows: list[dict[str, Any]] = [
            {k: float("nan") if v is None else v for k, v in row.items()} for row in content["found"]
        ]
        return Results(content["info"], tuple(Found(**row) for row in rows))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} holds no results of this study ({error}); write them with 'dicmor beyond --data ... --out ...'"
        ) from None


def without(results: Results, data: Iterable[str]) -> list[Found]:
    """The numbers of all data sets but these."""
    gone = set(data)
    return [row for row in results.found if row.data not in gone]
