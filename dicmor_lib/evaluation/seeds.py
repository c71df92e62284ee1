"""One experiment repeated with several training seeds: mean and spread of every number over the seeds.

The intervals of an `EvaluationTable` say how much a number depends on the test samples; the spread here
says how much it depends on the training seed. A result needs both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.metrics import METRIC_TITLES
from dicmor_lib.evaluation.render import SYNTHETIC_NOTE
from dicmor_lib.evaluation.table import EvaluationTable

SHOWN: tuple[str, ...] = ("acc2", "mae", "pearson")
MORE: tuple[str, ...] = ("f1", "acc7")


@dataclass(frozen=True)
class SeedSummary:
    """Tables of the same data, masks and methods, trained with different seeds.

    Raises:
        DataError: if there is none, two have the same seed, or they do not belong together.
    """

    tables: tuple[EvaluationTable, ...]

    @classmethod
    def of(cls, tables: Sequence[EvaluationTable]) -> SeedSummary:
        """Check that the tables belong together, and order them by seed."""
        if not tables:
            raise DataError("there is no evaluated run to summarise; run 'dicmor evaluate DIR' first")
        for name in ("sha256", "split", "masks"):
            if any(table.info.get(name) != tables[0].info.get(name) for table in tables):
                raise DataError(
                    f"the runs differ in {name}: summarise only runs on the same data, split and masks"
                )
        if any((t.patterns, t.methods) != (tables[0].patterns, tables[0].methods) for t in tables):
            raise DataError(
                "the runs differ in patterns or methods; evaluate all of them with the same options"
            )
        seeds = [table.info.get("training_seed") for table in tables]
        if None in seeds or len(set(seeds)) < len(seeds):
            raise DataError(f"the runs need training seeds that differ, these are {seeds}")
        return cls(tuple(sorted(tables, key=lambda table: table.info["training_seed"])))

    @property
    def seeds(self) -> list[int]:
        """The training seeds, in order."""
        return [table.info["training_seed"] for table in self.tables]

    def values(self, pattern: str, method: str, metric: str) -> np.ndarray:
        """The number of each seed, (seeds,)."""
        return np.array([table.value(pattern, method, metric) for table in self.tables])

    def to_markdown(self) -> str:
        """Return one table per metric, methods x patterns, mean and standard deviation over the seeds."""
        info = self.tables[0].info
        lines = [f"**{SYNTHETIC_NOTE}**", ""] if info.get("synthetic") else []
        lines += [
            f"Data: {info['data']} (sha256 `{info['sha256'][:12]}`), {info['split']} split, "
            f"{self.tables[0].rows[0].n} samples; training seeds {', '.join(map(str, self.seeds))}; "
            "mean and, in brackets, standard deviation over the seeds. Columns: the available modalities.",
            "",
        ]
        for metric in SHOWN:
            lines += [*self._table(metric), ""]
        lines += ["<details><summary>F1 and Acc-7</summary>", ""]
        for metric in MORE:
            lines += [*self._table(metric), ""]
        return "\n".join([*lines, "</details>"])

    def _table(self, metric: str) -> list[str]:
        patterns = self.tables[0].patterns
        header = [METRIC_TITLES[metric], *(f"`{pattern}`" for pattern in patterns)]
        rows = [header, ["---", *["---:"] * len(patterns)]]
        for method in self.tables[0].methods:
            rows.append([method, *(_cell(self.values(pattern, method, metric)) for pattern in patterns)])
        return ["| " + " | ".join(cells) + " |" for cells in rows]


def _cell(values: np.ndarray) -> str:
    if np.isnan(values).any():
        return "-"
    mean = _short(values.mean())
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return f"{mean} ({_short(spread)})" if spread >= 5e-4 else mean


def _short(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1)
