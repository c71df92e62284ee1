"""Distances in latent space: every method's estimates seen through the flows of one reference model.

The transfer assumes that the flows F^m carry all modalities to one law. So a missing modality's estimates, from
whatever method, go through F^m beside the real features, and what is compared are the latents, standardised
by the latents of the real training features. A flow acts on each time step alone, so only the steps that are
compared need to go through it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from dicmor_lib.data.dataset import Split
from dicmor_lib.errors import ConfigError
from dicmor_lib.evaluation.bench import Bench, BenchRun, same_shallow
from dicmor_lib.evaluation.distances import Distance, distances_by_target
from dicmor_lib.evaluation.frame import ShallowFrame
from dicmor_lib.evaluation.passes import BATCH_SIZE, evaluating, index_batches, shallow_split
from dicmor_lib.evaluation.two_sample import PERMUTATIONS
from dicmor_lib.model import DiCMoR

SPACE = "latent"
STEPS_AT_ONCE = 4096


@dataclass(frozen=True)
class LatentFrame:
    """The flows of a model, and the mean and sd of the latents of real training features (`units`)."""

    model: DiCMoR
    units: ShallowFrame

    @classmethod
    def fit(
        cls, model: DiCMoR, shallow: np.ndarray, lengths: np.ndarray, observed: np.ndarray
    ) -> LatentFrame:
        """Learn the units from real training features (3, N, T, d) with lengths and observed (N, 3).

        Raises:
            DataError: if a modality is observed in no sample.
        """
        latents = np.zeros_like(shallow)
        for index in index_batches(np.arange(shallow.shape[1]), BATCH_SIZE):
            latents[:, index] = _through_flows(model, shallow[:, index])
        return cls(model, ShallowFrame.fit(latents, lengths, observed))

    def latents(self, features: np.ndarray, modality: int) -> np.ndarray:
        """Return F^m of steps of one modality, (n, d) to (n, d)."""
        out = np.empty(np.shape(features))
        for index in index_batches(np.arange(len(out)), STEPS_AT_ONCE):
            alike = np.broadcast_to(features[index], (3, *features[index].shape))  # one for each flow
            out[index] = _through_flows(self.model, alike[:, :, None])[modality, :, 0]
        return out

    def standardise(self, features: np.ndarray, modality: int) -> np.ndarray:
        """Return the latents (n, d) of steps (n, d) of one modality in units of this frame."""
        return self.units.standardise(self.latents(features, modality), modality)


class LatentDistances:
    """Measures distances in latent space while `evaluate` runs; give it as its observer.

    Args:
        model: the reference, whose flows are used for all methods and whose C^m is stage 1's.
        train: the training split as the model saw it (standardised).
        permutations, seed, options: of `distances_by_target`.

    Attributes:
        distances: what was measured so far, with `space` "latent".
    """

    def __init__(
        self,
        model: DiCMoR,
        train: Split,
        permutations: int = PERMUTATIONS,
        seed: int = 0,
        **options: object,
    ) -> None:
        known = shallow_split(model, train)
        self.frame = LatentFrame.fit(model, known.features, known.lengths, known.observed)
        self.options = dict(permutations=permutations, seed=seed, **options)
        self.distances: list[Distance] = []

    def __call__(self, pattern: str, bench: Bench, run: BenchRun) -> None:
        """Measure all estimates of one pattern.

        Raises:
            ConfigError: if the reference's C^m is not that of the evaluation's stage 1.
        """
        if not same_shallow(self.frame.model, bench.stage1):
            raise ConfigError(
                "the reference model's C^m is not that of stage 1, so its flows cannot read the features that "
                "are compared; take the model that was trained from this stage 1"
            )
        rows = distances_by_target(
            run.estimates,
            run.real.features,
            run.real.lengths,
            run.real.observed,
            run.available,
            self.frame,
            bench.tested.labels[run.rows],
            inside=run.steps,
            space=SPACE,
            **self.options,  # type: ignore[arg-type]
        )
        self.distances += [dataclasses.replace(row, pattern=pattern) for row in rows]


def _through_flows(model: DiCMoR, features: np.ndarray) -> np.ndarray:
    """Z = F(X) of (3, n, T, d), each modality through its own flow."""
    with evaluating(model) as device:
        x = torch.from_numpy(np.ascontiguousarray(features)).float().to(device)
        return model.flow(x)[0].double().cpu().numpy()
