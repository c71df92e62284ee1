"""One seed's numbers: every method asked the same questions about the test split, clip by clip.

| measure              | per clip | what it is                                                                        |
|----------------------|----------|-----------------------------------------------------------------------------------|
| log_density          | yes      | log p(missing given available), nats per value; clips weigh by their values       |
| squared_error        | yes      | of an estimate, in variances of the training features                             |
| acc2, absolute_error | yes      | of the prediction; NaN where the label is 0 (Acc-2)                                |
| cover80, width80 ... | yes      | whether the interval holds the label, and how wide it is                          |
| correlation          | no       | of an estimate with the real feature, mean over channels                          |
| spread               | no       | standard deviation of an estimate over that of the real features                  |
| law                  | no       | sliced Wasserstein distance to the law of real features                           |
| conditional_law      | no       | the same of [E, x - E] to draws from the true conditional law, E its mean (oracle) |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dicmor_lib.data.dataset import Split
from dicmor_lib.evaluation.bench import Bench, BenchRun
from dicmor_lib.evaluation.beyond.densities import class_log_density, residual_log_density
from dicmor_lib.evaluation.beyond.models import Models
from dicmor_lib.evaluation.beyond.truth import Truth
from dicmor_lib.evaluation.conditional import ConditionalPass, run_conditional
from dicmor_lib.evaluation.conditional_law import beside_mean
from dicmor_lib.evaluation.distances import distances_by_target
from dicmor_lib.evaluation.frame import ShallowFrame
from dicmor_lib.evaluation.gaussian import GaussianConditional
from dicmor_lib.evaluation.intervals import Residuals, covered, prediction_interval
from dicmor_lib.evaluation.passes import ShallowSplit, shallow_split, with_steps
from dicmor_lib.evaluation.ridge import RidgeImpute
from dicmor_lib.evaluation.two_sample import two_sample_tests
from dicmor_lib.modalities import MODALITIES

Key = tuple[str, str, str, str]
"""(measure, pattern, target, method); the target is "" where a number is about all that is missing."""

LEVELS = (0.8, 0.95)
STATISTIC = "sliced_wasserstein"
BATCH = 512
CLASSES = np.arange(-3, 4)
LEAST = 20
"""Clips without which no distance is measured."""


@dataclass
class Asked:
    """The methods of one seed, fitted, and what they are asked about."""

    models: Models
    draws: int
    seed: int
    tested: Split
    bench: Bench = field(init=False)
    known: ShallowSplit = field(init=False)
    residuals: Residuals = field(init=False)

    def __post_init__(self) -> None:
        data, models = self.models.data, self.models
        imputers = [RidgeImpute(), GaussianConditional()]
        self.bench = Bench.build(
            {"DiCMoR": models.paper}, models.stage1, data.train, self.tested, imputers, BATCH
        )
        self.known = shallow_split(models.stage1, data.train, BATCH)
        complete = data.valid.select(np.flatnonzero(data.valid.observed.all(axis=1)))
        everything = np.ones((len(complete), 3), dtype=bool)
        found = run_conditional(models.joint, complete, everything, 1, batch_size=BATCH)
        self.residuals = Residuals.of(found.predictions[0], complete.labels)

    def under(self, pattern: str, available: np.ndarray, truth: Truth | None) -> dict[Key, np.ndarray]:
        """Return all measures with `available` (n, 3), where every tested clip has something left."""
        run = self.bench.run(available, lambda what: None)
        joint = run_conditional(
            self.models.joint, self.tested, available, self.draws, seed=self.seed, batch_size=BATCH
        )
        found = self._predictions(run, joint, truth)
        if not available.all():
            found |= self._densities(available, joint, truth)
            found |= _features(self.bench.frame, run, joint, truth, self.seed)
        return {(measure, pattern, target, method): v for (measure, target, method), v in found.items()}

    def _predictions(
        self, run: BenchRun, joint: ConditionalPass, truth: Truth | None
    ) -> dict[tuple[str, str, str], np.ndarray]:
        label = self.tested.labels.astype(np.float64)
        said = {name: run.predictions[name] for name in ("DiCMoR", "ridge", "gaussian")}
        said |= {
            "joint": joint.predictions.mean(axis=0),
            "joint, 1 draw": joint.predictions[0],
            "joint, class": joint.posterior @ CLASSES,
        }
        found = {}
        for name, value in said.items():
            found["acc2", "", name] = _right(value, label)
            found["absolute_error", "", name] = np.abs(value - label)
        if truth is not None:
            found["acc2", "", "Bayes"] = _right(truth.best.sign, label)
            found["absolute_error", "", "Bayes"] = np.abs(truth.best.median - label)
        for level in LEVELS:
            interval = prediction_interval(joint.predictions, self.residuals, level)
            found[f"cover{100 * level:.0f}", "", "joint"] = covered(interval, label).astype(np.float64)
            found[f"width{100 * level:.0f}", "", "joint"] = interval[:, 1] - interval[:, 0]
        return found

    def _densities(
        self, available: np.ndarray, joint: ConditionalPass, truth: Truth | None
    ) -> dict[tuple[str, str, str], np.ndarray]:
        ridge, gaussian = self.bench.imputers
        logs = {
            "joint": joint.log_density,
            "DiCMoR": class_log_density(
                self.models.paper, self.models.data.train, self.tested, available, BATCH
            ),
            "ridge": residual_log_density(ridge, self.known, self.bench.shallow, available),
            "gaussian": residual_log_density(gaussian, self.known, self.bench.shallow, available),
        }
        if truth is not None:
            logs["Bayes"] = truth.log_density
        typical = joint.values.mean()  # so that the mean over clips is nats per value
        return {("log_density", "", name): value / typical for name, value in logs.items()}


def _right(prediction: np.ndarray, label: np.ndarray) -> np.ndarray:
    """1 where the sign is right, NaN where there is none, as in Acc-2."""
    return np.where(label == 0, np.nan, (prediction > 0) == (label > 0))


def _features(
    frame: ShallowFrame, run: BenchRun, joint: ConditionalPass, truth: Truth | None, seed: int
) -> dict[tuple[str, str, str], np.ndarray]:
    """How the recovered features lie to the real ones, and their law to the law."""
    time = run.real.features.shape[2]
    estimates = dict(run.estimates) | {
        "joint mean": with_steps(joint.mean, time),
        "joint draw": with_steps(joint.draw, time),
    }
    if truth is not None:
        estimates |= {"Bayes mean": truth.mean, "Bayes draw": truth.drawn[1]}
    found: dict[tuple[str, str, str], np.ndarray] = {}
    for m, target in enumerate(MODALITIES):
        clips = run.steps[m].any(axis=1)
        if clips.sum() < LEAST:
            continue
        steps = run.steps[m, clips]
        real = frame.standardise(run.real.features[m, clips], m)
        for name, value in estimates.items():
            own = frame.standardise(value[m, clips], m)
            error = np.where(steps[..., None], own - real, 0.0)
            per_clip = np.full(len(clips), np.nan)
            per_clip[clips] = np.square(error).sum((1, 2)) / (steps.sum(1) * real.shape[2])
            found["squared_error", target, name] = per_clip
            found["correlation", target, name], found["spread", target, name] = _follows(
                own[steps], real[steps]
            )
        if truth is not None:
            found |= _conditional_law(frame, m, estimates, truth, clips, steps, seed)
    rows = distances_by_target(
        *(estimates, run.real.features, run.real.lengths, run.real.observed, run.available, frame),
        inside=run.steps,
        seed=seed,
        permutations=0,
        statistics=(STATISTIC,),
    )
    return found | {("law", row.target, row.method): np.array(row.value) for row in rows}


def _follows(estimate: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation and ratio of deviations of (n, d) each, means over the channels that vary."""
    own, true = estimate.std(axis=0), real.std(axis=0)
    product = ((estimate - estimate.mean(axis=0)) * (real - real.mean(axis=0))).mean(axis=0)
    varies = true > 1e-8
    correlation = np.where(own > 1e-8, product / np.maximum(own * true, 1e-12), 0.0)[varies]
    return np.array(correlation.mean()), np.array((own[varies] / true[varies]).mean())


def _conditional_law(
    frame: ShallowFrame,
    m: int,
    estimates: Mapping[str, np.ndarray],
    truth: Truth,
    clips: np.ndarray,
    steps: np.ndarray,
    seed: int,
) -> dict[tuple[str, str, str], np.ndarray]:
    """Distances to the first draw; that of "Bayes draw", the second, is the noise floor."""
    known = (truth.mean[m, clips], steps, frame.sd[m], seed)
    law = beside_mean(truth.drawn[0, m, clips], *known)
    found = {}
    for name, value in estimates.items():
        pair = (beside_mean(value[m, clips], *known), law)
        result = two_sample_tests(*pair, (STATISTIC,), 0, seed, True, 1.0)
        found["conditional_law", MODALITIES[m], name] = np.array(result[STATISTIC].value)
    return found
