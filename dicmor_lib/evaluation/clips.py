"""What every clip says about every method, kept so that intervals over clips and seeds can be computed later."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist

from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.bench import Bench, BenchRun
from dicmor_lib.evaluation.distances import clip_vectors
from dicmor_lib.evaluation.frame import ShallowFrame
from dicmor_lib.evaluation.frames import run_frames
from dicmor_lib.evaluation.recovery import standardised_errors
from dicmor_lib.evaluation.two_sample import median_bandwidth
from dicmor_lib.modalities import MODALITIES

ERROR, LAW, FRAMES, BEST_GUESS = "mse", "paired mmd", "frames", "best guess"
"""Squared error of a recovered sequence; contribution to the distance from the law of real ones; prediction with
frames dropped; Bayes-optimal prediction for a metric."""
DRAWS = 3
MOST_CLIPS = 1500
LEAST_CLIPS = 20
FRAME_RATES: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7)

Key = tuple[str, str, str, str]


@dataclass
class ClipRecord:
    """An observer of `evaluate`: one number per clip for each (what, pattern, missing modality, estimate).

    Attributes:
        values: (what, pattern, target, name) -> (N,), NaN for a clip without such a number. `what` is "mse" or
            "paired mmd", with the name of an estimate ("DiCMoR recovered", "ridge"); or "frames", with the rate as the
            pattern, no target and the name of a method: predictions; or "best guess", with the metric as the target.
        rates: at which frames are dropped; none: not at all. seed: of the frames and of the steps drawn.
    """

    values: dict[Key, np.ndarray] = field(default_factory=dict)
    rates: Sequence[float] = FRAME_RATES
    seed: int = 0

    def __call__(self, pattern: str, bench: Bench, run: BenchRun) -> None:
        """Record one pattern; with the first one the frames too."""
        n = len(bench.tested.labels)
        if self.rates and not self.of(FRAMES):
            for rate in self.rates:
                done = run_frames(bench, rate, self.seed)
                self.values |= {(FRAMES, f"{rate:g}", "", name): p for name, p in done.predictions.items()}
        for m, target in enumerate(MODALITIES):
            clips = np.flatnonzero(run.steps[m].any(axis=1))
            if not len(clips):
                continue
            steps, real = run.steps[m, clips], run.real.features[m, clips]
            laws = law_contributions(run.estimates, run, m, bench.frame, self.seed)
            for name, estimate in run.estimates.items():
                errors = standardised_errors(
                    estimate[m, clips].astype(np.float64), real.astype(np.float64), steps, bench.frame.sd[m]
                )
                for what, found in ((ERROR, errors), (LAW, laws.get(name))):
                    if found is not None:
                        self.put((what, pattern, target, name), run.rows[clips], found, n)

    def put(self, key: Key, rows: np.ndarray, values: np.ndarray, n: int) -> None:
        """Record values for these rows of n clips."""
        self.values[key] = np.full(n, np.nan)
        self.values[key][rows] = values

    def of(self, what: str) -> dict[tuple[str, str, str], np.ndarray]:
        """The values of one kind: (pattern, target, name) -> (N,)."""
        return {key[1:]: value for key, value in self.values.items() if key[0] == what}

    def save(self, path: Path) -> None:
        """Write everything to one .npz file without pickles."""
        keys = json.dumps(list(self.values))
        stacked = np.stack(list(self.values.values())).astype(np.float32)
        np.savez_compressed(path, keys=np.array(keys), values=stacked)

    @classmethod
    def load(cls, path: Path) -> ClipRecord:
        """Read what `save` wrote. Raises `DataError` if the file is something else."""
        try:
            with np.load(path, allow_pickle=False) as file:
                keys = [tuple(key) for key in json.loads(str(file["keys"]))]
                return cls(dict(zip(keys, file["values"].astype(np.float64), strict=True)))
        except (OSError, KeyError, ValueError, EOFError) as error:
            raise DataError(f"{path} is not a file of values per clip: {error}") from error


def law_contributions(
    estimates: dict[str, np.ndarray], run: BenchRun, m: int, frame: ShallowFrame, seed: int
) -> dict[str, np.ndarray]:
    """Return name -> (clips,) contributions to MMD^2 of modality m, the mean of `DRAWS` draws of a step per clip.

    Nothing below 20 clips; of more than 1500 clips the others are NaN. Steps and clips are the same for all.
    """
    clips = np.flatnonzero(run.steps[m].any(axis=1))
    if len(clips) < LEAST_CLIPS:
        return {}
    used = np.sort(np.random.default_rng(seed).permutation(len(clips))[:MOST_CLIPS])
    some, total = clips[used], {name: np.full(len(clips), np.nan) for name in estimates}
    for name in total:
        total[name][used] = 0.0
    for draw in range(DRAWS):

        def vectors(features: np.ndarray, draw: int = draw) -> np.ndarray:
            drawn = clip_vectors(features[m, some], run.steps[m, some], "step", seed * DRAWS + draw)
            return frame.standardise(drawn, m)

        real = vectors(run.real.features)
        scale = -1 / (2 * median_bandwidth(real) ** 2)
        among = np.exp(scale * cdist(real, real, "sqeuclidean"))
        for name, estimate in estimates.items():
            total[name][used] += jackknife_mmd(vectors(estimate), real, among, scale) / DRAWS
    return total


def jackknife_mmd(estimate: np.ndarray, real: np.ndarray, among: np.ndarray, scale: float) -> np.ndarray:
    """Return what each clip contributes to MMD^2 between two sets of vectors (n, d) of the same clips: (n,).

    The mean of the contributions is the unbiased estimate over pairs i != j of different clips (a clip beside its
    own recovery would not be independent), with kernel k(x, y) = exp(scale |x - y|^2):

        MMD^2 = mean h_ij,  h_ij = k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i)

    Contributions are the jackknife's pseudo-values, n MMD^2 - (n - 1) MMD^2 without clip i. Averaged over resampled
    clips they give the estimate its right spread, also in a difference of two methods (Efron and Tibshirani 1993,
    chapter 11). Real against real would be 0 by construction, so this distance has no noise floor above 0.

    `among` (n, n) holds k(y_i, y_j).
    """
    n = len(real)
    cross = np.exp(scale * cdist(estimate, real, "sqeuclidean"))
    h = np.exp(scale * cdist(estimate, estimate, "sqeuclidean")) + among - cross - cross.T
    np.fill_diagonal(h, 0.0)
    each = h.sum(axis=1)  # (n,)
    total = each.sum()
    without = (total - 2 * each) / ((n - 1) * (n - 2))
    return total / (n - 1) - (n - 1) * without
