"""Everything that the pictures of some clips need, computed once, so that a click only draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dicmor_lib.course.trained import CourseModel
from dicmor_lib.data.dataset import Split
from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation.frame import ShallowFrame
from dicmor_lib.evaluation.passes import run_pass, shallow_split
from dicmor_lib.modalities import LETTERS, PATTERNS, available_mask
from dicmor_lib.model import DiCMoR

COUNT, SHORTEST = 24, 8
MAX_COUNT = 64  # one batch of `run_pass`, so that all patterns are padded alike


@dataclass(frozen=True)
class RecoveredClips:
    """n clips under every pattern; features (3, n, T, d) are shallow ones in standard deviations of the training clips.

    Attributes:
        ids: names of the clips.
        label: (n,) true sentiment.
        lengths, observed: (n, 3) valid steps, and what exists in the data at all.
        true: the real features of everything observed.
        recovered: pattern -> X^ of what the pattern hides, with a joint prior the mean of the draws;
            `recovered_lengths`: pattern -> (n, 3).
        prediction: pattern -> (n,); NaN where nothing of the pattern is observed.
        blind: the median training label, the best single guess in absolute error for a clip of which nothing is known.
        synthetic: whether these clips come from the oracle.
        draws: how many draws that is the mean of; 0 where the model has one recovered sequence and no draws.
    """

    ids: tuple[str, ...]
    label: np.ndarray
    lengths: np.ndarray
    observed: np.ndarray
    true: np.ndarray
    recovered: dict[str, np.ndarray]
    recovered_lengths: dict[str, np.ndarray]
    prediction: dict[str, np.ndarray]
    blind: float
    synthetic: bool
    draws: int = 0

    def __len__(self) -> int:
        return len(self.label)

    def seen(self, sample: int, pattern: str) -> str:
        """Return what of a pattern exists in a clip, "" if nothing does.

        Raises:
            ConfigError: if there is no such clip.
        """
        if not 0 <= sample < len(self):
            raise ConfigError(f"clip {sample} does not exist; there are {len(self)}, numbered from 0")
        return "".join(
            letter for letter, there in zip(LETTERS, self.observed[sample]) if there and letter in pattern
        )

    def steps(self, sample: int) -> int:
        """Return the length of a clip's longest sequence, 1 at least."""
        return max(int(self.lengths[sample].max()), 1)

    def real(self, sample: int, modality: int) -> np.ndarray:
        """Return the real features of a clip's modality, (valid steps, d)."""
        return self.true[modality, sample, : self.lengths[sample, modality]]

    def made(self, sample: int, pattern: str, modality: int) -> np.ndarray:
        """Return the features that were recovered from a pattern, (valid steps, d)."""
        return self.recovered[pattern][modality, sample, : self.recovered_lengths[pattern][sample, modality]]

    def agreement(self, sample: int, pattern: str, modality: int) -> float:
        """Return Pearson's r between recovered and true features of a clip, over steps and channels.

        NaN where there is nothing to compare or one of the two is constant.
        """
        real, made = self.real(sample, modality), self.made(sample, pattern, modality)
        shared = min(len(real), len(made))
        if not self.observed[sample, modality] or not shared:
            return float("nan")
        x, y = (values[:shared].ravel() for values in (real, made))
        if min(np.ptp(x), np.ptp(y)) == 0:
            return float("nan")
        return float(np.corrcoef(x, y)[0, 1])


def prepare(course: CourseModel, count: int = COUNT) -> RecoveredClips:
    """Run the model over some test clips under every pattern; a second or less for the default.

    The clips are the first of at least 8 steps (or the longest, if there are not enough) with all modalities, in
    their order: nobody chose them by how well they turn out.

    Raises:
        ConfigError: if `count` is not between 1 and 64.
        DataError: if the data has no clip at all.
    """
    if not 1 <= count <= MAX_COUNT:
        raise ConfigError(f"count is {count}; choose 1 to {MAX_COUNT} clips")
    model, chosen, frame = course.model, shown_clips(course, count), training_frame(course)
    real = shallow_split(model, chosen)
    passes = {p: _pass(model, chosen, p) for p in PATTERNS}
    return RecoveredClips(
        ids=tuple(chosen.ids),
        label=chosen.labels.astype(np.float64),
        lengths=real.lengths,
        observed=chosen.observed,
        true=_standardised(real.features, frame),
        recovered={p: _standardised(found[1], frame) for p, found in passes.items()},
        recovered_lengths={p: found[2] for p, found in passes.items()},
        prediction={p: found[0] for p, found in passes.items()},
        blind=float(np.median(course.clips.train.labels)),
        synthetic=course.clips.synthetic,
        draws=model.config.draws if model.config.prior == "joint" else 0,
    )


def training_frame(course: CourseModel) -> ShallowFrame:
    """Return the units of the pictures: mean and standard deviation of the training clips' shallow features."""
    train = shallow_split(course.model, course.clips.train)
    return ShallowFrame.fit(train.features, train.lengths, train.observed)


def shown_clips(course: CourseModel, count: int = COUNT) -> Split:
    """Return the clips that `prepare` takes, as the model reads them: of the first split that has any, test first.

    Raises:
        DataError: if the data has no clip at all.
    """
    split = next((s for s in (course.clips.test, course.clips.valid, course.clips.train) if len(s)), None)
    if split is None:
        raise DataError(f"{course.clips.source} has no clip to show; give a file with a test split")
    return split.select(choose(split, count))


def choose(split: Split, count: int) -> np.ndarray:
    """Return the positions of the clips to show, in order."""
    whole = np.flatnonzero(split.observed.all(axis=1))
    if not len(whole):
        whole = np.arange(len(split))
    steps = split.lengths[whole].max(axis=1)
    long = whole[steps >= SHORTEST]
    if len(long) >= min(count, len(whole)):
        return long[:count]
    return np.sort(whole[np.argsort(-steps, kind="stable")[:count]])


def _pass(model: DiCMoR, chosen: Split, pattern: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, recovered features and their lengths; a pattern that no clip has predicts NaN."""
    mask = available_mask(pattern, len(chosen)).numpy() & chosen.observed
    if not mask.any():
        steps = max(int(chosen.lengths.max()), 1)
        empty = np.zeros((3, len(chosen), steps, model.config.hidden), np.float32)
        return np.full(len(chosen), np.nan), empty, np.zeros((len(chosen), 3), np.int64)
    out = run_pass(model, chosen, mask, batch_size=MAX_COUNT)
    return out.prediction, out.recovered, out.lengths


def _standardised(features: np.ndarray, frame: ShallowFrame) -> np.ndarray:
    return np.stack([frame.standardise(features[m], m) for m in range(3)])
