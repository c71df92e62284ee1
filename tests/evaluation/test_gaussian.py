"""The joint Gaussian knows the exact conditional law where the data are Gaussian."""

from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.evaluation.gaussian import GaussianConditional
from dicmor_lib.modalities import MODALITIES, pattern_mask

N, T, D = 3000, 4, 2
SHIFT = np.array([1.0, -2.0, 0.5, 3.0, 0.0, -1.0])
SCALE = np.array([1.0, 5.0, 0.2, 1.0, 2.0, 1.0])


def law() -> np.ndarray:
    """A covariance (6, 6) of (language, audio, vision) with strong dependence."""
    root = np.random.default_rng(7).normal(size=(6, 6)) + np.eye(6)
    return SCALE[:, None] * (root @ root.T) * SCALE


def draw(seed: int, n: int = N) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).multivariate_normal(SHIFT, law(), size=(n, T))
    shallow = x.reshape(n, T, 3, D).transpose(2, 0, 1, 3)
    return shallow, np.full((n, 3), T), np.ones((n, 3), dtype=bool)


def conditional(missing: tuple[int, ...], given: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The textbook's weights (|m|, |a|) and covariance, from an inverse and no library code."""
    m = np.concatenate([np.arange(D) + D * i for i in missing])
    a = np.concatenate([np.arange(D) + D * i for i in given])
    weight = law()[np.ix_(m, a)] @ np.linalg.inv(law()[np.ix_(a, a)])
    return weight, law()[np.ix_(m, m)] - weight @ law()[np.ix_(a, m)]


@pytest.fixture(scope="module")
def fitted() -> GaussianConditional:
    return GaussianConditional().fit(*draw(0))


def mask(pattern: str, n: int) -> np.ndarray:
    return np.tile(pattern_mask(pattern), (n, 1))


@pytest.mark.parametrize("pattern", ["l", "a", "v", "la", "lv", "av"])
def test_the_fill_is_the_conditional_mean(fitted, pattern):
    shallow, lengths, _ = draw(1, 200)
    given = tuple(np.flatnonzero(pattern_mask(pattern)))
    filled = fitted.fill(shallow, lengths, mask(pattern, 200))
    x = np.concatenate([shallow[m] for m in given], axis=-1)
    mean_x = np.concatenate([SHIFT[D * m : D * m + D] for m in given])
    for m in set(range(3)) - set(given):
        weight, _ = conditional((m,), given)
        expected = SHIFT[D * m : D * m + D] + (x - mean_x) @ weight.T
        spread = SCALE[D * m : D * m + D] * 3
        assert np.abs((filled[m] - expected) / spread).max() < 0.15, MODALITIES[m]
        assert np.sqrt(np.mean(((filled[m] - expected) / spread) ** 2)) < 0.03, MODALITIES[m]


@pytest.mark.parametrize("pattern", ["l", "la"])
def test_draws_have_the_conditional_covariance_also_between_missing_modalities(fitted, pattern):
    shallow, lengths, _ = draw(2)
    given = tuple(np.flatnonzero(pattern_mask(pattern)))
    missing = tuple(sorted(set(range(3)) - set(given)))
    filled = fitted.fill(shallow, lengths, mask(pattern, N))
    sampled = fitted.sample(shallow, lengths, mask(pattern, N), seed=5)
    noise = np.concatenate([(sampled - filled)[m].reshape(-1, D) for m in missing], axis=1)
    _, expected = conditional(missing, given)
    sd = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(noise.mean(axis=0) / sd, 0, atol=0.04)
    np.testing.assert_allclose(np.cov(noise.T) / np.outer(sd, sd), expected / np.outer(sd, sd), atol=0.06)
    for m in given:
        assert np.array_equal(sampled[m], shallow[m])


def test_draws_together_with_the_sources_have_the_joint_law(fitted):
    shallow, lengths, _ = draw(3)
    sampled = fitted.sample(shallow, lengths, mask("v", N))
    joint = sampled.transpose(1, 2, 0, 3).reshape(-1, 6)
    scale = np.sqrt(np.diag(law()))
    np.testing.assert_allclose(
        np.cov(joint.T) / np.outer(scale, scale), law() / np.outer(scale, scale), atol=0.06
    )


def test_where_one_source_has_ended_only_the_other_is_conditioned_on(fitted):
    shallow, lengths, _ = draw(4, 100)
    lengths[:, 0] = 2  # language ends, audio goes on
    filled = fitted.fill(shallow, lengths, mask("la", 100))
    both = fitted.fill(shallow, np.full((100, 3), T), mask("la", 100))[2]
    audio = fitted.fill(shallow, np.full((100, 3), T), mask("a", 100))[2]
    np.testing.assert_allclose(filled[2, :, :2], both[:, :2])
    np.testing.assert_allclose(filled[2, :, 2:], audio[:, 2:])
    noise = fitted.sample(shallow, lengths, mask("la", 100), seed=1)[2] - filled[2]
    _, narrow = conditional((2,), (0, 1))
    _, wide = conditional((2,), (1,))
    np.testing.assert_allclose(noise[:, :2].reshape(-1, D).var(axis=0), np.diag(narrow), rtol=0.4)
    np.testing.assert_allclose(noise[:, 2:].reshape(-1, D).var(axis=0), np.diag(wide), rtol=0.4)


def test_draws_are_seeded_read_nothing_missing_and_end_with_the_sources(fitted):
    shallow, lengths, _ = draw(5, 50)
    lengths[:, 1] = 3
    available = np.tile([[False, True, False], [True, True, False]], (25, 1))
    poisoned = np.where(available.T[:, :, None, None], shallow, np.nan)
    first = fitted.sample(shallow, lengths, available, seed=1)
    assert np.array_equal(first, fitted.sample(poisoned, lengths, available, seed=1))
    assert not np.array_equal(first, fitted.sample(shallow, lengths, available, seed=2))
    assert not first[2, ::2, 3:].any() and first[2, 1::2, 3:].all()
    other = fitted.other_estimates(shallow, lengths, available)
    assert np.array_equal(other["gaussian sample"], fitted.sample(shallow, lengths, available))


def test_only_steps_with_all_three_modalities_are_learned_from():
    shallow, lengths, observed = draw(6, 400)
    observed[200:, 2] = False
    strange = shallow.copy()
    strange[0, 200:] += 50.0  # where vision does not exist, language means something else
    one = GaussianConditional().fit(strange, lengths, observed)
    assert one.frame.mean[0, 0] > 20  # the units see every clip ...
    x = one.frame.standardise(strange[0, :200], 0).reshape(-1, D)
    np.testing.assert_allclose(one.mean[:D], x.mean(axis=0), atol=1e-9)  # ... the law sees the complete ones


def test_without_any_complete_step_the_draw_has_the_training_mean_and_variance():
    shallow, lengths, observed = draw(8, 1000)
    observed[:500, 0], observed[500:, 1] = False, False
    fitted = GaussianConditional().fit(shallow, lengths, observed)
    sampled = fitted.sample(shallow, lengths, mask("v", 1000))
    np.testing.assert_allclose(sampled[0].reshape(-1, D).mean(axis=0), fitted.frame.mean[0], atol=0.5)
    np.testing.assert_allclose(sampled[0].reshape(-1, D).std(axis=0), fitted.frame.sd[0], rtol=0.05)


def test_more_channels_than_steps_are_shrunk_and_not_fitted_by_heart():
    rng = np.random.default_rng(0)
    shallow = rng.normal(size=(3, 4, 3, 8))  # 12 steps, 24 channels, nothing to know
    lengths, everything = np.full((4, 3), 3), np.ones((4, 3), dtype=bool)
    fitted = GaussianConditional().fit(shallow, lengths, everything)
    filled = fitted.fill(shallow, lengths, mask("l", 4))
    off_diagonal = fitted.covariance - np.diag(np.diag(fitted.covariance))
    assert np.isfinite(filled).all() and np.abs(off_diagonal).max() < 0.4
    assert ((filled[1] - fitted.frame.mean[1]) / fitted.frame.sd[1]).std() < 0.5
