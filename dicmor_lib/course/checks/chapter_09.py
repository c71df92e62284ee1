"""Checks of chapter 9, the modality switchboard."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from dicmor_lib.course.checks.asking import Answer, close, expect_close, expect_no_mistake, expect_number
from dicmor_lib.course.exercises import exercise
from dicmor_lib.modalities import LETTERS, MODALITIES, PATTERNS

STATES = ("", *PATTERNS)


@exercise("9.1", "One toggle", level="warm-up", minutes=5)
def one_toggle(toggle: Answer) -> str:
    for sample, available, (letter, modality) in itertools.product(
        (0, 3), STATES, zip(LETTERS, MODALITIES, strict=True)
    ):
        state, asked = (sample, available), f"toggle(({sample}, {available!r}), {modality!r})"
        found = toggle(state, modality)
        assert found is not None, f"{asked} is None; did you forget `return`?"
        assert isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], str), (
            f"{asked} is {found!r}; return a pair of a number and a string"
        )
        true = "".join(x for x in LETTERS if (x in available) != (x == letter))
        assert found[0] == sample, (
            f"{asked} is {found!r}: the clip has changed, but only a switch was pressed"
        )
        assert found[1] != available, f"{asked} leaves everything as it was; a switch goes both ways"
        assert len(set(found[1])) == len(found[1]), f"{asked} is {found!r}: a letter stands there twice"
        assert found[1] != letter or true == letter, (
            f"{asked} is {found!r}: the other switches have been turned off; they stay as they are"
        )
        assert set(found[1]) != set(LETTERS) - set(true), f"{asked} is {found!r}: that is what is hidden"
        assert set(found[1]) != set(true) or found[1] == true, (
            f"{asked} is {found!r}, in another order than l, a, v: the same state would have two names"
        )
        assert found[1] == true, f"{asked} is {found!r}, expected {(sample, true)!r}"
    return "Pressing twice gives the first state again: eight states, and every one is three toggles from any other at most."


@exercise("9.2", "Pictures that cannot be", level="core", minutes=10)
def pictures_that_cannot_be(possible: Answer) -> str:
    everything = list(itertools.product((*PATTERNS, ""), (None, *STATES), STATES, (True, False)))
    for refused in (True, False):  # what should be False first: those mistakes can be named
        for asked in everything:
            found = possible(*asked)
            call = f"possible{asked!r}"
            assert found is not None, f"{call} is None; did you forget `return`?"
            assert isinstance(found, (bool, np.bool_)), f"{call} is {found!r}; return True or False"
            if refused and found:
                _refuse(call, *asked)
            elif not found and not refused:
                _accept(call, *asked)
    return (
        f"Of {len(everything):,} descriptions 32 are possible: a good state leaves little room for nonsense."
    )


def _hidden(available: str) -> str:
    return "".join(x for x in LETTERS if x not in available)


def _one_toggle(before: str | None, available: str) -> bool:
    return before is None or len({*before} ^ {*available}) == 1


def _refuse(call: str, available: str, before: str | None, recovered: str, star: bool) -> None:
    """Assert that a picture that was called possible is."""
    assert before != available, (
        f"{call} is True: a toggle always changes something, so before and now are never equal"
    )
    assert _one_toggle(before, available), f"{call} is True: that takes more than one toggle"
    if not available:
        assert not recovered, f"{call} is True: with nothing available there is nothing to recover from"
        assert not star, f"{call} is True: with nothing available there is no latent to merge"
        return
    assert recovered == _hidden(available) or recovered != available, (
        f"{call} is True: recovered is what is hidden, not what is available"
    )
    assert recovered == _hidden(available), f"{call} is True: all that is hidden is recovered, and only that"
    assert star or available != LETTERS, f"{call} is True: with everything available the star is still drawn"
    assert star, f"{call} is True: one available latent is enough for a star, it is the mean of one"


def _accept(call: str, available: str, before: str | None, recovered: str, star: bool) -> None:
    """Assert that a picture that was called impossible is."""
    right = recovered == _hidden(available) and star if available else not recovered and not star
    if not (right and _one_toggle(before, available)):
        return
    assert available, (
        f"{call} is False: nothing available is a state like others, with nothing recovered and no star"
    )
    assert before is not None, f"{call} is False: None is fine for `before`, nothing was toggled yet"
    assert before, f"{call} is False: one may come from nothing available"
    raise AssertionError(f"{call} is False, but one toggle leads there")


@exercise("9.3", "The star's step", level="core", minutes=8)
def the_stars_step(step: Answer) -> str:
    rng = np.random.default_rng(93)
    for k, size in ((1, 2), (2, 2), (2, 16), (1, 5)):
        latents, new = rng.normal(size=(k, size)), rng.normal(size=size)
        star = latents.mean(axis=0)
        kept = star.copy(), new.copy()
        found = _array(step(star, k, new), (size,), "step(star, k, new)")
        assert (star == kept[0]).all() and (new == kept[1]).all(), "your code changes its arguments in place"
        after = (k * star + new) / (k + 1)
        mistakes = (
            (
                after,
                "that is where the star stands afterwards; asked is its displacement: subtract where it stood",
            ),
            (star - after, "the sign is turned round: the star moves towards the new latent"),
            (new - star, "that is the whole way to the new latent; the old ones hold the star back"),
            (
                new / (k + 1),
                "that is the new latent's part of the mean; the parts of the others shrink as well",
            ),
        )
        expect_no_mistake(found, mistakes)
        assert k == 1 or not close(found, (new - star) / 2), (
            "that is halfway; with two there already the star goes a third of the way: divide by k + 1"
        )
        expect_close(found, after - star, "not the displacement of the mean when one latent joins it")
    return "A running mean: the more is there already, the less one more modality can move it."


@exercise("9.4", "The rank of the band", level="core", minutes=12)
def the_rank_of_the_band(half_width: Answer) -> str:
    rng = np.random.default_rng(94)
    for n, share in ((229, 0.8), (19, 0.83), (50, 0.9), (7, 0.75), (33, 0.55)):
        errors = rng.normal(-1.0, 1.0, n)
        kept = errors.copy()
        q = half_width(errors, share)
        assert (errors == kept).all(), "your code sorts its argument in place; np.sort makes a new array"
        assert not _infinite(q), f"infinite for {n} residuals and share {share}, but the rank is at most n"
        q = expect_number(q, "half_width(residuals, share)")
        sizes, signed = np.sort(np.abs(errors)), np.sort(errors)
        k = math.ceil((n + 1) * share)
        true, plain = float(sizes[k - 1]), math.ceil(n * share)
        mistakes = (
            (
                sizes[plain - 1],
                "that is rank ceil(n share): the new clip takes part in the ranking, so it is n + 1",
            ),
            (
                signed[k - 1],
                "you rank residuals with their sign; an error of -2 is as bad as one of +2: take absolute values",
            ),
            (sizes[min(k, n - 1)], "one rank too high: the k-th smallest stands at position k - 1"),
            (sizes[k - 2], "one rank too low: round (n + 1) share up, and remember where counting starts"),
            (
                np.quantile(sizes, share),
                "np.quantile interpolates between two residuals; take the k-th smallest itself",
            ),
            (errors.std(), "that is a standard deviation; no Gaussian is assumed here"),
        )
        expect_no_mistake(q, mistakes, true)
        expect_close(q, true, f"not the residual of rank {k} of {n}")
    for n, share in ((3, 0.8), (9, 0.95), (0, 0.5)):
        q = half_width(rng.normal(size=n), share)
        assert _infinite(q), (
            f"{n} residuals are too few for share {share} (rank {math.ceil((n + 1) * share)} of {n}); return infinity, not {q}"
        )
    return "Four residuals are the least for a band of 80 %, and then it is the largest of them."


@exercise("9.5", "Two unequal sides", level="challenge", minutes=15)
def two_unequal_sides(sides: Answer) -> str:
    rng = np.random.default_rng(95)
    for n, share in ((229, 0.8), (58, 0.83), (101, 0.9)):
        errors = rng.gamma(2.0, 1.0, n) - 0.7
        kept = errors.copy()
        low, high = _pair(sides(errors, share))
        assert (errors == kept).all(), "your code changes its argument in place"
        tail = (1 - share) / 2
        true = -_upper(-errors, tail), _upper(errors, tail)
        both = -_upper(-errors, 1 - share), _upper(errors, 1 - share)
        q, ranks = np.sort(np.abs(errors))[math.ceil((n + 1) * share) - 1], np.sort(errors)
        mistakes = (
            (true[::-1], "the two ends are swapped: first the lower one"),
            (
                (-true[1], -true[0]),
                "mirrored: residuals are label minus prediction, so they are added to the prediction as they are",
            ),
            (both, "the tails are too large: half of 1 - share lies outside at each end"),
            ((-q, q), "that is the symmetric band of 9.4; here the two sides differ"),
            (
                (ranks[math.ceil(n * tail) - 1], ranks[math.ceil(n * (1 - tail)) - 1]),
                "your ranks are those of n residuals; the new clip makes it n + 1",
            ),
            (
                np.quantile(errors, [tail, 1 - tail]),
                "np.quantile interpolates and has no n + 1; take ranks at both ends",
            ),
        )
        expect_no_mistake([low, high], mistakes, true)
        assert close(high, true[1]), "the upper end is not the residual of rank ceil((n + 1)(1 - tail))"
        assert low <= true[0] or close(low, true[0]), (
            "the lower end is too high: its rank must be rounded down, or too many labels lie below it"
        )
        expect_close(low, true[0], "the lower end is not minus the upper end of the mirrored residuals")
    low, high = _pair(sides(rng.normal(size=8), 0.8))
    assert low == -math.inf and high == math.inf, (
        "with 8 residuals and share .8 both ranks lie outside: a tenth of 9 ranks is less than one; the ends are infinite"
    )
    return "Both ends hold on their own, so the band promises more than a symmetric one, and costs more clips: 9 at least."


def _upper(errors: np.ndarray, tail: float) -> float:
    rank = math.ceil((len(errors) + 1) * (1 - tail) - 1e-9)
    return float(np.sort(errors)[rank - 1]) if rank <= len(errors) else math.inf


def _infinite(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and math.isinf(value) and bool(value > 0)


def _pair(found: Any) -> tuple[float, float]:
    assert found is not None, "sides(residuals, share) is None; did you forget `return`?"
    assert isinstance(found, (tuple, list, np.ndarray)) and len(found) == 2, (
        f"sides(residuals, share) is {found!r}; return the pair (low, high)"
    )
    low, high = (float(x) for x in found)
    assert not (math.isnan(low) or math.isnan(high)), "an end is NaN"
    return low, high


def _array(value: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    assert value is not None, f"{what} is None; did you forget `return`?"
    value = np.asarray(value, dtype=np.float64)
    assert value.shape == shape, f"{what} has shape {value.shape}, expected {shape}"
    assert np.isfinite(value).all(), f"{what} holds NaN or infinite values"
    return value
