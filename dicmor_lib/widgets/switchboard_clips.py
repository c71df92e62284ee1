"""Everything that the switchboard draws, computed once: recovered sequences, latents, predictions, intervals, bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dicmor_lib.course.trained import CourseModel
from dicmor_lib.data.dataset import Split
from dicmor_lib.data.oracle_labels import CLASS_SHARES, predict_from_posterior
from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation.metrics import sentiment_class
from dicmor_lib.modalities import PATTERNS, pattern_mask
from dicmor_lib.widgets.clips import COUNT, RecoveredClips, prepare, shown_clips, training_frame
from dicmor_lib.widgets.switchboard_interval import half_widths
from dicmor_lib.widgets.switchboard_joint import JointView, joint_view
from dicmor_lib.widgets.switchboard_planes import LatentPlane, latent_plane


@dataclass(frozen=True)
class Prepared:
    """The clips of the switchboard under every pattern.

    Attributes:
        clips: features, recovered features and predictions.
        planes: the latents, in one plane for all modalities; with a joint prior in one for each of the three.
        half_width: pattern -> q of the interval prediction +- q; "" for the blind guess. Empty with a joint prior.
        calibrated: pattern -> number of validation clips behind the intervals.
        classes: pattern -> (n, 7) probabilities of the classes -3..3, exact for the oracle; for a file only "", the
            shares among the training labels.
        best: pattern -> (n,) the guess of least expected absolute error that anybody can make; empty for a file.
        joint: what only a model with a joint prior has; None for others.
    """

    clips: RecoveredClips
    planes: tuple[LatentPlane, ...]
    half_width: dict[str, float]
    calibrated: dict[str, int]
    classes: dict[str, np.ndarray]
    best: dict[str, np.ndarray]
    joint: JointView | None = None

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def plane(self) -> LatentPlane:
        """The plane of a model whose modalities share one latent space.

        Raises:
            ConfigError: if the prior is joint, so that there are three.
        """
        if len(self.planes) != 1:
            raise ConfigError("with a joint prior every modality has a plane of its own; see `planes`")
        return self.planes[0]

    def guess(self, sample: int, seen: str) -> float:
        """Return the prediction from `seen`; the blind guess if it is empty."""
        return float(self.clips.prediction[seen][sample]) if seen else self.clips.blind

    def has_interval(self, sample: int, seen: str) -> bool:
        """Return whether there were validation clips enough for an interval."""
        if self.joint is not None:
            return bool(np.isfinite(self.joint.intervals[seen][sample]).all())
        return math.isfinite(self.half_width[seen])

    def interval(self, sample: int, seen: str) -> tuple[float, float]:
        """Return the interval of the label, cut to the scale -3..3, on which all labels lie."""
        if self.joint is not None:
            low, high = np.clip(self.joint.intervals[seen][sample], -3.0, 3.0)
            return float(low), float(high)
        centre, q = self.guess(sample, seen), self.half_width[seen]
        return max(centre - q, -3.0), min(centre + q, 3.0)


def prepare_switchboard(course: CourseModel, count: int = COUNT) -> Prepared:
    """Run the model over some test clips (those of `prepare`) and the validation clips, under every pattern.

    A model with a joint prior is asked with 32 draws or more, so that their spread can be seen: predictions and
    recovered features are means over these.

    Raises:
        ConfigError: if the model is an ablation without one merged latent, or `count` is not between 1 and 64.
        DataError: if the data has no clip at all.
    """
    config = course.model.config
    joint = config.prior == "joint"
    if not joint and (config.transfer != "flow" or config.two_source_merge != "latent_mean"):
        raise ConfigError(
            "the switchboard shows the merged latent that stands in for a missing modality; this model has none "
            f"(transfer={config.transfer!r}, two_source_merge={config.two_source_merge!r})"
        )
    clips = prepare(course, count)
    chosen, valid = shown_clips(course, count), course.clips.valid
    classes, best = _bounds(course, clips)
    if joint:
        clips, view, planes = joint_view(course, clips, chosen, training_frame(course))
        complete = int(valid.observed.all(axis=1).sum())
        calibrated = dict.fromkeys(PATTERNS, complete) | {"": len(valid)}
        return Prepared(clips, planes, {}, calibrated, classes, best, view)
    half_width, calibrated = half_widths(course.model, valid, clips.blind)
    plane = latent_plane(course.model, chosen, course.clips.train)
    return Prepared(clips, (plane,), half_width, calibrated, classes, best)


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
