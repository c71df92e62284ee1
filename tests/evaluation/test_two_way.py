"""Two-way intervals: right on simulated clips and seeds, and paired."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from dicmor_lib.errors import ShapeError
from dicmor_lib.evaluation.clips import jackknife_mmd
from dicmor_lib.evaluation.metrics import METRICS, moment_frame, sample_terms, sentiment_metrics
from dicmor_lib.evaluation.two_sample import median_bandwidth, two_sample
from dicmor_lib.evaluation.two_way import Spread, TwoWay, mixture


def simulate(rng, seeds, clips, of_clip, of_seed, noise):
    """Differences around 0: value(s, i) = clip_i + seed_s + noise, (seeds, clips)."""
    shared = of_clip * rng.normal(size=clips) + of_seed * rng.normal(size=(seeds, 1))
    return shared + noise * rng.normal(size=(seeds, clips))


@pytest.mark.parametrize(
    ("of_clip", "of_seed", "noise", "least"),
    [(1.0, 0.0, 0.5, 0.90), (1.0, 0.1, 0.5, 0.88), (0.3, 0.3, 0.3, 0.80)],
)
def test_intervals_cover_the_truth_about_as_often_as_they_say(of_clip, of_seed, noise, least):
    """Whether clips or seeds vary more; with five seeds alone a percentile interval cannot reach 95 %."""
    rng, repeats, hits = np.random.default_rng(0), 300, 0
    for repeat in range(repeats):
        values = simulate(rng, 5, 60, of_clip, of_seed, noise)
        estimate = TwoWay.draw(60, 5, 200, repeat).mean(values).estimate()
        hits += estimate.low <= 0 <= estimate.high
    assert least <= hits / repeats <= 0.995


def test_forgetting_the_seeds_would_cover_far_too_little():
    """What the second way is for: with seeds that vary, resampling clips alone is wrong."""
    rng, hits = np.random.default_rng(0), 0
    for repeat in range(200):
        values = simulate(rng, 5, 60, 0.3, 0.3, 0.3).mean(axis=0, keepdims=True)  # as if it were one seed
        estimate = TwoWay.draw(60, 1, 200, repeat).mean(values).estimate()
        hits += estimate.low <= 0 <= estimate.high
    assert hits / 200 < 0.6


def test_the_spread_is_that_of_theory():
    """var = var(clips) / n + var(seeds) / S for additive effects, with the sample's own variances."""
    rng = np.random.default_rng(1)
    values = simulate(rng, 4, 100, 1.0, 0.5, 0.0)
    spread = TwoWay.draw(100, 4, 4000, 0).mean(values)
    clips, seeds = values.mean(axis=0), values.mean(axis=1)
    expected = clips.var() / 100 + seeds.var(ddof=1) / 4
    assert spread.value == pytest.approx(values.mean())
    assert spread.resampled.var() == pytest.approx(expected, rel=0.1)


def test_methods_share_their_resamples_so_that_what_hits_both_cancels():
    rng = np.random.default_rng(2)
    common = simulate(rng, 3, 50, 1.0, 1.0, 1.0)
    draw = TwoWay.draw(50, 3, 300, 0)
    difference = draw.mean(common + 0.1) - draw.mean(common)
    assert difference.estimate().low == pytest.approx(0.1) == difference.estimate().high
    assert difference.p_value() < 0.01
    assert draw.mean(common).estimate().high - draw.mean(common).estimate().low > 0.3


def test_metrics_are_means_over_seeds_of_the_metric_and_not_of_pooled_predictions():
    rng = np.random.default_rng(3)
    label = rng.uniform(-3, 3, 80).round(1)
    guesses = label + rng.normal(0, 1, (3, 80)) + np.array([[0.0], [1.0], [2.0]])
    draw = TwoWay.draw(80, 3, 100, 0)
    sums = [draw.weights @ sample_terms(g, label, moment_frame(g, label)) for g in guesses]
    found = draw.metrics(sums)
    for name in METRICS:
        expected = np.mean([sentiment_metrics(g, label)[name] for g in guesses])
        assert found[name].value == pytest.approx(expected)
        assert found[name].resampled.std() > 0
    # seeds are drawn too: a metric that differs between seeds spreads more than one that does not
    alone = TwoWay(draw.clips, np.ones_like(draw.seeds)).metrics(sums)
    assert found["mae"].resampled.std() > 1.5 * alone["mae"].resampled.std()


def test_clips_without_a_value_are_left_out_for_all_seeds():
    values = np.arange(12.0).reshape(2, 6)
    values[1, 3] = np.nan
    spread = TwoWay.draw(6, 2, 50, 0).mean(values)
    assert spread.value == pytest.approx(np.delete(values, 3, axis=1).mean())
    with pytest.raises(ShapeError, match=r"shape \(2, 6\)"):
        TwoWay.draw(6, 2, 50, 0).mean(values.T)


def test_mixtures_leave_out_what_has_no_weight():
    nothing = Spread(float("nan"), np.full(3, np.nan))
    one, two = Spread(1.0, np.ones(3)), Spread(2.0, np.full(3, 2.0))
    assert mixture([one, two]).value == 1.5
    mixed = mixture([one, nothing, two], [0.25, 0.0, 0.75])
    assert mixed.value == 1.75 and np.array_equal(mixed.resampled, np.full(3, 1.75))
    assert np.isnan(nothing.p_value()) and np.isnan(nothing.estimate().low)


def contributions(x, y):
    scale = -1 / (2 * median_bandwidth(y) ** 2)
    return jackknife_mmd(x, y, np.exp(scale * cdist(y, y, "sqeuclidean")), scale), scale


def test_contributions_to_mmd_average_to_its_unbiased_estimate():
    rng = np.random.default_rng(4)
    y = rng.normal(size=(30, 3))
    x = y + 0.5 * rng.normal(size=(30, 3)) + 0.7
    found, scale = contributions(x, y)

    def k(a, b):
        return np.exp(scale * ((a - b) ** 2).sum())

    n, total = len(x), 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                total += k(x[i], x[j]) + k(y[i], y[j]) - k(x[i], y[j]) - k(x[j], y[i])
    assert found.mean() == pytest.approx(total / (n * (n - 1)))
    assert contributions(y, y)[0] == pytest.approx(np.zeros(n), abs=1e-12)
    halves = two_sample(
        x[:15], y[15:], "mmd", permutations=0
    ).value  # the two-sample statistic, independent halves
    assert found.mean() == pytest.approx(halves, abs=0.1) and found.mean() > 0.1


def test_contributions_have_the_spread_of_the_estimate():
    """The standard deviation that one sample's contributions promise is that over many samples."""
    rng = np.random.default_rng(5)
    values, promised = [], []
    for _ in range(150):
        y = rng.normal(size=(60, 2))
        found, _ = contributions(0.6 * y + 0.4 + 0.3 * rng.normal(size=(60, 2)), y)
        values.append(found.mean())
        promised.append(found.std(ddof=1) / np.sqrt(60))
    assert np.median(promised) == pytest.approx(np.std(values), rel=0.25)
