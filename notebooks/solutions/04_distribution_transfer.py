"""Solutions of chapter 4, distribution transfer. Try the exercises and their hints first."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.spatial.distance import cdist


def transfer(x, source, target):
    """4.1: The features are data of the source, so its flow takes them to the shared latent space.

    From there only the target's inverse leads to features of the target. No log-determinant is needed: no density is
    asked for.
    """
    z, _ = source(x)
    return target.inverse(z)


def merge(z, lengths):
    """4.2: A source of length 0 reaches no step, so availability needs no case of its own.

    `torch.where` picks; a product with the mask would let NaN through. Where nothing reaches, 0 / 1 is 0.
    """
    reaches = torch.arange(z.shape[2]) < lengths.t()[..., None]  # (3, batch, steps)
    total = torch.where(reaches[..., None], z, 0.0).sum(0)
    return total / reaches.sum(0).clamp(min=1)[..., None]


def expected_error(mean, sd, guess_mean, guess_sd):
    """4.3: truth - guess has mean `mean - guess_mean` and, both being independent, the sum of the variances.

    The expected square of anything is its squared mean plus its variance.
    """
    return ((mean - guess_mean) ** 2 + sd**2 + guess_sd**2).mean()


def mmd2_from_kernel(kernel, first):
    """4.4: The labels cut the one matrix into three blocks.

    The diagonal ones of the inner blocks compare a point with itself, which no two independent points do.
    """
    n, m = first.sum(), (~first).sum()
    within_first = (kernel[first][:, first].sum() - n) / (n * (n - 1))
    within_second = (kernel[~first][:, ~first].sum() - m) / (m * (m - 1))
    return within_first + within_second - 2 * kernel[first][:, ~first].mean()


def p_value(value, relabelled):
    """4.5: If both laws are equal, the real labelling is as likely as each random one.

    So its rank among all R + 1 of them is uniform, and the share of those at least as large is at most a with
    probability at most a. Without the 1 that fails: a p-value of 0 would come up once in R + 1 times.
    """
    return (1 + (np.asarray(relabelled) >= value).sum()) / (1 + len(relabelled))


def noise_floor(real, distance, halvings, rng):
    """4.6: A permutation of the indices gives two random halves that share no clip.

    A new permutation for each halving averages over the accident of the cut.
    """
    half, values = len(real) // 2, []
    for _ in range(halvings):
        order = rng.permutation(len(real))
        values.append(distance(real[order[:half]], real[order[half : 2 * half]]))
    return np.mean(values)


def copied_channels(source, made, lengths):
    """4.7: A copy is equal, or the step is none.

    `==` compares bits (but for NaN and the sign of zero, which features do not have), so closeness does not count.
    """
    valid = torch.arange(source.shape[1]) < lengths[:, None]  # (batch, steps)
    return ((made == source) | ~valid[..., None]).all(0).all(0)


def merge_keeping_the_law(z_1, z_2, mean, sd, r):
    """4.8: The mean of the two has variance (1 + r) / 2 times sd^2, so its deviation is divided by the root of that.

    sd is not needed: the deviations already have the right unit.
    """
    away = (z_1 + z_2) / 2 - mean
    return mean + away / math.sqrt((1 + r) / 2)


def statistic(x, y):
    """4.9, one of many: the difference of means and covariances, every entry.

    It sees what first and second moments see, and is blind to everything else: to two laws with equal moments but
    different shapes, for instance.
    """
    means = x.mean(0) - y.mean(0)
    covariances = np.cov(x.T) - np.cov(y.T)
    return (means**2).sum() + (covariances**2).sum()


def energy_distance(x, y):
    """4.9, another one: distances between the sets against distances within them.

    In expectation it is 0 if and only if the laws are equal, as MMD is, and it has no bandwidth to choose.
    """
    return 2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean()


ANSWERS: dict[str, tuple] = {
    "4.1": (transfer,),
    "4.2": (merge,),
    "4.3": (expected_error,),
    "4.4": (mmd2_from_kernel,),
    "4.5": (p_value,),
    "4.6": (noise_floor,),
    "4.7": (copied_channels,),
    "4.8": (merge_keeping_the_law,),
    "4.9": (statistic,),
}
