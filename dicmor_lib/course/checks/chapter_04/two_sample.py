"""Do two sets of features follow one law? Statistics, p-values, the noise floor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dicmor_lib.course.checks.asking import (
    Answer,
    close,
    expect_close,
    expect_no_mistake,
    expect_number,
)
from dicmor_lib.course.exercises import exercise

# --- 4.4 ------------------------------------------------------------------------------------------------------------


@exercise("4.4", "One kernel matrix for all relabellings", level="core", minutes=15)
def one_kernel_matrix(mmd2_from_kernel: Answer) -> str:
    for seed, (n, m) in enumerate([(6, 9), (5, 5), (12, 4)]):
        rng = np.random.default_rng(seed)
        points = rng.normal(size=(n + m, 3))
        kernel = np.exp(-0.5 * np.square(points[:, None] - points).sum(-1))
        first = rng.permutation(np.arange(n + m) < n)
        kept = kernel.copy(), first.copy()
        answer = mmd2_from_kernel(kernel, first)
        assert np.array_equal(kernel, kept[0]) and np.array_equal(first, kept[1]), (
            "your code changes the kernel matrix or the labels in place; the next relabelling needs them as they were"
        )
        answer = expect_number(answer, "the estimate")
        inner, outer, cross = (
            kernel[np.ix_(*where)] for where in ((first, first), (~first, ~first), (first, ~first))
        )
        s, t, c = inner.sum(), outer.sum(), cross.mean()
        true = (s - n) / (n * (n - 1)) + (t - m) / (m * (m - 1)) - 2 * c
        unlabelled = kernel[:n, :n], kernel[n:, n:], kernel[:n, n:]
        wrong = {
            "the diagonal is still in it: k(x, x) = 1 is no pair of independent points, and makes equal laws look "
            "different": s / n**2 + t / m**2 - 2 * c,
            "the diagonal is left out of the sum but still counted: there are n (n - 1) pairs, not n^2": (
                s - n
            )
            / n**2
            + (t - m) / m**2
            - 2 * c,
            "the diagonal is left out of the count but not of the sum": s / (n * (n - 1))
            + t / (m * (m - 1))
            - 2 * c,
            "the cross term counts twice in MMD^2; it is subtracted once here": true + c,
            "the cross term is added; it must be subtracted": true + 4 * c,
            "the labels are not used: the first n rows are taken for the first set": (unlabelled[0].sum() - n)
            / (n * (n - 1))
            + (unlabelled[1].sum() - m) / (m * (m - 1))
            - 2 * unlabelled[2].mean(),
            "this is MMD, the square root; return the square, which may be negative": math.sqrt(
                max(true, 0.0)
            ),
            "a negative estimate was set to 0 or made positive; unbiased means that it may fall below 0": abs(
                true
            ),
            "a negative estimate was set to 0; unbiased means that it may fall below 0": max(true, 0.0),
        }
        expect_no_mistake(answer, wrong, true, atol=1e-9)
        expect_close(answer, true, "that is not the unbiased MMD^2 of the two sets", atol=1e-9)
    return "All relabellings at once are then one matrix product, which is how the library does 400 of them in a moment."


# --- 4.5 ------------------------------------------------------------------------------------------------------------


@exercise("4.5", "A p-value that is never zero", level="core", minutes=10)
def a_p_value(p_value: Answer) -> str:
    rng = np.random.default_rng(0)
    cases = [(0.4, rng.normal(size=199)), (3.0, rng.normal(size=99)), (-5.0, rng.normal(size=19))]
    cases += [(0.0, rng.integers(-1, 2, 40).astype(float)), (-0.3, rng.normal(size=59))]
    for value, relabelled in cases:
        kept = relabelled.copy()
        answer = expect_number(p_value(value, relabelled), "the p-value")
        assert np.array_equal(relabelled, kept), "your code changes the relabelled values in place"
        assert answer <= 1, f"a count came back ({answer:g}), not a share"
        count = len(relabelled)
        large, larger = int((relabelled >= value).sum()), int((relabelled > value).sum())
        true = (1 + large) / (1 + count)
        wrong = {
            "the +1 is missing: the real labelling is one of R + 1, so the p-value can never be 0": [
                large / count
            ],
            "the 1 is added above the line but not below": [(1 + large) / count],
            "the 1 is added below the line but not above": [large / (1 + count)],
            "ties do not count in your answer; a value exactly as large is 'at least as large'": [
                (1 + larger) / (1 + count),
                larger / count,
            ],
            "the wrong tail is counted: large statistics mean 'different', so count values at least as *large*": [
                (1 + int((relabelled <= value).sum())) / (1 + count),
                int((relabelled <= value).sum()) / count,
            ],
            "both tails are counted; only large statistics speak against equal laws": [
                (1 + int((np.abs(relabelled) >= abs(value)).sum())) / (1 + count)
            ],
        }
        each = [(guess, mistake) for mistake, guesses in wrong.items() for guess in guesses]
        expect_no_mistake(answer, each, true, atol=1e-9)
        expect_close(
            answer, true, "that is not the share of labellings that are at least as large", atol=1e-9
        )
    return "With R relabellings no p-value is below 1 / (R + 1), so say how many there were."


# --- 4.6 ------------------------------------------------------------------------------------------------------------


@exercise("4.6", "The noise floor", level="core", minutes=15)
def the_noise_floor(noise_floor: Answer) -> str:
    for seed, (n, d, halvings) in enumerate([(20, 2, 4), (31, 3, 5), (12, 1, 3)]):
        # sorted, and every clip can be told by its first channel
        real = np.sort(np.random.default_rng(seed).normal(size=(n, d)), axis=0)
        kept = real.copy()
        seen: list[tuple[np.ndarray, np.ndarray]] = []
        values: list[float] = []

        def distance(x: np.ndarray, y: np.ndarray, seen: list = seen, values: list = values) -> float:
            seen.append((np.array(x, copy=True), np.array(y, copy=True)))
            values.append(float(len(seen) ** 2))
            return values[-1]

        answer = noise_floor(real, distance, halvings, np.random.default_rng(seed))
        assert np.array_equal(real, kept), (
            "your code changes the order of the real vectors in place; permute indices"
        )
        answer = expect_number(answer, "the noise floor")
        assert len(seen) == halvings, f"the distance was asked for {len(seen)} times, not {halvings}"
        _check_halves(seen, real)
        wrong = {
            "this is the sum of the distances, not their mean": sum(values),
            "only the last distance is returned, not the mean of all": values[-1],
            "only the first distance is returned, not the mean of all": values[0],
            "this is the smallest distance; the floor is what chance does on average": min(values),
        }
        expect_no_mistake(answer, wrong)
        expect_close(answer, np.mean(values), "that is not the mean of the distances")
    return "Print it beside every distance: a number without its floor says nothing."


def _check_halves(seen: list[tuple[np.ndarray, np.ndarray]], real: np.ndarray) -> None:
    n, half = len(real), len(real) // 2
    rows: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    for x, y in seen:
        assert x.ndim == y.ndim == 2 and x.shape[1] == y.shape[1] == real.shape[1], (
            f"the distance was given shapes {x.shape} and {y.shape}; it takes two sets of whole vectors, (n/2, "
            f"{real.shape[1]})"
        )
        pair = []
        for z in (x, y):
            where = np.searchsorted(real[:, 0], z[:, 0])
            assert (where < n).all() and np.array_equal(real[np.minimum(where, n - 1)], z), (
                "the halves hold vectors that are no real clips; take rows as they are"
            )
            pair.append(tuple(where.tolist()))
        rows.append((pair[0], pair[1]))
    one, other = rows[0]
    assert set(one) != set(other), "the same clips are on both sides: that distance is 0 whatever the law"
    assert all(len(set(side)) == len(side) for pair in rows for side in pair), (
        "clips are drawn with replacement: one stands in a half twice"
    )
    assert not any(set(a) & set(b) for a, b in rows), (
        "a clip stands in both halves: they must be disjoint, or the sets are not independent"
    )
    assert all(len(side) == half for pair in rows for side in pair), (
        f"the halves of {n} clips have {len(one)} and {len(other)} clips; both must have {half}, of an odd number one is "
        "left out"
    )
    first_half = {frozenset(range(half)), frozenset(range(half, 2 * half)), frozenset(range(n - half, n))}
    assert not all(frozenset(a) in first_half and frozenset(b) in first_half for a, b in rows), (
        "the cut is not random: these are the first and the second half as the clips are sorted, which here differ"
    )
    cuts = {frozenset({frozenset(a), frozenset(b)}) for a, b in rows}
    assert len(cuts) > 1, "the same cut is measured every time: draw a new permutation for each halving"


# --- 4.9 ------------------------------------------------------------------------------------------------------------

RELABELLINGS = 79


POINTS = 80


@exercise("4.9", "A statistic of your own", level="open-ended", minutes=30)
def statistic_of_your_own(statistic: Answer) -> str:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(POINTS, 4)), rng.normal(size=(POINTS, 4)) + 0.3
    kept = x.copy(), y.copy()
    value = expect_number(statistic(x, y), "the statistic")
    assert np.array_equal(x, kept[0]) and np.array_equal(y, kept[1]), (
        "your code changes its arguments in place"
    )
    small = expect_number(statistic(x[:25], y), "the statistic of sets of different sizes")
    assert np.isfinite(small)
    swapped = expect_number(statistic(y, x), "the statistic with the sets exchanged")
    assert close(value, swapped, rtol=1e-6), (
        "it depends on which set comes first: statistic(x, y) and statistic(y, x) must be equal"
    )
    shuffled = expect_number(statistic(x[rng.permutation(POINTS)], y), "the statistic of shuffled points")
    assert close(value, shuffled, rtol=1e-6), (
        "it depends on the order of the points: a set has none; do not compare x[i] with y[i]"
    )
    far = expect_number(statistic(x, y + 5), "the statistic of distant sets")
    near = expect_number(statistic(x, y), "the statistic of near sets")
    assert not close(far, near, rtol=1e-9), "it does not change when one set is moved far away"
    assert far > near, "it is smaller for sets that lie far apart; larger must mean 'more different'"
    for difference, blind in _DIFFERENCES.items():
        p = float(
            np.median([_permutation_p(statistic, *_two_sets(difference, seed), seed) for seed in range(3)])
        )
        assert p <= 0.05, f"it is blind to {difference} (median p {p:.2f} of three tests): {blind}"
    return "The permutation test gave all of these the right level for free. What your statistic adds is the power."


_DIFFERENCES = {
    "a shifted mean": "compare at least the means",
    "a wider spread": "means are equal there; compare second moments or distances too",
    "a correlation between two channels": "every channel alone has the same law in both sets; look at channels together",
}


def _two_sets(difference: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, 7])
    x, y = rng.normal(size=(2, POINTS, 2))
    if difference == "a shifted mean":
        y = y + 0.7
    elif difference == "a wider spread":
        y = 2.0 * y
    else:
        y[:, 1] = 0.98 * y[:, 0] + math.sqrt(1 - 0.98**2) * y[:, 1]
    return x, y


def _permutation_p(statistic: Callable[..., Any], x: np.ndarray, y: np.ndarray, seed: int) -> float:
    pool, rng = np.concatenate([x, y]), np.random.default_rng([seed, 8])
    value = float(statistic(x, y))
    orders = (rng.permutation(len(pool)) for _ in range(RELABELLINGS))
    others = np.array([float(statistic(pool[o[: len(x)]], pool[o[len(x) :]])) for o in orders])
    return (1 + int((others >= value - 1e-12).sum())) / (1 + len(others))
