"""Does a recovery follow the *conditional* law? Distances of [available, recovered] to [available, drawn].

A method that hands every clip the right features of some other clip has the right marginal law and recovers
nothing. What tells it apart is the joint vector of what is available and what was recovered. On the oracle
the missing part can be drawn from its true law given this clip, so both sets hold the same clips and differ in
that part only. If a method draws from the true law too, the two of a clip are exchangeable: the relabellings
swap them within clips, which is exact and far more sensitive than halving. The noise floor is a second draw
from the law. A conditional mean is no draw: it is rejected, and should be.

What is available is a whole clip. It enters as E[missing | available], all that it says about the missing
step in the mean, and the recovered step as its difference from that: [E, recovered - E]. In the plain vector
of available and recovered features at one step the tests see little: on the default oracle (language and
audio to vision, 500 clips) MMD gave p = .16 to the law's draws shuffled across clips, and .56 to samples of a
class-free Gaussian; in these coordinates both are at the smallest p-value there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dicmor_lib.evaluation.distances import LEAST_CLIPS, MOST_CLIPS, POOLED, Distance, clip_vectors
from dicmor_lib.evaluation.frame import ShallowFrame
from dicmor_lib.evaluation.two_sample import PERMUTATIONS, median_bandwidth, two_sample_tests
from dicmor_lib.modalities import MODALITIES, pattern_mask

SPACE = "joint"


def joint_distances(
    pattern: str,
    estimates: Mapping[str, np.ndarray],
    drawn: np.ndarray,
    mean: np.ndarray,
    available: np.ndarray,
    compared: np.ndarray,
    frame: ShallowFrame,
    statistics: Sequence[str] | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> list[Distance]:
    """Return the distance of each method's joint vectors to those of the law, per missing modality.

    Args:
        pattern: what is available; clips of another pattern are left out.
        estimates: method -> shallow features (3, N, T, d); the noise floor is the caller's to add.
        drawn: (3, N, T, d) the missing modalities drawn from their law given each clip, independently of all
            `estimates`.
        mean: (3, N, T, d) E[missing | available].
        available: (N, 3) bool.
        compared: (3, N, T) bool, the steps that may be compared, as `BenchRun.steps`.
        frame: the units.
        statistics, permutations, seed: of `two_sample_tests`. Of more than `MOST_CLIPS` / 2 clips as many
            are drawn.
    """
    rng = np.random.default_rng(seed)
    same = (available == np.array(pattern_mask(pattern))).all(axis=1)
    rows: list[Distance] = []
    for m, target in enumerate(MODALITIES):
        clips = np.flatnonzero(same & compared[m].any(axis=1))
        if len(clips) < LEAST_CLIPS:
            continue
        clips = np.sort(rng.permutation(clips)[: MOST_CLIPS // 2])
        known = (mean[m, clips], compared[m, clips], frame.sd[m], seed)
        law = beside_mean(drawn[m, clips], *known)
        bandwidth = median_bandwidth(law)
        for method, values in estimates.items():
            found = two_sample_tests(
                beside_mean(values[m, clips], *known), law, statistics, permutations, seed, True, bandwidth
            )
            rows += [
                Distance(target, method, POOLED, name, r.value, r.p_value, len(clips), pattern, SPACE)
                for name, r in found.items()
            ]
    return rows


def beside_mean(
    values: np.ndarray, mean: np.ndarray, steps: np.ndarray, sd: np.ndarray, seed: int
) -> np.ndarray:
    """[mean, values - mean] at one drawn step of each clip, (n, T, d) to (n, 2 d) in standard deviations."""
    known, own = (clip_vectors(x, steps, "step", seed) / sd for x in (mean, values))
    return np.concatenate([known, own - known], axis=1)
