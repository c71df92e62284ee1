"""Models and fitted baselines side by side, ready to be run under any mask of one split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from dicmor_lib.data.dataset import Split
from dicmor_lib.evaluation.baselines import Imputer
from dicmor_lib.evaluation.frame import ShallowFrame
from dicmor_lib.evaluation.labels import Majority, RidgeLastStep
from dicmor_lib.evaluation.passes import ShallowSplit, predict_filled, run_pass, shallow_split, with_steps
from dicmor_lib.model import DiCMoR

Report = Callable[[str], None]


@dataclass
class BenchRun:
    """What all methods said under one mask.

    Attributes:
        predictions: method -> (N,), NaN for a sample with nothing available.
        rows: (n,) the samples that were scored.
        estimates: what stands in for missing shallow features, name -> (3, n, T, d), on these rows. A model
            gives two, "<name> transferred" and "<name> recovered".
        real: the real shallow features of these rows.
        available: (n, 3) bool.
    """

    predictions: dict[str, np.ndarray]
    rows: np.ndarray
    estimates: dict[str, np.ndarray]
    real: ShallowSplit
    available: np.ndarray


@dataclass
class Bench:
    """Every method of a table. The baselines have learned from the training split; see `Bench.build`."""

    models: dict[str, DiCMoR]
    stage1: DiCMoR
    tested: Split
    imputers: list[Imputer]
    majority: Majority
    ridge: RidgeLastStep
    shallow: ShallowSplit  # of the tested split, through stage 1's C^m
    batch_size: int

    @classmethod
    def build(
        cls,
        models: Mapping[str, DiCMoR],
        stage1: DiCMoR,
        train: Split,
        tested: Split,
        imputers: list[Imputer],
        batch_size: int,
    ) -> Bench:
        """Fit all baselines on the training split and compute the tested split's shallow features."""
        known = shallow_split(stage1, train, batch_size)
        for imputer in imputers:
            imputer.fit(known.features, known.lengths, known.observed)
        return cls(
            models=dict(models),
            stage1=stage1,
            tested=tested,
            imputers=imputers,
            majority=Majority().fit(train.labels),
            ridge=RidgeLastStep().fit(train.features, train.lengths, train.observed, train.labels),
            shallow=shallow_split(stage1, tested, batch_size),
            batch_size=batch_size,
        )

    @property
    def kinds(self) -> dict[str, str]:
        """Method -> "model", "imputer" or "reference", in the order of a table."""
        kinds = dict.fromkeys(self.models, "model") | {imputer.name: "imputer" for imputer in self.imputers}
        return kinds | {self.majority.name: "reference", self.ridge.name: "reference"}

    @property
    def frame(self) -> ShallowFrame:
        """The units of errors and distances: real training shallow features."""
        return self.imputers[0].frame

    def notes(self) -> list[str]:
        """What a reader must know about these models."""
        other = [name for name, model in self.models.items() if not same_shallow(model, self.stage1)]
        if not other:
            return []
        return [
            f"No recovery error is given for {', '.join(other)}: its C^m is not that of stage 1, "
            "so its features cannot be compared with the baselines'."
        ]

    def run(self, available: np.ndarray, report: Report) -> BenchRun:
        """Run every method under a mask (N, 3) bool that lies within what is observed."""
        rows = np.flatnonzero(available.any(axis=1))
        seen = available[rows]
        real = ShallowSplit(
            self.shallow.features[:, rows], self.shallow.lengths[rows], self.shallow.observed[rows]
        )
        values: dict[str, np.ndarray] = {}
        estimates: dict[str, np.ndarray] = {}
        for name, model in self.models.items():
            out = run_pass(model, self.tested, available, self.batch_size)
            values[name] = out.prediction[rows]
            if same_shallow(model, self.stage1):
                steps = real.features.shape[2]
                estimates[f"{name} transferred"] = with_steps(out.transferred[:, rows], steps)
                estimates[f"{name} recovered"] = with_steps(out.recovered[:, rows], steps)
            report(name)
        for imputer in self.imputers:
            estimates[imputer.name] = filled = imputer.fill(real.features, real.lengths, seen)
            if seen.all() and imputer is not self.imputers[0]:
                # nothing is missing: all imputers say the same
                values[imputer.name] = values[self.imputers[0].name]
            else:
                values[imputer.name] = predict_filled(
                    self.stage1, filled, real.lengths, seen, self.batch_size
                )
            report(imputer.name)
        features = tuple(array[rows] for array in self.tested.features)
        values[self.majority.name] = self.majority.predict(len(rows))
        values[self.ridge.name] = self.ridge.predict(features, self.tested.lengths[rows], seen)
        report("references")
        return BenchRun(_everywhere(values, rows, len(available)), rows, estimates, real, seen)


def same_shallow(first: DiCMoR, second: DiCMoR) -> bool:
    """Return whether two models have the same C^m, so that their shallow features live in one space."""
    one, two = first.shallow.state_dict(), second.shallow.state_dict()
    return (
        one.keys() == two.keys()
        and first.config.honour_lengths == second.config.honour_lengths
        and all(one[k].shape == two[k].shape and torch.equal(one[k].cpu(), two[k].cpu()) for k in one)
    )


def _everywhere(values: dict[str, np.ndarray], rows: np.ndarray, n: int) -> dict[str, np.ndarray]:
    out = {name: np.full(n, np.nan) for name in values}
    for name, value in values.items():
        out[name][rows] = value
    return out
