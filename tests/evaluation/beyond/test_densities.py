"""The comparators' conditional densities: product rule, the plain mixture, and the Gaussian they stand for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from dicmor_lib.data import Oracle
from dicmor_lib.data.dataset import collate
from dicmor_lib.evaluation.beyond.densities import class_log_density, residual_log_density
from dicmor_lib.evaluation.gaussian import GaussianConditional
from dicmor_lib.evaluation.passes import ShallowSplit
from dicmor_lib.modalities import pattern_mask
from tests.random_models import random_model, small_config


@pytest.fixture(scope="module")
def data():
    return Oracle(dims=(8, 8, 8), time=6, mean_length=4.0, sizes=(40, 4, 12)).dataset()


@pytest.fixture(scope="module")
def model():
    return random_model(
        small_config(feature_dims=(8, 8, 8), hidden=8, shallow="identity"), dtype=torch.float32
    )


def mask(pattern: str, n: int = 12) -> np.ndarray:
    return np.tile(pattern_mask(pattern), (n, 1))


def test_the_class_mixture_obeys_the_product_rule(model, data):
    """log p(av | l) = log p(v | l) + log p(a | l, v)."""
    only_vision = dataclasses.replace(data.test, observed=data.test.observed & mask("lv"))
    both = class_log_density(model, data.train, data.test, mask("l"), batch_size=5)
    first = class_log_density(model, data.train, only_vision, mask("l"))
    second = class_log_density(model, data.train, data.test, mask("lv"))
    np.testing.assert_allclose(both, first + second, rtol=1e-4, atol=1e-3)


def test_one_clip_by_hand(model, data):
    """log p(l, a, v) - log p(l) with the classes summed out by a loop."""
    batch = collate(data.test, [3])
    mask_of = model.step_mask(batch.lengths, batch.features[0].shape[1])
    with torch.no_grad():
        z, log_det = model.flow(torch.stack(batch.features), mask_of)
    shares = np.bincount(np.rint(data.train.labels).astype(int) + 3, minlength=7) + 1.0
    total, seen = 0.0, 0.0
    for c in range(7):
        per = (model.flow.prior.log_prob(z, torch.tensor([c - 3.0])) * mask_of).sum(-1) + log_det
        per = per.detach().double()[:, 0].numpy()
        total += shares[c] / shares.sum() * np.exp(per.sum())
        seen += shares[c] / shares.sum() * np.exp(per[0])
    found = class_log_density(model, data.train, data.test, mask("l"))[3]
    assert found == pytest.approx(np.log(total) - np.log(seen), rel=1e-4)


def gaussian_steps(rng: np.random.Generator, n: int, root: np.ndarray) -> ShallowSplit:
    """Clips of two steps whose six channels (three modalities of two) are N(0, root root')."""
    x = (rng.normal(size=(n, 2, 6)) @ root.T).reshape(n, 2, 3, 2).transpose(2, 0, 1, 3)
    return ShallowSplit(x, np.full((n, 3), 2), np.ones((n, 3), dtype=bool))


@pytest.mark.parametrize("pattern", ["l", "av", "la"])
def test_the_gaussians_density_is_its_conditional(pattern):
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6))
    known, tested = gaussian_steps(rng, 20_000, root), gaussian_steps(rng, 50, root)
    imputer = GaussianConditional(most_steps=50_000)
    imputer.fit(known.features, known.lengths, known.observed)
    found = residual_log_density(imputer, known, tested, mask(pattern, 50))
    covariance = root @ root.T
    seen = np.repeat(np.array(pattern_mask(pattern)), 2)
    steps = tested.features.transpose(1, 2, 0, 3).reshape(-1, 6)
    joint = multivariate_normal(np.zeros(6), covariance).logpdf(steps)
    part = multivariate_normal(np.zeros(seen.sum()), covariance[np.ix_(seen, seen)]).logpdf(steps[:, seen])
    # per clip: two steps, which this law takes to be independent; moments come from training clips
    np.testing.assert_allclose(found, (joint - part).reshape(50, 2).sum(1), atol=0.25)
    assert found.mean() == pytest.approx((joint - part).mean() * 2, abs=0.03)


def test_a_step_that_only_one_missing_modality_has_counts_with_its_marginal():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(6, 6))
    known, tested = gaussian_steps(rng, 5000, root), gaussian_steps(rng, 30, root)
    imputer = GaussianConditional()
    imputer.fit(known.features, known.lengths, known.observed)
    shorter = ShallowSplit(tested.features, np.tile([2, 1, 2], (30, 1)), tested.observed)
    both = residual_log_density(imputer, known, tested, mask("l", 30))
    one_less = residual_log_density(imputer, known, shorter, mask("l", 30))
    filled = imputer.fill(tested.features, tested.lengths, mask("l", 30))
    trained = known.features - imputer.fill(known.features, known.lengths, mask("l", 5000))
    stacked = trained[1:].transpose(1, 2, 0, 3).reshape(-1, 4)
    covariance = stacked.T @ stacked / len(stacked)
    residual = (tested.features - filled)[1:, :, 1].transpose(1, 0, 2).reshape(30, 4)
    whole = multivariate_normal(np.zeros(4), covariance).logpdf(residual)
    vision = multivariate_normal(np.zeros(2), covariance[2:, 2:]).logpdf(residual[:, 2:])
    np.testing.assert_allclose(both - one_less, whole - vision, atol=1e-3)
    shorter.features[1][:, 1] = np.nan  # behind the end nothing is read
    assert np.array_equal(residual_log_density(imputer, known, shorter, mask("l", 30)), one_less)
