"""log p(missing given available) of the methods that are no joint prior, so that all can be asked the same question.

| method   | the law it implies                                                                        |
|----------|-------------------------------------------------------------------------------------------|
| DiCMoR   | sum_c p(c given available) prod_m p(x_m given c): the class is all that ties modalities   |
| ridge    | N(prediction, S), S the covariance of its training residuals at one step                  |
| Gaussian | its own conditional: N(mean, S_mm - S_ma S_aa^-1 S_am) step by step                       |

All are in nats of the standardised shallow features, summed over the steps that count.
"""

from __future__ import annotations

import numpy as np
import torch

from dicmor_lib.data.dataset import Split, collate
from dicmor_lib.evaluation.baselines import Imputer
from dicmor_lib.evaluation.frame import comparable_steps, inside_steps
from dicmor_lib.evaluation.metrics import sentiment_class
from dicmor_lib.evaluation.passes import ShallowSplit, evaluating, index_batches
from dicmor_lib.model import DiCMoR

RIDGE_FLOOR = 1e-6
"""Added to the variances of residuals, so that a step a method explains entirely keeps a finite density."""


def class_log_density(
    model: DiCMoR, train: Split, tested: Split, available: np.ndarray, batch_size: int = 512
) -> np.ndarray:
    """What DiCMoR's flows and class prior say, (N,); p(c) are the shares of the training labels.

    log p(x_miss | x_avail) = logsumexp_c(log p(c) + log p(x_avail, x_miss | c)) - logsumexp_c(log p(c) + log p(x_avail | c))
    """
    shares = np.bincount(sentiment_class(train.labels) + 3, minlength=7) + 1.0
    log_share = torch.from_numpy(np.log(shares / shares.sum()))
    found = np.zeros(len(tested))
    with evaluating(model) as device:
        for index in index_batches(np.argsort(tested.lengths.max(axis=1), kind="stable"), batch_size):
            batch = collate(tested, index).to(device)
            see = torch.from_numpy(available[index]).to(device)
            seen_lengths = batch.lengths * see
            lengths = torch.where(see, seen_lengths, seen_lengths.amax(1, keepdim=True))
            x = model.shallow_features(batch.features, batch.lengths * batch.observed)
            mask = model.step_mask(torch.minimum(lengths, batch.lengths * batch.observed), x.shape[2])
            z, log_det = model.flow(x * mask[..., None], mask)
            each = []  # log p(x_m | c): (3, batch) for each class
            for c in range(-3, 4):
                label = torch.full((len(index),), float(c), device=device)
                each.append((model.flow.prior.log_prob(z, label) * mask).sum(-1) + log_det)
            log_prob = torch.stack(each, -1).double()  # (3, batch, classes)
            of_seen = (log_prob * see.T[..., None]).sum(0) + log_share
            of_all = log_prob.sum(0) + log_share
            found[index] = (of_all.logsumexp(-1) - of_seen.logsumexp(-1)).cpu().numpy()
    return found


def residual_log_density(
    imputer: Imputer, known: ShallowSplit, tested: ShallowSplit, available: np.ndarray
) -> np.ndarray:
    """The density of a point estimate: a Gaussian around it with the covariance of its training residuals, (N,).

    For the joint Gaussian this is its own conditional law, with the covariance as found rather than implied. Missing
    modalities of one step are described jointly where both are real there, each by its marginal elsewhere.

    Args:
        known, tested: shallow features of the training and the tested split.
        available: (N, 3) bool of the tested clips, one pattern for all that lack anything.
    """
    total = np.zeros(len(available))
    for pattern in np.unique(available, axis=0):
        rows = np.flatnonzero((available == pattern).all(axis=1))
        if pattern.all():
            continue
        same = np.flatnonzero(known.observed.all(axis=1))
        mask = np.tile(pattern, (len(same), 1))
        steps = inside_steps(known.lengths[same], known.observed[same], known.features.shape[2])
        residuals = _residuals(imputer, known, same, mask, steps)
        both = steps.all(axis=0)
        missing = np.flatnonzero(~pattern)
        pooled = np.concatenate([residuals[m][both] for m in missing], axis=1)  # (n, |m| d)
        covariance = pooled.T @ pooled / len(pooled) + RIDGE_FLOOR * np.eye(pooled.shape[1])
        mask = np.tile(pattern, (len(rows), 1))
        counted = comparable_steps(
            tested.lengths[rows], tested.observed[rows], mask, tested.features.shape[2]
        )
        residuals = _residuals(imputer, tested, rows, mask, counted)
        total[rows] = _gaussian(residuals[missing], counted[missing], covariance)
    return total


def _residuals(
    imputer: Imputer, split: ShallowSplit, rows: np.ndarray, mask: np.ndarray, steps: np.ndarray
) -> np.ndarray:
    """Real minus estimated features (3, n, T, d), zero where `steps` (3, n, T) is false."""
    real = split.features[:, rows]
    filled = imputer.fill(real, split.lengths[rows], mask)
    return np.where(steps[..., None], real.astype(np.float64) - filled, 0.0)


def _gaussian(residuals: np.ndarray, counted: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """log N(residuals; 0, covariance) summed over the steps that count: (M, n, T, d), (M, n, T) to (n,)."""
    modalities, n, _, d = residuals.shape
    total = np.zeros(n)
    for bits in range(1, 2**modalities):
        present = np.array([bool(bits >> m & 1) for m in range(modalities)])
        where = (counted == present[:, None, None]).all(axis=0)  # (n, T): exactly these are real
        clip, step = np.nonzero(where)
        if not len(clip):
            continue
        channels = np.repeat(present, d)
        factor = np.linalg.cholesky(covariance[np.ix_(channels, channels)])
        x = residuals[present][:, clip, step].transpose(1, 0, 2).reshape(len(clip), -1)
        white = np.linalg.solve(factor, x.T)
        log_density = -0.5 * (white**2).sum(0) - np.log(np.diag(factor)).sum()
        log_density -= 0.5 * np.log(2 * np.pi) * x.shape[1]
        total += np.bincount(clip, log_density, minlength=n)
    return total
