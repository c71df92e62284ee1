"""`reproduce`: train and evaluate a whole study, data sets x seeds x methods, and write its ledger.

Every step is skipped if it was done before with the same settings, and training goes on from its last checkpoint,
so a study may be interrupted at any moment and is gone on with by asking for it again. A piece (one data set with
one seed) is locked while a process works on it: several processes may share a study, each with seeds of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch

from dicmor_lib.evaluation.joint import joint_ledger
from dicmor_lib.evaluation.ledger import append
from dicmor_lib.evaluation.pieces import train_piece
from dicmor_lib.evaluation.scoring import evaluate_piece, is_evaluated
from dicmor_lib.evaluation.shown import StepsShown
from dicmor_lib.evaluation.study import Source, Study
from dicmor_lib.training.lock import locked

LEDGER = "ledger"


def reproduce(
    study: Study,
    only: str | None = None,
    again: bool = False,
    jobs: int = 1,
    bars: bool | None = None,
    ledger: Path | None = None,
) -> Path:
    """Do what is not done yet of a study, and return the folder of its ledger.

    Args:
        only: "train" or "evaluate" (what is trained); None does both.
        again: evaluate again what was evaluated before, as after a change of the code.
        jobs: processes, each with one piece at a time and one thread.
        bars: of `StepsShown`.
        ledger: where to merge the results into; default: OUT/ledger.

    Raises:
        DicmorError: whatever reading, training or evaluating raises; what was finished stays.
    """
    target = Path(ledger) if ledger else Path(study.out) / LEDGER
    per_piece = (only != "evaluate") * (1 + len(study.variants)) + (only != "train")
    joint = 0 if only == "train" else len(study.sources)
    shown = StepsShown(per_piece * len(study.pieces) + joint, bars)
    with contextlib.closing(shown):
        if jobs > 1:
            _in_processes(study, only, again, jobs, shown)
        else:
            for source, seed in study.pieces:
                run_piece(study, source, seed, only, again, shown)
        for source in study.sources if joint else ():
            work = partial(_join, study, source, target)
            shown.run(f"{source.name}: means over the seeds", partial(_without_bar, work))
    return target


def _without_bar(work: Callable[[], None], _: object) -> None:
    work()


def run_piece(
    study: Study, source: Source, seed: int, only: str | None, again: bool, shown: StepsShown
) -> None:
    """Train and evaluate one data set with one seed."""
    folder = study.folder(source, seed)
    title = f"{source.name} seed {seed}"
    with locked(folder / ".lock"):
        data = source.load()
        if only != "evaluate":
            train_piece(study, source, seed, data, lambda name, work: shown.run(f"{title}: {name}", work))
        if only != "train":
            done = not again and is_evaluated(study, source, seed, data)
            work = partial(evaluate_piece, study, source, seed, data)
            shown.run(f"{title}: evaluation", None if done else work)


def _join(study: Study, source: Source, target: Path) -> None:
    append(target, joint_ledger(study, source))


def _in_processes(study: Study, only: str | None, again: bool, jobs: int, shown: StepsShown) -> None:
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,))
    try:
        waiting = [
            pool.submit(_quiet_piece, study, source, seed, only, again) for source, seed in study.pieces
        ]
        for done in as_completed(waiting):
            for title, took in done.result():
                shown.count(title, took)
    except BaseException:
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown()


class _Noted(StepsShown):
    """Collects the steps of a piece in another process, for the one that shows them."""

    def __init__(self) -> None:
        super().__init__(0, bars=False)
        self.steps: list[tuple[str, str]] = []

    def count(self, title: str, took: str) -> None:
        self.steps.append((title, took))


def _quiet_piece(
    study: Study, source: Source, seed: int, only: str | None, again: bool
) -> list[tuple[str, str]]:
    noted = _Noted()
    run_piece(study, source, seed, only, again, noted)
    return noted.steps
