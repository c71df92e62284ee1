"""Checks of chapter 7: training DiCMoR from end to end."""

from __future__ import annotations

import math

import numpy as np
import torch

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


@exercise("7.1", "Put the objective together", level="warm-up", minutes=5)
def objective_by_hand(loss: Answer) -> str:
    rng = generator(71)
    for missing in ((1, 1, 1), (0, 1, 1), (1, 0, 0)):
        task, a, b = (torch.rand(3, generator=rng, dtype=torch.float64) + 0.5).tolist()
        nll, errors = random_tensors(72 + sum(missing), (3,), (3,))
        errors = errors.abs() * torch.tensor(missing)
        counts = torch.tensor(missing) * 40
        with left_alone(nll, errors, counts):
            value = expect_number(loss(task, nll, errors, counts, a, b), "the objective")
        recovery = float(errors.sum() / sum(missing))
        true = task + a * float(nll.sum()) + b * recovery
        mistakes = {
            "the NLL enters as the mean of the three modalities; Eq. (22) adds them up": task
            + a * float(nll.mean())
            + b * recovery,
            "L_rec is divided by 3 although fewer modalities were recovered; count only those with count > 0": task
            + a * float(nll.sum())
            + b * float(errors.mean()),
            "L_rec is a sum over the modalities; it is the mean over those that were recovered": task
            + a * float(nll.sum())
            + b * float(errors.sum()),
            "a and b have changed places: a weighs the NLL, b the recovery": task
            + b * float(nll.sum())
            + a * recovery,
        }
        expect_no_mistake(value, mistakes, true, 1e-9)
        expect_close(value, true, "the value is not task + a * (sum of the NLLs) + b * L_rec", 1e-9)
    assert close(
        expect_number(loss(1.0, torch.zeros(3), torch.zeros(3), torch.zeros(3), 1.0, 1.0), "the objective"), 1
    ), (
        "with nothing missing L_rec is 0, and the division by the number of recovered modalities must not be by 0"
    )
    return "Sums of NLLs, but a mean of recovery errors: a batch with little missing weighs recovery like one with much."


@exercise("7.2", "Stop in time", level="core", minutes=10)
def stop_in_time(select: Answer) -> str:
    cases = [
        ([1.2, 1.0, 0.9, 0.95, 0.93, 0.97, 0.5], 3),
        ([1.0, 0.8, 0.8, 0.9, 0.9, 0.9, 0.7], 3),
        ([1.0, 1.1, 0.9, 1.0, 0.8, 0.9, 0.7, 0.75], 3),
        ([0.9, 0.8, 0.7, 0.6], 2),
        ([0.5, 0.6, 0.7, 0.4, 0.3], 2),
    ]
    for valid, patience in cases:
        answer = select(list(valid), patience)
        assert isinstance(answer, tuple) and len(answer) == 2, (
            "return two numbers: (best epoch, last epoch run)"
        )
        best, last = (
            int(expect_number(value, name))
            for value, name in zip(answer, ("the best epoch", "the last epoch"))
        )
        true_best, true_last = _early_stopping(valid, patience)
        assert (best, last) != (true_best - 1, true_last - 1), "epochs are counted from 1, not from 0"
        assert not 1 <= best <= len(valid) or best <= true_best or valid[best - 1] != valid[true_best - 1], (
            f"of equal errors the earlier epoch is kept: epoch {true_best}, not {best}, for {valid}"
        )
        assert last == true_last or last != len(valid), (
            f"training goes on to the end: it stops after {patience} epochs in a row without a new best"
        )
        assert best != int(np.argmin(valid)) + 1 or best == true_best, (
            "the best epoch lies after the stop: an epoch that was never run cannot be chosen"
        )
        assert last == true_last, (
            f"with patience {patience} and validation errors {valid} the last epoch run is {true_last}, not {last}: "
            "count the epochs in a row without a new best, from 0 at each new best"
        )
        assert best == true_best, (
            f"the best of the epochs that were run is {true_best}, not {best}, for {valid}"
        )
    return "The curve behind the stop is never seen: a patience that is too short costs accuracy, one too long costs time."


def _early_stopping(valid: list[float], patience: int) -> tuple[int, int]:
    best, best_epoch = math.inf, 0
    for epoch, error in enumerate(valid, start=1):
        if error < best:
            best, best_epoch = error, epoch
        if epoch - best_epoch >= patience:
            return best_epoch, epoch
    return best_epoch, len(valid)


