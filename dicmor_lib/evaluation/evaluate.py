"""Evaluation of a trained model: seven patterns, all baselines on the same masks, recovery errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dicmor_lib.data.dataset import MultimodalData, Split
from dicmor_lib.data.missingness import mask_hash
from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation import render, table_files
from dicmor_lib.evaluation.autoencoder import AutoEncoder
from dicmor_lib.evaluation.baselines import Imputer, MeanFill, ZeroFill
from dicmor_lib.evaluation.bench import Bench, BenchRun
from dicmor_lib.evaluation.bootstrap import LEVEL, RESAMPLES
from dicmor_lib.evaluation.distances import Distance, distances_by_target
from dicmor_lib.evaluation.gaussian import GaussianConditional
from dicmor_lib.evaluation.labels import majority_share
from dicmor_lib.evaluation.neighbours import NearestNeighbours
from dicmor_lib.evaluation.passes import BATCH_SIZE
from dicmor_lib.evaluation.predictions import PatternPredictions
from dicmor_lib.evaluation.recovery import RecoveryErrors, errors_by_target
from dicmor_lib.evaluation.ridge import RidgeImpute
from dicmor_lib.evaluation.table import EvaluationTable, score
from dicmor_lib.modalities import PATTERNS, normalise_pattern, pattern_mask
from dicmor_lib.model import DiCMoR

MODEL_NAME = "DiCMoR"
Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, what) after each step of an evaluation."""
Observer = Callable[[str, Bench, BenchRun], None]
"""Called as observer(pattern, bench, run) with everything that was computed under one pattern's mask."""


