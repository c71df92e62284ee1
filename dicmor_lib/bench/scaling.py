"""How the cost of flow and recovery grows with time and batch: both should be linear."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from dicmor_lib.bench.measure import clock
from dicmor_lib.config import DiCMoRConfig
from dicmor_lib.model import DiCMoR

TIMES: tuple[int, ...] = (50, 100, 200, 300, 400, 500)
BATCHES: tuple[int, ...] = (4, 8, 16, 32, 64, 128)
FIXED_BATCH, FIXED_TIME = 4, 50
"""Batch of the curve against time, and time steps of the curve against the batch."""


def curve(
    preset: str, device: str, times: Sequence[int], batches: Sequence[int], rounds: int = 3
) -> dict[str, Any]:
    """Time flow and recovery, forward and backward, for each length at batch 4 and for each batch at 50 steps.

    Returns:
        preset, device and "points": {"part", "axis" ("time" or "batch"), "time", "batch", "seconds" (the least
        of the rounds)} each.
    """
    torch.manual_seed(0)
    model = DiCMoR(DiCMoRConfig.preset(preset)).to(device)
    sizes = [("time", FIXED_BATCH, t) for t in times] + [("batch", b, FIXED_TIME) for b in batches]
    points: list[tuple[dict[str, Any], Callable[[], None]]] = [
        ({"part": part, "axis": axis, "time": time, "batch": batch, "seconds": math.inf}, call)
        for axis, batch, time in sizes
        for part, call in parts(model, batch, time, device).items()
    ]
    for turn in range(rounds + 1):  # in turns, so that a busy spell does not hit one size alone
        for point, call in points:
            seconds = clock(call, device)
            if turn:  # the first one warms up
                point["seconds"] = min(point["seconds"], seconds)
    return {"preset": preset, "device": device, "points": [point for point, _ in points]}


def parts(model: DiCMoR, batch: int, time: int, device: str) -> dict[str, Callable[[], None]]:
    """The two calls: F and back through F^-1, and D; all three modalities, with their backward passes."""
    x = torch.randn(3, batch, time, model.config.hidden, device=device)
    mask = torch.ones(3, batch, time, device=device)

    def flow() -> None:
        z, log_det = model.flow(x, mask)
        (model.flow.inverse(z, mask).sum() + log_det.sum()).backward()

    def recovery() -> None:
        model.recovery(x, mask).sum().backward()

    return {"flow": flow, "recovery": recovery}


def growth(points: Sequence[dict[str, Any]], part: str, axis: str) -> float:
    """The exponent p of seconds ~ size^p, fitted to the larger half of the sizes: 1 is linear, 2 quadratic.

    The smaller half is left out: there a call costs its fixed share and growth looks slower than it is.
    """
    chosen = sorted((p[axis], p["seconds"]) for p in points if p["part"] == part and p["axis"] == axis)
    size, seconds = np.log(chosen[(len(chosen) - 1) // 2 :]).T
    return float(np.polyfit(size, seconds, 1)[0])
