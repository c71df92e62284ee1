"""The recovery loss, and what squared error does to the spread."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dicmor_lib import objective
from dicmor_lib.course.checks.asking import (
    Answer,
    close,
    expect_close,
    expect_no_mistake,
    expect_number,
    expect_shape,
    expect_tensor,
    generator,
    left_alone,
    random_tensors,
    step_mask,
)
from dicmor_lib.course.exercises import exercise
from dicmor_lib.modalities import MODALITIES


@exercise("5.5", "The recovery loss of a batch", level="core", minutes=20)
def batch_loss(recovery_loss: Answer) -> str:
    for seed, (batch, time, d) in enumerate(((6, 9, 4), (8, 5, 3), (5, 12, 2))):
        recovered, real, available, observed, lengths = _batch(seed, batch, time, d)
        if seed == 2:
            available[:, 1] = observed[:, 1]  # nothing to recover of audio: it must not count as a 0
        arguments = recovered, real, available, observed, lengths
        with left_alone(*arguments):
            got = expect_shape(recovery_loss(*arguments), (), "the loss")
        mistakes = (
            ("available", "what is available is counted as well; only missing modalities are recovered"),
            (
                "unobserved",
                "a modality that does not exist in the data is counted as a target; only observed ones can be compared",
            ),
            ("padding", "padding is counted: steps at or behind the end of the real sequence have no target"),
            (
                "behind",
                "steps behind the longest available source are counted: the recovered sequence ends with its sources",
            ),
            (
                "three",
                "the sum is divided by 3 although a modality of which nothing was recovered has no term",
            ),
            (
                "clips",
                "each clip counts the same here, so a step of a short clip weighs more than one of a long clip",
            ),
            ("channels", "the squared differences are summed over the channels; take their mean"),
            (
                "pooled",
                "the steps of all modalities are pooled; average within each modality, then over modalities",
            ),
            ("root", "there is a root too many: L_rec is a mean of squares"),
        )
        true = _loss(arguments)
        expect_no_mistake(got, ((_loss(arguments, name), message) for name, message in mistakes), true)
        expect_close(got, true, "this is not the mean squared error over the steps that were recovered")
        assert close(_library_loss(arguments), true)  # the reference beside the library
        recovered.requires_grad_()
        value = recovery_loss(*arguments)
        assert value.requires_grad, (
            "the loss has no gradient: do not detach, and do not turn tensors into numbers"
        )
    return "Two masks, not one: available is what the model may see, observed what it may be compared with."


def _batch(seed: int, batch: int, time: int, d: int) -> tuple[Tensor, ...]:
    rng = generator(seed)
    recovered, real = random_tensors(seed, (3, batch, time, d), (3, batch, time, d))
    recovered = recovered * torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)[:, None, None, None]
    lengths = torch.randint(1, time + 1, (batch, 3), generator=rng)
    observed, available = torch.ones(batch, 3, dtype=torch.bool), torch.ones(batch, 3, dtype=torch.bool)
    for clip in range(batch):
        available[clip, torch.randperm(3, generator=rng)[: 1 + clip % 2]] = False
    available[0], available[1] = torch.tensor([True, False, False]), torch.tensor([False, True, True])
    observed[0, 2] = False  # missing, and does not exist either
    lengths[1, 0] = time
    lengths[1, 1:] = max(1, time // 2)  # real language goes on behind its sources
    return recovered, real, available, observed, lengths


def _steps(arguments: tuple[Tensor, ...], mistake: str = "") -> Tensor:
    """Which steps count, (3, batch, time)."""
    _, real, available, observed, lengths = arguments
    longest = (lengths * available).amax(1, keepdim=True).expand_as(lengths)
    end = torch.minimum(lengths, longest)
    if mistake == "padding":
        end = longest
    elif mistake == "behind":
        end = lengths
    counted = observed & ~available
    if mistake == "available":
        counted = observed
    elif mistake == "unobserved":
        counted = ~available
    return step_mask((end * counted).T, real.shape[2])


def _loss(arguments: tuple[Tensor, ...], mistake: str = "") -> Tensor:
    recovered, real = arguments[:2]
    steps = _steps(arguments, mistake)
    squared = (recovered - real).square()
    squared = (squared.sum(-1) if mistake == "channels" else squared.mean(-1)) * steps  # (3, batch, time)
    if mistake == "pooled":
        return squared.sum() / steps.sum()
    if mistake == "clips":
        each = squared.sum(2) / steps.sum(2).clamp(min=1)
        terms = each.sum(1) / (steps.sum(2) > 0).sum(1).clamp(min=1)
    else:
        terms = squared.sum((1, 2)) / steps.sum((1, 2)).clamp(min=1)
    if mistake == "root":
        terms = terms.sqrt()
    return terms.sum() / (3 if mistake == "three" else (steps.sum((1, 2)) > 0).sum())


def _library_loss(arguments: tuple[Tensor, ...]) -> Tensor:
    recovered, real = arguments[:2]
    each = zip(MODALITIES, recovered, real, _steps(arguments))
    return objective.recovery_loss({f"recovery_{m}": objective.recovery_term(x, y, s) for m, x, y, s in each})


@exercise("5.6", "One draw or the mean of many", level="challenge", minutes=20)
def mean_of_draws(error: Answer, spread: Answer) -> str:
    for known in (0.0, 0.3, 0.36, 0.75, 1.0):
        for k in (1, 5, 2, 100):
            got, v = expect_number(error(known, k), "the error"), 1 - known
            true = v * (1 + 1 / k)
            mistakes = (
                (
                    v / k,
                    "the truth varies too: this is the error of the draws' mean against the conditional mean alone",
                ),
                (
                    v,
                    "this is the error of the conditional mean itself, which k draws reach only for k to infinity",
                ),
                (
                    2 * v / k,
                    "only the draws' part shrinks with k; the truth's own variance around the mean stays",
                ),
                (
                    2 * v,
                    "two independent draws of variance v differ by 2 v; the mean of k draws varies by v / k only",
                ),
                (known * (1 + 1 / k), "known and unknown are exchanged: the variance left is 1 - known"),
                (math.sqrt(true), "the root is taken, but the error is asked for as a mean of squares"),
            )
            expect_no_mistake(got, mistakes, true)
            expect_close(got, true, f"the error for known = {known} and k = {k} is another")
            got, true = expect_number(spread(known, k), "the spread"), math.sqrt(known + v / k)
            mistakes = (
                (known + v / k, "this is the variance; the spread is its root"),
                (
                    math.sqrt(v / k),
                    "the conditional mean varies as well, from clip to clip, with variance known",
                ),
                (math.sqrt(known), "this is the spread of the conditional mean; that of k draws is wider"),
                (
                    1 / math.sqrt(k),
                    "draws given one clip share its conditional mean, so they are not independent",
                ),
                (
                    math.sqrt(known) + math.sqrt(v / k),
                    "variances add up, standard deviations do not: add first, take the root then",
                ),
                (
                    math.sqrt(v + known / k),
                    "the mean over draws shrinks what is not known, not what is known",
                ),
            )
            expect_no_mistake(got, mistakes, true)
            expect_close(got, true, f"the spread for known = {known} and k = {k} is another")
    rng = generator(0)
    mean = 0.6 * torch.randn(200_000, generator=rng)
    truth, *draws = (mean + 0.8 * torch.randn(200_000, generator=rng) for _ in range(5))
    seen = torch.stack(draws).mean(0)
    assert (
        abs(float((seen - truth).square().mean()) - error(0.36, 4)) < 0.02
    )  # the formula beside a simulation
    return "The first draw costs twice what the mean costs; four draws averaged already cost only a quarter more."


@exercise("5.7", "A loss that keeps the spread", level="open-ended", minutes=30)
def keeps_spread(loss: Answer) -> str:
    unit, real, steps = _estimates(0)
    valid = steps[..., None].bool()
    guess = 0.5 * unit
    with left_alone(guess, real, steps):
        value = expect_tensor(loss(guess, real, steps), "the loss")
    assert value.dim() == 0, f"the loss has shape {tuple(value.shape)}; it must be one number"
    garbage = torch.where(valid, guess, 50.0)
    assert close(loss(garbage, real, steps), value), (
        "the loss changes with what stands on padding; leave those steps out of every sum and every count"
    )
    truth = float(loss(real.clone(), real, steps))
    assert float(loss(1.3 * real, real, steps)) > truth + 1e-6, (
        "the truth stretched by 1.3 costs no more than the truth itself: your loss rewards spread without bound; "
        "compare it with the real spread"
    )
    assert float(loss(real + 0.5, real, steps)) > truth + 1e-6, (
        "the truth shifted by half a standard deviation costs no more than the truth itself"
    )
    for seed in range(2):
        assert (
            float(loss(_exchanged(unit, steps, seed), real, steps)) > float(loss(unit, real, steps)) + 1e-6
        ), (
            "recovered features handed to other clips cost no more than those of the right clip: laws are compared, but "
            "not clip by clip; keep an error beside the spread"
        )
    for start, what in ((0.0, "when recovered features do not vary at all"), (1.0, "at the truth")):
        at = (start * real).clone().requires_grad_()
        value = loss(at, real, steps)
        assert value.requires_grad, (
            "the loss has no gradient: do not detach, and do not turn tensors into numbers"
        )
        (slope,) = torch.autograd.grad(value, at)
        assert torch.isfinite(slope).all(), (
            f"the gradient is NaN or infinite {what}: a root has an infinite slope at 0; add a small number under it"
        )
    return _judge(_learned_spreads(loss, unit, real, steps))


def _estimates(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Estimates of unit spread that correlate with the truth by .9, .7, .5 and .3, and the truth, (48, 12, 4)."""
    real, noise = random_tensors(seed, (48, 12, 4), (48, 12, 4))
    steps = step_mask(torch.arange(48) % 10 + 3, 12)
    r = torch.tensor([0.9, 0.7, 0.5, 0.3], dtype=torch.float64)
    return _standard(r * real + (1 - r**2).sqrt() * noise, steps), _standard(real, steps), steps


