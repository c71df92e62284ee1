"""The whole bench: which cases, each in a process of its own, one after the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dicmor_lib.bench.cases import TASKS, Case, Task
from dicmor_lib.bench.machine import describe_machine
from dicmor_lib.bench.results import FORMAT, ROWS, Results
from dicmor_lib.bench.scaling import BATCHES, TIMES
from dicmor_lib.bench.store import CLIPS

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to measure and how long.

    Attributes:
        devices: kinds of device; on "cuda" every case also runs in bf16 and compiled.
        seconds, rounds: each case runs until both are spent.
        compiled: measure compiled on every device, not on CUDA alone.
        curves: whether to time flow and recovery over `times` and `curve_batches`.
        store_clips: clips of the file that is converted to a store and trained on, 450 kB of disk each; 0: none.
    """

    presets: tuple[str, ...] = ("mosi", "mosei")
    batches: tuple[int, ...] = (1, 4, 32, 128)
    tasks: tuple[Task, ...] = TASKS
    devices: tuple[str, ...] = ("cpu",)
    threads: int = 1
    seconds: float = 5.0
    rounds: int = 5
    compiled: bool = False
    curves: bool = True
    times: tuple[int, ...] = TIMES
    curve_batches: tuple[int, ...] = BATCHES
    store_clips: int = CLIPS

    def cases(self) -> list[Case]:
        """Every case, the small ones of a preset first."""
        found = []
        for device in self.devices:
            ways = [("32-true", False)]
            if device == "cuda":
                ways += [("bf16-mixed", False), ("32-true", True), ("bf16-mixed", True)]
            elif self.compiled:
                ways.append(("32-true", True))
            for preset in self.presets:
                for task in self.tasks:
                    for batch in (1,) if task == "patterns" else self.batches:
                        found += [
                            Case(preset, task, batch, device=device, precision=precision, compiled=compiled)
                            for precision, compiled in ways
                        ]
        return found

    def profiled(self) -> list[Case]:
        """The cases whose time is taken apart: the training step of 32 (or the largest batch) of each preset.

        And the seven patterns of one clip, for the first preset.
        """
        batch = 32 if 32 in self.batches else max(self.batches)
        return [
            Case(preset, task, n, device=device)
            for device in self.devices
            for task, n, presets in (("train", batch, self.presets), ("patterns", 1, self.presets[:1]))
            if task in self.tasks
            for preset in presets
        ]


def run_suite(plan: Plan, say: Say = lambda sentence: None) -> Results:
    """Measure everything in `plan`; a case that fails is kept with its "error" and does not stop the others."""
    machine = describe_machine(plan.threads)
    if machine["load_before"] is not None and machine["load_before"] > 0.5:
        say(
            f"note: this machine was busy before the start (load {machine['load_before']}); ratios hold better than times"
        )
    jobs: list[tuple[str, str, dict[str, Any]]] = []
    for case in plan.cases():
        job = {"job": "case", "case": case.to_dict(), "seconds": plan.seconds, "rounds": plan.rounds}
        jobs.append(("cases", case.title(), job))
    if plan.curves:
        for device in plan.devices:
            job = {
                "job": "curve",
                "preset": plan.presets[0],
                "device": device,
                "rounds": (plan.rounds + 1) // 2,
            }
            job |= {"times": plan.times, "batches": plan.curve_batches}
            jobs.append(
                ("curves", f"{plan.presets[0]} flow and recovery against time and batch, {device}", job)
            )
    for case in plan.profiled():
        jobs.append(
            ("profiles", f"profile of {case.title()}", {"job": "profile", "case": case.to_dict(), "top": 0})
        )
    if plan.store_clips:
        title = f"store of {plan.store_clips:,} clips of MOSEI's shapes"
        jobs.append(("stores", title, {"job": "store", "clips": plan.store_clips}))
    results: Results = {"format": FORMAT, "machine": machine, **{kind: [] for kind in ROWS}}
    for number, (kind, title, job) in enumerate(jobs, start=1):
        answer = run_job(job, plan.threads)
        results[kind].append(answer)
        say(f"[{number}/{len(jobs)}] {title}: {_outcome(answer)}")
    return results


def run_job(job: dict[str, Any], threads: int) -> dict[str, Any]:
    """Do a job in a fresh process; its answer, or the job's settings with "error"."""
    env = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "dicmor_lib.bench.worker", json.dumps(job | {"threads": threads})]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    said = done.stderr.strip().splitlines()
    reason = said[-1] if said else f"ended with status {done.returncode}"
    if done.returncode == -9:
        reason = "killed, probably for want of memory"
    return {
        **job.get("case", {k: job[k] for k in ("preset", "device", "clips") if k in job}),
        "error": reason,
    }


def _outcome(answer: dict[str, Any]) -> str:
    if "error" in answer:
        return f"failed ({answer['error']})"
    if "ratio" in answer:
        return f"{answer['seconds'] * 1e3:.1f} ms, {answer['ratio']:.2f} matrix products"
    return "done"
