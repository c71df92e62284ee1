"""Everything that the switchboard draws, computed once: recovered sequences, latents, predictions, intervals, bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dicmor_lib.blocks.transfer import Transfer
from dicmor_lib.course.trained import CourseModel
from dicmor_lib.data.dataset import Split, collate
from dicmor_lib.data.oracle_labels import CLASS_SHARES, predict_from_posterior
from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation.metrics import sentiment_class
from dicmor_lib.evaluation.passes import evaluating
from dicmor_lib.modalities import PATTERNS, pattern_mask
from dicmor_lib.model import DiCMoR
from dicmor_lib.plots.clouds import ELLIPSE
from dicmor_lib.plots.principal import principal_plane
from dicmor_lib.widgets.clips import COUNT, RecoveredClips, prepare, shown_clips
from dicmor_lib.widgets.switchboard_interval import half_widths

BACKDROP = 300
"""Training clips whose latents fix the plane and lie in grey behind it."""


@dataclass(frozen=True)
class LatentPlane:
    """The latent space seen in two directions, the principal axes of the mean latents of training clips.

    Attributes:
        centre, axes: (d,) and (2, d); a latent z stands at axes (z - centre).
        backdrop: (M, 2) training clips, every modality.
        priors: (classes, 2, 60) ellipses of N(mu_c, Sigma_c), 1.8 standard deviations of the plane.
        latents: (3, n, T, 2) the clips' own latents F^m(X^m) step by step, NaN beyond a sequence.
        merged: pattern -> (n, T, 2) the mean of the available latents, NaN where there is none.
    """

    centre: np.ndarray
    axes: np.ndarray
    backdrop: np.ndarray
    priors: np.ndarray
    latents: np.ndarray
    merged: dict[str, np.ndarray]

    def place(self, sample: int, modality: int) -> np.ndarray:
        """Return where a clip's modality stands, (2,): the mean over its steps; NaN if it is not in the clip."""
        return _mean_place(self.latents[modality, sample])

    def stand_in(self, sample: int, pattern: str) -> np.ndarray:
        """Return where the latent stands that takes the place of what is missing, (2,); NaN without a pattern."""
        return _mean_place(self.merged[pattern][sample]) if pattern else np.full(2, np.nan)


@dataclass(frozen=True)
class Prepared:
    """The clips of the switchboard under every pattern.

    Attributes:
        clips: features, recovered features and predictions.
        plane: the latents.
        half_width: pattern -> q of the interval prediction +- q; "" for the blind guess.
        calibrated: pattern -> number of validation clips behind it.
        classes: pattern -> (n, 7) probabilities of the classes -3..3, exact for the oracle; for a file only "", the
            shares among the training labels.
        best: pattern -> (n,) the guess of least expected absolute error that anybody can make; empty for a file.
    """

    clips: RecoveredClips
    plane: LatentPlane
    half_width: dict[str, float]
    calibrated: dict[str, int]
    classes: dict[str, np.ndarray]
    best: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.clips)

    def guess(self, sample: int, seen: str) -> float:
        """Return the prediction from `seen`; the blind guess if it is empty."""
        return float(self.clips.prediction[seen][sample]) if seen else self.clips.blind

    def interval(self, sample: int, seen: str) -> tuple[float, float]:
        """Return the interval around the guess, cut to the scale -3..3, on which all labels lie."""
        centre, q = self.guess(sample, seen), self.half_width[seen]
        return max(centre - q, -3.0), min(centre + q, 3.0)


def prepare_switchboard(course: CourseModel, count: int = COUNT) -> Prepared:
    """Run the model over some test clips (those of `prepare`) and the validation clips, under every pattern.

    Raises:
        ConfigError: if the model is an ablation without one merged latent, or `count` is not between 1 and 64.
        DataError: if the data has no clip at all.
    """
    config = course.model.config
    if config.transfer != "flow" or config.two_source_merge != "latent_mean":
        raise ConfigError(
            "the switchboard shows the merged latent that stands in for a missing modality; this model has none "
            f"(transfer={config.transfer!r}, two_source_merge={config.two_source_merge!r})"
        )
    clips = prepare(course, count)
    chosen = shown_clips(course, count)
    half_width, calibrated = half_widths(course.model, course.clips.valid, clips.blind)
    classes, best = _bounds(course, clips)
    plane_of = _latent_plane(course.model, chosen, course.clips.train)
    return Prepared(clips, plane_of, half_width, calibrated, classes, best)


