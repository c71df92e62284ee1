"""Through one flow and back through another: sources, copies, widths, what a sample costs."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from dicmor_lib.blocks.flow import Flow
from dicmor_lib.course.checks.asking import (
    Answer,
    close,
    expect_close,
    expect_no_mistake,
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
            expect_no_mistake(made, wrong)
            expect_close(made, target.inverse(up), "that is not the target's inverse of the source's latents")
    return "Nothing else happens in the library, only for all pairs of modalities at once."


class _Steps:
    """A random flow that takes (steps, channels)."""

    def __init__(self, channels: int, layers: int, seed: int) -> None:
        self.flow = Flow(channels, 8, layers).double()
        rng = generator(100 + seed)
        with torch.no_grad():
            for parameter in self.flow.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=rng, dtype=torch.float64), alpha=0.6)

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
        expect_no_mistake(merged, wrong)
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
        true = (bias + truth + guess).mean()
        wrong = {
            "this is the sum over the channels, not their mean": (bias + truth + guess).sum(),
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
        expect_no_mistake(answer, wrong, true)
        expect_close(answer, true, "that is not E|truth - guess|^2 of independent draws")
    return (
        "With the right mean: sd^2 for the conditional mean, 2 sd^2 for a draw of the right law, and 2 where nothing is "
        "known. That is the factor 2 of the picture."
    )


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
        expect_no_mistake(merged, wrong, true)
        expect_close(merged, true, "the result is not linear in both sources with the law N(mean, sd^2)")
    return (
        "Then two sources have the law of one. While predicting, the class is not known, and with it the mean: what would "
        "you take in its place?"
    )
