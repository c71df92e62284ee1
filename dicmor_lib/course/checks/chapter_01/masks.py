"""Which steps and modalities are there: padding, patterns, schedules, targets."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dicmor_lib.course.checks.asking import (
    Answer,
    close,
    expect_close,
    expect_shape,
    expect_tensor,
    generator,
    left_alone,
    random_tensors,
)
from dicmor_lib.course.exercises import exercise
from dicmor_lib.errors import PatternError


def _global_numbers() -> np.ndarray:
    """The state of NumPy's global generator."""
    state: Any = np.random.get_state()
    return state[1].copy()


def _mask(value: Any, shape: tuple[int, ...], what: str) -> Tensor:
    value = expect_tensor(value, what)
    assert value.dtype == torch.bool, f"{what} holds {value.dtype}; a mask is a bool tensor"
    assert tuple(value.shape) == shape, f"{what} has shape {tuple(value.shape)}, expected {shape}"
    return value


@exercise("1.1", "Which steps are real", level="warm-up", minutes=5)
def check_valid_steps(valid_steps: Answer) -> str:
    for seed, (batch, time) in enumerate(((2, 5), (7, 4), (5, 12))):
        lengths = torch.randint(0, time + 1, (batch, 3), generator=generator(seed))
        lengths[0] = torch.tensor([time, 1, 0])
        with left_alone(lengths):
            value = _time_last(valid_steps(lengths, time), batch, time)
        number = torch.arange(time)
        true = number < lengths[..., None]
        assert not torch.equal(value, ~true), "it marks the padding; True should mean that a step is real"
        assert not torch.equal(value, number <= lengths[..., None]), (
            "every clip is one step too long: steps are counted from 0, so step number `length` is already padding"
        )
        assert not torch.equal(value, number + 1 < lengths[..., None]), (
            "every clip is one step too short: a clip of length 1 has the real step 0"
        )
        assert not torch.equal(value, true.flip(-1)), (
            "it marks the last steps; sequences start at step 0 and their padding is at the end"
        )
        assert torch.equal(value, true), "some steps are marked wrongly; compare a clip of length 1 by hand"
    return "The comparison of (time,) with (batch, 3, 1) broadcasts to (batch, 3, time): no loop over clips."


def _time_last(value: Any, batch: int, time: int) -> Tensor:
    value = expect_tensor(value, "the mask")
    assert tuple(value.shape) not in {(batch, time, 3), (3, batch, time)} - {(batch, 3, time)}, (
        f"the axes are in another order: {tuple(value.shape)}; expected (batch, 3, time), here {(batch, 3, time)}"
    )
    return _mask(value, (batch, 3, time), "the mask")


@exercise("1.2", "The mean over time", level="core", minutes=10)
def check_masked_mean(masked_mean: Answer) -> str:
    for seed, (batch, time, d) in enumerate(((3, 6, 2), (5, 9, 4))):
        (x,) = random_tensors(seed, (batch, time, d))
        lengths = torch.randint(1, time, (batch,), generator=generator(seed))
        inside = (torch.arange(time) < lengths[:, None])[..., None]
        true = torch.stack([x[i, :n].mean(0) for i, n in enumerate(lengths)])
        padded = torch.where(inside, x, 0.0)
        with left_alone(padded, lengths):
            value = expect_shape(masked_mean(padded, lengths), (batch, d), "the mean")
        assert not close(value, padded.mean(1)), (
            "it divides by all steps of the array, padding included; divide each clip by its own length"
        )
        assert not close(value, padded.sum(1) / lengths.max()), (
            "it divides every clip by the longest length; divide each by its own"
        )
        expect_close(value, true, "with zeros in the padding the mean of a clip's real steps is not right")
        value = expect_tensor(masked_mean(torch.where(inside, x, 100.0), lengths), "the mean")
        expect_close(value, true, "it reads the padding: the result changes with what stands after the end")
        value = masked_mean(torch.where(inside, x, torch.nan), lengths)
        assert not torch.isnan(value).any(), (
            "NaN in the padding reaches the mean: NaN * 0 is NaN, so a product with the mask hides nothing; select"
        )
        expect_close(value, true, "with NaN in the padding the mean is not right")
        lengths[0] = 0
        value = masked_mean(padded, lengths)[0]
        assert torch.isfinite(value).all(), "a clip of length 0 gives 0 / 0; it should give zeros"
        expect_close(value, torch.zeros(d), "the mean of a clip of length 0 should be zeros")
    return "torch.where selects, a product only scales: the difference is NaN, and audio files do hold it."


@exercise("1.3", "Every pattern that a clip can show", level="core", minutes=10)
def check_possible_masks(possible_masks: Answer) -> str:
    for observed in product((True, False), repeat=3):
        given = torch.tensor(observed)
        if not any(observed):
            try:
                value = possible_masks(given)
            except (ValueError, PatternError):
                continue
            raise AssertionError(
                f"a clip of which nothing is observed is accepted (returned {value}); there is no pattern to "
                "show, so refuse it with a ValueError"
            )
        count = 2 ** sum(observed) - 1
        with left_alone(given):
            value = expect_tensor(possible_masks(given), "the result")
        assert value.dtype == torch.bool and value.dim() == 2 and value.shape[1] == 3, (
            f"the result is {value.dtype} of shape {tuple(value.shape)}; expected bool (patterns, 3)"
        )
        rows = [tuple(row) for row in value.tolist()]
        assert (False,) * 3 not in rows, (
            "the empty pattern is among them: with nothing to see there is nothing to say"
        )
        unseen = [row for row in rows if any(a and not o for a, o in zip(row, observed))]
        assert not unseen, (
            f"observed is {observed} and {unseen[0]} is among the patterns: what is not observed cannot be available"
        )
        assert len(set(rows)) == len(rows), f"a pattern stands there twice: {rows}"
        assert observed in rows, "the pattern with everything that is observed is left out; it is one of them"
        assert len(rows) == count, (
            f"{sum(observed)} observed modalities have {count} patterns, not {len(rows)}"
        )
    return "A complete clip gives seven tests instead of one, without drawing anything: the most that data can say."


