"""A bench small enough for a test: 64-cube products, and results made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from dicmor_lib.bench import measure
from dicmor_lib.bench.profiling import KINDS, PARTS


@pytest.fixture
def small_product(monkeypatch):
    """The product that a case is compared with, small."""
    monkeypatch.setattr(measure, "CUBE", 64)
    monkeypatch.setattr(measure, "PRODUCT_FLOPS", 2 * 64**3)


def case_row(preset: str, task: str, batch: int, ratio: float, **changes: Any) -> dict[str, Any]:
    """What `measure` returns, for a product of 100 ms."""
    seconds = ratio / 10
    row = dict(
        preset=preset, task=task, batch=batch, time=50, device="cpu", precision="32-true", compiled=False
    )
    row |= dict(
        first_seconds=2 * seconds, seconds=seconds, quartiles=[0.9 * seconds, 1.2 * seconds], rounds=5
    )
    row |= dict(samples_per_second=batch / seconds, product_seconds=0.1, ratio=ratio, flops=27_000_000_000)
    row |= dict(share_of_peak=1.6 / ratio, peak_memory_mb=500.0, libraries_mb=150.0, weights_mb=50.0)
    return row | dict(operators=3000) | changes


@pytest.fixture
def results() -> dict[str, Any]:
    """A bench in which the mosi step meets its target, the mosei step misses it, and there is no GPU."""
    machine = dict(processor="Test processor", cores=2, threads=2, memory_gb=8.0, devices=[], system="Linux")
    machine |= dict(python="3.11", torch="2.6", numpy="2.0", dicmor="0.1.0", environment={}, load_before=0.1)
    machine |= dict(date="2025-01-01 00:00 UTC", commit="abc")
    cases = [
        case_row("mosi", "train", 32, 3.5),
        case_row("mosi", "predict", 32, 1.0, peak_memory_mb=100.0),
        case_row("mosi", "patterns", 1, 0.4),
        case_row("mosei", "train", 32, 13.0),
    ]
    points = [
        dict(part=part, axis=axis, seconds=1e-3 * size**power, time=50, batch=4) | {axis: size}
        for part, power in (("flow", 1.0), ("recovery", 2.0))
        for axis, sizes in (("time", (50, 100, 200)), ("batch", (4, 8, 16)))
        for size in sizes
    ]
    profile = {
        key: cases[3][key] for key in ("preset", "task", "batch", "time", "device", "precision", "compiled")
    }
    parts = [*PARTS, "clip", "optimiser", "rest"]
    kinds = [*(name for name, _ in KINDS), "value by value", "Python and dispatch"]
    profile |= dict(seconds=1.3, table="", kinds={name: 1 / len(kinds) for name in kinds})
    profile["parts"] = {name: dict(forward=0.5 / len(parts), backward=0.5 / len(parts)) for name in parts}
    curves = [dict(preset="mosi", device="cpu", points=points)]
    store = dict(
        clips=22_856.0, file_mb=4000.0, convert_s=20.0, convert_peak_mb=360.0, convert_peak_ratio=0.09
    )
    store |= dict(train_open_s=2.5, train_open_peak_mb=200.0, train_step_s=0.05, train_steps_peak_mb=400.0)
    store |= dict(train_pass_s=9.0, train_pass_peak_mb=610.0, train_pass_anonymous_mb=300.0)
    parts = dict(cases=cases, curves=curves, profiles=[profile], stores=[store])
    return dict(format=2, machine=machine, **parts)
