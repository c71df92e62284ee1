"""Do recovered features have the law of real ones? Distances beside their noise floor.

The clips of the split are halved at random. The recovered vectors of one half are compared with the real
vectors of the other: the two sets are independent, as the tests assume, which a clip beside its own
recovery would not be. The noise floor is real against real, on the same halves: a method cannot be asked to
come closer than that. Each clip gives one vector, by default one of its time steps drawn at random, because
the steps of a clip depend on each other.

The halving is repeated; values are means, and the p-value is twice the median over the halvings (at most 1),
which keeps its level (DiCiccio, DiCiccio and Romano, Statistics & Probability Letters 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation.frame import ShallowFrame, effective_lengths
from dicmor_lib.evaluation.metrics import sentiment_class
from dicmor_lib.evaluation.two_sample import PERMUTATIONS, STATISTICS, two_sample
from dicmor_lib.modalities import MODALITIES

FLOOR = "real"
"""The method name of the noise floor: real against real."""
POOLED = "pooled"
LEAST_CLIPS = 20


@dataclass(frozen=True)
class Distance:
    """How far one method's features are from real ones.

    Attributes:
        pattern: what was available; "" where the caller says so.
        target: missing modality.
        method: for instance "DiCMoR recovered"; "real" is the noise floor.
        group: "pooled", or a sentiment class such as "+1".
        statistic: of `STATISTICS`.
        value, p_value: mean over halvings, and twice the median p-value.
        n: clips in each half.
    """

    target: str
    method: str
    group: str
    statistic: str
    value: float
    p_value: float
    n: int
    pattern: str = ""


def clip_vectors(features: np.ndarray, lengths: np.ndarray, how: str = "step", seed: int = 0) -> np.ndarray:
    """Return one vector per clip, features (N, T, d) with lengths (N,) >= 1 -> (N, d).

    "step" draws one valid step per clip (the same for all methods with the same seed and lengths); "mean"
    is the mean over valid steps.
    """
    lengths = np.asarray(lengths)
    if (lengths < 1).any():
        raise DataError("a clip without a valid step has no vector; leave it out")
    if how == "step":
        step = (np.random.default_rng(seed).random(len(lengths)) * lengths).astype(int)
        return np.asarray(features)[np.arange(len(lengths)), step].astype(np.float64)
    if how == "mean":
        inside = np.arange(features.shape[1]) < lengths[:, None]
        return np.where(inside[..., None], features, 0.0).sum(axis=1, dtype=np.float64) / lengths[:, None]
    raise ConfigError(f"there is no vector called {how!r} of a clip; choose 'step' or 'mean'")


def distances_to_real(
    vectors: Mapping[str, np.ndarray],
    real: np.ndarray,
    target: str,
    group: str = POOLED,
    statistics: tuple[str, ...] = tuple(STATISTICS),
    halvings: int = 3,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> list[Distance]:
    """Compare each method's vectors (N, d) with the real ones (N, d) of the same clips, noise floor first.

    Raises:
        DataError: if there are fewer than 20 clips.
    """
    n = len(real)
    if n < LEAST_CLIPS:
        raise DataError(
            f"{n} clips are too few for distances of {target} ({group}); {LEAST_CLIPS} are the least"
        )
    rng = np.random.default_rng(seed)
    halves = [np.array_split(rng.permutation(n)[: n - n % 2], 2) for _ in range(halvings)]
    rows = []
    for method, values in {FLOOR: real, **vectors}.items():
        for statistic in statistics:
            found = [
                two_sample(values[one], real[other], statistic, permutations, seed + k)
                for k, (one, other) in enumerate(halves)
            ]
            value = float(np.mean([result.value for result in found]))
            p_value = (
                min(1.0, 2 * float(np.median([result.p_value for result in found])))
                if permutations
                else np.nan
            )
            rows.append(Distance(target, method, group, statistic, value, p_value, n // 2))
    return rows


def distances_by_target(
    estimates: Mapping[str, np.ndarray],
    real: np.ndarray,
    lengths: np.ndarray,
    observed: np.ndarray,
    available: np.ndarray,
    frame: ShallowFrame,
    label: np.ndarray | None = None,
    how: str = "step",
    seed: int = 0,
    **options: object,
) -> list[Distance]:
    """Return the distances of every missing modality, pooled and, given labels, per sentiment class.

    Args:
        estimates: method -> filled-in shallow features (3, N, T, d).
        real: (3, N, T, d) with lengths (N, 3) and observed (N, 3); available (N, 3) within observed.
        frame: the units; distances are in training standard deviations.
        label: (N,) sentiment; classes with fewer than 20 clips are left out.
        how: of `clip_vectors`.
        options: of `distances_to_real`.
    """
    both = np.minimum(lengths, effective_lengths(lengths, available))
    rows: list[Distance] = []
    for m, target in enumerate(MODALITIES):
        clips = np.flatnonzero(observed[:, m] & ~available[:, m] & available.any(axis=1) & (both[:, m] > 0))
        if len(clips) < LEAST_CLIPS:
            continue
        steps = both[clips, m]
        truth = frame.standardise(clip_vectors(real[m, clips], steps, how, seed), m)
        vectors = {
            method: frame.standardise(clip_vectors(values[m, clips], steps, how, seed), m)
            for method, values in estimates.items()
        }
        rows += distances_to_real(vectors, truth, target, POOLED, seed=seed, **options)  # type: ignore[arg-type]
        classes = sentiment_class(np.asarray(label)[clips]) if label is not None else np.zeros(0)
        for c in np.unique(classes):
            chosen = classes == c
            if chosen.sum() >= LEAST_CLIPS:
                some = {method: values[chosen] for method, values in vectors.items()}
                name = f"{int(c):+d}" if c else "0"
                rows += distances_to_real(some, truth[chosen], target, name, seed=seed, **options)  # type: ignore[arg-type]
    return rows
