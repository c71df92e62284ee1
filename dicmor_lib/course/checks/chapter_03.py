"""Checks of chapter 3: flows, log-determinants, priors, bits per dimension, the depth collapse."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dicmor_lib.course.checks.asking import (
    Answer,
    close,
    expect_close,
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


@exercise("3.4", "Compose layers", level="core", minutes=10)
def compose_layers(compose: Answer) -> str:
    for seed, (count, batch, time, channels) in enumerate(((3, 4, 5, 6), (2, 2, 7, 2), (5, 3, 1, 4))):
        x, *numbers = random_tensors(seed + 20, (batch, time, channels), *[(2, channels)] * count)
        mask = (torch.rand(batch, time, generator=generator(seed)) < 0.6).double()
        mask[:, 0] = 1  # no clip is empty
        layers = [_layer(a, b) for a, b in numbers]
        with left_alone(x, mask):
            value = compose(layers, x, mask)
        assert value is not None, "compose returned None; did you forget `return`?"
        assert isinstance(value, tuple) and len(value) == 2, "return two things: z, log_det"
        z, log_det = (expect_tensor(v, name) for v, name in zip(value, ("z", "log_det")))
        _name_chain_mistakes(z, log_det, layers, x, mask)
    return "Each log-determinant belongs to the point that reaches its layer: that is why the order matters."


def _layer(a: Tensor, b: Tensor):
    """y = x exp(a tanh(x rolled)) + b, a coupling-like map whose account depends on where it is applied."""

    def layer(x: Tensor) -> tuple[Tensor, Tensor]:
        half = x.shape[-1] // 2
        read, moved = x[..., :half], x[..., half:]
        log_s = a[:half] * torch.tanh(read)
        return torch.cat([moved * log_s.exp() + b[half:], read], dim=-1), log_s.sum(-1)

    return layer


def _run(layers, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    accounts = []
    for layer in layers:
        x, account = layer(x)
        accounts.append(account)
    return x, accounts


def _name_chain_mistakes(z: Tensor, log_det: Tensor, layers, x: Tensor, mask: Tensor) -> None:
    true_z, accounts = _run(layers, x)
    backwards_z, backwards = _run(layers[::-1], x)
    total = sum(accounts)
    masked_z = close(z, true_z * mask[..., None])
    assert not close(z, layers[-1](x)[0]), (
        "z is the last layer applied to x: each layer has to see what the one before made"
    )
    assert not close(z, backwards_z), (
        "the layers ran backwards: the first of the list comes first (the inverse runs backwards)"
    )
    assert z.shape == x.shape, f"z has shape {tuple(z.shape)}, expected that of x, {tuple(x.shape)}"
    assert masked_z or close(z, true_z), "z is wrong: apply each layer to the result of the one before"
    assert log_det.shape != mask.shape, "log_det is still per step: sum over time for one number per clip"
    expect_shape(log_det, (len(x),), "log_det")
    if not torch.equal(mask, torch.ones_like(mask)):
        assert not close(log_det, total.sum(-1)), (
            "log_det counts the padding: multiply by the mask before the sum over time"
        )
    assert not close(log_det, (accounts[-1] * mask).sum(-1)), (
        "log_det is that of the last layer alone: add all of them up"
    )
    same_x = sum(layer(x)[1] for layer in layers)
    assert not close(log_det, (same_x * mask).sum(-1)), (
        "every log-determinant was taken at x: it has to be taken where the data are when they reach that layer"
    )
    assert not close(log_det, (math.prod(accounts) * mask).sum(-1)), (
        "you multiplied the log-determinants: determinants multiply, their logarithms add"
    )
    assert not close(log_det, -(total * mask).sum(-1)), "log_det has the wrong sign: this is the way forward"
    steps = mask.sum(-1).clamp(min=1)
    if not close(steps, torch.ones_like(steps)):
        assert not close(log_det, (total * mask).sum(-1) / steps), (
            "that is the mean over steps: a density of a clip needs their sum"
        )
    expect_close(
        log_det, (total * mask).sum(-1), "log_det is wrong: the masked sum over layers and steps is asked for"
    )


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
        for wrong, message in mistakes:
            assert not close(value, wrong, rtol=1e-5), message
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


@exercise("3.6", "Two unmixed layers are one", level="core", minutes=10)
def two_are_one(collapse_two: Answer) -> str:
    for seed, shape in enumerate(((4,), (2, 3, 5), (1, 6))):
        given = random_tensors(seed + 60, shape, shape, shape, shape)
        log_s1, t1, log_s2, t2 = given
        with left_alone(*given):
            value = collapse_two(*given)
        assert value is not None, "collapse_two returned None; did you forget `return`?"
        assert isinstance(value, tuple) and len(value) == 2, "return two tensors: log_s, t"
        log_s, t = (expect_shape(v, shape, name) for v, name in zip(value, ("log_s", "t")))
        s1, s2 = log_s1.exp(), log_s2.exp()
        assert not close(log_s, s1 * s2), "that is the scale s; its logarithm is asked for"
        assert not close(log_s, log_s1 * log_s2), "scales multiply, so their logarithms add up"
        assert not close(log_s, (s1 + s2).log()) and not close(log_s, s1 + s2), (
            "you added the scales: one after the other they multiply"
        )
        expect_close(log_s, log_s1 + log_s2, "log_s is wrong: what multiplies x_b in the end?")
        assert not close(t, t1 + t2), (
            "the first shift passes through the second layer, which scales it as it scales x_b"
        )
        assert not close(t, s1 * t2 + t1), (
            "the other way round: layer 2 comes second, so it scales t1, and nothing scales t2"
        )
        assert not close(t, s1 * t1 + t2), (
            "t1 is scaled by the layer that comes after it, s2, not by its own s1"
        )
        assert not close(t, s2 * (t1 + t2)), "t2 is added after layer 2 has scaled: it is not scaled itself"
        assert not close(t, log_s2 * t1 + t2), "the shift is scaled by s2 itself, not by its logarithm"
        expect_close(t, s2 * t1 + t2, "t is wrong: put the first layer's output into the second")
    return "Repeat it 31 times and 32 layers are one. `dicmor_lib.blocks.flow.collapse` is this loop."


@exercise("3.7", "Three mistakes in one convolution", level="core", minutes=15)
def debug_mixing(mix: Answer) -> str:
    for seed, (batch, time, channels) in enumerate(((3, 6, 4), (2, 5, 3), (4, 8, 2))):
        x, weight = random_tensors(seed + 80, (batch, time, channels), (channels, channels))
        weight = weight + 1.5 * torch.eye(channels, dtype=torch.float64)
        if (torch.linalg.det(weight) < 0) != bool(seed % 2):
            weight = torch.cat([-weight[:1], weight[1:]])  # a negative determinant in the second case
        steps = torch.randint(1, time, (batch,), generator=generator(seed)).double()
        mask = (torch.arange(time) < steps[:, None]).double()
        with left_alone(x, weight, mask):
            value = mix(x, weight, mask)
        assert value is not None, "mix returned None; did you forget `return`?"
        assert isinstance(value, tuple) and len(value) == 2, "return two things: y, log_det"
        y, log_det = value
        assert not (isinstance(log_det, Tensor) and log_det.isnan().any() and torch.linalg.det(weight) < 0), (
            "NaN where det W < 0: take the logarithm of the absolute value (slogdet gives it)"
        )
        y, log_det = expect_shape(y, tuple(x.shape), "y"), expect_tensor(log_det, "log_det")
        one = torch.linalg.slogdet(weight).logabsdet
        _name_mixing_mistakes(y, log_det, x, weight, mask, one)
        expect_close(
            log_det, one * mask.sum(-1), "log_det is wrong: log|det W| times the valid steps of each clip"
        )
    return "Only the mistake in y would have shown in the samples; the other two spoil densities in silence."


def _name_mixing_mistakes(
    y: Tensor, log_det: Tensor, x: Tensor, weight: Tensor, mask: Tensor, one: Tensor
) -> None:
    steps, time = mask.sum(-1), x.shape[1]
    assert not close(y, (x @ weight.T) * mask[..., None]) and not close(y, x @ weight.T), (
        "y is x times the transpose of W; with rows as steps it is x @ weight"
    )
    assert not close(y, x @ weight), "y is not 0 on padding: multiply by the mask, which needs a channel axis"
    expect_close(y, (x @ weight) * mask[..., None], "y is wrong: x @ weight, 0 on padding")
    assert log_det.shape != mask.shape, "log_det is per step: sum over the valid steps"
    whole = log_det.expand(len(x)) if log_det.dim() == 0 else log_det
    double = (2 * one * time).expand(len(x))
    assert not close(whole, double), (
        "log_det has two mistakes left: det(W^T W) is the square of det W, and padding counts as if it were valid"
    )
    assert not close(whole, 2 * one * steps), (
        "det(W^T W) is the square of det W, so log_det is twice what it should be"
    )
    assert not close(whole, (one * time).expand(len(x))), (
        "every step was counted: padding is not part of the clip, use the mask"
    )
    assert not close(whole, one.expand(len(x))), (
        "that is the log-determinant of one step: W multiplies every valid step"
    )
    assert not close(whole, x.shape[-1] * one * steps), "W acts once per step, not once per channel"
    expect_shape(log_det, (len(x),), "log_det")
    assert not close(log_det, -one * steps), "the sign: forward, the volume is multiplied by |det W|"
    assert not close(log_det, one.exp() * steps), "that is |det W|; its logarithm is asked for"


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


@exercise("3.9", "Your own cure of the collapse", level="open-ended", minutes=25)
def own_mixer(mixer_class: Answer) -> str:
    for seed, channels in enumerate((4, 6, 10)):
        torch.manual_seed(seed)
        mixer = mixer_class(channels)
        assert mixer is not None, "Mixer(channels) returned None; a class is asked for"
        if isinstance(mixer, torch.nn.Module):
            mixer = mixer.double()
        (x,) = random_tensors(seed + 120, (3, 5, channels))
        with torch.no_grad(), left_alone(x):
            value = mixer.forward(x)
            assert value is not None, "forward returned None; did you forget `return`?"
            assert isinstance(value, tuple) and len(value) == 2, "forward returns two things: y and log_det"
            y, log_det = expect_shape(value[0], tuple(x.shape), "y"), expect_tensor(value[1], "log_det")
            expect_shape(log_det, (3, 5), "log_det (one number per step)")
            back = expect_shape(mixer.inverse(y), tuple(x.shape), "inverse(y)")
            again = mixer.forward(y)[0]
        assert close(back, x, 1e-5, 1e-5) or not close(back, again), (
            "inverse does the same as forward, but your map done twice is not the identity"
        )
        lost = "inverse(forward(x)) is not x: forward loses something, or inverse undoes something else"
        expect_close(back, x, lost, 1e-5, 1e-5)
        _name_mixer_mistakes(mixer, x, y, log_det)
    return "Invertible, honest about its volume, and it mixes: it could stand in the library beside `InvertibleMixing`."


def _name_mixer_mistakes(mixer, x: Tensor, y: Tensor, log_det: Tensor) -> None:
    half = x.shape[-1] // 2
    whole = torch.autograd.functional.jacobian(lambda v: mixer.forward(v)[0], x[:1].clone())[0, :, :, 0]
    steps = range(x.shape[1])
    for i in steps:  # (time, channels, time, channels)
        others = [j for j in steps if j != i]
        assert float(whole[i][:, others].abs().max()) < 1e-9, (
            "steps are mixed with each other: act on each step alone"
        )
    blocks = torch.stack([whole[i, :, i] for i in steps])
    true = torch.linalg.slogdet(blocks).logabsdet
    if not close(log_det[0], true, 1e-5, 1e-5):
        assert not close(log_det, torch.zeros_like(log_det)), (
            f"log_det is 0, but autograd says {true[0]:.3f}: your map stretches, and the account has to say so"
        )
        assert not close(log_det[0], -true, 1e-5, 1e-5), "log_det has the wrong sign: it is that of forward"
        raise AssertionError(
            f"log_det of a step is {log_det[0, 0]:.3f}, autograd's Jacobian has {true[0]:.3f}"
        )
    # rows: outputs, columns: inputs
    into_first, into_second = blocks[:, :half, half:].abs(), blocks[:, half:, :half].abs()
    assert max(into_first.max(), into_second.max()) > 1e-9, (
        "no half of y depends on the other half of x: nothing is mixed, and the layers collapse as before"
    )
    for flow, name in ((into_first, "first"), (into_second, "second")):
        assert flow.max() > 1e-9, (
            f"the {name} half of y depends on the {name} half of x alone; both halves are to receive from the other"
        )
