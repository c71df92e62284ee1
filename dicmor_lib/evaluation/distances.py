"""Do recovered features have the law of real ones? Distances beside their noise floor.

The clips of the split are halved at random. The recovered vectors of one half are compared with the real
vectors of the other: the two sets are independent, as the tests assume, which a clip beside its own
recovery would not be. The noise floor is real against real, on the same halves: a method cannot be asked to
come closer than that. Each clip gives one vector, by default one of its time steps drawn at random, because
the steps of a clip depend on each other.

The halving is repeated; values are means, and the p-value is twice the median over the halvings (at most 1),
which keeps its level (DiCiccio, DiCiccio and Romano, Statistics & Probability Letters 2020).

All methods of a case share the halves, the relabellings, the random directions and MMD's kernel (median
distance of the real vectors), so their values can be compared. What a case costs grows with the square of its
clips: of more than `MOST_CLIPS` as many are drawn, the same for all methods, and the p-values of single
classes rest on at most `CLASS_PERMUTATIONS` relabellings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation.frame import comparable_steps, valid_steps
from dicmor_lib.evaluation.metrics import sentiment_class
from dicmor_lib.evaluation.two_sample import PERMUTATIONS, STATISTICS, median_bandwidth, two_sample_tests
from dicmor_lib.modalities import MODALITIES

FLOOR = "real"
"""The method name of the noise floor: real against real."""
POOLED = "pooled"
LEAST_CLIPS = 20
MOST_CLIPS = 1000
CLASS_PERMUTATIONS = 99
SPACES = ("feature", "latent", "joint")
"""Where distances are measured: the shallow features; their latents (`evaluation.latent`); what is
available beside what was recovered, against the oracle's law (`evaluation.conditional_law`)."""


class Frame(Protocol):
    """What gives vectors their units: `ShallowFrame`, or `evaluation.latent.LatentFrame`."""

    def standardise(self, features: np.ndarray, modality: int) -> np.ndarray:
        """Return shallow features (n, d) of one modality as the vectors to compare, (n, d)."""


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
        n: clips in each of the two sets.
        space: of `SPACES`.
    """

    target: str
    method: str
    group: str
    statistic: str
    value: float
    p_value: float
    n: int
    pattern: str = ""
    space: str = "feature"


def clip_vectors(features: np.ndarray, valid: np.ndarray, how: str = "step", seed: int = 0) -> np.ndarray:
    """Return one vector per clip, features (N, T, d) -> (N, d).

    Args:
        features: (N, T, d)
        valid: the steps that count: bool (N, T), or lengths (N,); at least one step of each clip.
        how: "step" draws one valid step per clip (the same for all methods with the same seed and steps);
            "mean" is the mean over valid steps.
        seed: of the drawn steps.
    """
    valid = np.asarray(valid)
    inside = valid if valid.dtype == bool else valid_steps(valid, features.shape[1])
    count = inside.sum(axis=1)
    if (count < 1).any():
        raise DataError("a clip without a valid step has no vector; leave it out")
    if how == "step":
        number = (np.random.default_rng(seed).random(len(count)) * count).astype(int)
        step = (inside.cumsum(axis=1) > number[:, None]).argmax(axis=1)  # the valid step of that number
        return np.asarray(features)[np.arange(len(count)), step].astype(np.float64)
    if how == "mean":
        return np.where(inside[..., None], features, 0.0).sum(axis=1, dtype=np.float64) / count[:, None]
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
    space: str = "feature",
) -> list[Distance]:
    """Compare each method's vectors (N, d) with the real ones (N, d) of the same clips, noise floor first.

    Raises:
        DataError: if there are fewer than 20 clips.
    """
    if len(real) < LEAST_CLIPS:
        raise DataError(
            f"{len(real)} clips are too few for distances of {target} ({group}); {LEAST_CLIPS} are the least"
        )
    splits = halves(len(real), halvings, seed)
    bandwidth = median_bandwidth(real[np.concatenate(splits[0])])
    rows = []
    for method, values in {FLOOR: real, **vectors}.items():
        found = [
            two_sample_tests(
                values[one], real[other], statistics, permutations, seed + k, bandwidth=bandwidth
            )
            for k, (one, other) in enumerate(splits)
        ]
        for statistic in statistics:
            value = float(np.mean([results[statistic].value for results in found]))
            p_value = min(1.0, 2 * float(np.median([results[statistic].p_value for results in found])))
            p_value = p_value if permutations else np.nan
            rows.append(
                Distance(target, method, group, statistic, value, p_value, len(real) // 2, space=space)
            )
    return rows


def halves(n: int, halvings: int, seed: int) -> list[list[np.ndarray]]:
    """Return `halvings` random halvings of n clips, two index arrays each; of an odd number one is left out.

    Of more than `MOST_CLIPS` clips as many are drawn first.
    """
    rng = np.random.default_rng(seed)
    size = min(n - n % 2, MOST_CLIPS)
    return [np.array_split(rng.permutation(n)[:size], 2) for _ in range(halvings)]


def distances_by_target(
    estimates: Mapping[str, np.ndarray],
    real: np.ndarray,
    lengths: np.ndarray,
    observed: np.ndarray,
    available: np.ndarray,
    frame: Frame,
    label: np.ndarray | None = None,
    how: str = "step",
    seed: int = 0,
    inside: np.ndarray | None = None,
    permutations: int = PERMUTATIONS,
    **options: object,
) -> list[Distance]:
    """Return the distances of every missing modality, pooled and, given labels, per sentiment class.

    Args:
        estimates: method -> filled-in shallow features (3, N, T, d).
        real: (3, N, T, d) with lengths (N, 3) and observed (N, 3); available (N, 3) within observed.
        frame: the units: training standard deviations of the features, or of their latents.
        label: (N,) sentiment; classes with fewer than 20 clips are left out.
        how: of `clip_vectors`.
        inside: (3, N, T) bool, steps that may be compared; default: all that are real and recovered.
        permutations: relabellings for the p-values, of single classes at most `CLASS_PERMUTATIONS`.
        options: of `distances_to_real`.
    """
    compared = comparable_steps(lengths, observed, available, real.shape[2])  # (3, N, T)
    compared = compared if inside is None else compared & inside
    rows: list[Distance] = []
    for m, target in enumerate(MODALITIES):
        clips = np.flatnonzero(compared[m].any(axis=1))
        if len(clips) < LEAST_CLIPS:
            continue
        steps = compared[m, clips]
        truth = frame.standardise(clip_vectors(real[m, clips], steps, how, seed), m)
        vectors = {
            method: frame.standardise(clip_vectors(values[m, clips], steps, how, seed), m)
            for method, values in estimates.items()
        }
        options |= dict(seed=seed, permutations=permutations)
        rows += distances_to_real(vectors, truth, target, POOLED, **options)  # type: ignore[arg-type]
        options["permutations"] = min(permutations, CLASS_PERMUTATIONS)
        classes = sentiment_class(np.asarray(label)[clips]) if label is not None else np.zeros(0)
        for c in np.unique(classes):
            chosen = classes == c
            if chosen.sum() >= LEAST_CLIPS:
                some = {method: values[chosen] for method, values in vectors.items()}
                name = f"{int(c):+d}" if c else "0"
                rows += distances_to_real(some, truth[chosen], target, name, **options)  # type: ignore[arg-type]
    return rows