@exercise("1.4", "A schedule, counted exactly", level="core", minutes=20)
def check_draw_masks(draw_masks: Answer) -> str:
    for n, two, one in ((200, 0.5, 0.2), (20, 0.1, 0.1), (60, 1.0, 0.0), (3000, 0.7, 0.1)):
        shares = f"n={n}, two={two}, one={one}"
        before = torch.get_rng_state(), _global_numbers()
        mask = _mask(draw_masks(n, two, one, 0), (n, 3), "the mask")
        lacking = 3 - mask.sum(1)
        assert int(lacking.max()) < 3, (
            f"{shares}: a clip has nothing available; is it the *missing* modalities that you return as True?"
        )
        found = [int((lacking == k).sum()) for k in (0, 1, 2)]
        asked = [n - round(n * one) - round(n * two), round(n * one), round(n * two)]
        assert one == two or found != [asked[0], asked[2], asked[1]], (
            f"{shares}: {found[1]} clips lack one and {found[2]} lack two modalities; the shares are swapped"
        )
        again = _mask(draw_masks(n, two, one, 0), (n, 3), "the mask")
        assert torch.equal(mask, again), (
            "the same seed gave two different masks: draw from a generator made of the seed, not from the global stream"
        )
        assert found == asked, (
            f"{shares}: (none, one, two) missing in {found} clips, asked for {asked}; deciding clip by clip is right "
            "on average only, so fix the counts and shuffle"
        )
        after = torch.get_rng_state(), _global_numbers()
        assert torch.equal(before[0], after[0]) and (before[1] == after[1]).all(), (
            "your code reseeds or uses the global random stream, so drawing a mask changes the training that "
            "follows; make a generator of your own"
        )
        if n > 100 and two < 1:
            _well_mixed(mask, lacking)
        assert n <= 20 or not torch.equal(mask, draw_masks(n, two, one, 1)), "two seeds gave the same mask"
    return "The counts are the protocol, the draw only decides who: two draws differ as little as they can."


def _well_mixed(mask: Tensor, lacking: Tensor) -> None:
    half = len(mask) // 2
    first, second = (float((part == 2).double().mean()) for part in (lacking[:half], lacking[half:]))
    assert abs(first - second) < 0.3, (
        f"{first:.0%} of the first half of the clips lack two modalities and {second:.0%} of the second: "
        "the clips are filled in order; shuffle who lacks how many"
    )
    for k, name in ((2, "two"), (1, "one")):
        each = mask[lacking == k].double().mean(0)
        expected = (3 - k) / 3
        assert (each - expected).abs().max() < 0.35, (
            f"of the clips that lack {name}, language, audio and vision are available in "
            f"{', '.join(f'{share:.0%}' for share in each)}: which modality is lost must be drawn uniformly"
        )


@exercise("1.7", "Never a target", level="core", minutes=10)
def check_recovery_error(recovery_error: Answer) -> str:
    for seed, (batch, d) in enumerate(((6, 4), (11, 3))):
        recovered, real = random_tensors(seed, (batch, 3, d), (batch, 3, d))
        observed = torch.rand(batch, 3, generator=generator(seed)) < 0.7
        observed[:, seed % 3] = True
        available = observed & (torch.rand(batch, 3, generator=generator(seed + 50)) < 0.5)
        observed[0], available[0] = torch.tensor([True, True, False]), torch.tensor([True, False, False])
        real = torch.where(observed[..., None], real, 0.0)
        recovered = torch.where(available[..., None], real, recovered)  # what is seen is handed through
        squared = ((recovered - real) ** 2).mean(2)
        target = observed & ~available
        true = squared[target].mean()
        with left_alone(recovered, real, available, observed):
            value = expect_shape(recovery_error(recovered, real, available, observed), (), "the error")
        assert not close(value, squared[~available].mean()), (
            "it measures against modalities that do not exist: the zeros there are no truth; leave out what is not observed"
        )
        for counted, what in ((observed, "observed"), (torch.ones_like(observed), "all")):
            assert not close(value, squared[counted].mean()) and not close(
                value, squared[target].sum() / counted.sum()
            ), (
                f"the mean is taken over {what} modalities: those that were available have error 0 and make it look better"
            )
        assert not close(value, squared[target].sum()), "that is the sum over the targets; return the mean"
        expect_close(
            value, true, "the mean squared error over what is observed and not available is not right"
        )
        real = torch.where(observed[..., None], real, torch.nan)
        value = recovery_error(recovered, real, available, observed)
        assert torch.isfinite(value), (
            "NaN in a modality that does not exist reaches the error: NaN * 0 is NaN; select the targets, do not multiply"
        )
        expect_close(value, true, "with NaN where nothing is observed the error changes")
        value = recovery_error(recovered, real, observed, observed)
        assert torch.isfinite(value) and float(value) == 0, (
            f"with nothing hidden the error is {float(value)}; there is no target, so return 0 (a batch of complete "
            "clips must not stop the training)"
        )
    return "`observed & ~available` is the one line that keeps a broken camera's zeros out of the training."
