from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.errors import ConfigError, DataError, PatternError, ShapeError
from dicmor_lib.evaluation.autoencoder import AutoEncoder
from dicmor_lib.evaluation.baselines import MeanFill, ZeroFill
from dicmor_lib.evaluation.frame import effective_lengths, valid_steps
from dicmor_lib.evaluation.gaussian import GaussianConditional
from dicmor_lib.evaluation.neighbours import NearestNeighbours
from dicmor_lib.evaluation.ridge import RidgeImpute, ridge_gcv
from dicmor_lib.modalities import PATTERNS, pattern_mask

N, T, D = 60, 7, 4


def short_autoencoder() -> AutoEncoder:
    return AutoEncoder(width=8, epochs=2)


IMPUTERS = [ZeroFill, MeanFill, GaussianConditional, RidgeImpute, NearestNeighbours, short_autoencoder]


def linear_clips(seed: int, noise: float = 0.0, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """Audio and vision are fixed affine functions of language; a clip's sequences are equally long."""
    law, rng = np.random.default_rng(99), np.random.default_rng(seed)
    maps, shifts = law.normal(size=(3, D, D)), law.normal(size=(3, D))
    maps[0], shifts[0] = np.eye(D), 0.0
    language = rng.normal(size=(n, T, D))
    shallow = np.stack([language @ maps[m] + shifts[m] for m in range(3)])
    shallow += noise * rng.normal(size=shallow.shape)
    lengths = np.repeat(rng.integers(2, T + 1, n)[:, None], 3, axis=1)
    shallow *= valid_steps(lengths, T).transpose(1, 0, 2)[..., None]
    return shallow.astype(np.float32), lengths


def everything(n: int = N) -> np.ndarray:
    return np.ones((n, 3), dtype=bool)


def mask(pattern: str, n: int = N) -> np.ndarray:
    return np.tile(pattern_mask(pattern), (n, 1))


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("imputer", IMPUTERS)
def test_what_is_unavailable_is_never_read(imputer, pattern):
    shallow, lengths = linear_clips(0, noise=0.3)
    fitted = imputer().fit(shallow, lengths, everything())
    poisoned = np.where(mask(pattern).T[:, :, None, None], shallow, np.nan)
    filled = fitted.fill(shallow, lengths, mask(pattern))
    assert np.array_equal(fitted.fill(poisoned, lengths, mask(pattern)), filled)
    assert np.isfinite(filled).all()
    for m, available in enumerate(pattern_mask(pattern)):
        if available:
            assert np.array_equal(filled[m], shallow[m])


@pytest.mark.parametrize("imputer", IMPUTERS)
def test_what_is_not_observed_in_training_is_never_read(imputer):
    shallow, lengths = linear_clips(0, noise=0.3)
    observed = everything()
    observed[::3, 0] = False
    blank, poisoned = shallow.copy(), shallow.copy()
    blank[0, ::3], poisoned[0, ::3] = 0.0, np.nan
    one = imputer().fit(blank, lengths, observed).fill(shallow, lengths, mask("av"))
    two = imputer().fit(poisoned, lengths, observed).fill(shallow, lengths, mask("av"))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("imputer", IMPUTERS)
def test_patterns_mixed_in_one_batch_give_what_each_gives_alone(imputer):
    shallow, lengths = linear_clips(1, noise=0.3)
    fitted = imputer().fit(shallow, lengths, everything())
    mixed = np.array([pattern_mask(PATTERNS[i % 7]) for i in range(N)])
    together = fitted.fill(shallow, lengths, mixed)
    for i in range(0, N, 9):
        alone = fitted.fill(shallow[:, i : i + 1], lengths[i : i + 1], mixed[i : i + 1])
        np.testing.assert_allclose(together[:, i : i + 1], alone, atol=1e-5)


def test_zero_and_mean_fill_are_what_they_say():
    shallow, lengths = linear_clips(2)
    valid = valid_steps(lengths[:, 0], T)
    mean = shallow[1][valid].mean(axis=0)
    zero = ZeroFill().fit(shallow, lengths, everything()).fill(shallow, lengths, mask("l"))
    filled = MeanFill().fit(shallow, lengths, everything()).fill(shallow, lengths, mask("l"))
    assert not zero[1:].any()
    np.testing.assert_allclose(filled[1][valid], np.broadcast_to(mean, (valid.sum(), D)), rtol=1e-5)
    assert not filled[1][~valid].any()


@pytest.mark.parametrize("pattern", [p for p in PATTERNS if p != "lav"])
def test_ridge_recovers_a_linear_relation(pattern):
    shallow, lengths = linear_clips(3)
    unseen, unseen_lengths = linear_clips(4)
    fitted = RidgeImpute().fit(shallow, lengths, everything())
    filled = fitted.fill(unseen, unseen_lengths, mask(pattern))
    np.testing.assert_allclose(filled, unseen, atol=2e-3)
    assert min(fitted.chosen.values()) == RidgeImpute().penalties[0]  # without noise the least penalty wins


def test_ridge_penalises_when_there_is_nothing_to_learn():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 20)), rng.normal(size=(60, 3))
    weight, intercept, alpha = ridge_gcv(x, y)
    assert alpha >= 100 and np.abs(weight).max() < 0.15
    np.testing.assert_allclose(intercept, y.mean(axis=0) - x.mean(axis=0) @ weight)


