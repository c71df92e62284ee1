"""What the project asks of its speed and memory, as data: issue 4."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from dicmor_lib.bench.results import Results, find
from dicmor_lib.bench.scaling import growth
from dicmor_lib.bench.store import CLIPS

MOSI_STEPS = math.ceil(1284 / 32)
"""Steps of an epoch of CMU-MOSI's 1284 training clips, 32 at a time."""
PRODUCTS = "matrix products"


@dataclass(frozen=True)
class Target:
    """A limit on a measured number.

    Attributes:
        what, unit: in words, and in what `limit` and the number are.
        case: settings of the measured case, or the "part" and "axis" of a curve.
        name: which number of the case, times `scale`; "growth" is a curve's exponent.
        rows: where in the results the case is, "cases" or "stores".
        wish: a limit that would be better still, None if there is none.
        of_several: which number counts if several cases fit (eager and compiled, say).
    """

    what: str
    unit: str
    limit: float
    case: dict[str, Any]
    name: str = "ratio"
    scale: float = 1.0
    rows: str = "cases"
    wish: float | None = None
    of_several: Callable[[Iterable[float]], float] = min

    def number(self, results: Results) -> float | None:
        """What was measured, None if it was not."""
        if self.name == "growth":
            curves = [c["points"] for c in results["curves"] if "error" not in c]
            return max((growth(points, **self.case) for points in curves), default=None)
        rows = [row for row in results[self.rows] if find([row], **self.case) and self.name in row]
        return self.of_several(row[self.name] * self.scale for row in rows) if rows else None

    def verdict(self, results: Results) -> str:
        """Return "met", "missed" or "not measured"."""
        number = self.number(results)
        return "not measured" if number is None else "met" if number <= self.limit else "missed"


def _train(preset: str, batch: int, device: str, **further: Any) -> dict[str, Any]:
    return dict(preset=preset, task="train", batch=batch, device=device, **further)


_PLAIN = dict(precision="32-true", compiled=False)
_MOSI, _MOSEI = _train("mosi", 32, "cpu", **_PLAIN), _train("mosei", 32, "cpu", **_PLAIN)
_PATTERNS = {**_MOSI, "task": "patterns", "batch": 1}
_GPU_MOSI = _train("mosi", 32, "cuda")
_STORE: dict[str, Any] = dict(clips=float(CLIPS))
_GPU_MOSEI = _train("mosei", 128, "cuda", precision="bf16-mixed", compiled=True)

TARGETS: tuple[Target, ...] = (
    Target("CPU: mosi training step, batch 32", PRODUCTS, 4.0, _MOSI, wish=3.0),
    Target("CPU: mosei training step, batch 32", PRODUCTS, 12.0, _MOSEI),
    Target("CPU: mosi, seven patterns of one clip", PRODUCTS, 0.5, _PATTERNS),
    Target("CPU: mosi training step, batch 32, peak memory", "MB", 600.0, _MOSI, "peak_memory_mb"),
    Target("GPU: mosi training step, batch 32", "ms", 8.0, _GPU_MOSI, "seconds", 1e3),
    Target("GPU: mosei training step, batch 128, bf16, compiled", "ms", 25.0, _GPU_MOSEI, "seconds", 1e3),
    Target("GPU: waits in a mosi training step", "calls", 0.0, _GPU_MOSI, "synchronisations", of_several=max),
    Target(
        f"GPU: epoch of MOSI's size ({MOSI_STEPS} steps)", "s", 1.0, _GPU_MOSI, "seconds", float(MOSI_STEPS)
    ),
    *(
        Target(
            f"growth of the {part} with {word} (1 is linear)",
            "",
            1.1,
            dict(part=part, axis=axis),
            "growth",
        )
        for part in ("flow", "recovery")
        for axis, word in (("time", "time"), ("batch", "the batch"))
    ),
    Target(
        "MOSEI's size: peak of the conversion",
        "times the file",
        1.3,
        _STORE,
        "convert_peak_ratio",
        rows="stores",
    ),
    Target("MOSEI's size: opening the store", "s", 2.0, _STORE, "train_open_s", rows="stores"),
    Target("MOSEI's size: held by training on it", "MB", 1500.0, _STORE, "train_pass_peak_mb", rows="stores"),
)
