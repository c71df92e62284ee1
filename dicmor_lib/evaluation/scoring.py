"""Evaluation of one piece of a study: all variants and baselines on identical masks, and the ledger of it."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from dicmor_lib.data.dataset import MultimodalData
from dicmor_lib.data.missingness import mask_hash
from dicmor_lib.errors import CheckpointError, DataError
from dicmor_lib.evaluation import provenance
from dicmor_lib.evaluation.distances import FLOOR, POOLED
from dicmor_lib.evaluation.evaluate import Evaluation, evaluate
from dicmor_lib.evaluation.ledger import Ledger
from dicmor_lib.evaluation.ledger_rows import Measure, Run, config_hash
from dicmor_lib.evaluation.observers import BOUNDS, Observers
from dicmor_lib.evaluation.pieces import STAGE1_RUN
from dicmor_lib.evaluation.predictions import PatternPredictions
from dicmor_lib.evaluation.study import Source, Study
from dicmor_lib.evaluation.variants import MAIN
from dicmor_lib.training.atomic import sha256, write_file
from dicmor_lib.training.checkpoint import BEST, STAGE1, load_checkpoint, read_config
from dicmor_lib.training.engine import resolve_accelerator
from dicmor_lib.training.history import earlier_rows

EVALUATION, DONE, CLIPS = "evaluation", "done.json", "clips.npz"
SPLIT = "test"
COMPARED: tuple[str, ...] = ("acc2", "f1", "acc7", "mae", "pearson")
"""The metrics of a ledger."""
Found = tuple[str, Measure]
"""A method and one number about it, whose run is not known yet."""


def evaluate_piece(
    study: Study, source: Source, seed: int, data: MultimodalData, note: Callable[[str], None]
) -> None:
    """Score every variant and baseline, and write evaluation/: tables, predictions, clips.npz, ledger/, done.json.

    Raises:
        CheckpointError: if a variant is not trained.
    """
    folder, out = study.folder(source, seed), study.folder(source, seed) / EVALUATION
    (out / DONE).unlink(missing_ok=True)
    fingerprint = _fingerprint(study, source, seed, data)
    device = resolve_accelerator(study.train_config(seed).accelerator)
    stage1, about = load_checkpoint(folder / STAGE1_RUN, STAGE1, device)
    models = {v.name: load_checkpoint(folder / v.folder, BEST, device)[0] for v in study.variants}
    known = data if about.standardiser is None else about.standardiser.apply(data)
    observers = Observers(
        *(models[MAIN], known, data.splits[SPLIT], about.standardiser, source.oracle, study.permutations)
    )
    result = evaluate(
        models,
        known,
        stage1=stage1,
        split=SPLIT,
        permutations=study.permutations,
        resamples=study.resamples,
        extra={"training_seed": seed, "preset": study.preset},
        progress=lambda done, total, what: note(f"{done}/{total} {what}"),
        observer=observers,
    )
    result.distances += observers.distances
    result.save(out)
    observers.clips.save(out / CLIPS)
    found = [*_metrics(result), *_recovery(result), *_distances(result)]
    piece_ledger(study, folder, seed, result, found, device).write(out / "ledger")
    write_file(out / DONE, json.dumps(fingerprint, indent=1).encode())


def is_evaluated(study: Study, source: Source, seed: int, data: MultimodalData) -> bool:
    """Whether exactly these models were evaluated with these settings on this data."""
    try:
        stored = json.loads((study.folder(source, seed) / EVALUATION / DONE).read_text(encoding="utf-8"))
        return stored == _fingerprint(study, source, seed, data)
    except (OSError, ValueError, CheckpointError):
        return False


def _fingerprint(study: Study, source: Source, seed: int, data: MultimodalData) -> dict[str, Any]:
    folder = study.folder(source, seed)
    states = {STAGE1_RUN: folder / STAGE1_RUN / STAGE1}
    states |= {variant.name: folder / variant.folder / BEST for variant in study.variants}
    try:  # state.json holds the hash of the weights beside it
        models = {name: sha256((path / "state.json").read_bytes()) for name, path in states.items()}
    except OSError as problem:
        raise CheckpointError(f"{problem.filename} is not there; train the piece first") from None
    settings = {"permutations": study.permutations, "resamples": study.resamples, "split": SPLIT}
    return {"data": data.sha256, "models": models, **settings}


def piece_ledger(
    study: Study, folder: Path, seed: int, result: Evaluation, found: Iterable[Found], device: str
) -> Ledger:
    """Everything that was measured with one training seed, as a ledger."""
    facts = facts_of(result.predictions, study.preset, str(seed), device)
    kinds = {**result.predictions.kinds, FLOOR: "floor"}
    measures: dict[str, list[Measure]] = {}
    for method, measure in found:
        measures.setdefault(method, []).append(measure)
    ledger = Ledger()
    for method in measures:
        settings, seconds = None, 0.0
        if kinds.get(method) == "model":
            run = folder / next(v.folder for v in study.variants if v.name == method)
            model, trained, _ = read_config(run)
            training = {k: v for k, v in trained.to_dict().items() if k != "seed"}
            settings = {"method": method, "model": model.to_dict(), "training": training}
            seconds = _seconds(folder / STAGE1_RUN) + _seconds(run)
        key = "" if settings is None else config_hash(settings)
        line = Run(**facts, method=method, kind=kinds.get(method, "bound"), config=key, seconds=seconds)
        ledger.add(line, [replace(m, run=line.id) for m in measures[method]], settings)
    return ledger


def facts_of(predictions: PatternPredictions, preset: str, seeds: str, device: str) -> dict[str, Any]:
    """What all runs of one evaluation have in common."""
    info = predictions.info
    return {
        "data": info["data"],
        "data_sha256": info["sha256"],
        "synthetic": "yes" if info["synthetic"] else "no",
        "split": info["split"],
        "clips": len(predictions.label),
        "masks_sha256": mask_hash(predictions.available),
        "preset": preset,
        "seeds": seeds,
        "hardware": provenance.hardware(device),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "date": datetime.date.today().isoformat(),
    }


def split_name(estimate: str, methods: Iterable[str]) -> tuple[str, str]:
    """Return the method of an estimate and what it is: "transferred", "recovered" or "sample".

    What an imputer fills in counts as recovered, so that it stands beside what a model recovers.
    """
    for method in sorted(methods, key=len, reverse=True):
        if estimate == method:
            return method, "recovered"
        if estimate.startswith(f"{method} "):
            return method, estimate.removeprefix(f"{method} ")
    raise DataError(f"the estimate {estimate!r} belongs to none of the methods")


def _metrics(result: Evaluation) -> Iterator[Found]:
    for row in result.table.rows:
        for name in COMPARED:
            yield row.method, Measure("", row.pattern, "", name, row.metrics[name].value)


def _recovery(result: Evaluation) -> Iterator[Found]:
    for (pattern, target, estimate), errors in result.recovery.errors.items():
        method, what = split_name(estimate, result.predictions.kinds)
        yield method, Measure("", pattern, target, f"mse {what}", float(errors.mean()))


def _distances(result: Evaluation) -> Iterator[Found]:
    """Those of all clips together; per class they stand in distances.csv."""
    for row in result.distances:
        if row.group == POOLED:
            method, what = split_name(row.method, [*result.predictions.kinds, FLOOR, *BOUNDS])
            name = f"{row.space} {row.statistic} {what}"
            yield method, Measure("", row.pattern, row.target, name, row.value, p=row.p_value)


def _seconds(run: Path) -> float:
    return sum(row["seconds"] for row in earlier_rows(run, 2, 10**9))
