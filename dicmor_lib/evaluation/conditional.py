"""What a model with a joint prior knows about the missing: density, draws, class, and predictions of each draw.

Deterministic: the same model, data and seed give the same numbers on the same machine. Real features of a missing
modality are read for their density only; no draw and no prediction sees them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dicmor_lib.blocks.transfer import Packing
from dicmor_lib.data.dataset import Split, collate
from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation.passes import BATCH_SIZE, evaluating, index_batches, join_padded
from dicmor_lib.model import DiCMoR


@dataclass
class ConditionalPass:
    """What one model says about the missing modalities of a split under one mask; N clips, K draws.

    Attributes:
        log_density: (N,) log p(missing given available) in nats, of the shallow features.
        values: (N,) how many numbers that is the density of: steps times channels, 0 if nothing real is missing.
        posterior: (N, classes) p(c given available).
        draw: (3, N, T, d) one independent draw of the missing modalities, zero elsewhere.
        mean: (3, N, T, d) the mean of the K fixed draws that the model predicts with (`dicmor_lib.blocks.draws`).
        predictions: (K, N) of the fusion, one per fixed draw; `DiCMoR` with `draws=K` predicts their mean.
    """

    log_density: np.ndarray
    values: np.ndarray
    posterior: np.ndarray
    draw: np.ndarray
    mean: np.ndarray
    predictions: np.ndarray


def run_conditional(
    model: DiCMoR,
    split: Split,
    available: np.ndarray,
    draws: int = 16,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> ConditionalPass:
    """Run a model with a joint prior over a split under a mask `available` (N, 3) bool within what is observed.

    A recovered modality is as long as its longest source; of its real features, so many steps count.

    Raises:
        ConfigError: if the prior is not joint or `draws` is below 1.
        DataError: if a clip has nothing available.
    """
    if model.config.prior != "joint" or draws < 1:
        raise ConfigError(
            f"prior is {model.config.prior!r} and draws {draws}; this needs a model with prior='joint' and at least 1 draw"
        )
    available = np.asarray(available, dtype=bool) & split.observed
    if not available.any(axis=1).all():
        row = int(np.flatnonzero(~available.any(axis=1))[0])
        raise DataError(f"clip {row} has nothing available under this mask; leave such clips out")
    parts: list[list[np.ndarray]] = [[] for _ in range(6)]
    with evaluating(model) as device:
        generator = torch.Generator(device).manual_seed(seed)
        order = np.argsort(split.lengths.max(axis=1), kind="stable")  # clips of like length: little padding
        for index in index_batches(order, batch_size):
            found = _one_batch(model, split, index, available[index], draws, generator, device)
            for part, value in zip(parts, found):
                part.append(value.double().cpu().numpy())
    log_density, values, posterior, draw, mean, predictions = parts
    back = np.argsort(order)
    return ConditionalPass(
        np.concatenate(log_density)[back],
        np.concatenate(values)[back],
        np.concatenate(posterior)[back],
        join_padded(draw)[:, back],
        join_padded(mean)[:, back],
        np.concatenate(predictions, axis=1)[:, back],
    )


def _one_batch(
    model: DiCMoR,
    split: Split,
    index: np.ndarray,
    available: np.ndarray,
    draws: int,
    generator: torch.Generator,
    device: torch.device,
) -> tuple[torch.Tensor, ...]:
    batch = collate(split, index).to(device)
    can_see = torch.from_numpy(available).to(device)
    prior = model.flow.prior
    seen_lengths = batch.lengths * can_see
    lengths = torch.where(can_see, seen_lengths, seen_lengths.amax(1, keepdim=True))
    x = model.shallow_features(batch.features, batch.lengths * batch.observed)
    mask = model.step_mask(lengths, x.shape[2])  # of what the fusion sees
    real = model.step_mask(torch.minimum(lengths, batch.lengths * batch.observed), x.shape[2])
    x = x * real[..., None]
    z, log_det = model.flow(x, real)
    seen = real * can_see.T[..., None]
    # log p(missing | available) = log p(both) - log p(available), each a mixture over the classes
    joint = prior.log_joint(z, seen)
    log_density = prior.log_joint(z, real).logsumexp(1) - joint.logsumexp(1)
    log_density = log_density + (log_det * ~can_see.T).sum(0)
    values = (real - seen).sum((0, 2)) * model.config.hidden
    posterior = joint.softmax(1)
    packing = Packing.of(can_see.cpu(), device)
    own = model.draw_missing(z, seen, mask, posterior, packing, 1, generator)[0]
    drawn = model.draw_missing(z, seen, mask, posterior, packing, draws)
    missing = (mask * ~can_see.T[..., None])[..., None]
    predictions = [model.predict_from_shallow(torch.where(missing > 0, one, x), lengths) for one in drawn]
    return log_density, values, posterior, own, drawn.mean(0), torch.stack(predictions)
