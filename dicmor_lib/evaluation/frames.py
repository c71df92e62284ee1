"""Frame-level dropping: steps go missing, not modalities. It needs a pass of its own for every rate.

What the published protocols do, as their code says:

- **MMSA's TFR-Net** drops every valid step of every modality with probability r, independently (one fixed seed
  per modality). A dropped step of audio or vision becomes zeros in the raw features; a dropped word becomes BERT's
  [UNK] before BERT reads the sentence, and [CLS] and [SEP] always stay. Lengths and padding masks are unchanged.
- **LNLN** does the same at test rates 0, 0.1 ... 0.9 (its training draws a rate per sample and modality). One seed
  restarts the generator for each modality, so modalities of equal T lose the same steps.

Ours, for every method alike:

- Of each modality of each sample, r times its length steps are dropped, rounded up or down at random so that the
  expected share is exact (`frame_masks`); modalities are independent. Published masks scatter around that share.
- A dropped step is zero in the features that the model reads, which are standardised unless the run says
  otherwise: zero is then the training mean. Lengths are unchanged.
- Language is dropped after BERT, where there is one: the vectors of the words that stay have seen the dropped
  words. That is milder than [UNK] before BERT, so language does not lose as much as in the two papers.
- A modality that has lost all its steps is not available. A sample without any is not scored, and counted.
- Only whole missing modalities are filled in: where no modality has lost all its steps, all imputers are the
  complete-data model reading zeroed steps, and say the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dicmor_lib.data.dataset import FeatureArrays, Split
from dicmor_lib.data.missingness import FRAMES, frame_masks, mask_hash
from dicmor_lib.errors import ConfigError, DataError, ShapeError
from dicmor_lib.evaluation.bench import Bench, Report
from dicmor_lib.evaluation.bootstrap import LEVEL, RESAMPLES, metric_estimates, resample_counts
from dicmor_lib.evaluation.passes import shallow_split
from dicmor_lib.evaluation.protocols import ProtocolScore

DRAWN = "one pass on the drawn mask"
FRAME_MASK = "frame mask (N, T, 3)"


@dataclass(frozen=True)
class FramePass:
    """What all methods said with a share `rate` of the steps dropped.

    Attributes:
        masks: (N, T, 3) bool, the steps that could be read; `mask_hash` is its name.
        predictions: method -> (N,), NaN for a sample that lost every step of every modality.
    """

    rate: float
    seed: int
    masks: np.ndarray
    predictions: dict[str, np.ndarray]

    @property
    def mask_hash(self) -> str:
        """The hash of the mask."""
        return mask_hash(self.masks)

    @property
    def rows(self) -> np.ndarray:
        """(n,) the samples that were scored."""
        return np.flatnonzero(self.masks.any(axis=(1, 2)))


def check_frame_rate(rate: float) -> None:
    """Raise `ConfigError` unless frames can be dropped at this rate: in [0, 1)."""
    if not 0 <= rate < 1:
        raise ConfigError(
            f"the share of frames to drop is {rate:g}; it must be at least 0 and below 1, where nothing is left"
        )


def draw_frame_masks(split: Split, rate: float, seed: int) -> np.ndarray:
    """Return the steps (N, T, 3) bool that stay, T the longest of the three modalities' axes."""
    check_frame_rate(rate)
    time = max(x.shape[1] for x in split.features)
    return frame_masks(rate, len(split), time, split.lengths * split.observed, seed)


def drop_frames(split: Split, masks: np.ndarray) -> Split:
    """Return the split with every step outside `masks` (N, T, 3) set to zero; lengths are unchanged.

    A modality without any step left is not observed in the result. What stood in a dropped step is not read,
    so it may be NaN.

    Raises:
        ShapeError: if the masks do not fit the split.
    """
    masks = np.asarray(masks, dtype=bool)
    time = max(x.shape[1] for x in split.features)
    if masks.shape != (len(split), time, 3):
        raise ShapeError(
            f"frame masks of this split must have shape ({len(split)}, {time}, 3), not {masks.shape}"
        )
    features: FeatureArrays = tuple(
        np.where(masks[:, : x.shape[1], m, None], x, np.zeros((), x.dtype))
        for m, x in enumerate(split.features)
    )  # type: ignore[assignment]
    return dataclasses.replace(split, features=features, observed=split.observed & masks.any(axis=1))


def run_frames(bench: Bench, rate: float, seed: int, report: Report = lambda what: None) -> FramePass:
    """Run every method of a bench on its tested split with a share of the steps dropped.

    Baselines are those that were fitted on the complete training split. Raises `ConfigError` for a rate
    outside [0, 1), `DataError` if no sample has a step left.
    """
    masks = draw_frame_masks(bench.tested, rate, seed)
    dropped = drop_frames(bench.tested, masks)
    if not dropped.observed.any():
        raise DataError(f"dropping {rate:.0%} of the frames left nothing of any sample; choose a lower rate")
    shallow = shallow_split(bench.stage1, dropped, bench.batch_size)
    there = dataclasses.replace(bench, tested=dropped, shallow=shallow)
    return FramePass(rate, seed, masks, there.run(dropped.observed, report).predictions)


def score_frames(
    passes: Sequence[FramePass],
    label: np.ndarray,
    kinds: dict[str, str],
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> list[ProtocolScore]:
    """Return the scores of all methods in every pass, with intervals over samples on the same resamples.

    Nothing is mixed here: F1 and r are the plain ones of the drawn mask. The spread between draws of the mask is
    not in the intervals.
    """
    scores = []
    for done in passes:
        rows, truth = done.rows, np.asarray(label, dtype=np.float64)[done.rows]
        counts = resample_counts(len(rows), resamples, seed)
        for method, kind in kinds.items():
            metrics = metric_estimates(done.predictions[method][rows], truth, counts, level)
            name = (done.mask_hash, FRAME_MASK, DRAWN)
            scores.append(ProtocolScore(FRAMES, done.rate, method, kind, len(rows), metrics, *name))
    return scores
