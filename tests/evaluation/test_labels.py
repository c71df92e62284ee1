from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.data.readers import read
from dicmor_lib.errors import ConfigError, DataError, PatternError
from dicmor_lib.evaluation.labels import Majority, RidgeLastStep, last_steps, majority_share
from dicmor_lib.evaluation.metrics import sentiment_metrics
from dicmor_lib.modalities import PATTERNS, pattern_mask

# SCIENCE.md, ridge on the last step of mosi_context_16.pkl, test split: Pearson r and Acc-2, two digits.
REFERENCE = {"l": (0.63, 0.78), "a": (0.19, 0.58), "v": (0.09, 0.54), "lav": (0.64, 0.79)}


def clips(n: int = 80, seed: int = 0):
    """Labels that are a linear function of the last valid steps, with noise."""
    rng = np.random.default_rng(seed)
    features = tuple(rng.normal(size=(n, 6, d)) for d in (4, 3, 2))
    lengths = rng.integers(1, 7, (n, 3))
    last = np.concatenate(last_steps(features, lengths), axis=1)
    labels = last @ np.linspace(-0.5, 0.6, 9) + 0.1 * rng.normal(size=n)
    return features, lengths, np.ones((n, 3), dtype=bool), labels


@pytest.mark.parametrize(
    ("labels", "constant"),
    [([-1, 2, 3], 2.0), ([0, 0, 0, 1, 2, -1], 1e-6), ([0, 0, 0, -1, -2], -1e-6), ([-3, -1, 0, 2], -0.5)],
)
def test_majority_is_the_median_with_the_sign_of_the_majority(labels, constant):
    fitted = Majority().fit(np.array(labels))
    assert fitted.predict(3).tolist() == [constant] * 3


def test_majority_reaches_the_share_of_the_larger_sign():
    labels = np.array([1.0, 2.0, 0.4, -1.0, 0.0])
    values = sentiment_metrics(Majority().fit(labels).predict(5), labels)
    assert values["acc2"] == pytest.approx(3 / 4) and np.isnan(values["pearson"])


def test_majority_share_is_the_best_constants_accuracy():
    labels = np.array([1.0, 2.0, 0.4, -1.0, 0.0])
    best = max(sentiment_metrics(np.full(5, c), labels)["acc2"] for c in (-1.0, 1.0))
    assert majority_share(labels) == pytest.approx(best)
    assert np.isnan(majority_share(np.zeros(3)))


def test_last_steps_are_the_last_valid_ones():
    x = np.arange(12.0).reshape(2, 3, 2)
    last = last_steps((x, x, x), np.array([[1, 3, 0], [2, 2, 3]]))
    assert last[0].tolist() == [[0, 1], [8, 9]]
    assert last[1].tolist() == [[4, 5], [8, 9]]
    assert last[2].tolist() == [[0, 0], [10, 11]]


def test_ridge_equals_scikit_learns():
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    features, lengths, observed, labels = clips()
    ours = RidgeLastStep(penalty=7.0).fit(features, lengths, observed, labels)
    last = last_steps(features, lengths)
    for pattern in PATTERNS:
        x = np.concatenate([last[m] for m in np.flatnonzero(pattern_mask(pattern))], axis=1)
        x = StandardScaler().fit_transform(x)
        theirs = np.clip(Ridge(alpha=7.0).fit(x, labels).predict(x), -3, 3)
        available = np.tile(pattern_mask(pattern), (len(labels), 1))
        np.testing.assert_allclose(ours.predict(features, lengths, available), theirs, rtol=1e-8)


def test_ridge_reads_only_what_is_available():
    features, lengths, observed, labels = clips()
    fitted = RidgeLastStep().fit(features, lengths, observed, labels)
    mixed = np.array([pattern_mask(PATTERNS[i % 7]) for i in range(len(labels))])
    poisoned = tuple(np.where(mixed[:, m, None, None], x, np.nan) for m, x in enumerate(features))
    prediction = fitted.predict(features, lengths, mixed)
    assert np.isfinite(prediction).all()
    assert np.array_equal(prediction, fitted.predict(poisoned, lengths, mixed))


