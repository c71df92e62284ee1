"""Bayes-optimal predictions and recoveries: they order as information does, beyond simple methods."""

from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.data.oracle import Oracle
from dicmor_lib.data.oracle_labels import GRID, LABEL_GIVEN_CLASS, bayes_scores, predict_from_posterior
from dicmor_lib.modalities import PATTERNS, pattern_mask

N = 5000


TRAIN = 3500


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture(scope="module")
def draw(oracle: Oracle):
    return oracle.draw(N, seed=0)


@pytest.fixture(scope="module")
def posteriors(oracle: Oracle, draw) -> dict[str, np.ndarray]:
    masks = {pattern: np.tile(pattern_mask(pattern), (N, 1)) for pattern in PATTERNS}
    return {p: oracle.class_posterior(draw.features, mask, draw.lengths) for p, mask in masks.items()}


def test_bayes_accuracy_is_that_of_the_design(posteriors) -> None:
    accuracy = {pattern: bayes_scores(posterior).accuracy for pattern, posterior in posteriors.items()}
    design = {"l": 0.81, "a": 0.65, "v": 0.66, "la": 0.85, "lv": 0.845, "av": 0.69, "lav": 0.865}
    assert {p: abs(accuracy[p] - value) < 0.015 for p, value in design.items()} == dict.fromkeys(design, True)


def test_more_modalities_never_know_less(posteriors) -> None:
    scores = {pattern: bayes_scores(posterior) for pattern, posterior in posteriors.items()}
    for fewer in PATTERNS:
        for more in PATTERNS:
            if set(fewer) < set(more):
                low, high = scores[fewer], scores[more]
                assert high.accuracy - low.accuracy > -2 * (high.accuracy_error + low.accuracy_error)
                assert high.accuracy7 - low.accuracy7 > -2 * (high.accuracy7_error + low.accuracy7_error)
                assert high.mae - low.mae < 2 * (high.mae_error + low.mae_error)
                assert high.pearson > low.pearson - 2 * (high.pearson_error + low.pearson_error)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_promised_scores_are_the_scores_reached_on_labels(draw, posteriors, pattern: str) -> None:
    best, promised = predict_from_posterior(posteriors[pattern]), bayes_scores(posteriors[pattern])
    y = draw.labels.astype(float)
    hits = (best.sign == np.sign(y))[y != 0]
    assert abs(hits.mean() - promised.accuracy) < 4 * hits.std() / len(hits) ** 0.5
    hits7 = best.sentiment == draw.sentiment
    assert abs(hits7.mean() - promised.accuracy7) < 4 * hits7.std() / N**0.5
    misses = np.abs(best.median - y)
    assert abs(misses.mean() - promised.mae) < 4 * misses.std() / N**0.5
    assert abs(np.corrcoef(best.mean, y)[0, 1] - promised.pearson) < 4 * (1 - promised.pearson**2) / N**0.5


def test_posteriors_are_calibrated(draw, posteriors) -> None:
    for posterior in posteriors.values():
        for c in range(7):
            predicted, real = posterior[:, c], draw.sentiment == c - 3
            for low, high in ((0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1.01)):
                rows = (predicted >= low) & (predicted < high)
                if rows.sum() > 100:
                    error = np.sqrt((predicted[rows] * (1 - predicted[rows])).mean() / rows.sum())
                    assert abs(real[rows].mean() - predicted[rows].mean()) < 4.5 * error


def test_the_median_minimises_the_absolute_error_exactly() -> None:
    posterior = np.random.default_rng(0).dirichlet(np.full(7, 0.5), size=300)
    law = posterior @ LABEL_GIVEN_CLASS
    expected_error = law @ np.abs(GRID[:, None] - GRID)  # (300, 31): of predicting each value of the grid
    chosen = np.searchsorted(GRID, predict_from_posterior(posterior).median)
    np.testing.assert_allclose(expected_error[np.arange(300), chosen], expected_error.min(1), atol=1e-12)


def test_bayes_accuracy_has_an_honest_error_and_a_seed(oracle: Oracle) -> None:
    accuracy, error = oracle.bayes_accuracy("av", n=1000, seed=3)
    assert oracle.bayes_accuracy("av", n=1000, seed=3) == (accuracy, error)
    draws = [oracle.bayes_accuracy("av", n=200, seed=s) for s in range(25)]
    spread = np.std([a for a, _ in draws], ddof=1)
    assert 0.6 < spread / np.mean([e for _, e in draws]) < 1.6


def test_without_separation_the_posterior_is_the_prior() -> None:
    oracle = Oracle(separation=0.0)
    scores = oracle.bayes_scores("lav", n=50)
    majority = oracle.bayes_accuracy("v", n=50)[0]
    assert scores.accuracy == pytest.approx(majority) and scores.pearson < 1e-6
    assert scores.accuracy == pytest.approx((0.5 + 0.12 * 0.37) / (1 - 0.12 * 0.26))  # always say positive


def _steps(draw, m: int, rows: slice) -> np.ndarray:
    valid = np.arange(50) < draw.lengths[rows, None]
    return draw.features[m][rows][valid].astype(float)


@pytest.mark.parametrize("pattern", ["l", "a", "av"])
def test_ridge_and_mean_lose_to_the_conditional_mean(oracle: Oracle, draw, pattern: str) -> None:
    train, test = slice(0, TRAIN), slice(TRAIN, N)
    available = np.array(pattern_mask(pattern))
    best = oracle.conditional_mean(
        [x[test] for x in draw.features], np.tile(available, (N - TRAIN, 1)), draw.lengths[test]
    )
    inputs = [np.hstack([_steps(draw, m, rows) for m in np.flatnonzero(available)]) for rows in (train, test)]
    inputs = [np.c_[x, np.ones(len(x))] for x in inputs]
    valid = np.arange(50) < draw.lengths[test, None]
    for m in np.flatnonzero(~available):
        target, truth = _steps(draw, m, train), _steps(draw, m, test)
        gram = inputs[0].T @ inputs[0] + np.eye(inputs[0].shape[1])
        ridge = inputs[1] @ np.linalg.solve(gram, inputs[0].T @ target)
        mean_error = ((truth - target.mean(0)) ** 2).mean()
        ridge_error, best_error = ((truth - ridge) ** 2).mean(), ((truth - best[m][valid]) ** 2).mean()
        assert ridge_error < 0.85 * mean_error  # a linear map recovers something
        assert best_error < 0.95 * ridge_error  # and leaves something to a non-linear one


def test_without_warps_and_classes_ridge_is_optimal() -> None:
    oracle = Oracle(nonlinearity=0.0, separation=0.0)
    draw = oracle.draw(2000, seed=1)
    best = oracle.conditional_mean(draw.features, np.tile(pattern_mask("lv"), (2000, 1)), draw.lengths)[1]
    x, rows = np.hstack([_steps(draw, 0, slice(None)), _steps(draw, 2, slice(None))]), slice(None)
    y = _steps(draw, 1, rows)
    linear = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    assert np.abs(linear - best[np.arange(50) < draw.lengths[:, None]]).max() < 0.15
