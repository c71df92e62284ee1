"""Solutions to the exercises of chapter 1, Missing modalities. Every one is run by the tests."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_steps(lengths: Tensor, time: int) -> Tensor:
    """1.1. Step numbers 0, 1, ... against lengths: a step is real if its number is smaller than the length.

    The new last axis of the lengths, (batch, 3, 1), meets the steps, (time,), and the two broadcast.
    """
    return torch.arange(time, device=lengths.device) < lengths[..., None]


def masked_mean(x: Tensor, lengths: Tensor) -> Tensor:
    """1.2. Sum what is real, divide by how much of it there is.

    `torch.where` puts zeros in the place of whatever stands in the padding, NaN included. The `clamp` keeps a clip
    without steps from dividing by zero: its sum is zero already.
    """
    inside = torch.arange(x.shape[1], device=x.device) < lengths[:, None]  # (batch, time)
    total = torch.where(inside[..., None], x, 0.0).sum(dim=1)
    return total / lengths.clamp(min=1)[:, None]


def possible_masks(observed: Tensor) -> Tensor:
    """1.3. Count in binary: the numbers 1 to 7 are the seven patterns. Then keep those that ask for nothing unobserved.

    Starting at 1 leaves out the empty pattern, and a mask is a subset where mask & ~observed is nothing.
    """
    if not observed.any():
        raise ValueError("nothing of this clip is observed, so there is no pattern to show")
    bits = torch.tensor([1, 2, 4])
    masks = (torch.arange(1, 8)[:, None] & bits) > 0  # (7, 3)
    return masks[~(masks & ~observed).any(dim=1)]


def draw_masks(n: int, two: float, one: float, seed: int) -> Tensor:
    """1.4. Fix the counts first, then shuffle who gets them, then draw which modalities go.

    Ranking three uniform numbers gives a uniform order of the modalities; the first `missing` of that order go. A
    generator of our own leaves the global random stream, and so the training, as it was.
    """
    rng = torch.Generator().manual_seed(seed)
    missing = torch.zeros(n, dtype=torch.long)
    missing[: round(n * two)] = 2
    missing[round(n * two) : round(n * two) + round(n * one)] = 1
    missing = missing[torch.randperm(n, generator=rng)]
    rank = torch.rand(n, 3, generator=rng).argsort(dim=1).argsort(dim=1)  # 0, 1, 2 in random order
    return rank >= missing[:, None]


def mean_fill(
    train: Tensor, train_lengths: Tensor, test: Tensor, lengths: Tensor, available: Tensor
) -> Tensor:
    """1.5. The mean over real training steps, put at the real steps of what is missing, in a copy.

    What is filled in may depend on training clips only: at test time the other test clips do not exist yet.
    """

    def inside(steps: Tensor, time: int) -> Tensor:
        return (torch.arange(time) < steps[:, None])[..., None]

    real = torch.where(inside(train_lengths, train.shape[1]), train, 0.0)
    mean = real.sum(dim=(0, 1)) / train_lengths.sum()
    filled = torch.where(inside(lengths, test.shape[1]), mean, 0.0)
    return torch.where(available[:, None, None], test, filled)


def expected_errors(mean: Tensor, variance: Tensor, explained: Tensor) -> tuple[Tensor, ...]:
    """1.6. Write the error as distance of the means squared, plus the variances of all that is random on its own.

    A draw and the truth have the same conditional mean and independent noise of the unexplained variance around it: twice.
    """
    unexplained = (1 - explained) * variance
    return variance + mean**2, variance, 2 * variance, unexplained, 2 * unexplained


def recovery_error(recovered: Tensor, real: Tensor, available: Tensor, observed: Tensor) -> Tensor:
    """1.7. A target exists in the data and was hidden. Select first, compute then, so nothing else is ever read.

    The mean of an empty tensor is NaN, so a batch in which nothing was hidden is answered with 0.
    """
    target = observed & ~available  # (batch, 3)
    if not target.any():
        return recovered.new_zeros(())
    return ((recovered[target] - real[target]) ** 2).mean()


def draw(mean: Tensor, covariance: Tensor, generator: torch.Generator) -> Tensor:
    """1.8. If e is standard normal, L e has the covariance L L^T. Cholesky gives such an L.

    Noise comes in rows here, so the product is noise @ L.T.
    """
    root = torch.linalg.cholesky(covariance)
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
    return mean + noise @ root.T


def fill(train_sources: Tensor, train_target: Tensor, sources: Tensor) -> Tensor:
    """1.9. One of many: least squares on the sources and their squares, with an intercept.

    The squares let it bend: the maps of the oracle are not linear. All statistics come from the training steps.
    """
    centre, scale = train_sources.mean(0), train_sources.std(0)

    def inputs(x: Tensor) -> Tensor:
        x = (x - centre) / scale
        return torch.cat([x, x**2, torch.ones_like(x[:, :1])], dim=1)

    weights = torch.linalg.lstsq(inputs(train_sources), train_target).solution
    return inputs(sources) @ weights


ANSWERS: dict[str, tuple] = {
    "1.1": (valid_steps,),
    "1.2": (masked_mean,),
    "1.3": (possible_masks,),
    "1.4": (draw_masks,),
    "1.5": (mean_fill,),
    "1.6": (expected_errors,),
    "1.7": (recovery_error,),
    "1.8": (draw,),
    "1.9": (fill,),
}
