"""Checks of chapter 2, coupling layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

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


@exercise("2.1", "Fifty-eight times", level="warm-up", minutes=5)
def fifty_eight_times(amplification: Answer) -> str:
    for layers, raw in ((32, 0.0), (1, 0.0), (8, -1.5), (20, 0.7), (64, 0.0), (5, 3.0)):
        found = expect_number(amplification(layers, raw), f"amplification({layers}, {raw})")
        s = 1 / (1 + math.exp(-raw - 2))
        for mistaken, mistake in (
            (s**layers, "that is what the layers do forwards; the inverse divides by each scale"),
            (
                layers / s,
                "you multiply 1/s by the number of layers; factors in a row multiply with each other: a power",
            ),
            (
                layers * (1 / s - 1) + 1,
                "you add up the factors of the layers; they multiply with each other: a power",
            ),
            (
                (1 + math.exp(-raw)) ** layers,
                "your scale is sigmoid(raw); the published code adds 2 before the sigmoid",
            ),
            ((1 + math.exp(2 - raw)) ** layers, "your scale is sigmoid(raw - 2); the published code adds 2"),
            (math.exp((raw + 2) * -layers), "your scale is exp(raw + 2); the published code uses a sigmoid"),
            (s ** -(layers - 1.0), "you count one layer too few"),
            (s ** -(layers + 1.0), "you count one layer too many"),
            (-layers * math.log(s), "that is the logarithm of the factor; return the factor itself"),
        ):
            same_by_chance = math.isclose(mistaken, s**-layers, rel_tol=1e-3)
            assert same_by_chance or not math.isclose(found, mistaken, rel_tol=1e-4), mistake
        expect_close(
            found / s**-layers, 1.0, f"amplification({layers}, {raw}) should be {s**-layers:.5g}", atol=1e-4
        )
    return "64 layers amplify 3371 times, not 116: factors multiply, which is why one works with their logarithms."


@exercise("2.2", "The other order", level="warm-up", minutes=5)
def the_other_order(shift_first: Answer, undo_shift_first: Answer) -> str:
    for seed, shape in enumerate(((4,), (3, 5), (2, 4, 3))):
        x_b, raw, t = random_tensors(seed, shape, shape, shape)
        s = (0.6 * raw).exp()
        with left_alone(x_b, s, t):
            y_b = expect_shape(shift_first(x_b, s, t), shape, "shift_first(x_b, s, t)")
        assert not close(y_b, s * x_b + t), (
            "that is Eq. (1): it scales first and then shifts; here the shift comes first, inside the brackets"
        )
        assert not close(y_b, (x_b + t) / s), "shift_first divides by s; on the way there one multiplies"
        expect_close(y_b, (x_b + t) * s, "shift_first does not return (x_b + t) * s")

        y_b = (x_b + t) * s
        with left_alone(y_b, s, t):
            back = expect_shape(undo_shift_first(y_b, s, t), shape, "undo_shift_first(y_b, s, t)")
        mistakes = (
            (
                (y_b - t) / s,
                "that is Eq. (2), which undoes Eq. (1): you undo the shift first, but the scale was applied last",
            ),
            (y_b * s - t, "your inverse multiplies by s again; what was multiplied is undone by dividing"),
            (y_b / s + t, "your inverse adds t again; what was added is undone by subtracting"),
            ((y_b + t) * s, "your inverse is the forward map once more"),
        )
        expect_no_mistake(back, mistakes)
        expect_close(back, x_b, "undo_shift_first does not bring x_b back")
    return "It is Eq. (1) with the shift s * t, so both orders can express the same layers; only the weights differ."


class _Layer(nn.Module):
    """A layer with random weights for exercise 2.3; the network reads one step alone."""

    def __init__(self, half: int, seed: int) -> None:
        super().__init__()
        self.first, self.last = random_tensors(seed, (half, 7), (7, 2 * half))

    def log_scale_and_shift(self, x_a: Tensor) -> tuple[Tensor, Tensor]:
        r, t = ((x_a @ self.first).tanh() @ self.last).chunk(2, dim=-1)
        return 0.5 * torch.tanh(r) + 0.1, t  # not centred: a mean is no sum by chance


@exercise("2.3", "A log-determinant with two bugs", level="core", minutes=10)
def a_log_determinant_with_two_bugs(undo_with_log_det: Answer) -> str:
    for seed, (batch, time, half) in enumerate(((4, 6, 3), (1, 5, 2), (3, 9, 4))):
        layer = _Layer(half, seed)
        y_a, y_b = random_tensors(seed + 9, (batch, time, half), (batch, time, half))
        lengths = torch.randint(1, time, (batch,), generator=generator(seed))
        lengths[-1] = time - 2  # never a batch without padding
        log_s, t = layer.log_scale_and_shift(y_a)
        with left_alone(y_a, y_b, lengths):
            answer = undo_with_log_det(layer, y_a.clone() if seed else y_a, y_b, lengths)
        assert answer is not None, "undo_with_log_det returned None; did you forget `return`?"
        assert isinstance(answer, tuple) and len(answer) == 2, "return two things: x_b and log_det"
        valid = torch.arange(time) < lengths[:, None]
        x_b = expect_shape(answer[0], (batch, time, half), "x_b")
        true_x_b = (y_b - t) / log_s.exp()
        assert not close(x_b[valid], (y_b * log_s.exp() + t)[valid]), (
            "x_b is the forward map, Eq. (1); the function had it right: only log_det is to be repaired"
        )
        expect_close(x_b[valid], true_x_b[valid], "x_b changed; it was right, only log_det is to be repaired")
        _expect_log_det(answer[1], log_s, valid, lengths)
    return "A round-trip test never sees a log-determinant: only a Jacobian (or a density that should sum to 1) does."


def _expect_log_det(log_det: Any, log_s: Tensor, valid: Tensor, lengths: Tensor) -> None:
    batch, time, _ = log_s.shape
    per_step = log_s.sum(-1)
    true = -(per_step * valid).sum(-1)
    log_det = expect_tensor(log_det, "log_det")
    assert log_det.shape != (batch, time), (
        "log_det has one value per step; add up the valid steps of each clip"
    )
    assert log_det.dim() or batch == 1, (
        "log_det is one number for the whole batch; keep one per clip, (batch,)"
    )
    log_det = expect_shape(log_det, (batch,), "log_det")
    late = torch.arange(time) <= lengths[:, None]
    mistakes = (
        (per_step.sum(-1), "the sign is wrong and padding is counted: neither of the two bugs is repaired"),
        (
            -true,
            "the sign is wrong: the inverse undoes the scaling, so its log-determinant is minus the sum of log s",
        ),
        (-per_step.sum(-1), "padding is counted: only the first lengths[i] steps of clip i are valid"),
        (-(per_step * late).sum(-1), "one step too many: step lengths[i] is padding already (use <, not <=)"),
        (true / lengths, "that is a mean over the valid steps; the log-determinant of a clip is their sum"),
        (-(log_s.mean(-1) * valid).sum(-1), "that is a mean over the channels; Eq. (3) is their sum"),
        (-(log_s.exp().sum(-1) * valid).sum(-1), "you add up s; Eq. (3) adds up log s"),
        (true.exp(), "that is the determinant; return its logarithm"),
        (-(per_step * ~valid).sum(-1), "the mask is the wrong way round: you add up the padding"),
    )
    expect_no_mistake(log_det, mistakes)
    expect_close(log_det, true, "log_det is not minus the sum of log s over channels and valid steps")


def _coupling_of(
    keep: Tensor, seed: int, *, scaled: bool = True, at: Tensor | None = None
) -> Callable[[Tensor], Tensor]:
    """A coupling layer of (d,) that keeps the channels in `keep`; at the point `at` it moves nothing."""
    move = (~keep).nonzero()[:, 0]
    held = keep.nonzero()[:, 0]
    weight, shift = random_tensors(seed, (len(held), len(move)), (len(held), len(move)))

    def network(x: Tensor) -> tuple[Tensor, Tensor]:
        log_s = 0.5 * torch.tanh(x[held] @ weight) if scaled else x.new_zeros(len(move))
        return log_s, torch.sin(x[held] @ shift)

    def f(x: Tensor) -> Tensor:
        log_s, t = network(x)
        if at is not None:
            log_s0, t0 = network(at)
            log_s, t = log_s - log_s0, t - t0
        return x.index_copy(0, move, log_s.exp() * x[move] + t)

    return f


@exercise("2.4", "Which channels moved?", level="core", minutes=15)
def which_channels_moved(moved: Answer) -> str:
    d = 6
    halves = torch.arange(d) < d // 2
    every_other = torch.arange(d) % 2 == 0
    x = random_tensors(5, (d,))[0]
    cases: list[tuple[str, Tensor, dict[str, Any]]] = [
        ("a layer that transforms the second half", halves, {}),
        ("a layer that transforms the first half", ~halves, {}),
        ("a layer that transforms every other channel", every_other, {}),
        ("a layer whose scale is 1 everywhere and that only shifts", every_other, {"scaled": False}),
        ("a layer that happens to leave this very point where it is", ~halves, {"at": x}),
    ]
    for seed, (what, keep, options) in enumerate(cases):
        f, true = _coupling_of(keep, seed, **options), ~keep
        with left_alone(x):
            found = moved(f, x)
        found = expect_tensor(found, "moved(f, x)")
        assert found.shape != (d, d), (
            "you return a matrix (d, d); a channel has moved if *any* entry of its row differs"
        )
        found = expect_shape(found, (d,), "moved(f, x)")
        assert found.dtype == torch.bool, f"moved(f, x) holds {found.dtype}; return a bool tensor"
        jacobian = torch.func.jacrev(f)(x)
        differs = (jacobian - torch.eye(d, dtype=torch.float64)).abs() > 1e-9
        for mistaken, mistake in (
            (keep, "it is the other way round: True belongs to the channels that are transformed"),
            (
                true | True,
                "you find that every channel moved; compare row i of the Jacobian (not column i, which says who "
                "reads input i) with row i of the identity",
            ),
            (
                differs.any(0),
                "you look at columns; column j says who reads input j, row i what output i reads",
            ),
            (
                (f(x) - x).abs() > 1e-9,
                "you compare values, and at this point the layer moves nothing by chance: use derivatives",
            ),
            (
                differs.diagonal(),
                "the diagonal alone cannot tell: a channel with scale 1 that is shifted has moved",
            ),
        ):
            assert torch.equal(mistaken, true) or not torch.equal(found, mistaken), f"{what}: {mistake}"
        assert torch.equal(found, true), (
            f"{what}: channels {_listed(true)} are transformed, you found {_listed(found)}"
        )
    return "The same test finds out what a stack of layers keeps: chapter 3 needs it."


def _listed(mask: Tensor) -> str:
    return ", ".join(str(i) for i in mask.nonzero()[:, 0].tolist()) or "none"


def _crooked(x: Tensor) -> Tensor:
    return x.floor() + 0.3 * x


def _kinked(x: Tensor) -> Tensor:
    return 0.2 + 0.7 * x.abs()


BANANAS: tuple[tuple[str, Answer, Answer], ...] = (
    ("the banana", torch.square, _kinked),
    ("a mean with jumps", _crooked, lambda x: 0.5 + (x > 0)),
    ("a wave", torch.sin, lambda x: (0.4 * x.cos()).exp() * 1.3),
)


@exercise("2.5", "Straighten a banana", level="challenge", minutes=15)
def straighten_a_banana(network: Answer) -> str:
    for seed, (what, mean, sd) in enumerate(BANANAS):
        shape = ((40, 1), (5, 6, 2), (30,))[seed]
        x_a, noise = random_tensors(seed, shape, shape)
        with left_alone(x_a):
            answer = network(x_a, mean, sd)
        assert answer is not None, "network returned None; did you forget `return`?"
        assert isinstance(answer, (tuple, list)) and len(answer) == 2, "return two things: log s and t"
        log_s, t = (expect_shape(part, shape, name) for part, name in zip(answer, ("log s", "t")))
        mu, sigma = mean(x_a), sd(x_a).double()
        right_s, right_t = -sigma.log(), -mu / sigma
        assert not (close(log_s, right_t) and close(t, right_s)), (
            "log s and t are swapped: return log s first"
        )
        mistakes = (
            (1 / sigma, "you return s; the network returns its logarithm"),
            (sigma, "you return the standard deviation itself; s must divide by it, and log s is asked for"),
            (sigma.log(), "your log s has the wrong sign: a wide cloud has to be shrunk, so s = 1 / sd"),
            (
                -2 * sigma.log(),
                "your s is one over the variance; one over the standard deviation standardises",
            ),
            (
                torch.zeros_like(sigma),
                "your s is 1: the cloud is straight, but its width still depends on x_a",
            ),
        )
        expect_no_mistake(log_s, mistakes, right_s)
        expect_close(log_s, right_s, f"{what}: log s does not give the cloud the same width everywhere")
        mistakes = (
            (
                -mu,
                "your t is -mean; Eq. (1) scales first, so the mean arrives multiplied by s and so must the shift",
            ),
            (mu / sigma, "your t has the wrong sign: the mean is to be taken away"),
            (mu, "your t is the mean; it is to be taken away, and after scaling"),
            (-mu * sigma, "your t is -mean * sd; the mean arrives multiplied by s = 1 / sd"),
            (
                torch.zeros_like(mu),
                "your t is 0: the cloud has an even width but is still bent along its mean",
            ),
        )
        expect_no_mistake(t, mistakes)
        expect_close(t, right_t, f"{what}: t does not bring the mean to 0 everywhere")
        expect_close(log_s.exp() * (mu + sigma * noise) + t, noise, f"{what}: y_b is not standard normal")
    return "One layer turns any normal law of x_b given x_a into the standard one; for other shapes flows stack layers."


@exercise("2.6", "A scale map of your own", level="open-ended", minutes=20)
def a_scale_map_of_your_own(scale: Answer) -> str:
    r = torch.cat(
        [torch.linspace(-12, 12, 481, dtype=torch.float64), torch.tensor([-1e4, -100.0, 100.0, 1e4]).double()]
    )
    r = r.sort().values
    r[r.abs() < 1e-12] = 0.0
    s, log_s, slope = _scale_and_slope(scale, r)
    inner = r.abs() <= 3
    assert log_s.abs().max() > 0.05, "s hardly differs from 1 for any r; such a layer can only shift"
    assert s.max() <= 1e3, (
        f"s is not bounded above: it reaches {s.max():.1e} (the plain exponential does that)"
    )
    assert s.max() > 1 + 1e-6, (
        "your map can only shrink: no r gives s > 1 (that is the published sigmoid's weakness)"
    )
    assert s.min() < 1 - 1e-6, "your map can only stretch: no r gives s < 1"
    assert (s > 0).all(), "some s are 0 or negative: then Eq. (2) divides by 0, or log s does not exist"
    assert s.max() <= 10, f"s reaches {s.max():.2f}; the exercise allows at most 10"
    assert s.min() >= 0.1, f"s goes down to {s.min():.1e}; the exercise asks for at least 0.1"
    at_zero = s[r == 0].item()
    assert abs(at_zero - 1) < 1e-6, (
        f"s is {at_zero:.3f} at r = 0; it must be 1, so that a new layer is the identity"
    )
    assert (s.diff() >= -1e-9).all(), "s falls somewhere as r rises; it must never decrease"
    expect_close(log_s, s.log(), "the second value is not the logarithm of the first")
    assert torch.isfinite(slope).all(), "the gradient of log s is NaN or infinite somewhere"
    assert (slope[inner] > 1e-6).all(), (
        "the gradient is zero for some |r| <= 3 (a clamp does that): a layer that gets there stops learning"
    )
    b = float(log_s.abs().max())
    assert not close(log_s, b * torch.tanh(r / b), atol=1e-4), (
        "that is Eq. (4) itself, b tanh(r / b); find another"
    )
    return f"Yours scales by {s.min():.2f} to {s.max():.2f}; 32 layers at r = 0 multiply by exactly 1."


def _scale_and_slope(scale: Answer, r: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """s, log s and the derivative of log s by r, after the questions that come first."""
    variable = r.clone().requires_grad_()
    with left_alone(variable):
        answer = scale(variable)
    assert answer is not None, "scale returned None; did you forget `return`?"
    assert isinstance(answer, (tuple, list)) and len(answer) == 2, "return two things: s and log s"
    s, log_s = answer
    assert isinstance(s, Tensor) and isinstance(log_s, Tensor), "s and log s must be tensors"
    assert not torch.isnan(s).any(), "s is NaN for some r"
    assert not torch.isinf(s).any(), (
        "s is not bounded above: it overflows for large r (the plain exponential does that)"
    )
    assert s.shape == r.shape, f"s has shape {tuple(s.shape)}, expected that of r, {tuple(r.shape)}"
    assert torch.isfinite(log_s).all(), (
        "log s is infinite or NaN for some r: the logarithm of an s that underflows to 0; bound s away from 0"
    )
    log_s = expect_shape(log_s, tuple(r.shape), "log s")
    assert log_s.requires_grad, (
        "log s does not depend on r through autograd; do not detach it or leave PyTorch"
    )
    (slope,) = torch.autograd.grad(log_s.sum(), variable)
    return s.detach(), log_s.detach(), slope
