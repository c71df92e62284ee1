"""The oracle's verdict: on synthetic data, how much of what can be known was recovered and predicted.

On the oracle the best possible answers are computed, not guessed:

- The recovery of least squared error is the conditional mean. C^m is linear, so C^m(E[x | available]) is
  E[C^m(x) | available]: no method that sees the same clips has a smaller expected error in shallow features.
- A draw from the true conditional law, through the same C^m, is a perfect recovery of the distribution.
- The class posterior gives the best prediction for each metric.

From these, with mean-fill and the majority as the zero,

    share recovered = (error(mean-fill) - error(method)) / (error(mean-fill) - error(Bayes mean))
    share predicted = (score(method) - score(majority)) / (score(Bayes) - score(majority))

are 0 for knowing nothing and 1 for all that can be known; below 0 is worse than nothing. Log-likelihoods
against the true law would need the identity as C^m and are not given.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from dicmor_lib.data.dataset import FeatureArrays, Split
from dicmor_lib.data.oracle import Oracle
from dicmor_lib.data.oracle_labels import bayes_scores, predict_from_posterior
from dicmor_lib.data.standardise import Standardiser
from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation.baselines import MeanFill
from dicmor_lib.evaluation.bench import Bench, BenchRun
from dicmor_lib.evaluation.bootstrap import LEVEL, RESAMPLES
from dicmor_lib.evaluation.conditional_law import joint_distances
from dicmor_lib.evaluation.distances import Distance, distances_by_target
from dicmor_lib.evaluation.frame import effective_lengths, inside_steps
from dicmor_lib.evaluation.labels import Majority
from dicmor_lib.evaluation.passes import shallow_split, with_steps
from dicmor_lib.evaluation.recovery import standardised_errors
from dicmor_lib.evaluation.two_sample import PERMUTATIONS
from dicmor_lib.evaluation.verdict_table import Predicted, VerdictTable
from dicmor_lib.modalities import MODALITIES

BAYES_MEAN = "Bayes mean"
ORACLE_SAMPLE = "oracle sample"
BAYES = "Bayes"


class OracleVerdict:
    """Collects the verdict while `evaluate` runs; give it as its observer, then ask for `table()`.

    >>> from dicmor_lib import DiCMoR, DiCMoRConfig
    >>> from dicmor_lib.evaluation import evaluate
    >>> oracle = Oracle(sizes=(48, 16, 16))
    >>> data = oracle.dataset()
    >>> standardiser = Standardiser.fit(data)
    >>> verdict = OracleVerdict(oracle, data.test, standardiser, permutations=None, resamples=20)
    >>> model = DiCMoR(DiCMoRConfig.tiny(data.feature_dims)).eval()  # not trained: its own stage 1
    >>> found = evaluate(model, standardiser.apply(data), stage1=model, patterns=["l"], observer=verdict)
    >>> "Bayes" in verdict.table().to_text()
    True

    Args:
        oracle: whose law the clips follow.
        raw: the evaluated split as the oracle drew it, not standardised.
        standardiser: what turned it into the split that the model saw; None: nothing did.
        permutations: relabellings for the p-values of distances; None: no distances.
        resamples, seed, level: of the bootstrap over clips; the seed is also that of the draws.
    """

    def __init__(
        self,
        oracle: Oracle,
        raw: Split,
        standardiser: Standardiser | None,
        permutations: int | None = PERMUTATIONS,
        resamples: int = RESAMPLES,
        seed: int = 0,
        level: float = LEVEL,
    ) -> None:
        if raw.feature_dims != oracle.dims:
            raise ConfigError(
                f"the clips have {raw.feature_dims} channels and the oracle {oracle.dims}; give the oracle "
                "that drew them"
            )
        self.oracle, self.raw, self.standardiser = oracle, raw, standardiser
        self.permutations, self.resamples, self.seed, self.level = permutations, resamples, seed, level
        self.errors: dict[tuple[str, str, str], np.ndarray] = {}
        self.predicted: dict[str, Predicted] = {}
        self.distances: list[Distance] = []
        self.clipped = 0

    def __call__(self, pattern: str, bench: Bench, run: BenchRun) -> None:
        """Take in what all methods said under one pattern.

        Raises:
            DataError: if the evaluated split is not `raw`, standardised.
            ConfigError: if mean-fill or the majority is not among the methods.
        """
        self._check(bench, run)
        raw = self.raw.select(run.rows)
        features = [np.asarray(x) for x in raw.features]
        posterior = self.oracle.class_posterior(features, run.available, raw.lengths)
        best = predict_from_posterior(posterior)
        self.predicted[pattern] = Predicted(
            label=raw.labels.astype(np.float64),
            methods={name: values[run.rows] for name, values in run.predictions.items()},
            bayes={"acc2": best.sign, "acc7": best.sentiment, "mae": best.median, "pearson": best.mean},
            expected=bayes_scores(posterior),
        )
        if not run.available.all():
            self._recoveries(pattern, bench, run, raw)

    def table(self) -> VerdictTable:
        """Return everything that was collected, with intervals."""
        return VerdictTable(
            errors=dict(self.errors),
            predicted=dict(self.predicted),
            distances=list(self.distances),
            worst=MeanFill.name,
            best=BAYES_MEAN,
            nothing=Majority.name,
            info={
                "synthetic": True,
                "oracle": dataclasses.asdict(self.oracle),
                "resamples": self.resamples,
                "seed": self.seed,
                "level": self.level,
                "clipped": self.clipped,
            },
        )

    def _check(self, bench: Bench, run: BenchRun) -> None:
        seen = self._standardised(self.raw)
        if seen.ids != bench.tested.ids or not all(
            a.shape == b.shape and np.allclose(a, b, atol=1e-5)
            for a, b in zip(seen.features, bench.tested.features)
        ):
            raise DataError(
                "the evaluated clips are not the raw ones after standardisation; give the verdict the same "
                "split, as the oracle drew it, and the standardiser of the run"
            )
        if self.standardiser is not None:
            self.clipped = sum(self.standardiser.clipped(seen))
        if MeanFill.name not in run.estimates or Majority.name not in run.predictions:
            raise ConfigError(
                f"the verdict measures everything against {MeanFill.name!r} and {Majority.name!r}, and one of "
                "them was not evaluated"
            )

    def _recoveries(self, pattern: str, bench: Bench, run: BenchRun, raw: Split) -> None:
        asked = ([np.asarray(x) for x in raw.features], run.available, raw.lengths)
        mean = self.oracle.conditional_mean(*asked)
        # One draw is judged, the other is what all are judged by.
        draws = self.oracle.conditional_sample(*asked, n=2, seed=self.seed)
        judged, law = (self._shallow(tuple(x[k] for x in draws), bench, run, raw) for k in range(2))
        estimates = {
            **run.estimates,
            BAYES_MEAN: self._shallow(mean, bench, run, raw),  # type: ignore[arg-type]
            ORACLE_SAMPLE: judged,
        }
        real, compared = run.real, run.steps
        for m, target in enumerate(MODALITIES):
            clips = compared[m].any(axis=1)
            for name, values in estimates.items() if clips.any() else ():
                truth, guess = (x[m, clips].astype(np.float64) for x in (real.features, values))
                self.errors[pattern, target, name] = standardised_errors(
                    guess, truth, compared[m, clips], bench.frame.sd[m]
                )
        if self.permutations is not None:
            ours = {name: estimates[name] for name in (BAYES_MEAN, ORACLE_SAMPLE)}
            rows = distances_by_target(
                ours,
                real.features,
                real.lengths,
                real.observed,
                run.available,
                bench.frame,
                raw.labels,
                seed=self.seed,
                inside=compared,
                permutations=self.permutations,
            )
            self.distances += [dataclasses.replace(row, pattern=pattern) for row in rows]
            floor_first = {ORACLE_SAMPLE: judged, "real": real.features} | estimates
            self.distances += joint_distances(
                pattern,
                floor_first,
                law,
                estimates[BAYES_MEAN],
                run.available,
                compared,
                bench.frame,
                permutations=self.permutations,
                seed=self.seed,
            )

    def _shallow(self, filled: FeatureArrays, bench: Bench, run: BenchRun, raw: Split) -> np.ndarray:
        """C^m of raw features of the missing modalities: three (n, T, d_m) to (3, n, T, d)."""
        lengths = effective_lengths(raw.lengths, run.available)
        missing = inside_steps(lengths, ~run.available, raw.features[0].shape[1])[..., None]
        clips = Split(
            features=tuple(np.where(missing[m], filled[m], raw.features[m]) for m in range(3)),  # type: ignore[arg-type]
            lengths=lengths,
            observed=np.ones_like(run.available),
            labels=raw.labels,
            ids=raw.ids,
        )
        known = shallow_split(bench.stage1, self._standardised(clips), bench.batch_size)
        return with_steps(known.features, run.real.features.shape[2])

    def _standardised(self, split: Split) -> Split:
        return split if self.standardiser is None else self.standardiser.apply_split(split)
