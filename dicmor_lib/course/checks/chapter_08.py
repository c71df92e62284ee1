"""Checks of chapter 8, evaluating with missing modalities."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from dicmor_lib.course.checks.asking import Answer, close, expect_close, expect_no_mistake, expect_number
from dicmor_lib.course.exercises import exercise
from dicmor_lib.modalities import PATTERNS, pattern_mask

AVAILABLE = np.array([pattern_mask(pattern) for pattern in PATTERNS])  # (7, 3)


@exercise("8.1", "The lazy model", level="warm-up", minutes=8)
def the_lazy_model(lazy_scores: Answer) -> str:
    for p in (0.55, 0.3, 0.8, 0.92, 1.0):
        accuracy, f1 = _numbers(lazy_scores(p), ("Acc-2", "weighted F1"), f"lazy_scores({p})")
        positive = 2 * p / (1 + p)
        assert not (p < 1 and close([accuracy, f1], [p * positive, p])), (
            "the two numbers are the wrong way round: first Acc-2, then F1"
        )
        assert not (p != 0.5 and p < 1 and close(accuracy, 1 - p)), (
            "your accuracy is the share of negatives; the model says 'positive' and is right on the positives"
        )
        expect_close(accuracy, p, "the accuracy of always saying 'positive' is the share of positives")
        if p < 1:
            mistakes = (
                (
                    positive,
                    "that is the F1 of the positive class alone; it has weight p, the rest of the weight has F1 0",
                ),
                (
                    positive / 2,
                    "that is the macro F1: both classes weigh one half; weighted F1 weighs them by true size",
                ),
                (p, "you return the accuracy twice; weighted F1 punishes the class that is never named"),
                (
                    (1 - p) * positive,
                    "the positive class is weighted with 1 - p, the size of the other class",
                ),
            )
            expect_no_mistake(f1, mistakes)
        expect_close(f1, p * positive, "weighted F1 is p times the F1 of the positive class, 2p / (1 + p)")
    return "2p^2 / (1 + p) is the smallest weighted F1 that any model can have at the accuracy p."


@exercise("8.2", "Sensors that fail unequally", level="core", minutes=12)
def sensors_that_fail_unequally(sensor_law: Answer) -> str:
    rng = np.random.default_rng(82)
    cases = [
        *rng.uniform(0.05, 0.95, (4, 3)),
        np.array([0.2, 0.5, 0.7]),
        np.zeros(3),
        np.array([1.0, 0.5, 0.0]),
    ]
    for r in cases:
        with _left_alone(r):
            law = _array(sensor_law(r), (7,), "sensor_law(r)")
        true = _sensors(r)
        if np.unique(r).size == 3 and 0 < r.min() and r.max() < 1:
            raw = _products(r)
            everything = raw + (AVAILABLE.all(axis=1) * r.prod())
            mistakes = (
                (
                    raw,
                    "the shares do not sum to 1: the empty pattern was discarded, so divide by the sum of the seven",
                ),
                (
                    _sensors(1 - r),
                    "available and missing are swapped: 'l' means that only language is there, so it is audio and vision that failed",
                ),
                (
                    _products(1 - r),
                    "available and missing are swapped: 'l' means that only language is there, so it is audio and vision that failed",
                ),
                (
                    everything,
                    "you give the discarded clips to 'lav'; discarding means that all seven shares grow by one factor",
                ),
                (
                    _sensors(r[::-1]),
                    "the modalities are in the wrong order; r is language, audio, vision, as are the letters of the patterns",
                ),
                (
                    _sensors(np.full(3, r.mean())),
                    "you use one rate for all three; each modality has its own r[m]",
                ),
            )
            expect_no_mistake(law, mistakes)
        expect_close(
            law,
            true,
            "each share is the product of 1 - r over what is there and r over what is not, normalised",
        )
    return "Any law over the seven patterns goes into Eq. (24); this one needs no equal sensors."


@exercise("8.3", "Mixed F1", level="core", minutes=12)
def mixed_f1_score(mixed_f1: Answer) -> str:
    rng = np.random.default_rng(83)
    for patterns in (7, 7, 3):
        shares, counts = rng.dirichlet(np.ones(patterns)), _counts(rng, patterns)
        with _left_alone(shares, counts):
            f1 = expect_number(mixed_f1(shares, counts), "mixed_f1(shares, counts)")
        tp, tn, fp, fn = shares @ counts
        of_two = np.array([2 * tp / (2 * tp + fp + fn), 2 * tn / (2 * tn + fp + fn)])
        mistakes = (
            (
                shares @ [_f1(c) for c in counts],
                "that is the mean of the F1s of the patterns; mix the counts first, then take one F1",
            ),
            (
                _f1(counts.sum(axis=0)),
                "your counts are added up without the shares; a rare pattern must count little",
            ),
            (
                of_two.mean(),
                "that is the macro F1: weigh each class with how many clips are truly of it",
            ),
            (of_two[0], "that is the F1 of the positive class alone; the negative class belongs to it"),
            ((tp + tn) / (tp + tn + fp + fn), "that is the accuracy of the mixture, not its F1"),
            (
                ((tp + fp) * of_two[0] + (tn + fn) * of_two[1]) / (tp + tn + fp + fn),
                "the classes are weighted with how often they were guessed; the weight is how often they are true",
            ),
        )
        expect_no_mistake(f1, mistakes)
        expect_close(f1, _f1(shares @ counts), "not the weighted F1 of the mixed counts")
    only = np.array([[9.0, 0.0, 0.0, 0.0], [9.0, 0.0, 0.0, 0.0]])
    value = mixed_f1(np.array([0.5, 0.5]), only)
    assert value is not None and np.isfinite(value), (
        "with positive clips only and all of them right the result is NaN: the negative class is neither there nor "
        "guessed, 0 / 0; give it F1 0, its weight is 0 anyway"
    )
    expect_close(value, 1.0, "with positive clips only and all of them right, F1 is 1")
    return "The library mixes r in the same way: the moments first, then one correlation."


@exercise("8.4", "A bootstrap with two mistakes", level="core", minutes=15)
def a_bootstrap_with_two_mistakes(difference: Answer) -> str:
    rng = np.random.default_rng(84)
    for n, level in ((200, 0.95), (120, 0.8), (301, 0.9)):
        both = rng.random(n)
        a, b = (both < 0.72).astype(float), ((both < 0.6) | (rng.random(n) < 0.12)).astype(float)
        counts = rng.multinomial(n, np.full(n, 1 / n), size=400)
        with _left_alone(a, b, counts):
            found = difference(a, b, counts, level=level)
        value, low, high = _numbers(found, ("value", "low", "high"), "difference(a, b, counts)")
        true = a.mean() - b.mean()
        assert not close(value, -true), "the sign is turned round: a - b was asked for"
        expect_close(
            value, true, "the value is a.mean() - b.mean(), on the clips as they are, not a mean of resamples"
        )
        interval = [low, high]
        assert low <= high, "the lower end lies above the upper one; are the quantiles swapped?"
        paired = counts @ (a - b) / n
        crossed = counts @ a / n - counts[::-1] @ b / n
        wide, narrow = ([(1 - level) / 2, (1 + level) / 2], [1 - level, level])
        assert not close(interval, np.quantile(crossed, narrow)), (
            "both mistakes are still there: the second method is scored on other resamples, and the tails are too large"
        )
        assert not close(interval, np.quantile(crossed, wide)), (
            "the tails are right now, but the second method is still scored on other resamples: the interval is not paired"
        )
        assert not close(interval, np.quantile(paired, narrow)), (
            "it is paired now, but the tails are too large: 1 - level lies outside at both ends together, half of it at each"
        )
        fixed = np.quantile(paired, [0.025, 0.975])
        assert level == 0.95 or not close(interval, fixed), (
            "the argument `level` is not used: you always return a 95 % interval"
        )
        expect_close(
            interval, np.quantile(paired, wide), "not the percentile interval of the paired differences"
        )
    return "One mistake made the interval too wide, the other too narrow: together they can look quite reasonable."


@exercise("8.5", "Masks that look at the clip", level="core", minutes=15)
def masks_that_look_at_the_clip(expected_accuracy: Answer) -> str:
    rng = np.random.default_rng(85)
    for n in (60, 40, 7):
        hits = (rng.random((7, n)) < rng.random((7, 1))).astype(float)
        q = rng.dirichlet(np.full(7, 0.5), n) + 0.8 * hits.T * rng.random((n, 7))
        q /= q.sum(axis=1, keepdims=True)
        with _left_alone(hits, q):
            found = expected_accuracy(hits, q)
        true, mixture = _numbers(
            found, ("the expected accuracy", "the mixture's"), "expected_accuracy(hits, q)"
        )
        right, identity = (q.T * hits).sum(axis=0).mean(), q.mean(axis=0) @ hits.mean(axis=1)
        assert not close([true, mixture], [identity, right]), (
            "the two are the wrong way round: first the truth, then what Eq. (24) gives"
        )
        assert not close(true, identity), (
            "your first number is Eq. (24) with average shares; it loses that a clip's mask depends on the clip"
        )
        assert not close(true, right * n), "you sum over the clips; the accuracy is their mean"
        assert not close(true, right / 7), (
            "you average over the patterns; q already is their weight, so sum over them"
        )
        expect_close(true, right, "the expected accuracy is the mean over clips of sum_S q[i, S] hits[S, i]")
        assert not close(mixture, hits.mean()), (
            "your second number weighs all patterns alike; the shares of Eq. (24) are q averaged over the clips (axis 0)"
        )
        assert not close(mixture, right), (
            "your second number is the truth once more; for Eq. (24) average the shares over the clips first"
        )
        expect_close(
            mixture, identity, "Eq. (24) is q.mean(axis=0) times the accuracy under each pattern, summed"
        )
    return (
        "The gap of the two is the covariance of mask and hit: 0 only if the mask does not look at the clip."
    )


@exercise("8.6", "The noise of masks without drawing one", level="challenge", minutes=20)
def the_noise_of_masks(mask_sd: Answer) -> str:
    rng = np.random.default_rng(86)
    for n in (50, 200, 31):
        shares = rng.dirichlet(np.ones(7))
        hits = (rng.random((7, n)) < rng.random((7, 1)) * rng.random(n)).astype(float)
        with _left_alone(shares, hits):
            sd = expect_number(mask_sd(shares, hits), "mask_sd(shares, hits)")
        p, accuracy = shares @ hits, hits.mean(axis=1)
        right = (p * (1 - p)).sum() ** 0.5 / n
        between = (shares @ accuracy**2 - (shares @ accuracy) ** 2) ** 0.5
        overall = p.mean()
        mistakes = (
            (right**2, "that is the variance; take the root"),
            (
                between,
                "that is the spread of the seven accuracies: right if ONE pattern were drawn for all clips together",
            ),
            (
                between / n**0.5,
                "that is the spread of the seven accuracies over root N; the noise comes from single clips that "
                "flip, and they flip in both directions",
            ),
            (
                (overall * (1 - overall) / n) ** 0.5,
                "that is the binomial noise of drawing the clips as well; the clips stay, only their masks change",
            ),
            (
                right * n**0.5,
                "you divide by N once too little: the variance of a mean is the sum divided by N^2",
            ),
            (right * n, "that is the noise of the number of hits; the accuracy is that number divided by N"),
            (
                p.std() / n**0.5,
                "you take the spread of p_i over the clips; the noise of clip i is p_i (1 - p_i)",
            ),
        )
        expect_no_mistake(sd, mistakes, atol=1e-9)
        expect_close(
            sd, right, "not the standard deviation of the accuracy over draws of the masks", atol=1e-9
        )
    always = np.ones((7, 20))
    expect_close(
        mask_sd(np.full(7, 1 / 7), always),
        0.0,
        "clips that are right under every pattern add no noise",
        atol=1e-7,
    )
    return "Only clips on which the patterns disagree add noise; nothing needs to be drawn to know how much."


@exercise("8.7", "A rate that means what it says", level="open-ended", minutes=25)
def a_rate_that_means_what_it_says(honest_law: Answer) -> str:
    missing = 3 - AVAILABLE.sum(axis=1)  # (7,)
    for rate in (0.0, 0.05, 0.2, 1 / 3, 0.4, 0.5, 0.6, 0.65, 2 / 3):
        law = _array(honest_law(rate), (7,), f"honest_law({rate:.3g})")
        assert law.min() > -1e-9, f"at rate {rate:.3g} the smallest share is {law.min():.3f}, below 0: no law"
        total = law.sum()
        assert abs(total - 1) < 1e-6, (
            f"at rate {rate:.3g} the shares sum to {total:.3f}, not to 1; are three patterns each given what they share?"
        )
        for count in (1, 2):
            spread = np.ptp(law[missing == count])
            assert spread < 1e-6, (
                f"not fair at rate {rate:.3g}: the three patterns with {count} missing have different shares"
            )
        mean = law @ missing / 3
        assert abs(mean - rate) < 1e-6, (
            f"not honest: at rate {rate:.3g} the mean share of missing modalities is {mean:.3f}"
        )
        if 0 < rate < 0.66:
            assert law.min() > 1e-6, (
                f"at rate {rate:.3g} the pattern {PATTERNS[int(law.argmin())]!r} never occurs; all seven should, "
                "strictly between 0 and 2/3"
            )
    rates = np.linspace(0, 2 / 3, 2001)
    laws = np.array([honest_law(float(rate)) for rate in rates])
    jumps = np.abs(np.diff(laws, axis=0)).max(axis=1)
    worst = int(jumps.argmax())
    assert jumps[worst] < 0.02, (
        f"not continuous: between the rates {rates[worst]:.4f} and {rates[worst + 1]:.4f} a share jumps by {jumps[worst]:.3f}"
    )
    return "An honest rate still leaves one choice free: how many lose two rather than one. Print the law all the same."


def _products(r: np.ndarray) -> np.ndarray:
    return np.where(AVAILABLE, 1 - r, r).prod(axis=1)


def _sensors(r: np.ndarray) -> np.ndarray:
    products = _products(r)
    return products / products.sum()


def _f1(counts: np.ndarray) -> float:
    tp, tn, fp, fn = counts
    positive, negative = (2 * hit / (2 * hit + fp + fn) for hit in (tp, tn))
    return float(((tp + fn) * positive + (tn + fp) * negative) / counts.sum())


def _counts(rng: np.random.Generator, patterns: int) -> np.ndarray:
    """Confusion counts (P, 4) of one test set of 50 negatives and 30 positives."""
    tp, tn = rng.integers(5, 25, patterns), rng.integers(10, 48, patterns)
    return np.stack([tp, tn, 50 - tn, 30 - tp], axis=1).astype(float)


def _array(value: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    assert value is not None, f"{what} is None; did you forget `return`?"
    assert not isinstance(value, dict), (
        f"{what} is a dict; return the shares as an array in the order of PATTERNS"
    )
    try:
        found = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise AssertionError(f"{what} is a {type(value).__name__}, not an array of numbers") from None
    assert found.shape == shape, f"{what} has shape {found.shape}, expected {shape}"
    assert np.isfinite(found).all(), f"{what} holds NaN or infinite values; is something divided by zero?"
    return found


def _numbers(value: Any, names: tuple[str, ...], what: str) -> list[float]:
    """Several numbers, as a tuple of floats."""
    assert value is not None, f"{what} is None; did you forget `return`?"
    count = len(value) if isinstance(value, (tuple, list, np.ndarray)) else 1
    assert count == len(names), f"{what} should return {len(names)} numbers ({', '.join(names)}), not {count}"
    return [expect_number(each, name) for each, name in zip(value, names)]


@contextmanager
def _left_alone(*arrays: np.ndarray) -> Iterator[None]:
    before = [x.copy() for x in arrays]
    yield
    for x, was in zip(arrays, before):
        assert np.array_equal(x, was), (
            "your code changes one of its arguments in place; work on a copy (x = x.copy()) or make a new array"
        )
