"""What the oracle knows about the missing modalities of its clips, in standardised features; the same for all seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dicmor_lib.data.dataset import Split
from dicmor_lib.data.oracle import Oracle
from dicmor_lib.data.oracle_labels import BayesPrediction
from dicmor_lib.data.standardise import Standardiser


@dataclass(frozen=True)
class Truth:
    """Of N clips under one mask; features are (3, N, T, d), zero where nothing is missing.

    Attributes:
        log_density: (N,) log p(missing given available) in nats.
        mean: E[missing given available].
        drawn: two independent draws from the law, (2, 3, N, T, d).
        best: the best predictions of the label.
    """

    log_density: np.ndarray
    mean: np.ndarray
    drawn: np.ndarray
    best: BayesPrediction


def truth_of(oracle: Oracle, raw: Split, standardiser: Standardiser, available: np.ndarray) -> Truth:
    """Ask the oracle about clips with the features that it drew; `available` is (N, 3) bool."""
    features = [np.asarray(x) for x in raw.features]
    asked = (features, available, raw.lengths)
    missing = raw.lengths * ~available
    # log p of standardised features = log p of the features + sum of log sd, step by step
    log_sd = np.array([np.log(sd).sum() for sd in standardiser.sd])
    log_density = oracle.log_conditional(features, *asked) + missing @ log_sd

    def standard(parts: Sequence[np.ndarray]) -> np.ndarray:
        steps = np.arange(parts[0].shape[1]) < missing.T[..., None]  # (3, N, T)
        scaled = [(x - mu) / sd for x, mu, sd in zip(parts, standardiser.mean, standardiser.sd)]
        return np.where(steps[..., None], np.stack(scaled), 0.0).astype(np.float32)

    two = oracle.conditional_sample(*asked, n=2, seed=1)
    drawn = np.stack([standard([x[k] for x in two]) for k in range(2)])
    return Truth(
        log_density, standard(oracle.conditional_mean(*asked)), drawn, oracle.bayes_prediction(*asked)
    )
