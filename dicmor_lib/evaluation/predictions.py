"""Predictions of several methods under several patterns: the one thing all tables are computed from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dicmor_lib.errors import DataError, ShapeError


@dataclass
class PatternPredictions:
    """What each method predicted for each sample under each pattern.

    Attributes:
        patterns: P pattern names, the axis below.
        label: (N,) sentiment.
        available: (P, N, 3) bool, the pattern within what is observed. A sample with nothing left is not
            scored.
        methods: name -> predictions (P, N), NaN where not scored. Every method has the same samples.
        kinds: name -> "model", "imputer" or "reference".
        info: facts that every result carries: data, sha256, synthetic, split, mask hashes ...
        ids: (N,) names of the samples.
    """

    patterns: tuple[str, ...]
    label: np.ndarray
    available: np.ndarray
    methods: dict[str, np.ndarray]
    kinds: dict[str, str]
    info: dict[str, Any] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        shape = (len(self.patterns), len(self.label))
        if self.available.shape != (*shape, 3):
            raise ShapeError(f"available must have shape {(*shape, 3)}, not {self.available.shape}")
        for name, values in self.methods.items():
            if values.shape != shape:
                raise ShapeError(f"the predictions of {name} must have shape {shape}, not {values.shape}")
            if not np.array_equal(np.isfinite(values), self.scored):
                raise DataError(
                    f"{name} was not scored on the same samples as the masks say, or predicted NaN; "
                    "all methods must predict exactly the samples that have something available"
                )

    @property
    def scored(self) -> np.ndarray:
        """(P, N) bool: the sample has something available under the pattern."""
        return np.any(self.available, axis=2)

    def of(self, method: str, pattern: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the scored predictions and their labels, (n,) each."""
        p = self.patterns.index(pattern)
        rows = self.scored[p]
        return self.methods[method][p, rows], self.label[rows]

    def save(self, path: Path) -> None:
        """Write everything to one `.npz` file without pickles."""
        names = list(self.methods)
        header = {
            "patterns": self.patterns,
            "methods": names,
            "kinds": self.kinds,
            "info": self.info,
            "ids": self.ids,
        }
        np.savez_compressed(
            path,
            header=np.array(json.dumps(header)),
            label=self.label,
            available=self.available,
            predictions=np.stack([self.methods[name] for name in names]),
        )

    @classmethod
    def load(cls, path: Path) -> PatternPredictions:
        """Read what `save` wrote. Raises `DataError` if the file is something else."""
        try:
            with np.load(path, allow_pickle=False) as file:
                header = json.loads(str(file["header"]))
                methods = dict(zip(header["methods"], file["predictions"], strict=True))
                return cls(
                    tuple(header["patterns"]),
                    file["label"],
                    file["available"],
                    methods,
                    header["kinds"],
                    header["info"],
                    header["ids"],
                )
        except (OSError, KeyError, ValueError, EOFError) as error:
            raise DataError(f"{path} is not a file of saved predictions: {error}") from error
