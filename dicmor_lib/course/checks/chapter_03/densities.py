"""Densities: change of variables, priors, bits per dimension, classes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

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
)
from dicmor_lib.course.exercises import exercise

LN_2 = math.log(2)


HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)


@exercise("3.1", "Stretch and keep account", level="warm-up", minutes=5)
def stretch(log_density: Answer) -> str:
    for k, m, shape in ((2.5, 0.3, (7,)), (0.2, -1.0, (3, 4)), (-3.0, 0.5, (5,)), (-0.4, 0.0, (2, 2, 2))):
        (x,) = random_tensors(len(shape), shape)
        with left_alone(x):
            try:
                value = log_density(x, k, m)
            except ValueError as error:
                assert k > 0, f"{error} for k = {k}: take the logarithm of the absolute value of the slope"
                raise
        assert value is not None, "log_density returned None; did you forget `return`?"
        z = k * x + m
        prior, stretched = -0.5 * z**2 - HALF_LOG_2_PI, math.log(abs(k))
        if isinstance(value, Tensor) and k < 0:
            assert not torch.isnan(value).any(), (
                f"NaN for k = {k}: the logarithm of a negative slope; take that of its absolute value"
            )
        value = expect_shape(value, shape, "the log-density")
        assert not close(value, prior), (
            "that is the prior at z = k x + m without the log-determinant: it integrates to 1/|k|, not to 1"
        )
        assert not close(value, prior - stretched), (
            "the log-determinant has the wrong sign: where F stretches (|k| > 1) data are denser, so add log|k|"
        )
        assert not close(value, prior + k) and not close(value, prior + abs(k)), (
            "you add |k| itself to a log-density; the log-determinant is its logarithm"
        )
        assert not close(value, (prior + stretched).exp()), "that is the density; its logarithm is asked for"
        assert not close(value, -0.5 * ((x - m) / k) ** 2 - HALF_LOG_2_PI - stretched), (
            "that treats the map as x = k z + m, from latent to data; here z = k x + m is the way from data to latent"
        )
        assert not close(value, prior + HALF_LOG_2_PI + stretched), (
            "the constant of the normal, -log(2 pi) / 2, is missing, so the density does not integrate to 1"
        )
        expect_close(
            value,
            prior + stretched,
            f"wrong for k = {k}, m = {m}: the prior at k x + m plus log|k| is asked for",
        )
    return "Whatever k, it integrates to 1: the log-determinant is what makes a density of a prior and a map."


@exercise("3.2", "Metres and millimetres", level="warm-up", minutes=5)
def other_units(in_other_units: Answer) -> str:
    for nll, factor in ((1.3, 1000.0), (-2.0, 0.01), (0.7, 3.0)):
        value = expect_number(in_other_units(nll, factor), "the NLL")
        assert not close(value, nll), (
            "the density depends on the unit, and the NLL with it: it cannot stay the same"
        )
        assert not close(value, nll - math.log2(factor)), (
            "the wrong direction: numbers that are larger are more spread out, their density is lower and the NLL higher"
        )
        for sign in (1, -1):
            assert not close(value, nll + sign * math.log(factor)), (
                "that is log(factor) in nats; in bits it is the logarithm to base 2"
            )
        assert not close(value, nll * factor) and not close(value, nll / factor), (
            "a factor on the data is a summand on the logarithm of their density, not a factor"
        )
        expect_close(value, nll + math.log2(factor), f"wrong for nll = {nll}, factor = {factor}")
    return "So an NLL below 0, or a record low one, may mean no more than small numbers."


@exercise("3.3", "The prior of a class", level="core", minutes=10)
def class_prior(prior_log_prob: Answer) -> str:
    for seed, (batch, time, channels) in enumerate(((7, 5, 4), (3, 2, 6), (2, 9, 1))):
        z, mean, log_sd = random_tensors(seed, (batch, time, channels), (7, channels), (7, channels))
        label = torch.tensor([-3.0, -1.8, 2.6, 0.7, -0.4, 1.2, 3.0], dtype=torch.float64)[:batch]
        with left_alone(z, label, mean, log_sd):
            value = prior_log_prob(z, label, mean, log_sd)
        value = expect_tensor(value, "the log-density")
        row = label.round().long() + 3
        _name_prior_mistakes(value, z, mean, log_sd, label, row)
        expect_shape(value, (batch, time), "the log-density")
        expect_close(
            value, _prior(z, mean, log_sd, row), "wrong: compare the three summands of Eq. (6) one by one"
        )
    return "One row of 7 for every clip, the same at every step: that is all a class-conditional prior is."


def _parts(z: Tensor, mean: Tensor, log_sd: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
    """Half the squared standardised values and log sd, (batch, time, channels) each."""
    log_sd = log_sd[row, None].expand_as(z)
    return 0.5 * ((z - mean[row, None]) * (-log_sd).exp()) ** 2, log_sd


def _prior(z: Tensor, mean: Tensor, log_sd: Tensor, row: Tensor) -> Tensor:
    square, log_sd = _parts(z, mean, log_sd, row)
    return -(square + log_sd + HALF_LOG_2_PI).sum(-1)


def _name_prior_mistakes(
    value: Tensor, z: Tensor, mean: Tensor, log_sd: Tensor, label: Tensor, row: Tensor
) -> None:
    square, log_s = _parts(z, mean, log_sd, row)
    true = _prior(z, mean, log_sd, row)
    full = square + log_s + HALF_LOG_2_PI
    assert not close(value, -full), "you returned every channel: sum over the channels, the last axis"
    assert not close(value, true.sum(-1)), (
        "you summed over time as well: one log-density per step is asked for"
    )
    if z.shape[-1] > 1:
        assert not close(value, -full.mean(-1)), (
            "that is the mean over channels: independent channels multiply their densities, so logarithms are summed"
        )
    assert not close(value, -(square + HALF_LOG_2_PI).sum(-1)), (
        "log sigma is missing: a narrow Gaussian is higher, and its height is part of the density"
    )
    assert not close(value, -(square - log_s + HALF_LOG_2_PI).sum(-1)), (
        "log sigma has the wrong sign: wide means low"
    )
    assert not close(value, -(square + log_s).sum(-1)), (
        "the constant log(2 pi) / 2 of every channel is missing"
    )
    assert not close(value, -true), "that is the negative log-density; the sign is missing"
    variance = 0.5 * (z - mean[row, None]) ** 2 * (-log_s).exp()
    assert not close(value, -(variance + log_s + HALF_LOG_2_PI).sum(-1)), (
        "you divide the square by sigma instead of sigma squared: log_sd is the log of a deviation, not of a variance"
    )
    cut = label.long() + 3
    if not torch.equal(cut, row):
        assert not close(value, _prior(z, mean, log_sd, cut)), (
            "`.long()` cuts decimals off, so 2.6 became class 2: round the label first"
        )
    for shifted, how in (
        (row - 3, "class -3 is row 0, so add 3 to the rounded label"),
        (row - 1, "off by one"),
    ):
        wrong = _prior(z, mean, log_sd, shifted.remainder(7))
        assert not close(value, wrong), f"the rows of the prior do not belong to the labels: {how}"


@exercise("3.5", "Bits per dimension", level="core", minutes=10)
def bits(bits_per_dimension: Answer) -> str:
    for seed, (batch, time, channels) in enumerate(((5, 9, 16), (2, 4, 3), (8, 20, 1))):
        (noise,) = random_tensors(seed + 40, (batch,))
        steps = torch.randint(1, time, (batch,), generator=generator(seed))  # none is full
        mask = (torch.arange(time) < steps[:, None]).double()
        log_prob = (-1.5 + 0.3 * noise) * steps * channels
        with left_alone(log_prob, mask):
            value = bits_per_dimension(log_prob, mask, channels)
        if isinstance(value, Tensor) and value.shape == (batch,):
            raise AssertionError("you returned one number per clip: add up the batch and return a single one")
        value, total, values = (
            expect_number(value, "the NLL"),
            log_prob.sum().item(),
            mask.sum().item() * channels,
        )
        true = -total / (LN_2 * values)
        mistakes = (
            (-true, "the sign: it is the negative log-likelihood, so likely data give a small number"),
            (true * LN_2, "those are nats per dimension: one bit is ln 2 nats, so divide by ln 2"),
            (
                true * LN_2 * LN_2,
                "you multiplied by ln 2: a bit is smaller than a nat, so there are more bits: divide",
            ),
            (true * values, "those are bits in all: divide by the number of values"),
            (true * values / batch, "those are bits per clip: divide by the number of values, not of clips"),
            (
                -total / (LN_2 * batch * time * channels),
                "padding was counted among the values: count valid steps, mask.sum()",
            ),
        )
        expect_no_mistake(value, mistakes, rtol=1e-5)
        if channels > 1:
            assert not close(value, true * channels), (
                "those are bits per step: a step has `channels` values, divide by them too"
            )
        per_clip = (-log_prob / (LN_2 * mask.sum(-1) * channels)).mean().item()
        assert not close(value, per_clip), (
            "you averaged clip by clip, so a short clip weighs as much as a long one: add up first, then divide once"
        )
        expect_close(value, true, "wrong: -sum of log_prob / (ln 2 * number of valid values)")
    return "The same count of values is what `nll_term` in the library keeps, so that several processes can add theirs."


@exercise("3.8", "Which class?", level="challenge", minutes=15)
def bayes(posterior: Answer) -> str:
    frequency = torch.tensor([0.02, 0.12, 0.16, 0.10, 0.22, 0.30, 0.08], dtype=torch.float64)
    for seed, batch in enumerate((5, 1, 7)):
        (log_prob,) = random_tensors(seed + 100, (batch, 7))
        for level in (0.0, -1500.0):  # small numbers first: underflow is a mistake of its own
            _name_bayes_mistakes(posterior, 2 * log_prob + level, frequency, level)
    return (
        "One subtraction of the maximum, inside softmax, is what makes Bayes' rule work with a thousand nats."
    )


def _name_bayes_mistakes(posterior: Answer, log_prob: Tensor, frequency: Tensor, level: float) -> None:
    with left_alone(log_prob, frequency):
        value = posterior(log_prob, frequency)
    if level and isinstance(value, Tensor):
        assert torch.isfinite(value).all() and value.sum() > 0, (
            "NaN, infinite or all 0 at log-densities of -1500: their exponential is 0; stay with logarithms until softmax"
        )
    value = expect_shape(value, tuple(log_prob.shape), "the posterior")
    joint = log_prob + frequency.log()
    assert not close(value, log_prob.softmax(-1)), (
        "the class frequencies are missing: a frequent class is more likely before anything is seen"
    )
    assert not close(value, (log_prob + frequency).softmax(-1)), (
        "you added the frequencies themselves: add their logarithms"
    )
    assert not close(value, log_prob.softmax(-1) * frequency), (
        "multiplied by the frequencies after the softmax: the rows no longer add up to 1"
    )
    assert not close(value, joint.log_softmax(-1)), "those are logarithms; probabilities are asked for"
    if len(log_prob) > 1:
        assert not close(value, joint.softmax(0)), (
            "softmax over the clips: each clip's seven classes add up to 1, so axis -1"
        )
    assert not close(value, joint.exp()), "not normalised: divide by the sum over the seven classes"
    assert not close(value, (log_prob - frequency.log()).softmax(-1)), (
        "the frequencies divide instead of multiplying"
    )
    assert not close(value, (-log_prob + frequency.log()).softmax(-1)), (
        "the sign of log_prob is wrong: likely means large"
    )
    expect_close(value.sum(-1), torch.ones(len(value)), "the probabilities of a clip do not add up to 1")
    expect_close(value, joint.softmax(-1), "wrong: the posterior is proportional to p(x|c) p(c)")
