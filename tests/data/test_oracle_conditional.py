"""The oracle's exact answers, against brute force on the full covariance and against its own draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_normal

from dicmor_lib.data.oracle import Oracle
from dicmor_lib.data.oracle_labels import CLASS_SHARES
from dicmor_lib.errors import ConfigError, DataError, PatternError, ShapeError
from dicmor_lib.modalities import PATTERNS, pattern_mask

INCOMPLETE = PATTERNS[:-1]


@pytest.fixture(scope="module")
def small() -> Oracle:
    return Oracle(dims=(3, 2, 4), time=7, mean_length=5, seed=5)


@pytest.fixture(scope="module")
def clips(small: Oracle):
    draw = small.draw(6, seed=1)
    assert len(set(draw.lengths)) > 1  # clips of different lengths must go through one call
    return draw


def _masks(pattern: str, n: int) -> np.ndarray:
    return np.tile(pattern_mask(pattern), (n, 1))


class BruteForce:
    """One clip's law as a Gaussian over all its steps and channels at once; K x Sigma spelled out."""

    def __init__(self, oracle: Oracle, draw, i: int) -> None:
        law, self.length = oracle.law, int(draw.lengths[i])
        lags = np.abs(np.subtract.outer(np.arange(self.length), np.arange(self.length)))
        self.covariance = np.kron(oracle.correlation**lags, law.covariance)
        self.means = [np.outer(law.course[: self.length], mean).ravel() for mean in law.means]
        latents = oracle.to_latent([x[[i]] for x in draw.features], draw.lengths[[i]])
        self.path = np.concatenate([w[0, : self.length] for w in latents], axis=1).ravel()
        self.owner = np.tile(np.repeat(np.arange(3), oracle.dims), self.length)
        steps = [warp.log_det(w[0, : self.length]).sum() for warp, w in zip(law.warps, latents)]
        self.log_dets = np.array(steps)

    def entries(self, mask) -> np.ndarray:
        return np.flatnonzero(np.asarray(mask)[self.owner])

    def class_log_densities(self, mask) -> np.ndarray:
        k = self.entries(mask)
        covariance = self.covariance[np.ix_(k, k)]
        return np.array([multivariate_normal.logpdf(self.path[k], m[k], covariance) for m in self.means])

    def posterior(self, mask) -> np.ndarray:
        return softmax(np.log(CLASS_SHARES) + self.class_log_densities(mask))

    def condition(self, mask, target, c: int) -> tuple[np.ndarray, np.ndarray]:
        a, t, s = self.entries(mask), self.entries(target), self.covariance
        gain = s[np.ix_(t, a)] @ np.linalg.inv(s[np.ix_(a, a)])
        mean = self.means[c][t] + gain @ (self.path[a] - self.means[c][a])
        return mean, s[np.ix_(t, t)] - gain @ s[np.ix_(a, t)]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_posterior_and_density_equal_brute_force(small: Oracle, clips, pattern: str) -> None:
    mask = np.array(pattern_mask(pattern))
    posterior = small.class_posterior(clips.features, _masks(pattern, 6), clips.lengths)
    density = small.log_density(clips.features, _masks(pattern, 6), clips.lengths)
    given = small.log_density(clips.features, _masks(pattern, 6), clips.lengths, sentiment=clips.sentiment)
    for i in range(6):
        brute = BruteForce(small, clips, i)
        per_class = brute.class_log_densities(mask)
        np.testing.assert_allclose(posterior[i], brute.posterior(mask), atol=1e-10)
        expected = logsumexp(np.log(CLASS_SHARES) + per_class) - brute.log_dets[mask].sum()
        np.testing.assert_allclose(density[i], expected, rtol=1e-10)
        np.testing.assert_allclose(
            given[i], per_class[clips.sentiment[i] + 3] - brute.log_dets[mask].sum(), rtol=1e-10
        )


@pytest.mark.parametrize("pattern", INCOMPLETE)
def test_conditional_density_and_mean_equal_brute_force(small: Oracle, clips, pattern: str) -> None:
    mask = np.array(pattern_mask(pattern))
    density = small.log_conditional(clips.features, clips.features, _masks(pattern, 6), clips.lengths)
    means = small.conditional_mean(clips.features, _masks(pattern, 6), clips.lengths)
    for i in range(6):
        brute = BruteForce(small, clips, i)
        posterior, t = brute.posterior(mask), brute.entries(~mask)
        laws = [brute.condition(mask, ~mask, c) for c in range(7)]
        parts = [multivariate_normal.logpdf(brute.path[t], m, (s + s.T) / 2) for m, s in laws]
        expected = logsumexp(np.log(posterior) + parts) - brute.log_dets[~mask].sum()
        np.testing.assert_allclose(density[i], expected, rtol=1e-9)
        for m in np.flatnonzero(~mask):
            size, own = small.dims[m], brute.owner[t] == m
            total = 0
            for c, (mean, covariance) in enumerate(
                laws
            ):  # E g(w) step by step, with the step's own covariance
                step_means = mean[own].reshape(brute.length, size)
                step_covariance = covariance[np.ix_(own, own)][:size, :size]
                total = total + posterior[c] * small.law.warps[m].mean(step_means, step_covariance)
            np.testing.assert_allclose(means[m][i, : brute.length], total, atol=1e-5)
            assert not means[m][i, brute.length :].any()


