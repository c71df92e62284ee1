from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.evaluation.metrics import METRICS, sentiment_class, sentiment_metrics, weighted_metrics


def test_a_case_computed_by_hand():
    label = np.array([-2.0, -1.0, 0.0, 1.0, 3.0])
    prediction = np.array([-1.0, 0.5, -0.2, 2.5, 4.0])
    values = sentiment_metrics(prediction, label)
    # Non-zero labels -2 -1 | 1 3, predicted - + | + +: 3 of 4 right.
    assert values["acc2"] == pytest.approx(3 / 4)
    # positive: TP 2, FP 1, FN 0 -> 4/5; negative: TP 1, FP 0, FN 1 -> 2/3; two samples each.
    assert values["f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    # Non-negative: truth - - + + +, predicted - + - + +: 3 of 5; F1 + 2/3 (weight 3), F1 - 1/2 (weight 2).
    assert values["acc2_nonneg"] == pytest.approx(3 / 5)
    assert values["f1_nonneg"] == pytest.approx((3 * 2 / 3 + 2 * 1 / 2) / 5)
    # Classes -2 -1 0 1 3 against -1 0 -0 2 (2.5 rounds to even) 3 (clipped).
    assert values["acc7"] == pytest.approx(2 / 5)
    assert values["mae"] == pytest.approx((1 + 1.5 + 0.2 + 1.5 + 1) / 5)
    assert tuple(values) == METRICS


@pytest.mark.parametrize("seed", range(5))
def test_random_inputs_agree_with_scikit_learn_and_scipy(seed):
    rng = np.random.default_rng(seed)
    label = rng.choice(np.arange(-3, 3.2, 0.2).round(1), 200).astype(np.float32)
    prediction = (label + rng.normal(0, 2, 200)).astype(np.float32)
    values = sentiment_metrics(prediction, label)
    signed = label != 0
    truth, guess = label[signed] > 0, prediction[signed] > 0
    assert values["acc2"] == pytest.approx(accuracy_score(truth, guess))
    assert values["f1"] == pytest.approx(f1_score(truth, guess, average="weighted"))
    assert values["mae"] == pytest.approx(mean_absolute_error(label, prediction), rel=1e-6)
    assert values["pearson"] == pytest.approx(pearsonr(prediction, label).statistic, rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_weights_equal_repeated_samples(seed):
    rng = np.random.default_rng(seed)
    label = rng.choice([-3.0, -1.5, -0.5, 0.0, 0.5, 2.5], 40)
    prediction = label + rng.normal(0, 1.5, 40)
    counts = rng.integers(0, 4, (6, 40))
    weighted = weighted_metrics(prediction, label, counts)
    for row, count in enumerate(counts):
        repeated = sentiment_metrics(np.repeat(prediction, count), np.repeat(label, count))
        for name in METRICS:
            assert weighted[name][row] == pytest.approx(repeated[name], abs=1e-12), name


def test_f1_of_a_predictor_that_never_says_negative():
    label = np.array([1.0, 2.0, 3.0, -1.0])
    values = sentiment_metrics(np.ones(4), label)
    # Positive: 3 TP, 1 FP -> 6/7 with weight 3/4; negative: F1 0 with weight 1/4.
    assert values["f1"] == pytest.approx(6 / 7 * 3 / 4)
    assert weighted_metrics(np.ones(4), label, np.ones((1, 4)))["f1"][0] == pytest.approx(6 / 7 * 3 / 4)


def test_constant_prediction_has_no_correlation_but_all_else():
    label = np.array([-1.0, 2.0, 3.0])
    for values in (
        sentiment_metrics(np.full(3, 0.7), label),
        weighted_metrics(np.full(3, 0.7), label, np.ones((2, 3))),
    ):
        assert np.isnan(values["pearson"]).all()
        assert all(np.isfinite(values[name]).all() for name in METRICS if name != "pearson")


def test_labels_that_are_all_zero_have_no_sign_to_get_right():
    values = sentiment_metrics(np.array([0.1, -0.1]), np.zeros(2))
    assert np.isnan(values["acc2"]) and np.isnan(values["f1"]) and values["acc2_nonneg"] == 0.5
    assert np.isnan(weighted_metrics(np.array([0.1, -0.1]), np.zeros(2), np.ones((1, 2)))["acc2"]).all()


def test_a_resample_of_one_repeated_sample_has_no_correlation():
    weights = np.array([[0.0, 5.0, 0.0], [1.0, 1.0, 1.0]])
    r = weighted_metrics(np.array([0.3, 0.1, 0.9]), np.array([1.0, 2.0, 3.0]), weights)["pearson"]
    assert np.isnan(r[0]) and np.isfinite(r[1])


def test_half_goes_to_the_even_class_and_the_ends_are_clipped():
    assert sentiment_class(np.array([-9.0, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 9.0])).tolist() == [
        -3,
        -2,
        -2,
        0,
        0,
        2,
        2,
        3,
    ]


@pytest.mark.parametrize(
    ("prediction", "label", "error", "words"),
    [
        ([1.0, 2.0], [1.0], ShapeError, r"\(2,\) and \(1,\)"),
        ([[1.0]], [[1.0]], ShapeError, "shape"),
        ([], [], DataError, "empty"),
        ([1.0, np.nan], [1.0, 2.0], DataError, "1 of 2 predictions are not finite, the first at index 1"),
        ([1.0, 2.0], [np.inf, 2.0], DataError, "labels are not finite"),
    ],
)
def test_bad_input_is_one_clear_sentence(prediction, label, error, words):
    with pytest.raises(error, match=words):
        sentiment_metrics(np.array(prediction), np.array(label))


def test_weights_must_fit():
    with pytest.raises(ShapeError, match=r"\(R, 2\)"):
        weighted_metrics(np.zeros(2), np.ones(2), np.ones((1, 3)))
    with pytest.raises(DataError, match="positive sum"):
        weighted_metrics(np.zeros(2), np.ones(2), np.zeros((1, 2)))