@dataclass
class Evaluation:
    """What one evaluation measured: the table, the predictions behind it, recovery errors, distances."""

    table: EvaluationTable
    predictions: PatternPredictions
    recovery: RecoveryErrors
    distances: list[Distance] = field(default_factory=list)

    def to_text(self) -> str:
        """Return all tables as text."""
        parts = [render.to_text(self.table)]
        parts += [self.recovery.to_text()] if self.recovery.errors else []
        parts += [render.distances_to_text(self.distances, self.table.info)] if self.distances else []
        return "\n\n".join(parts)

    def to_markdown(self) -> str:
        """Return the table of metrics as Markdown."""
        return render.to_markdown(self.table)

    def save(self, directory: Path) -> list[Path]:
        """Write evaluation.csv, .json, .md, recovery.csv, predictions.npz and, if measured, distances.csv.

        Returns the paths.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        names = ("evaluation.csv", "evaluation.json", "evaluation.md", "recovery.csv", "predictions.npz")
        paths = [directory / name for name in names]
        table_files.write_csv(self.table, paths[0])
        table_files.write_json(self.table, paths[1])
        paths[2].write_text(self.to_markdown() + "\n", encoding="utf-8")
        self.recovery.write_csv(paths[3])
        self.predictions.save(paths[4])
        if self.distances:
            paths.append(directory / "distances.csv")
            table_files.write_distances(self.distances, self.table.info, paths[-1])
        return paths


def default_imputers() -> list[Imputer]:
    """Return new, unfitted instances of the imputers every table has."""
    return [
        ZeroFill(),
        MeanFill(),
        GaussianConditional(),
        RidgeImpute(),
        NearestNeighbours(),
        AutoEncoder(),
    ]


def evaluate(
    model: DiCMoR | Mapping[str, DiCMoR],
    data: MultimodalData,
    *,
    stage1: DiCMoR,
    split: str = "test",
    patterns: Sequence[str] = PATTERNS,
    imputers: Sequence[Imputer] | None = None,
    permutations: int | None = None,
    batch_size: int = BATCH_SIZE,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
    extra: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    observer: Observer | None = None,
) -> Evaluation:
    """Score a model and all baselines under each pattern, on identical samples and masks.

    >>> from dicmor_lib import DiCMoRConfig
    >>> from dicmor_lib.data import Oracle, Standardiser
    >>> data = Oracle(sizes=(48, 16, 16)).dataset()
    >>> data = Standardiser.fit(data).apply(data)
    >>> model = DiCMoR(DiCMoRConfig.tiny(data.feature_dims)).eval()  # not trained: its own stage 1
    >>> found = evaluate(model, data, stage1=model, patterns=["l", "av"], resamples=20)
    >>> found.table.patterns, found.table.methods[:3]
    (['l', 'av'], ['DiCMoR', 'zero-fill', 'mean-fill'])

    Args:
        model: the trained model, or several by name (ablations), compared on the same masks.
        data: what it was trained on, standardised as in training; baselines learn from its training split.
        stage1: the complete-data model of stage 1, whose C^m and fusion the imputers use.
        split: "train", "valid" or "test".
        patterns: sets of available modalities. A modality that a sample does not have stays missing;
            samples with nothing left are excluded and counted, and a pattern that no sample has is left out
            with a note.
        imputers: default: those of `default_imputers`. Others may be added; the table refuses to exist
            without these six.
        permutations: measure distances between recovered and real features too, with so many relabellings
            for the p-values (200 is usual); None: no distances.
        batch_size: samples per forward pass.
        resamples, seed, level: of the bootstrap over samples.
        extra: further facts for the table's info, such as the training seed; "notes" is a list of
            sentences.
        progress: called after each pattern and method.
        observer: called after each pattern with the fitted methods and all they said under its mask, so
            that more can be measured on the same pass; what it keeps is its own, nothing is kept here.

    Raises:
        ConfigError: if the split's name is unknown.
        DataError: if the split or the training split is empty, or no sample has anything of any pattern.
    """
    models = dict(model) if isinstance(model, Mapping) else {MODEL_NAME: model}
    tested = _split(data, split)
    masks, absent = _masks(tested, patterns)
    bench = Bench.build(models, stage1, data.train, tested, list(imputers or default_imputers()), batch_size)
    report = _Reporter(progress, len(masks) * (len(models) + len(bench.imputers) + 1))

    info = _info(data, split, masks) | dict(extra or {})
    info["notes"] = [*info.get("notes", []), *absent, *bench.notes()]
    recovery = RecoveryErrors(info=info | {"resamples": resamples, "seed": seed})
    found, distances = [], []
    for pattern, mask in masks.items():
        result = bench.run(mask, partial(report.of, pattern))
        found.append(result.predictions)
        recovery.errors |= {(pattern, *key): error for key, error in _errors(bench, result).items()}
        if permutations is not None:
            distances += _distances(bench, result, pattern, permutations, seed)
        if observer is not None:
            observer(pattern, bench, result)
    predictions = PatternPredictions(
        patterns=tuple(masks),
        label=tested.labels.astype(np.float64),
        available=np.stack(list(masks.values())),
        methods={name: np.stack([values[name] for values in found]) for name in bench.kinds},
        kinds=bench.kinds,
        info=info,
        ids=list(tested.ids),
    )
    return Evaluation(score(predictions, resamples, seed, level), predictions, recovery, distances)


def _errors(bench: Bench, run: BenchRun) -> dict[tuple[str, str], np.ndarray]:
    real = run.real
    return errors_by_target(
        run.estimates, real.features, real.lengths, real.observed, run.available, bench.frame, run.steps
    )


def _distances(bench: Bench, run: BenchRun, pattern: str, permutations: int, seed: int) -> list[Distance]:
    real = run.real
    label = bench.tested.labels[run.rows]
    rows = distances_by_target(
        run.estimates,
        real.features,
        real.lengths,
        real.observed,
        run.available,
        bench.frame,
        label,
        seed=seed,
        inside=run.steps,
        permutations=permutations,
    )
    return [dataclasses.replace(row, pattern=pattern) for row in rows]


class _Reporter:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def of(self, pattern: str, what: str) -> None:
        self(f"{pattern}: {what}")

    def __call__(self, what: str) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total, what)


def _split(data: MultimodalData, name: str) -> Split:
    if name not in data.splits:
        raise ConfigError(f"there is no split {name!r}; choose one of {', '.join(data.splits)}")
    if not len(data.splits[name]):
        raise DataError(f"the {name} split of {data.source} is empty: there is nothing to evaluate on")
    if not len(data.train):
        raise DataError(f"the training split of {data.source} is empty: the baselines cannot learn from it")
    return data.splits[name]


def _masks(tested: Split, patterns: Sequence[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The mask (N, 3) of each pattern that some sample has, and a note about those that none has."""
    names = dict.fromkeys(normalise_pattern(pattern) for pattern in patterns)
    masks = {name: np.array(pattern_mask(name)) & tested.observed for name in names}
    used = {name: mask for name, mask in masks.items() if mask.any()}
    if not used:
        raise DataError(
            f"no sample has anything of the pattern {', '.join(names)}: there is nothing to evaluate"
        )
    lacking = [name for name in masks if name not in used]
    return used, [f"No sample has anything of the pattern {', '.join(lacking)}."] if lacking else []


def _info(data: MultimodalData, split: str, masks: Mapping[str, np.ndarray]) -> dict[str, Any]:
    share = majority_share(data.splits[split].labels)
    scored = {pattern: int(mask.any(axis=1).sum()) for pattern, mask in masks.items()}
    return {
        "data": data.source,
        "sha256": data.sha256,
        "synthetic": bool(data.synthetic),
        "split": split,
        "majority_share": None if np.isnan(share) else share,
        "masks": {
            pattern: {"hash": mask_hash(mask), "n": scored[pattern], "excluded": len(mask) - scored[pattern]}
            for pattern, mask in masks.items()
        },
    }
