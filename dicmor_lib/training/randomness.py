"""What is random in training, each a pure function of (seed, stage, epoch).

Nothing depends on what was drawn before, so a run that is resumed at the start of an epoch draws exactly what
an uninterrupted one would: there is no generator state to store.
"""

from __future__ import annotations

import numpy as np
import torch

from dicmor_lib.data.missingness import missing_masks, published_batch_masks
from dicmor_lib.modalities import PATTERNS, pattern_mask
from dicmor_lib.training.config import TrainConfig

# The purposes keep the streams of one epoch apart; the numbers are part of what makes a run repeatable.
ORDER, MASKS, REPAIR, DROPOUT, HOLD_OUT = range(5)


def _sequence(seed: int, stage: int, epoch: int, purpose: int, rank: int = 0) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, stage, epoch, purpose, rank])


def generator(seed: int, stage: int, epoch: int, purpose: int) -> np.random.Generator:
    """The random stream for one purpose of one epoch; the same arguments always give the same stream."""
    return np.random.Generator(np.random.PCG64(_sequence(seed, stage, epoch, purpose)))


def epoch_order(index: np.ndarray, seed: int, stage: int, epoch: int) -> np.ndarray:
    """Return the sample numbers `index` in the order in which this epoch visits them."""
    return generator(seed, stage, epoch, ORDER).permutation(index)


def seed_dropout(seed: int, stage: int, epoch: int, rank: int = 0) -> None:
    """Seed torch (every device) for the dropout of this epoch; each process has its own stream."""
    torch.manual_seed(int(_sequence(seed, stage, epoch, DROPOUT, rank).generate_state(1, np.uint64)[0] >> 1))


def draw_masks(config: TrainConfig, n: int, epoch: int) -> np.ndarray:
    """Return n masks (n, 3) bool of what the model may see in an epoch of stage 2."""
    if config.protocol == "uniform":
        share = np.resize(
            [pattern_mask(pattern) for pattern in PATTERNS], (n, 3)
        )  # the seven, again and again
        return generator(config.seed, 2, epoch, MASKS).permutation(share)
    seed = int(_sequence(config.seed, 2, epoch, MASKS).generate_state(1, np.uint32)[0])
    return missing_masks(config.protocol, config.missing_rate, n, seed)


def draw_batch_masks(config: TrainConfig, n: int, epoch: int) -> np.ndarray:
    """As `draw_masks`, with one mask per batch; of the DiCMoR schedule, as the published code draws them."""
    if config.protocol in ("dicmor", "imder"):
        seed = int(_sequence(config.seed, 2, epoch, MASKS).generate_state(1, np.uint32)[0])
        assert config.missing_rate is not None  # every protocol but "uniform" has one
        return published_batch_masks(config.missing_rate, n, config.batch_size, seed)
    masks = draw_masks(config, -(-n // config.batch_size), epoch)
    return np.repeat(masks, config.batch_size, axis=0)[:n]


def epoch_masks(config: TrainConfig, observed: np.ndarray, order: np.ndarray, epoch: int) -> np.ndarray:
    """Return what the model may see of every training sample in this epoch of stage 2, (N, 3) bool.

    What is drawn per sample, or per batch of `order` (N,), is then limited to what is `observed` (N, 3). A
    sample that would be left with nothing shows one observed modality, chosen at random.
    """
    n = len(observed)
    if config.missing_per == "batch":
        drawn = np.empty((n, 3), dtype=bool)
        drawn[order] = draw_batch_masks(config, n, epoch)
    else:
        drawn = draw_masks(config, n, epoch)
    available = drawn & observed
    empty = ~available.any(1)
    # The largest of three uniform numbers among the observed modalities marks a random one of them.
    score = generator(config.seed, 2, epoch, REPAIR).random((n, 3)) * observed
    return np.where(empty[:, None], score == score.max(1, keepdims=True), available) & observed
