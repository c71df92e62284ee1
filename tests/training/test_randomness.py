"""Order, masks and dropout are functions of (seed, stage, epoch) and of nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dicmor_lib.data.missingness import realised_shares
from dicmor_lib.modalities import PATTERNS
from dicmor_lib.training.randomness import epoch_masks, epoch_order, seed_dropout

ALL = np.ones((70, 3), dtype=bool)


@pytest.mark.parametrize("changes", [{}, {"protocol": "independent", "missing_rate": 0.4}])
def test_masks_repeat_and_differ_between_epochs_and_seeds(kit, changes):
    order = np.arange(70)

    def masks(seed, epoch):
        return epoch_masks(kit.settings(seed=seed, **changes), ALL, order, epoch)

    first = masks(0, 1)
    np.random.seed(99)  # global state plays no part
    torch.manual_seed(99)
    assert np.array_equal(first, masks(0, 1))
    assert not np.array_equal(first, masks(0, 2)) and not np.array_equal(first, masks(1, 1))
    assert not np.array_equal(epoch_order(order, 0, 2, 1), epoch_order(order, 0, 2, 2))
    assert not np.array_equal(epoch_order(order, 0, 1, 1), epoch_order(order, 0, 2, 1))
    assert sorted(epoch_order(order, 0, 1, 1)) == list(order)


def test_masks_belong_to_samples_not_to_positions_in_the_order(kit):
    config = kit.settings()
    one = epoch_masks(config, ALL, np.arange(70), 1)
    assert np.array_equal(one, epoch_masks(config, ALL, np.arange(70)[::-1], 1))


def test_uniform_shows_every_pattern_equally_often(kit):
    shares = realised_shares(epoch_masks(kit.settings(), ALL, np.arange(70), 1))
    assert all(shares[pattern] == pytest.approx(1 / 7) for pattern in PATTERNS)


def test_masks_stay_within_what_is_observed_and_never_empty(kit):
    observed = np.random.default_rng(0).random((500, 3)) < 0.5
    observed[~observed.any(1)] = [False, True, False]
    masks = epoch_masks(kit.settings(protocol="dicmor", missing_rate=0.7), observed, np.arange(500), 1)
    assert masks.any(1).all() and not (masks & ~observed).any()
    repaired = masks[observed.sum(1) == 2]
    assert 0 < repaired.sum(1).mean() < 2  # some of them lack one


@pytest.mark.parametrize("protocol", ["dicmor", "independent"])
def test_one_mask_per_batch(kit, protocol):
    config = kit.settings(protocol=protocol, missing_rate=0.5, missing_per="batch", batch_size=10)
    order = epoch_order(np.arange(70), 0, 2, 1)
    masks = epoch_masks(config, ALL, order, 1)[order].reshape(7, 10, 3)
    assert (masks == masks[:, :1]).all() and len(np.unique(masks[:, 0], axis=0)) > 1


def test_dropout_depends_on_the_epoch_and_the_process():
    draws = {}
    for key in [(0, 1, 1, 0), (0, 1, 2, 0), (0, 2, 1, 0), (1, 1, 1, 0), (0, 1, 1, 1)]:
        seed_dropout(*key)
        draws[key] = tuple(torch.rand(4).tolist())
    assert len(set(draws.values())) == len(draws)
    seed_dropout(0, 1, 1)
    assert tuple(torch.rand(4).tolist()) == draws[0, 1, 1, 0]