def _standard(x: Tensor, steps: Tensor) -> Tensor:
    """Mean 0 and deviation 1 per channel over the valid steps, 0 on padding."""
    inside = x[steps.bool()]
    return (x - inside.mean(0)) / inside.std(0, unbiased=False) * steps[..., None]


def _exchanged(x: Tensor, steps: Tensor, seed: int) -> Tensor:
    """The same valid steps, handed to other clips: the law is kept, the pairing is lost."""
    inside, mixed = steps.bool(), x.clone()
    rows = x[inside]
    mixed[inside] = rows[torch.randperm(len(rows), generator=generator(seed))]
    return mixed


def _learned_spreads(loss: Answer, unit: Tensor, real: Tensor, steps: Tensor) -> Tensor:
    """Train a gain and an offset per channel on the loss; gain is spread, as the estimates have spread 1."""
    gain, offset = (torch.full((4,), x, dtype=torch.float64, requires_grad=True) for x in (0.5, 0.0))
    for size in torch.linspace(
        0.08, 0.002, 60
    ):  # along the sign of the gradient: no loss is too steep for that
        value = loss((gain * unit + offset) * steps[..., None], real, steps)
        slopes = torch.autograd.grad(value, (gain, offset), allow_unused=True)
        with torch.no_grad():
            for x, slope in zip((gain, offset), slopes):
                if slope is not None:
                    x -= size * slope.sign()
    return gain.detach().abs()


def _judge(spreads: Tensor) -> str:
    told = ", ".join(f"{s:.2f}" for s in spreads)
    whole = float(spreads.square().mean().sqrt())
    at = f"four channels with correlations .9, .7, .5 and .3 end at spreads {told}"
    if not bool(((spreads > 0.8) & (spreads < 1.2)).all()):
        assert not (whole > 0.9 and spreads[0] > 1.05 and spreads[3] < 0.8), (
            f"trained on your loss, {at}: right on average, but not channel by channel; take the spread of each channel "
            "on its own"
        )
        assert whole < 1.1, f"trained on your loss, {at}: wider than the real features, whose spread is 1"
        raise AssertionError(
            f"trained on your loss, {at}, and real features have 1: squared error still rules and narrows the features; "
            "is the spread weighed at all, or too lightly?"
        )
    return f"Trained on your loss, {at}. What it costs in squared error is what the chapter's plane shows."