def test_ridge_learns_from_samples_that_have_the_pattern_only():
    features, lengths, observed, labels = clips()
    observed[:30, 0] = False
    poisoned = (np.where(observed[:, 0, None, None], features[0], np.nan), *features[1:])
    available = np.tile([True, True, False], (len(labels), 1))
    one = RidgeLastStep().fit(features, lengths, observed, labels).predict(features, lengths, available)
    two = RidgeLastStep().fit(poisoned, lengths, observed, labels).predict(features, lengths, available)
    kept = [x[30:] for x in features]
    three = (
        RidgeLastStep()
        .fit(kept, lengths[30:], observed[30:], labels[30:])
        .predict(features, lengths, available)
    )
    assert np.array_equal(one, two)
    np.testing.assert_allclose(one, three)


def test_a_pattern_never_seen_in_training_is_predicted_by_the_mean_label():
    features, lengths, observed, labels = clips()
    observed[::2, 0], observed[1::2, 1] = False, False  # language and audio never together
    fitted = RidgeLastStep().fit(features, lengths, observed, labels)
    guess = fitted.predict(features, lengths, np.tile([True, True, False], (len(labels), 1)))
    np.testing.assert_allclose(guess, labels.mean())


def test_validation_chooses_among_penalties():
    train, valid = clips(40, seed=1), clips(200, seed=2)
    chosen = RidgeLastStep((0.01, 1e6)).fit(*train, validation=valid)
    sensible = RidgeLastStep(0.01).fit(*train)
    available = np.ones((200, 3), dtype=bool)
    expected = sensible.predict(valid[0], valid[1], available)
    np.testing.assert_allclose(chosen.predict(valid[0], valid[1], available), expected)


def test_predictions_stay_in_the_labels_range():
    features, lengths, observed, labels = clips()
    fitted = RidgeLastStep().fit(features, lengths, observed, labels)
    far = tuple(1000 * x for x in features)
    guess = fitted.predict(far, lengths, observed)
    assert guess.min() == -3 and guess.max() == 3


def test_bad_input_is_one_clear_sentence():
    features, lengths, observed, labels = clips()
    with pytest.raises(ConfigError, match="above 0"):
        RidgeLastStep(0.0)
    with pytest.raises(ConfigError, match="needs a validation split"):
        RidgeLastStep((1.0, 2.0)).fit(features, lengths, observed, labels)
    with pytest.raises(DataError, match="no training labels"):
        Majority().fit(np.array([]))
    with pytest.raises(PatternError, match="no available modality"):
        RidgeLastStep().fit(features, lengths, observed, labels).predict(features, lengths, ~observed)


def test_the_known_reference_on_mosi_context_16(shared_data):
    data = read(shared_data / "mosi_context_16.pkl")
    train, test, labels = data.train, data.test, data.test.labels
    fitted = RidgeLastStep().fit(train.features, train.lengths, train.observed, train.labels)
    for pattern, (r, acc2) in REFERENCE.items():
        guess = fitted.predict(test.features, test.lengths, np.tile(pattern_mask(pattern), (len(labels), 1)))
        values = sentiment_metrics(guess, labels)
        assert values["pearson"] == pytest.approx(r, abs=0.012), pattern
        assert values["acc2"] == pytest.approx(acc2, abs=0.006), pattern
    # SCIENCE's majority, .59, is the test split's own: most training labels are negative.
    assert majority_share(labels) == pytest.approx(0.59, abs=0.005)
    constant = Majority().fit(train.labels).predict(len(labels))
    assert sentiment_metrics(constant, labels)["acc2"] == pytest.approx(1 - majority_share(labels))
