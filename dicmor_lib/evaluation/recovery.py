"""How far recovered shallow features are from the real ones, per pattern and missing modality.

The error is the mean squared error in units of the real training features' standard deviation per channel
(`ShallowFrame`). Filling in the training mean costs about 1; below 1 something was recovered. All
methods are compared on the same steps: those that exist in the real sequence, lie within the recovered
length (the longest available source's) and that all compared methods recover. The error before (transferred) and after the RCABs (recovered) is
told apart.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.bootstrap import LEVEL, RESAMPLES, Estimate, mean_estimate, resample_counts
from dicmor_lib.evaluation.frame import ShallowFrame, comparable_steps
from dicmor_lib.evaluation.render import mask_line
from dicmor_lib.modalities import MODALITIES


@dataclass
class RecoveryErrors:
    """Standardised squared errors per sample: (pattern, target modality, method) -> (n,).

    Within one pattern and target all methods have the same samples in the same order, so they can be
    compared in pairs. `info` is that of the evaluation.
    """

    errors: dict[tuple[str, str, str], np.ndarray] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def cases(self) -> list[tuple[str, str]]:
        """The (pattern, missing modality) pairs, in order."""
        return list(dict.fromkeys((pattern, target) for pattern, target, _ in self.errors))

    @property
    def methods(self) -> list[str]:
        """The methods, in order."""
        return list(dict.fromkeys(method for _, _, method in self.errors))

    def estimate(self, pattern: str, target: str, method: str, level: float = LEVEL) -> Estimate:
        """Return a method's mean error with its interval over samples."""
        values = self._of(pattern, target, method)
        return mean_estimate(values, self._counts(len(values)), level)

    def difference(
        self, pattern: str, target: str, first: str, second: str, level: float = LEVEL
    ) -> Estimate:
        """Return error(first) - error(second), paired over samples; below 0 the first recovers better."""
        values = self._of(pattern, target, first) - self._of(pattern, target, second)
        return mean_estimate(values, self._counts(len(values)), level)

    def to_text(self) -> str:
        """Return the errors as aligned text, one line per pattern and missing modality."""
        methods = self.methods
        cells = [["pattern", "missing", "n", *methods]]
        for pattern, target in self.cases:
            row = [self.estimate(pattern, target, method) for method in methods]
            n = len(self._of(pattern, target, methods[0]))
            cells.append(
                [pattern, target, str(n), *(f"{e.value:.3f} [{e.low:.2f}, {e.high:.2f}]" for e in row)]
            )
        widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
        table = ["  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in cells]
        return "\n".join([*self._heading(), "", *table])

    def write_csv(self, path: Path) -> None:
        """Write one line per pattern, missing modality and method, unrounded."""
        facts = ("data", "sha256", "synthetic", "split")
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            header = [*facts, "pattern", "mask_hash", "missing", "method", "n", "mse", "mse_low", "mse_high"]
            writer.writerow(header)
            for (pattern, target, method), values in self.errors.items():
                e = self.estimate(pattern, target, method)
                known = [self.info.get(name, "") for name in facts]
                digest = self.info.get("masks", {}).get(pattern, {}).get("hash", "")
                writer.writerow(
                    [
                        *known,
                        pattern,
                        digest,
                        target,
                        method,
                        len(values),
                        repr(e.value),
                        repr(e.low),
                        repr(e.high),
                    ]
                )

    def _heading(self) -> list[str]:
        synthetic = (
            ["SYNTHETIC DATA: measured on the library's oracle."] if self.info.get("synthetic") else []
        )
        return [
            *synthetic,
            "Recovery error: mean squared error of shallow features in training standard deviations "
            "(filling in the training mean costs about 1; lower is better).",
            *mask_line(self.info),
        ]

    def _of(self, pattern: str, target: str, method: str) -> np.ndarray:
        if (pattern, target, method) not in self.errors:
            raise DataError(f"there is no recovery error of {method!r} for {target!r} given {pattern!r}")
        return self.errors[pattern, target, method]

    def _counts(self, n: int) -> np.ndarray:
        return resample_counts(n, self.info.get("resamples", RESAMPLES), self.info.get("seed", 0))


def standardised_errors(
    estimate: np.ndarray, real: np.ndarray, steps: np.ndarray, sd: np.ndarray
) -> np.ndarray:
    """Return each sample's mean squared error over steps and channels: (n,); NaN without a step.

    Args:
        estimate, real: (n, T, d)
        steps: (n, T) bool, where both exist
        sd: (d,) of the real training features
    """
    squared = (((estimate - real) / sd) ** 2).mean(axis=2)  # (n, T)
    count = steps.sum(axis=1)
    total = np.where(steps, squared, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), math.nan)


def errors_by_target(
    estimates: dict[str, np.ndarray],
    real: np.ndarray,
    lengths: np.ndarray,
    observed: np.ndarray,
    available: np.ndarray,
    frame: ShallowFrame,
    inside: np.ndarray | None = None,
) -> dict[tuple[str, str], np.ndarray]:
    """Return (target, method) -> (n,) errors over the samples whose target is observed but not available.

    A sample without a step to compare is left out, for all methods.

    Args:
        estimates: method -> filled-in shallow features (3, N, T, d)
        real: (3, N, T, d) with lengths (N, 3) and observed (N, 3)
        available: (N, 3) bool, within observed
        frame: the units
        inside: (3, N, T) bool, steps that may be compared at all; default: every step
    """
    both = comparable_steps(lengths, observed, available, real.shape[2])  # (3, N, T)
    both = both if inside is None else both & inside
    errors = {}
    for target, name in enumerate(MODALITIES):
        rows = both[target].any(axis=1)
        if not rows.any():
            continue
        for method, values in estimates.items():
            guess = values[target, rows].astype(np.float64)
            truth = real[target, rows].astype(np.float64)
            errors[name, method] = standardised_errors(guess, truth, both[target, rows], frame.sd[target])
    return errors
