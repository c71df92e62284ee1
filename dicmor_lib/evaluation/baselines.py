"""The cheap ways to fill in a missing modality, behind one interface.

An `Imputer` learns from the training split's *shallow* features (the output of C^m) and replaces the
shallow features of missing modalities. Prediction then goes through the fusion that stage 1 trained on
complete data (`DiCMoR.predict_from_shallow`): "impute, then classify". Why that one: it is the best
classifier there is before anything is known about missing modalities, it is the same for all imputers, and
it shares C^m with DiCMoR (which freezes it after stage 1). So two imputers differ only in what stands in
for the missing modality, and DiCMoR differs from them by recovery and by what stage 2 taught its fusion.
With nothing missing, all imputers give the complete-data model's prediction.

Shapes: shallow (3, N, T, d); lengths (N, 3), valid steps of each sequence; observed, available (N, 3) bool.
Modality order: language, audio, vision.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from dicmor_lib.errors import PatternError, ShapeError
from dicmor_lib.evaluation.frame import (
    ShallowFrame,
    check_shallow,
    effective_lengths,
    inside_steps,
    valid_steps,
)


class Imputer(ABC):
    """Fills in the shallow features of missing modalities from those of available ones.

    A subclass gives `_learn` and `_estimate`; grouping the samples by pattern and keeping out whatever is not
    available is done here, once for all.
    """

    name: str

    def fit(self, shallow: np.ndarray, lengths: np.ndarray, observed: np.ndarray) -> Imputer:
        """Learn from training features; returns itself.

        Args:
            shallow: (3, N, T, d). Only steps inside an observed sequence are read.
            lengths: (N, 3)
            observed: (N, 3) bool, what exists in the data.

        Raises:
            ShapeError: if the arrays do not fit each other.
            DataError: if a modality is observed in no training sample.
        """
        shallow, lengths, observed = check_shallow(shallow, lengths, observed, "observed")
        self.frame = ShallowFrame.fit(shallow, lengths, observed)
        self.channels = shallow.shape[3]
        inside = inside_steps(lengths, observed, shallow.shape[2])
        self._learn(shallow, inside)
        return self

    def fill(self, shallow: np.ndarray, lengths: np.ndarray, available: np.ndarray) -> np.ndarray:
        """Return a copy of shallow (3, N, T, d) with every missing modality filled in.

        Available modalities stay as they are, missing ones are estimated on the first
        `effective_lengths` steps and zero after them. What stands in `shallow` for a missing modality is
        never read, so it may be NaN.

        Raises:
            PatternError: if a sample has no available modality.
            ShapeError: if the arrays do not fit each other or the training features.
        """
        shallow, lengths, available = check_shallow(shallow, lengths, available, "available")
        if shallow.shape[3] != self.channels:
            raise ShapeError(
                f"{self.name} was fitted on {self.channels} channels, these features have {shallow.shape[3]}"
            )
        if not available.any(axis=1).all():
            sample = int(np.flatnonzero(~available.any(axis=1))[0])
            raise PatternError(f"sample {sample} has no available modality: there is nothing to fill in from")
        steps = shallow.shape[2]
        own = valid_steps(lengths, steps)  # (N, 3, T)
        wanted = valid_steps(effective_lengths(lengths, available), steps)
        filled = shallow.copy()
        for pattern in np.unique(available, axis=0):
            rows = np.flatnonzero((available == pattern).all(axis=1))
            sources = tuple(np.flatnonzero(pattern).tolist())
            seen = own[rows][:, pattern].transpose(1, 0, 2)  # (S, n, T)
            features = np.where(
                seen[..., None], shallow[np.ix_(np.flatnonzero(pattern), rows)], 0.0
            )  # (S, n, T, d)
            for target in np.flatnonzero(~pattern):
                estimate = self._estimate(int(target), sources, features, seen)
                filled[target, rows] = np.where(wanted[rows, target][..., None], estimate, 0.0)
        return filled

    def other_estimates(
        self, shallow: np.ndarray, lengths: np.ndarray, available: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return further estimates by name, arguments and shapes as in `fill`; nothing is predicted from them."""
        return {}

    def _training_pairs(
        self,
        shallow: np.ndarray,
        inside: np.ndarray,
        target: int,
        sources: tuple[int, ...],
        most_steps: int,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Standardised sources (n, S * d) and the target (n, d) at the training steps that have them.

        A step counts if the target is valid, all sources exist in the clip and at least one has not ended.
        Of more than `most_steps`, as many are drawn without replacement, which bounds time and memory on
        large data.
        """
        rows = list(sources)
        clip, step = np.nonzero(training_steps(inside, target, sources))
        if len(clip) > most_steps:
            kept = np.sort(rng.choice(len(clip), most_steps, replace=False))
            clip, step = clip[kept], step[kept]
        features = shallow[rows][:, clip, step][:, :, None]  # (S, n, 1, d): n sequences of one step
        x = self._standardised(sources, features, inside[rows][:, clip, step][:, :, None])[:, 0]
        return x, shallow[target, clip, step].astype(np.float64)

    @abstractmethod
    def _learn(self, shallow: np.ndarray, inside: np.ndarray) -> None:
        """Learn from shallow (3, N, T, d) where inside (3, N, T); self.frame is there already."""

    @abstractmethod
    def _estimate(
        self, target: int, sources: tuple[int, ...], features: np.ndarray, seen: np.ndarray
    ) -> np.ndarray:
        """Estimate the target (n, T, d), or what broadcasts to it.

        `features` (S, n, T, d) are the sources, valid where `seen` (S, n, T) and zero elsewhere.
        """

    def _standardised(self, sources: tuple[int, ...], features: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Sources (S, n, T, d) side by side (n, T, S * d) in training standard deviations.

        Where one source has ended and another goes on, the ended one counts as its training mean, 0.
        """
        rows = list(sources)
        scaled = (features - self.frame.mean[rows, None, None]) / self.frame.sd[rows, None, None]
        scaled = np.where(seen[..., None], scaled, 0.0)
        return scaled.transpose(1, 2, 0, 3).reshape(*seen.shape[1:], len(rows) * self.channels)


class ZeroFill(Imputer):
    """A missing modality is all zeros: what a model without recovery sees."""

    name = "zero-fill"

    def _learn(self, shallow: np.ndarray, inside: np.ndarray) -> None:
        pass

    def _estimate(
        self, target: int, sources: tuple[int, ...], features: np.ndarray, seen: np.ndarray
    ) -> np.ndarray:
        return np.zeros(self.channels)


class MeanFill(Imputer):
    """A missing modality is, at every step, its training mean per channel."""

    name = "mean-fill"

    def _learn(self, shallow: np.ndarray, inside: np.ndarray) -> None:
        pass

    def _estimate(
        self, target: int, sources: tuple[int, ...], features: np.ndarray, seen: np.ndarray
    ) -> np.ndarray:
        return self.frame.mean[target]


def training_steps(inside: np.ndarray, target: int, sources: tuple[int, ...]) -> np.ndarray:
    """Return the steps (N, T) of inside (3, N, T) from which the target can be learned given these sources.

    The target is valid there, all sources exist in the clip, and at least one of them has not ended.
    """
    rows = list(sources)
    exist = np.all(np.any(inside[rows], axis=2), axis=0)  # (N,)
    return inside[target] & inside[rows].any(axis=0) & exist[:, None]


def target_source_pairs() -> list[tuple[int, tuple[int, ...]]]:
    """Return the nine (missing modality, available modalities) of the patterns with something missing."""
    others = {target: tuple(m for m in range(3) if m != target) for target in range(3)}
    return [(target, sources) for target, (a, b) in others.items() for sources in ((a,), (b,), (a, b))]