@pytest.mark.parametrize("pattern", INCOMPLETE)
@pytest.mark.parametrize("known", [False, True])
def test_joint_density_is_marginal_times_conditional(pattern: str, known: bool) -> None:
    oracle = Oracle()
    draw = oracle.draw(30, seed=2)
    sentiment = draw.sentiment if known else None
    available = _masks(pattern, 30)
    joint = oracle.log_density(draw.features, np.ones((30, 3), bool), draw.lengths, sentiment)
    marginal = oracle.log_density(draw.features, available, draw.lengths, sentiment)
    conditional = oracle.log_conditional(
        draw.features, draw.features, available, draw.lengths, sentiment=sentiment
    )
    np.testing.assert_allclose(joint, marginal + conditional, rtol=1e-10)


def test_chain_rule_through_one_target_at_a_time() -> None:
    oracle = Oracle()
    draw, language, audio = oracle.draw(20, seed=3), _masks("l", 20), _masks("a", 20)
    both = oracle.log_conditional(draw.features, draw.features, language, draw.lengths)
    first = oracle.log_conditional(draw.features, draw.features, language, draw.lengths, target=audio)
    second = oracle.log_conditional(draw.features, draw.features, language | audio, draw.lengths)
    np.testing.assert_allclose(both, first + second, rtol=1e-10)


def test_conditional_density_integrates_to_one() -> None:
    """Importance sampling over x from a wide normal: the average of p(x | available) / q(x) is 1."""
    oracle = Oracle(dims=(2, 2, 2), time=3, mean_length=3, seed=2)
    n, rng = 50_000, np.random.default_rng(0)
    one = oracle.draw(1, seed=0)
    features = [np.repeat(x, n, axis=0) for x in one.features]
    lengths = np.ones(n, int)  # one step, so that the integral has two dimensions
    proposal = multivariate_normal([0, 0], 4 * np.eye(2))
    x = proposal.rvs(n, random_state=rng)
    missing = [features[0], np.zeros((n, 3, 2)), features[2]]
    missing[1][:, 0] = x
    density = oracle.log_conditional(missing, features, _masks("lv", n), lengths)
    weights = np.exp(density - proposal.logpdf(x))
    assert abs(weights.mean() - 1) < 4 * weights.std() / n**0.5 < 0.05


@pytest.mark.parametrize("pattern", ["l", "av"])
@pytest.mark.parametrize("known", [False, True])
def test_samples_have_the_conditional_mean_and_covariance(
    small: Oracle, clips, pattern: str, known: bool
) -> None:
    n, mask = 10_000, np.array(pattern_mask(pattern))
    sentiment = clips.sentiment[:3] if known else None
    features, lengths = [x[:3] for x in clips.features], clips.lengths[:3]
    available = _masks(pattern, 3)
    samples = small.conditional_sample(features, available, lengths, n=n, seed=4, sentiment=sentiment)
    means = small.conditional_mean(features, available, lengths, sentiment=sentiment)
    for m in range(3):
        assert samples[m].shape == (n, 3, 7, small.dims[m]) and samples[m].dtype == np.float32
        if mask[m]:
            assert not samples[m].any()
            continue
        error = samples[m].std(0) / n**0.5
        assert (np.abs(samples[m].mean(0) - means[m]) <= 5 * error + 1e-6).all()
        assert not samples[m][:, np.arange(7) >= lengths[:, None]].any()
    for i in range(3):  # second moments of the latent samples, all missing modalities and steps together
        brute = BruteForce(small, clips, i)
        weights = brute.posterior(mask) if not known else np.eye(7)[sentiment[i] + 3]
        laws = [brute.condition(mask, ~mask, c) for c in range(7)]
        mean = sum(p * m for p, (m, _) in zip(weights, laws))
        covariance = sum(p * (s + np.outer(m - mean, m - mean)) for p, (m, s) in zip(weights, laws))
        latents = small.to_latent([x[:, i] for x in samples], np.full(n, lengths[i]))
        kept = [latents[m][:, : brute.length] for m in np.flatnonzero(~mask)]
        paths = np.concatenate(kept, axis=2).reshape(n, -1)
        assert np.abs(np.cov(paths.T) - covariance).max() < 0.08


