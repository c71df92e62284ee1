"""Checks of chapter 4: distribution transfer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dicmor_lib.blocks.flow import Flow
from dicmor_lib.course.checks.asking import (
    Answer,
    close,
    expect_close,
    expect_number,
    expect_shape,
    generator,
    left_alone,
    random_tensors,
)
from dicmor_lib.course.exercises import exercise

# --- 4.1 ------------------------------------------------------------------------------------------------------------


@exercise("4.1", "One source", level="warm-up", minutes=5)
def one_source(transfer: Answer) -> str:
    for seed, (steps, channels, layers) in enumerate([(5, 4, 3), (1, 6, 4), (9, 2, 5)]):
        source, target = _Steps(channels, layers, 2 * seed), _Steps(channels, layers, 2 * seed + 1)
        (x,) = random_tensors(seed, (steps, channels))
        with left_alone(x), torch.no_grad():
            made = transfer(x, source, target)
        assert not isinstance(made, tuple), (
            "a tuple came back, latents and a log-determinant: the last flow must run backwards, with .inverse"
        )
        made = expect_shape(made, (steps, channels), "what transfer returned")
        with torch.no_grad():
            up = source(x)[0]
            wrong = {
                "these are the source's own features: the latents went home through the source's inverse, "
                "instead of on through the target's": x,
                "these are the source's latents; the way back, through the target's inverse, is missing": up,
                "the flows are swapped: the features of the source go forwards through the *source's* flow and "
                "backwards through the target's": source.inverse(target(x)[0]),
                "both flows run forwards; the target's must run backwards, with .inverse": target(up)[0],
                "both directions are turned round: forwards (data to latent) through the source, backwards through "
                "the target": target(source.inverse(x))[0],
                "the forward pass through the source is missing: its features are no latents yet": target.inverse(
                    x
                ),
            }
            for mistake, value in wrong.items():
                assert not close(made, value), mistake
            expect_close(made, target.inverse(up), "that is not the target's inverse of the source's latents")
    return "Nothing else happens in the library, only for all pairs of modalities at once."


class _Steps:
    """A random flow that takes (steps, channels)."""

    def __init__(self, channels: int, layers: int, seed: int) -> None:
        self.flow = Flow(channels, 8, layers).double()
        rng = generator(100 + seed)
        with torch.no_grad():
            for parameter in self.flow.parameters():
                parameter += 0.6 * torch.randn(parameter.shape, generator=rng, dtype=torch.float64)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, log_det = self.flow(x[None])
        return z[0], log_det[0]

    forward = __call__

    def inverse(self, z: Tensor) -> Tensor:
        assert isinstance(z, Tensor), (
            f"inverse was given a {type(z).__name__}: a flow returns latents *and* a log-determinant; unpack the two"
        )
        return self.flow.inverse(z[None])[0]


# --- 4.2 ------------------------------------------------------------------------------------------------------------


@exercise("4.2", "A batch of sources", level="core", minutes=15)
def batch_of_sources(merge: Answer) -> str:
    for seed, (batch, steps, channels) in enumerate([(7, 6, 3), (4, 5, 2), (3, 3, 5)]):
        (z,) = random_tensors(seed, (3, batch, steps, channels))
        lengths = torch.randint(0, steps + 1, (batch, 3), generator=generator(seed))
        lengths[0] = torch.tensor([steps, steps - 1, 0])  # two sources of different lengths
        lengths[1] = torch.tensor([0, 0, 2])  # a single short one
        reaches = torch.arange(steps) < lengths.t()[..., None]
        clean = torch.where(reaches[..., None], z, 0.0)
        count = reaches.sum(0)
        for padding in (7.0, 0.0, math.nan):
            given = torch.where(reaches[..., None], z, padding)
            kept, lengths_before = given.clone(), lengths.clone()
            merged = merge(given, lengths)
            assert torch.equal(torch.nan_to_num(given), torch.nan_to_num(kept)) and torch.equal(
                lengths, lengths_before
            ), "your code changes one of its arguments in place; make a new tensor"
            _check_merged(merged, clean, count, lengths, padding, given)
    return "`torch.where` in place of a product is also why the library can promise that padding never leaks."


def _check_merged(
    merged: Any, clean: Tensor, count: Tensor, lengths: Tensor, padding: float, given: Tensor
) -> None:
    assert merged is not None, "what merge returned is None; did you forget `return`?"
    true = clean.sum(0) / count.clamp(min=1)[..., None]
    further = torch.arange(clean.shape[2]) <= lengths.t()[..., None]
    too_far = torch.where(further[..., None], given, 0.0).sum(0) / further.sum(0).clamp(min=1)[..., None]
    if isinstance(merged, Tensor) and tuple(merged.shape) == tuple(true.shape):
        nan = torch.isnan(merged)
        assert not nan[count == 0].any() or padding != padding, (
            "NaN where no source reaches: a sum of nothing is divided by 0; clamp the count to at least 1"
        )
        assert not nan.any(), (
            "NaN from the padding got into the mean: 0 * NaN is NaN, so a mask must choose (torch.where), not multiply"
        )
    merged = expect_shape(merged, tuple(true.shape), "what merge returned")
    available = (lengths > 0).sum(1)[:, None, None]
    here = (lengths > 0).t()[:, :, None, None]
    unmasked = torch.where(here, given, 0.0).sum(0) / available.clamp(min=1)
    wrong = {
        "each source is read one step too far: a sequence of length T has the steps 0 to T - 1": too_far,
        "the sum is divided by 3, not by the number of sources that reach the step": clean.sum(0) / 3,
        "the sum is divided by the number of *available* sources; a step counts only for those that reach that "
        "far": clean.sum(0) / available.clamp(min=1),
        "this is the sum of the sources, not their mean": clean.sum(0),
        "what lies beyond the lengths is part of the mean: mask the padding": unmasked,
        "what lies beyond the lengths is part of the mean: mask the padding, also of what is not available": given.mean(
            0
        ),
    }
    if not close(merged, true):
        for mistake, value in wrong.items():
            assert not close(merged, value), mistake
        assert not merged[count == 0].any(), "where no source reaches the result must be 0"
    expect_close(merged, true, "that is not the mean over the sources that reach each step")


# --- 4.3 ------------------------------------------------------------------------------------------------------------


@exercise("4.3", "What a sample costs", level="core", minutes=10)
def what_a_sample_costs(expected_error: Answer) -> str:
    for seed, channels in enumerate([1, 5, 16]):
        mean, guess_mean, a, b = random_tensors(seed, *[(channels,)] * 4)
        sd, guess_sd = a.exp(), b.exp()
        given = (mean, sd, guess_mean, guess_sd)
        with left_alone(*given):
            answer = expected_error(*given)
        if isinstance(answer, Tensor):
            assert channels == 1 or tuple(answer.shape) != (channels,), (
                f"one error per channel came back, shape {tuple(answer.shape)}; average over the channels"
            )
        answer = expect_number(answer, "the expected error")
        bias, truth, guess = (mean - guess_mean).square(), sd.square(), guess_sd.square()
        wrong = {
            "this is the sum over the channels, not their mean": None
            if channels == 1
            else (bias + truth + guess).sum(),
            "the truth's own spread is missing: even the mean has an error, sd squared": (
                bias + guess
            ).mean(),
            "the guess's own spread is missing: a sample deviates too, and independently": (
                bias + truth
            ).mean(),
            "the difference of the two means is missing": (truth + guess).mean(),
            "the guess's variance is subtracted; independent deviations add up": (
                bias + truth - guess
            ).mean(),
            "standard deviations are added before they are squared; variances of independent variables add up": (
                bias + (sd + guess_sd).square()
            ).mean(),
            "the difference of the standard deviations is squared; that would be two laws' distance, not the error "
            "of independent draws": (bias + (sd - guess_sd).square()).mean(),
            "standard deviations are added where variances belong: square them": (
                bias + sd + guess_sd
            ).mean(),
            "the difference of the means is not squared": ((mean - guess_mean).abs() + truth + guess).mean(),
        }
        for mistake, value in wrong.items():
            assert value is None or not close(answer, value), mistake
        expect_close(
            answer, (bias + truth + guess).mean(), "that is not E|truth - guess|^2 of independent draws"
        )
    return (
        "With the right mean: sd^2 for the conditional mean, 2 sd^2 for a draw of the right law, and 2 where nothing is "
        "known. That is the factor 2 of the picture."
    )


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
        for mistake, value in wrong.items():
            assert close(value, true, atol=1e-9) or not close(answer, value, atol=1e-9), mistake
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
        for mistake, values in wrong.items():
            for guess in values:
                assert close(guess, true, atol=1e-9) or not close(answer, guess, atol=1e-9), mistake
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
        kept, seen, values = real.copy(), [], []

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
        for mistake, value in wrong.items():
            assert not close(answer, value), mistake
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


# --- 4.7 ------------------------------------------------------------------------------------------------------------


@exercise("4.7", "Which channels are copied?", level="core", minutes=10)
def which_are_copied(copied_channels: Answer) -> str:
    for seed, (batch, steps, channels) in enumerate([(4, 6, 6), (3, 5, 8), (5, 4, 2)]):
        source, other, noise = random_tensors(seed, *[(batch, steps, channels)] * 3)
        lengths = torch.randint(2, steps, (batch,), generator=generator(seed))
        valid = (torch.arange(steps) < lengths[:, None])[..., None]
        copied = torch.arange(channels) % 2 == seed % 2
        made = torch.where(copied, source, other)
        if channels > 2:
            free = (~copied).nonzero().flatten()
            made[..., free[0]] = source[..., free[0]] + 1e-9  # close, and no copy
            made[..., free[1]] = source[..., free[1]]
            made[0, 0, free[1]] += 1.0  # a copy but for one step
        made = torch.where(valid, made, noise)  # beyond the lengths: anything
        made[0, -1, 0] = math.nan
        with torch.no_grad():
            kept = source.clone(), made.clone()
            answer = copied_channels(source, made, lengths)
            assert torch.equal(source, kept[0]) and torch.equal(made.nan_to_num(), kept[1].nan_to_num()), (
                "your code changes one of its arguments in place"
            )
        assert answer is not None, "what copied_channels returned is None; did you forget `return`?"
        answer = expect_shape(answer, (channels,), "what copied_channels returned")
        assert answer.dtype == torch.bool, f"the answer has dtype {answer.dtype}, not bool"
        same, most = made == source, 0.5 * valid.sum()
        near = torch.isclose(made, source)
        wrong = {
            "what lies beyond the lengths decides: a step there must not be able to spoil a copy; ask for 'equal or "
            "not valid'": (same & valid).all(dim=(0, 1)),
            "a channel counts as copied if it agrees at *some* step; it must agree at every valid step": (
                same & valid
            ).any(dim=(0, 1)),
            "a channel that is merely close counts as copied; compare bit for bit, with ==": (
                near | ~valid
            ).all(dim=(0, 1)),
            "true and false are exchanged: True is for the copied channels": ~copied,
            "a channel that agrees at most steps counts as copied; a single valid step that differs rules it out": (
                (same & valid).sum((0, 1)) > most
            ),
        }
        for mistake, value in wrong.items():
            assert torch.equal(value, copied) or not torch.equal(answer, value), mistake
        assert torch.equal(answer, copied), (
            f"copied are the channels {copied.nonzero().flatten().tolist()}, your answer says "
            f"{answer.nonzero().flatten().tolist()}"
        )
    return "Run it on the published code's transfer and it finds the first half, whatever the weights."


# --- 4.8 ------------------------------------------------------------------------------------------------------------


@exercise("4.8", "Give the mean its width back", level="challenge", minutes=20)
def width_back(merge_keeping_the_law: Answer) -> str:
    for seed, (steps, channels, r) in enumerate([(4, 5, 0.6), (9, 1, -0.5), (6, 3, 0.0), (3, 2, 0.9)]):
        z_1, z_2, mean, a = random_tensors(
            seed, (steps, channels), (steps, channels), (channels,), (channels,)
        )
        sd, mean = a.exp(), mean + 2
        z_1, z_2 = z_1 + mean, z_2 + mean
        with left_alone(z_1, z_2, mean, sd):
            merged = merge_keeping_the_law(z_1, z_2, mean, sd, r)
        merged = expect_shape(merged, (steps, channels), "what was returned")
        average, away = (z_1 + z_2) / 2, (z_1 + z_2) / 2 - mean
        width = (1 + r) / 2
        wrong = {
            "this is the plain mean; its variance is (1 + r) / 2 of what it should be": average,
            "one of the sources is left out; treat both alike": z_1,
            "one of the sources is left out: treat both alike": z_2,
            "the value is stretched, and with it the mean moves: stretch the deviation from the mean": average
            / math.sqrt(width),
            "the deviation is divided by the variance; the square root is missing": mean + away / width,
            "the deviation is multiplied where it must be divided: that makes it narrower still": mean
            + away * math.sqrt(width),
            "the correlation is left out: the square root of 2 is right for r = 0 only": mean
            + away * math.sqrt(2),
            "the result is standardised: the deviation is divided by sd, so the law is no longer N(mean, sd^2)": mean
            + away / sd / math.sqrt(width),
            "the mean is not added back: what is returned is the deviation from it": away / math.sqrt(width),
            "the variance of the mean is (1 + r) / 2, not 1 + r: the mean divides by 2": mean
            + away / math.sqrt(1 + r),
            "the result is multiplied by sd: the latents have that width already": mean
            + sd * away / math.sqrt(width),
        }
        true = mean + away / math.sqrt(width)
        for mistake, value in wrong.items():
            assert close(value, true) or not close(merged, value), mistake
        expect_close(merged, true, "the result is not linear in both sources with the law N(mean, sd^2)")
    return (
        "Then two sources have the law of one. While predicting, the class is not known, and with it the mean: what would "
        "you take in its place?"
    )


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