@exercise("7.3", "Clip the gradient, not its direction", level="core", minutes=10)
def clip_by_norm(clip: Answer) -> str:
    for seed, scale, limit in ((1, 10.0, 0.6), (2, 0.01, 0.6), (3, 3.0, 2.0)):
        gradients = [g * scale for g in random_tensors(seed, (4, 3), (5,), (2, 2, 2))]
        with left_alone(*gradients):
            clipped = clip(gradients, limit)
        assert isinstance(clipped, (list, tuple)) and len(clipped) == 3, (
            "return one tensor for each gradient, in a list"
        )
        clipped = [expect_shape(c, tuple(g.shape), "a clipped gradient") for c, g in zip(clipped, gradients)]
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients))
        factor = min(1.0, limit / norm)
        assert not close(clipped[0], gradients[0].clamp(-limit, limit)) or close(factor, 1), (
            "each value is clamped on its own, which bends the gradient's direction; scale all of them by one factor"
        )
        own = min(1.0, limit / float(gradients[0].norm()))
        assert not close(clipped[0], gradients[0] * own) or close(own, factor), (
            "each tensor is scaled by its own norm; the norm is that of all gradients together"
        )
        assert factor < 1 or not close(clipped[0], gradients[0] * limit / norm), (
            "a gradient below the limit is scaled up; the factor must never exceed 1"
        )
        for c, g in zip(clipped, gradients):
            expect_close(
                c, g * factor, "the gradients are not g * min(1, limit / norm), norm over all of them", 1e-8
            )
    return "The published code clips each value at 0.6 instead: a step whose largest entries are cut points elsewhere."


@exercise("7.4", "Which entries may be a target?", level="core", minutes=10)
def what_is_a_target(weights: Answer) -> str:
    rng = generator(74)
    available = torch.rand(40, 3, generator=rng) < 0.5
    observed = available | (torch.rand(40, 3, generator=rng) < 0.5)
    lengths = torch.randint(1, 9, (40, 3), generator=rng) * observed
    with left_alone(available, observed, lengths):
        value = expect_shape(
            weights(available, observed, lengths, 8), (40, 3, 8), "the weight of L_rec"
        ).bool()
    inside = torch.arange(8) < lengths[..., None]
    true = inside & (observed & ~available)[..., None]
    assert not torch.equal(value, inside & available[..., None]), (
        "these are the entries that the model sees; L_rec compares what it does not see"
    )
    everything = (~available)[..., None].expand_as(true)
    assert not torch.equal(value, everything), (
        "padding is a target here, and so are modalities that do not exist: use `observed` and the lengths"
    )
    assert not torch.equal(value, (observed & ~available)[..., None].expand_as(true)), (
        "padding is a target here: only steps below the length count"
    )
    assert not torch.equal(value, inside), (
        "what is available is a target here: only what is missing is recovered"
    )
    assert torch.equal(value, true), (
        "the weight must be 1 where a step is valid, observed and not available, else 0"
    )
    return "So clips that really lack a modality train along, and nothing that was never recorded is ever asked for."


@exercise("7.5", "Why C^m is frozen", level="challenge", minutes=15)
def shrinking_features(nll_after: Answer) -> str:
    for nll, scale, channels in ((1.7, 0.5, 16), (1.3, 0.01, 4), (-0.7, 3.0, 8)):
        value = expect_number(nll_after(nll, scale, channels), "the NLL in bits per dimension")
        assert not close(value, nll - math.log2(scale)), (
            "the sign is turned round: features that shrink are denser, so their NLL falls"
        )
        assert not close(value, nll + math.log(scale)), "that is in nats; bits take the logarithm to base 2"
        assert not close(value, nll + channels * math.log2(scale)), (
            "per dimension the number of channels cancels: every channel pays log2(scale) once"
        )
        assert not close(value, nll * scale), (
            "the NLL is no quantity that scales with x: its logarithm adds up"
        )
        expect_close(
            value, nll + math.log2(scale), "the density of s x is p(x) / s^D: its NLL is nll + log2(s)", 1e-9
        )
    return "So a C^m that the NLL may train halves its features and gains a bit each time, for ever, and tells nothing."


@exercise("7.6", "Design a warm-up", level="open-ended", minutes=20)
def design_a_warm_up(rate: Answer) -> str:
    for base, total in ((1e-3, 200), (5e-4, 1000)):
        rates = np.array(
            [expect_number(rate(step, total, base), f"the rate of step {step}") for step in range(total)]
        )
        assert (rates > 0).all(), (
            "a step with rate 0 or less learns nothing or unlearns; keep every rate above 0"
        )
        assert rates.max() <= base * (1 + 1e-9), (
            f"the rate exceeds the base rate: {rates.max():.2g} > {base:g}"
        )
        assert rates.max() > 0.95 * base, (
            f"the rate never reaches the base rate: {rates.max():.2g} of {base:g}"
        )
        assert rates[0] <= 0.2 * base, (
            "there is no warm-up: the first step must take at most a fifth of the base rate"
        )
        peak = int(rates.argmax())
        assert 0.01 * total <= peak <= 0.3 * total, (
            f"the peak is at step {peak} of {total}; warm up within 1 % to 30 % of the training"
        )
        assert rates[-1] <= 0.1 * base, "it does not come down: end at a tenth of the base rate or less"
        assert (np.diff(rates[: peak + 1]) >= -1e-12).all(), (
            "the rate falls during the warm-up; let it rise to its peak"
        )
        after = rates[int(np.flatnonzero(rates >= 0.95 * base)[-1]) :]
        assert (np.diff(after) <= 1e-12).all(), "the rate rises again after its peak; let it fall to the end"
        jump = np.abs(np.diff(rates)).max()
        assert jump <= 0.2 * base, (
            f"the rate jumps by {jump / base:.0%} of the base rate in one step; make it smooth"
        )
    return "32 layers multiply their scales, so the first steps, taken with Adam's moments still empty, are the riskiest."
