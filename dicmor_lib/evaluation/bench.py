"""Models and fitted baselines side by side, ready to be run under any mask of one split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from dicmor_lib.data.dataset import Split
from dicmor_lib.evaluation.baselines import Imputer
from dicmor_lib.evaluation.frame import ShallowFrame, comparable_steps
from dicmor_lib.evaluation.labels import Majority, RidgeLastStep
from dicmor_lib.evaluation.passes import (
    ModelPass,
    ShallowSplit,
    predict_filled,
    run_pass,
    shallow_split,
    shifted_steps,
)
from dicmor_lib.model import DiCMoR

Report = Callable[[str], None]


@dataclass
class BenchRun:
    """What all methods said under one mask.

    Attributes:
        predictions: method -> (N,), NaN for a sample with nothing available.
        rows: (n,) the samples that were scored.
        estimates: what stands in for missing shallow features, name -> (3, n, T, d), on these rows, step by
            step beside `real`. A model gives two, "<name> transferred" and "<name> recovered"; the Gaussian
            gives its mean and "gaussian sample".
        real: the real shallow features of these rows.
        available: (n, 3) bool.
        steps: (3, n, T) bool: where something is missing that is real and that every estimate fills in. Errors
            and distances are measured on these steps only. A convolution without padding has no feature for
            the first and last (kernel_size - 1) / 2 steps, so a model with one narrows them for all.
    """

    predictions: dict[str, np.ndarray]
    rows: np.ndarray
    estimates: dict[str, np.ndarray]
    real: ShallowSplit
    available: np.ndarray
    steps: np.ndarray


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
        shared = {name: same_shallow(model, self.stage1) for name, model in self.models.items()}
        moved = {name: step_shift(model) != step_shift(self.stage1) for name, model in self.models.items()}
        other = ", ".join(name for name in shared if not shared[name])
        shifted = ", ".join(name for name in shared if shared[name] and moved[name])
        notes = []
        if other:
            notes.append(
                f"No recovery error is given for {other}: its C^m is not that of stage 1, "
                "so its features cannot be compared with the baselines'."
            )
        if shifted:
            notes.append(
                f"The convolution of {shifted} has another padding than stage 1's: its steps are put beside "
                "those that they describe, and errors and distances of all methods are measured on the steps "
                "that all of them have."
            )
        return notes

    def run(self, available: np.ndarray, report: Report) -> BenchRun:
        """Run every method under a mask (N, 3) bool that lies within what is observed."""
        rows = np.flatnonzero(available.any(axis=1))
        seen = available[rows]
        real = ShallowSplit(
            self.shallow.features[:, rows], self.shallow.lengths[rows], self.shallow.observed[rows]
        )
        values: dict[str, np.ndarray] = {}
        estimates: dict[str, np.ndarray] = {}
        steps = comparable_steps(real.lengths, real.observed, seen, real.features.shape[2])
        for name, model in self.models.items():
            out = run_pass(model, self.tested, available, self.batch_size)
            values[name] = out.prediction[rows]
            if same_shallow(model, self.stage1):
                shift = step_shift(model) - step_shift(self.stage1)
                for what, value in (("transferred", out.transferred), ("recovered", out.recovered)):
                    estimates[f"{name} {what}"] = shifted_steps(value[:, rows], shift, steps.shape[2])
                steps &= _filled(out, rows, shift, steps.shape[2])
            report(name)
        for imputer in self.imputers:
            estimates[imputer.name] = filled = imputer.fill(real.features, real.lengths, seen)
            estimates |= imputer.other_estimates(real.features, real.lengths, seen)
            if seen.all() and imputer is not self.imputers[0]:
                # nothing is missing: all imputers say the same
                values[imputer.name] = values[self.imputers[0].name]
            else:
                values[imputer.name] = predict_filled(
                    self.stage1, filled, real.lengths, seen, self.batch_size
                )
            report(imputer.name)
        features = self.tested.select(rows).features
        values[self.majority.name] = self.majority.predict(len(rows))
        values[self.ridge.name] = self.ridge.predict(features, self.tested.lengths[rows], seen)
        report("references")
        return BenchRun(_everywhere(values, rows, len(available)), rows, estimates, real, seen, steps)


def same_shallow(first: DiCMoR, second: DiCMoR) -> bool:
    """Return whether two models have the same C^m, so that their shallow features live in one space.

    Their steps may still be numbered differently, see `step_shift`.
    """
    one, two = first.shallow.state_dict(), second.shallow.state_dict()
    return one.keys() == two.keys() and all(
        one[k].shape == two[k].shape and torch.equal(one[k].cpu(), two[k].cpu()) for k in one
    )


def step_shift(model: DiCMoR) -> int:
    """Return which raw step the model's first shallow step is centred on.

    A convolution that keeps T starts at step 0; one without padding starts with its kernel inside the
    sequence, so its step t is step t + (kernel_size - 1) / 2 of the other.
    """
    return 0 if model.config.honour_lengths else (model.config.kernel_size - 1) // 2


def _filled(out: ModelPass, rows: np.ndarray, shift: int, steps: int) -> np.ndarray:
    """Return where a model's estimates exist after the shift: (3, n, steps) bool."""
    own = np.arange(steps) - shift  # the model's number of each step
    return (own >= 0) & (own < out.lengths[rows].T[..., None])


def _everywhere(values: dict[str, np.ndarray], rows: np.ndarray, n: int) -> dict[str, np.ndarray]:
    out = {name: np.full(n, np.nan) for name in values}
    for name, value in values.items():
        out[name][rows] = value
    return out
