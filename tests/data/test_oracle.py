"""The oracle as a data set: it looks like CMU-MOSI, is reproducible, and says it is synthetic."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dicmor_lib.data.oracle import Oracle
from dicmor_lib.data.oracle_labels import CLASS_SHARES
from dicmor_lib.errors import ConfigError, ShapeError


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture(scope="module")
def data(oracle: Oracle):
    return oracle.dataset(seed=0)


def test_it_looks_like_mosi(data) -> None:
    assert [len(split) for split in data.splits.values()] == [1284, 229, 686]
    assert data.feature_dims == (8, 6, 6)
    for split in data.splits.values():
        assert [x.shape[1] for x in split.features] == [50] * 3
        assert all(x.dtype == np.float32 for x in split.features) and split.labels.dtype == np.float32
        assert split.lengths.dtype == np.int64 and split.observed.all()
        assert (split.lengths == split.lengths[:, :1]).all()
        assert split.lengths.min() >= 3 and split.lengths.max() <= 50
        assert len(set(split.ids)) == len(split)
    assert 11 < data.train.lengths.mean() < 13
    assert data.train.lengths.max() > 30


def test_features_are_of_about_unit_scale_and_zero_outside_the_length(data) -> None:
    valid = np.arange(50) < data.train.lengths[:, :1]
    for x in data.train.features:
        assert not x[~valid].any()
        assert (x[valid] != 0).all()
        assert 0.5 < x[valid].std(0).min() and x[valid].std(0).max() < 2
        assert np.abs(x[valid].mean(0)).max() < 1.5


@pytest.fixture(scope="module")
def draw(oracle: Oracle):
    return oracle.draw(6000, seed=1)


def test_labels_follow_the_stated_law(draw) -> None:
    y = draw.labels
    assert y.min() == -3 and y.max() == 3
    np.testing.assert_array_equal(np.round(y), draw.sentiment)
    np.testing.assert_allclose(y * 5, np.round(y * 5), atol=1e-5)  # on the grid of 0.2
    shares = np.array([(draw.sentiment == c).mean() for c in range(-3, 4)])
    assert np.abs(shares - CLASS_SHARES).max() < 4 * (0.25 / 6000) ** 0.5
    assert 0.02 < (y == 0).mean() < 0.05
    assert (y > 0).mean() > (y < 0).mean()


def test_the_label_inside_a_class_says_nothing_about_the_features(draw) -> None:
    offset = draw.labels - draw.sentiment
    inside = np.abs(draw.sentiment) < 3  # at the ends the offset's law is another
    first = np.concatenate([x[inside, 0] for x in draw.features], axis=1)
    correlations = np.corrcoef(np.c_[offset[inside], first].T)[0, 1:]
    assert np.abs(correlations).max() < 4.5 / inside.sum() ** 0.5


def test_latents_have_the_stated_moments(oracle: Oracle) -> None:
    draw, law = oracle.draw(10_000, seed=3), oracle.law
    long = (draw.lengths >= 4) & (draw.sentiment == 1)
    paths = np.concatenate(draw.latents, axis=2)[long, :4]  # (n, 4, D)
    noise = paths - law.course[:4, None] * law.means[4]
    error = 1 / len(noise) ** 0.5
    assert np.abs(noise.mean(0)).max() < 4.5 * error
    for lag in range(4):
        covariance = noise[:, 0].T @ noise[:, lag] / len(noise)
        assert np.abs(covariance - oracle.correlation**lag * law.covariance).max() < 7 * error


def test_maps_lead_there_and_back(oracle: Oracle) -> None:
    draw = oracle.draw(50, seed=4)
    back = oracle.to_latent(draw.features, draw.lengths)
    for w, expected in zip(back, draw.latents):
        np.testing.assert_allclose(w, expected, atol=2e-5)  # features are float32
    for x, expected in zip(oracle.to_features(back, draw.lengths), draw.features):
        np.testing.assert_allclose(x, expected, atol=1e-6)


def test_same_seed_same_bytes_other_seed_other_data(oracle: Oracle, data) -> None:
    again, other = Oracle().dataset(seed=0), oracle.dataset(seed=1)
    for name, split in data.splits.items():
        for x, same, different in zip(
            split.features, again.splits[name].features, other.splits[name].features
        ):
            assert x.tobytes() == same.tobytes()
            assert x.tobytes() != different.tobytes()
        assert split.labels.tobytes() == again.splits[name].labels.tobytes()
    assert data.sha256 == again.sha256 != other.sha256
    assert not np.array_equal(data.train.labels[:229], data.valid.labels)


def test_the_law_depends_on_its_own_seed_only(oracle: Oracle) -> None:
    other = Oracle(seed=1)
    assert not np.allclose(oracle.law.warps[0].rotate_in, other.law.warps[0].rotate_in)
    np.testing.assert_array_equal(oracle.law.covariance, other.law.covariance)
    assert oracle.dataset(sizes=(4, 2, 2)).sha256 != other.dataset(sizes=(4, 2, 2)).sha256


def test_a_split_depends_on_its_own_size_only(oracle: Oracle) -> None:
    small, large = oracle.dataset(sizes=(10, 5, 7)), oracle.dataset(sizes=(30, 5, 7))
    np.testing.assert_array_equal(small.test.features[1], large.test.features[1])
    assert small.sha256 != large.sha256


def test_it_says_that_it_is_synthetic(data) -> None:
    assert data.synthetic and "synthetic" in data.source
    assert re.fullmatch(r"[0-9a-f]{64}", data.sha256)


def test_unobserved_modalities_do_not_exist_in_train_only(oracle: Oracle) -> None:
    data = oracle.dataset(sizes=(90, 20, 20), unobserved_share=1 / 3)
    missing = ~data.train.observed
    assert missing.sum(0).tolist() == [10, 10, 10] and missing.sum(1).max() == 1
    for m, x in enumerate(data.train.features):
        assert not x[missing[:, m]].any()
        assert not data.train.lengths[missing[:, m], m].any()
    assert data.valid.observed.all() and data.test.observed.all()
    assert data.sha256 != oracle.dataset(sizes=(90, 20, 20)).sha256
    np.testing.assert_array_equal(data.train.labels, oracle.dataset(sizes=(90, 20, 20)).train.labels)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"dims": (8, 6)}, "dims"),
        ({"dims": (8, 1, 6)}, "dims"),
        ({"sizes": (10, -1, 3)}, "sizes"),
        ({"time": 2}, "time"),
        ({"time": 8}, "mean_length"),
        ({"correlation": 1.0}, "correlation"),
        ({"shared": -0.1}, "shared"),
        ({"nonlinearity": 2}, "nonlinearity"),
        ({"separation": -1}, "separation"),
        ({"seed": -1}, "seed"),
    ],
)
def test_impossible_settings_are_refused_in_one_sentence(changes: dict, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        Oracle(**changes)


def test_impossible_data_sets_are_refused(oracle: Oracle) -> None:
    with pytest.raises(ConfigError, match="unobserved_share"):
        oracle.dataset(unobserved_share=1.5)
    with pytest.raises(ConfigError, match="seed"):
        oracle.dataset(seed=-3)
    with pytest.raises(ConfigError, match="sizes"):
        oracle.dataset(sizes=(5, 5))


def test_maps_refuse_another_shape(oracle: Oracle) -> None:
    with pytest.raises(ShapeError, match="audio"):
        oracle.to_latent([np.zeros((2, 5, 8)), np.zeros((2, 5, 7)), np.zeros((2, 5, 6))], np.array([5, 5]))