def _latent_plane(model: DiCMoR, chosen: Split, train: Split) -> LatentPlane:
    behind, steps = _latents(model, train.select(np.arange(min(len(train), BACKDROP))))
    means = behind.sum(2)[steps.any(2)] / steps.sum(2)[steps.any(2)][:, None]  # (M, d); padding is zero
    centre, axes, _ = principal_plane(means.astype(np.float64))
    own, inside = _latents(model, chosen)
    merged = {}
    for pattern in PATTERNS:
        lengths = chosen.lengths * (chosen.observed & np.array(pattern_mask(pattern)))
        latent = Transfer.merge_latents(torch.from_numpy(own), torch.from_numpy(lengths)).numpy()
        reached = np.arange(own.shape[2]) < lengths.max(axis=1)[:, None]
        merged[pattern] = np.where(reached[..., None], (latent - centre) @ axes.T, np.nan)
    latents = np.where(inside[..., None], (own - centre) @ axes.T, np.nan)
    backdrop = (means - centre) @ axes.T
    return LatentPlane(centre, axes, backdrop, _ellipses(model, centre, axes), latents, merged)


def _latents(model: DiCMoR, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Z = F(X) of everything observed, (3, n, T, d), zero on padding, and which steps are none (3, n, T)."""
    with evaluating(model) as device:
        batch = collate(split, np.arange(len(split))).to(device)
        lengths = batch.lengths * batch.observed
        x = model.shallow_features(batch.features, lengths)
        mask = model.step_mask(lengths, x.shape[2])
        z, _ = model.flow(x * mask[..., None], mask)
    return z.float().cpu().numpy(), mask.bool().cpu().numpy()


def _ellipses(model: DiCMoR, centre: np.ndarray, axes: np.ndarray) -> np.ndarray:
    prior = model.flow.prior
    mean, sd = (x.detach().double().cpu().numpy() for x in (prior.mean, prior.log_sd.exp()))
    turn = np.linspace(0, 2 * np.pi, 60)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    found = []
    for m, s in zip(mean, sd):
        size, turned = np.linalg.eigh((axes * s**2) @ axes.T)
        found.append(((m - centre) @ axes.T)[:, None] + ELLIPSE * turned @ (np.sqrt(size)[:, None] * circle))
    return np.stack(found)


def _bounds(
    course: CourseModel, clips: RecoveredClips
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What the oracle knows: class probabilities and the best guess, per pattern."""
    if course.oracle is None:
        counts = np.bincount(sentiment_class(course.clips.train.labels) + 3, minlength=7)
        return {"": np.tile(counts / max(counts.sum(), 1), (len(clips), 1))}, {}
    raw = _raw(course, clips.ids)
    classes = {"": np.tile(CLASS_SHARES, (len(clips), 1))}
    for pattern in PATTERNS:
        seen = raw.observed & np.array(pattern_mask(pattern))
        rows = seen.any(axis=1)
        classes[pattern] = classes[""].copy()
        if rows.any():
            features = [x[rows] for x in raw.features]
            classes[pattern][rows] = course.oracle.class_posterior(features, seen[rows], raw.lengths[rows])
    return classes, {p: predict_from_posterior(law).median for p, law in classes.items()}


def _raw(course: CourseModel, ids: tuple[str, ...]) -> Split:
    """The same clips before standardisation; the oracle names every clip once."""
    for split in course.raw.splits.values():
        row_of = {name: row for row, name in enumerate(split.ids)}
        if ids[0] in row_of:
            return split.select([row_of[name] for name in ids])
    raise DataError(f"clip {ids[0]!r} is not in the raw data of the course")


def _mean_place(steps: np.ndarray) -> np.ndarray:
    there = np.isfinite(steps[:, 0])
    return steps[there].mean(axis=0) if there.any() else np.full(2, np.nan)
