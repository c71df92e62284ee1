"""Time from a toggle of the switchboard to its redrawn picture: `python -m dicmor_lib.bench.toggle [--json FILE]`.

Measured is what the kernel does after a click: the state, its words, the picture, its two PNG images as text. The way to
the browser and back is not in it. Everything of the model was computed before, once, so a model of any size toggles alike;
how long that takes is printed as well.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dicmor_lib.config import DiCMoRConfig
from dicmor_lib.course.trained import CourseModel, course_model
from dicmor_lib.data import Oracle, Standardiser
from dicmor_lib.modalities import MODALITIES
from dicmor_lib.model import DiCMoR
from dicmor_lib.widgets.switchboard_clips import Prepared, prepare_switchboard
from dicmor_lib.widgets.switchboard_shell import Switchboard
from dicmor_lib.widgets.switchboard_state import SwitchboardState

LIMIT_MS = 100.0
CLIPS, WALK = (
    12,
    (*MODALITIES, MODALITIES[2], MODALITIES[1], MODALITIES[0]),
)  # through "la", "a", "av", ... and back


def mosi_course(seed: int = 0, sizes: tuple[int, int, int] = (300, 100, 100)) -> CourseModel:
    """Return an untrained model of the mosi preset on the oracle: as large as the paper's, for timing only."""
    oracle = Oracle()
    raw = oracle.dataset(seed=seed, sizes=sizes)
    torch.manual_seed(seed)
    model = DiCMoR(DiCMoRConfig.mosi(raw.feature_dims)).eval()
    standardiser = Standardiser.fit(raw.train)
    return CourseModel(model, model, standardiser.apply(raw), raw, standardiser, oracle)


def measure_toggles(prepared: Prepared, clips: int = CLIPS) -> dict[str, float]:
    """Return median milliseconds: of the first picture, of another clip, of a toggle never seen, of one drawn before."""
    first, moved, fresh, again = [], [], [], []
    for _ in range(3):
        start = time.perf_counter()
        shown = Switchboard(prepared, SwitchboardState(0, "lav"))
        first.append(time.perf_counter() - start)
    for sample in range(min(clips, len(prepared))):
        if sample:
            moved.append(_timed(lambda: setattr(shown.slider, "value", sample + 1)))  # noqa: B023
        for number, modality in enumerate((*WALK, MODALITIES[0], MODALITIES[0])):
            button = shown.toggles[modality]
            seconds = _timed(lambda: setattr(button, "value", not button.value))  # noqa: B023
            if number < len(WALK):
                fresh.append(seconds)
            elif number > len(WALK):
                again.append(seconds)
    named = {
        "first picture": first,
        "another clip": moved or first,
        "toggle": fresh,
        "toggle back, kept": again,
    }
    return {name: 1000 * statistics.median(values) for name, values in named.items()}


def measure(clips: int = CLIPS) -> list[dict[str, Any]]:
    """Measure the model that ships with the course and one of the mosi preset."""
    rows = []
    for name, make in (("tiny, shipped", course_model), ("mosi, untrained", mosi_course)):
        course = make()
        start = time.perf_counter()
        prepared = prepare_switchboard(course, clips)
        spent = time.perf_counter() - start
        rows.append({"model": name, "prepare seconds": spent, "ms": measure_toggles(prepared, clips)})
    return rows


def to_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return the measured times as a table."""
    names = list(rows[0]["ms"])
    lines = [f"{'model':16} {'prepare':>9} " + " ".join(f"{name:>18}" for name in names)]
    for row in rows:
        times = " ".join(f"{row['ms'][name]:15.0f} ms" for name in names)
        lines.append(f"{row['model']:16} {row['prepare seconds']:7.1f} s {times}")
    worst = max(row["ms"]["toggle"] for row in rows)
    verdict = "within" if worst <= LIMIT_MS else "NOT within"
    return [*lines, f"from toggle to picture: {worst:.0f} ms, {verdict} the {LIMIT_MS:.0f} ms asked for"]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status is 0 whatever was measured."""
    parser = argparse.ArgumentParser(
        prog="python -m dicmor_lib.bench.toggle", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--clips", type=int, default=CLIPS, help="clips to toggle through")
    parser.add_argument("--json", type=Path, help="write the times there as well")
    chosen = parser.parse_args(arguments)
    rows = measure(chosen.clips)
    print("\n".join(to_lines(rows)))
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
