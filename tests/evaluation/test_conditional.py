"""The conditional pass: its density is that of the joint over the seen, its draws do not read what is missing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from dicmor_lib.data import Oracle
from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation.conditional import run_conditional
from dicmor_lib.modalities import pattern_mask
from tests.random_models import random_model, small_config

SMALL = dict(feature_dims=(8, 8, 8), hidden=8, shallow="identity")


@pytest.fixture(scope="module")
def model():
    return random_model(small_config(**SMALL, prior="joint"), dtype=torch.float32)


@pytest.fixture(scope="module")
def split():
    return Oracle(dims=(8, 8, 8), time=6, mean_length=4.0, sizes=(4, 4, 30)).dataset().test


def mask(pattern: str) -> np.ndarray:
    return np.tile(pattern_mask(pattern), (30, 1))


def test_densities_obey_the_product_rule(model, split):
    """log p(av | l) = log p(v | l) + log p(a | l, v)."""
    both, second = (run_conditional(model, split, mask(p), draws=1) for p in ("l", "lv"))
    only_vision = dataclasses.replace(split, observed=split.observed & mask("lv"))
    first = run_conditional(model, only_vision, mask("l"), draws=1)
    np.testing.assert_allclose(both.log_density, first.log_density + second.log_density, rtol=1e-4, atol=1e-2)
    assert (both.values == first.values + second.values).all()
    assert (both.values == split.lengths[:, 1:].sum(1) * 8).all()


def test_the_missing_is_read_for_its_density_only(model, split):
    found = run_conditional(model, split, mask("la"), draws=3, batch_size=7)
    other = dataclasses.replace(split, features=(*split.features[:2], -split.features[2]))
    changed = run_conditional(model, other, mask("la"), draws=3, batch_size=7)
    for field in ("posterior", "draw", "mean", "predictions", "values"):
        assert np.array_equal(getattr(found, field), getattr(changed, field)), field
    assert not np.allclose(found.log_density, changed.log_density)
    assert found.predictions.shape == (3, 30) and found.predictions.std(0).min() > 0
    assert found.draw[2].any() and not found.draw[:2].any()
    assert not np.array_equal(found.draw, found.mean)


def test_draws_vary_with_the_seed_and_average_to_the_mean(model, split):
    one, same, two = (run_conditional(model, split, mask("v"), draws=2, seed=s) for s in (0, 0, 1))
    assert np.array_equal(one.draw, same.draw) and not np.array_equal(one.draw, two.draw)
    np.testing.assert_array_equal(one.posterior, two.posterior)


def test_nothing_missing_has_no_density(model, split):
    found = run_conditional(model, split, mask("lav"), draws=2)
    assert not found.values.any() and not found.draw.any()
    np.testing.assert_allclose(found.log_density, 0.0, atol=1e-6)
    np.testing.assert_array_equal(found.predictions[0], found.predictions[1])


def test_what_cannot_be_asked_is_refused(model, split):
    with pytest.raises(ConfigError, match="prior='joint'"):
        run_conditional(random_model(small_config(**SMALL)), split, mask("l"))
    nothing = mask("l")
    nothing[4] = False
    with pytest.raises(DataError, match="clip 4 has nothing available"):
        run_conditional(model, split, nothing)
