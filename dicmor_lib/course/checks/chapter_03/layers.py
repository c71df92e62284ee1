"""Many layers: composition, the depth collapse, and what mixes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

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

Layer = Callable[[Tensor], tuple[Tensor, Tensor]]
"""x to (z, log-determinant per step)."""


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


def _layer(a: Tensor, b: Tensor) -> Layer:
    """y = x exp(a tanh(x rolled)) + b, a coupling-like map whose account depends on where it is applied."""

    def layer(x: Tensor) -> tuple[Tensor, Tensor]:
        half = x.shape[-1] // 2
        read, moved = x[..., :half], x[..., half:]
        log_s = a[:half] * torch.tanh(read)
        return torch.cat([moved * log_s.exp() + b[half:], read], dim=-1), log_s.sum(-1)

    return layer


def _run(layers: list[Layer], x: Tensor) -> tuple[Tensor, list[Tensor]]:
    accounts = []
    for layer in layers:
        x, account = layer(x)
        accounts.append(account)
    return x, accounts


def _name_chain_mistakes(z: Tensor, log_det: Tensor, layers: list[Layer], x: Tensor, mask: Tensor) -> None:
    true_z, accounts = _run(layers, x)
    backwards_z, backwards = _run(layers[::-1], x)
    total = torch.stack(accounts).sum(0)
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


def _name_mixer_mistakes(mixer: Any, x: Tensor, y: Tensor, log_det: Tensor) -> None:
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