def test_samples_average_to_minus_the_entropy_in_log_density() -> None:
    """Fresh samples are as likely as the truth on average; their squared error is twice the mean's."""
    oracle = Oracle()
    draw, available = oracle.draw(1500, seed=6), _masks("l", 1500)
    sample = [x[0] for x in oracle.conditional_sample(draw.features, available, draw.lengths, seed=7)]
    mean = oracle.conditional_mean(draw.features, available, draw.lengths)
    true = oracle.log_conditional(draw.features, draw.features, available, draw.lengths)
    drawn = oracle.log_conditional(sample, draw.features, available, draw.lengths)
    difference = true - drawn
    assert abs(difference.mean()) < 4 * difference.std() / 1500**0.5
    for m in (1, 2):
        ratio = ((sample[m] - draw.features[m]) ** 2).sum() / ((mean[m] - draw.features[m]) ** 2).sum()
        assert 1.95 < ratio < 2.05


def test_sampling_is_seeded_and_target_restricts_it(small: Oracle, clips) -> None:
    arguments = (clips.features, _masks("l", 6), clips.lengths)
    first, again = (small.conditional_sample(*arguments, n=2, seed=3) for _ in range(2))
    other = small.conditional_sample(*arguments, n=2, seed=4)
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])
    audio_only = small.conditional_sample(*arguments, n=2, seed=3, target=_masks("a", 6))
    assert audio_only[1].any() and not audio_only[2].any()


def test_mixed_patterns_in_one_batch_equal_one_at_a_time(small: Oracle, clips) -> None:
    available = np.array([pattern_mask(p) for p in ("l", "lav", "av", "a", "lv", "v")])
    arguments = (clips.features, available, clips.lengths)
    posterior = small.class_posterior(*arguments)
    mean, density = small.conditional_mean(*arguments), small.log_conditional(clips.features, *arguments)
    for i in range(6):
        alone = ([x[[i]] for x in clips.features], available[[i]], clips.lengths[[i]])
        np.testing.assert_allclose(posterior[[i]], small.class_posterior(*alone), atol=1e-12)
        np.testing.assert_allclose(density[[i]], small.log_conditional(alone[0], *alone), atol=1e-9)
        for x, y in zip(mean, small.conditional_mean(*alone)):
            np.testing.assert_allclose(x[[i]], y, atol=1e-6)
    assert density[1] == 0 and not any(x[1].any() for x in mean)  # nothing is missing there


@pytest.mark.parametrize("pattern", INCOMPLETE)
def test_nan_in_what_is_unavailable_or_padding_changes_no_bit(small: Oracle, clips, pattern: str) -> None:
    available, mask = _masks(pattern, 6), pattern_mask(pattern)
    padding = np.arange(7) >= clips.lengths[:, None]
    spoilt = [np.where(padding[..., None] | (not on), np.nan, x) for x, on in zip(clips.features, mask)]
    lengths = np.where(available, clips.lengths[:, None], -99)  # of a missing modality nothing is known
    clean, dirty = (clips.features, available, clips.lengths), (spoilt, available, lengths)
    np.testing.assert_array_equal(small.class_posterior(*clean), small.class_posterior(*dirty))
    for answer in (small.conditional_mean, small.conditional_sample):
        for x, y in zip(answer(*clean), answer(*dirty)):
            np.testing.assert_array_equal(x, y)
    truth = clips.features
    np.testing.assert_array_equal(small.log_conditional(truth, *clean), small.log_conditional(truth, *dirty))


def test_unusable_input_is_refused_in_one_sentence(small: Oracle, clips) -> None:
    features, lengths, masks = list(clips.features), clips.lengths, _masks("lv", 6)
    with pytest.raises(PatternError, match="no available modality"):
        small.class_posterior(features, np.zeros((6, 3), bool), lengths)
    with pytest.raises(PatternError, match="target"):
        small.conditional_mean(features, masks, lengths, target=masks)
    with pytest.raises(ShapeError, match="vision"):
        small.class_posterior([*features[:2], features[2][..., :3]], masks, lengths)
    with pytest.raises(ShapeError, match="available mask"):
        small.class_posterior(features, masks[0], lengths)
    with pytest.raises(ShapeError, match="lengths"):
        small.class_posterior(features, masks, lengths + 7)
    with pytest.raises(ShapeError, match="different lengths"):
        small.class_posterior(features, masks, np.c_[lengths, lengths, lengths - 1])
    with pytest.raises(ShapeError, match="class from -3 to 3"):
        small.conditional_mean(features, masks, lengths, sentiment=np.full(6, 4))
    with pytest.raises(ConfigError, match="at least 1 sample"):
        small.conditional_sample(features, masks, lengths, n=0)
    with pytest.raises(DataError, match="language"):
        small.class_posterior([np.full_like(features[0], np.nan), *features[1:]], masks, lengths)
