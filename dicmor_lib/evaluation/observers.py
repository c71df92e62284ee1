"""Everything that is measured while `evaluate` runs over a piece of a study, besides its own tables."""

from __future__ import annotations

import numpy as np

from dicmor_lib.data.dataset import MultimodalData, Split
from dicmor_lib.data.oracle import Oracle
from dicmor_lib.data.standardise import Standardiser
from dicmor_lib.evaluation.bench import Bench, BenchRun
from dicmor_lib.evaluation.clips import BEST_GUESS, ERROR, ClipRecord
from dicmor_lib.evaluation.distances import FLOOR, Distance
from dicmor_lib.evaluation.latent import LatentDistances
from dicmor_lib.evaluation.verdict import BAYES, BAYES_MEAN, ORACLE_SAMPLE, OracleVerdict
from dicmor_lib.model import DiCMoR

BOUNDS: tuple[str, ...] = (BAYES, BAYES_MEAN, ORACLE_SAMPLE)
"""Methods that know the oracle's law."""


class Observers:
    """One observer for all: values per clip, distances in latent space and, on the oracle, its verdict.

    Args:
        main: the model whose flows lead to the latent space, for all methods.
        data: as the models read it.
        raw, standardiser: the evaluated split as it was read, and what turned it into that of `data`.
        oracle: whose law the clips follow; None for a real file.
    """

    def __init__(
        self,
        main: DiCMoR,
        data: MultimodalData,
        raw: Split,
        standardiser: Standardiser | None,
        oracle: Oracle | None,
        permutations: int,
    ) -> None:
        self.clips = ClipRecord()
        self.latent = LatentDistances(main, data.train, permutations)
        self.verdict = None if oracle is None else OracleVerdict(oracle, raw, standardiser, permutations)

    def __call__(self, pattern: str, bench: Bench, run: BenchRun) -> None:
        """Measure all of it under one pattern."""
        self.clips(pattern, bench, run)
        self.latent(pattern, bench, run)
        if self.verdict is None:
            return
        self.verdict(pattern, bench, run)
        for (case, target, name), errors in self.verdict.errors.items():
            if case == pattern and name in BOUNDS:
                clips = np.flatnonzero(np.isfinite(self.clips.values[ERROR, pattern, target, "mean-fill"]))
                self.clips.put((ERROR, pattern, target, name), clips, errors, len(bench.tested))
        for metric, guess in self.verdict.predicted[pattern].bayes.items():
            self.clips.put((BEST_GUESS, pattern, metric, BAYES), run.rows, guess, len(bench.tested))

    @property
    def distances(self) -> list[Distance]:
        """In latent space and, on the oracle, of its own estimates and from its conditional law."""
        ours = self.verdict.distances if self.verdict else []
        new = [
            row for row in ours if row.space == "joint" or row.method != FLOOR
        ]  # that floor is there already
        return [*self.latent.distances, *new]