def test_gcv_agrees_with_scikit_learn():
    from sklearn.linear_model import Ridge, RidgeCV

    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 8))
    y = x @ rng.normal(size=(8, 1)) + 3 * rng.normal(size=(50, 1))
    penalties = (0.1, 1.0, 10.0, 100.0)
    weight, intercept, alpha = ridge_gcv(x, y, penalties)
    theirs = Ridge(alpha=alpha).fit(x, y[:, 0])
    np.testing.assert_allclose(weight[:, 0], theirs.coef_, rtol=1e-8)
    np.testing.assert_allclose(intercept[0], theirs.intercept_, rtol=1e-8)
    assert alpha == RidgeCV(penalties).fit(x, y[:, 0]).alpha_


def test_one_neighbour_of_a_training_clip_is_itself():
    shallow, lengths = linear_clips(5, noise=1.0)
    fitted = NearestNeighbours(k=1).fit(shallow, lengths, everything())
    np.testing.assert_allclose(fitted.fill(shallow, lengths, mask("la")), shallow, atol=1e-6)


def test_neighbours_average_the_k_nearest_training_steps():
    # One channel, one step: language 0 1 2 3 10, audio = 10 * language. Given 1.1 the 2 nearest are 1 and 2.
    language = np.array([0.0, 1.0, 2.0, 3.0, 10.0])
    shallow = np.stack([language, 10 * language, language])[:, :, None, None]
    lengths, query = np.ones((5, 3), int), np.full((3, 1, 1, 1), 1.1)
    fitted = NearestNeighbours(k=2).fit(shallow, lengths, everything(5))
    assert fitted.fill(query, np.ones((1, 3), int), mask("l", 1))[1].item() == pytest.approx(15.0)


def test_neighbours_search_no_more_steps_than_allowed():
    shallow, lengths = linear_clips(6, noise=1.0)
    few = NearestNeighbours(k=2, most_steps=20, seed=3)
    first = few.fit(shallow, lengths, everything()).fill(shallow, lengths, mask("v"))
    assert all(len(candidates) == 20 for _, candidates in few._references.values())
    again = NearestNeighbours(k=2, most_steps=20, seed=3).fit(shallow, lengths, everything())
    assert np.array_equal(first, again.fill(shallow, lengths, mask("v")))


def test_a_missing_modality_is_as_long_as_its_longest_source():
    lengths = np.array([[3, 5, 7], [6, 2, 1]])
    available = np.array([[True, True, False], [False, True, True]])
    assert effective_lengths(lengths, available).tolist() == [[3, 5, 5], [2, 2, 1]]


def test_where_one_source_has_ended_it_counts_as_its_mean():
    shallow, lengths = linear_clips(7, noise=0.1)
    lengths = np.full_like(lengths, T)
    shallow = np.where(shallow == 0, 0.3, shallow)
    fitted = RidgeImpute().fit(shallow, lengths, everything())
    short = lengths.copy()
    short[:, 0] = 2  # language ends at step 2, audio goes on
    filled = fitted.fill(shallow, short, mask("la"))
    mean_language = shallow.copy()
    mean_language[0, :, 2:] = fitted.frame.mean[0]
    np.testing.assert_allclose(filled[2], fitted.fill(mean_language, lengths, mask("la"))[2], atol=1e-5)


@pytest.mark.parametrize("imputer", [RidgeImpute, NearestNeighbours, GaussianConditional, short_autoencoder])
def test_sources_never_seen_with_the_target_fall_back_to_the_mean(imputer):
    shallow, lengths = linear_clips(8)
    observed = everything()
    observed[:30, 0], observed[30:, 1] = False, False  # language and audio never together
    fitted = imputer().fit(shallow, lengths, observed)
    mean = MeanFill().fit(shallow, lengths, observed)
    np.testing.assert_allclose(
        fitted.fill(shallow, lengths, mask("l"))[1], mean.fill(shallow, lengths, mask("l"))[1], rtol=1e-6
    )


def test_bad_input_is_one_clear_sentence():
    shallow, lengths = linear_clips(9)
    fitted = MeanFill().fit(shallow, lengths, everything())
    nothing = everything()
    nothing[4] = False
    with pytest.raises(PatternError, match="sample 4 has no available modality"):
        fitted.fill(shallow, lengths, nothing)
    with pytest.raises(ShapeError, match="4 channels"):
        fitted.fill(shallow[..., :2], lengths, everything())
    with pytest.raises(ShapeError, match=r"\(3, N, T, d\)"):
        MeanFill().fit(shallow[0], lengths, everything())
    with pytest.raises(ShapeError, match="longer than the 3 steps"):
        MeanFill().fit(shallow[:, :, :3], np.full((N, 3), 7), everything())
    with pytest.raises(DataError, match="audio is observed in no training sample"):
        MeanFill().fit(shallow, lengths, mask("lv"))
    with pytest.raises(ConfigError, match="k must be at least 1"):
        NearestNeighbours(k=0)
