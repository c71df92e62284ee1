"""Wrong answers to the exercises of chapter 2, and what their checks must say."""

from __future__ import annotations

import math

import torch

from tests.course.wrong.wrong import Wrong


def right_order(x_b, s, t):
    return (x_b + t) * s


def right_undo(y_b, s, t):
    return y_b / s - t


def in_place(x_b, s, t):
    x_b += t
    return x_b * s


def sigmoid(u):
    return 1 / (1 + math.exp(-u))


def repaired(sign=-1, mask="valid", reduce="sum", keep_steps=False, forwards=False, whole=False):
    """Exercise 2.3 with chosen mistakes."""

    def undo_with_log_det(layer, y_a, y_b, lengths):
        log_s, t = layer.log_scale_and_shift(y_a)
        x_b = log_s.exp() * y_b + t if forwards else (y_b - t) / log_s.exp()
        steps = torch.arange(y_a.shape[1])
        masks = {
            "valid": steps < lengths[:, None],
            "none": torch.ones(y_a.shape[:2], dtype=torch.bool),
            "late": steps <= lengths[:, None],
            "padding": steps >= lengths[:, None],
        }
        per_step = {"sum": log_s, "mean": log_s / log_s.shape[-1], "scales": log_s.exp()}[reduce].sum(-1)
        log_det = sign * per_step * masks[mask]
        if keep_steps:
            return x_b, log_det
        return x_b, log_det.sum() if whole else log_det.sum(-1)

    return undo_with_log_det


def mean_over_steps(layer, y_a, y_b, lengths):
    x_b, log_det = repaired()(layer, y_a, y_b, lengths)
    return x_b, log_det / lengths


def determinant(layer, y_a, y_b, lengths):
    x_b, log_det = repaired()(layer, y_a, y_b, lengths)
    return x_b, log_det.exp()


def differs(f, x):
    return (torch.func.jacrev(f)(x) - torch.eye(len(x), dtype=x.dtype)).abs() > 1e-9


def second_half(f, x):
    return torch.arange(len(x)) >= len(x) // 2


def as_numbers(f, x):
    return differs(f, x).any(1).double()


def banana(log_s, t):
    return (lambda x_a, mean, sd: (log_s(mean(x_a), sd(x_a).double()), t(mean(x_a), sd(x_a).double())),)


def from_log(function):
    def scale(r):
        log_s = function(r)
        return log_s.exp(), log_s

    return (scale,)


def sigmoid_of_two(r):
    s = torch.sigmoid(r)
    return 2 * s, (2 * s).log()


def log_forgotten(r):
    s = (r / (1 + r.abs())).exp()
    return s, s


def log_detached(r):
    s = (r / (1 + r.abs())).exp()
    return s, s.detach().log()


WRONG: dict[str, list[Wrong]] = {
    "2.1": [
        Wrong("forwards", (lambda n, r: sigmoid(r + 2) ** n,), "do forwards"),
        Wrong("forgets the 2", (lambda n, r: sigmoid(r) ** -n,), "adds 2 before the sigmoid"),
        Wrong("subtracts 2", (lambda n, r: sigmoid(r - 2) ** -n,), "sigmoid\\(raw - 2\\)"),
        Wrong("times instead of power", (lambda n, r: n / sigmoid(r + 2),), "number of layers.*a power"),
        Wrong("adds up", (lambda n, r: 1 + n * (1 / sigmoid(r + 2) - 1),), "add up the factors"),
        Wrong("one too few", (lambda n, r: sigmoid(r + 2) ** -(n - 1),), "one layer too few"),
        Wrong("the logarithm", (lambda n, r: -n * math.log(sigmoid(r + 2)),), "logarithm of the factor"),
        Wrong("exp as scale", (lambda n, r: math.exp(-(r + 2) * n),), "exp\\(raw \\+ 2\\)"),
        Wrong(
            "the number of the text",
            (lambda n, r: (1 + math.exp(-2)) ** 32,),
            "amplification\\(1, 0.0\\) should be 1.1353",
        ),
        Wrong("no return", (lambda n, r: None,), "forget `return`"),
    ],
    "2.2": [
        Wrong("scales first, as Eq. (1)", (lambda x, s, t: s * x + t, right_undo), "that is Eq. \\(1\\)"),
        Wrong("Eq. (2) as the inverse", (right_order, lambda y, s, t: (y - t) / s), "that is Eq. \\(2\\)"),
        Wrong(
            "multiplies on the way back", (right_order, lambda y, s, t: y * s - t), "multiplies by s again"
        ),
        Wrong("adds on the way back", (right_order, lambda y, s, t: y / s + t), "adds t again"),
        Wrong("divides on the way there", (lambda x, s, t: (x + t) / s, right_undo), "shift_first divides"),
        Wrong("forward map twice", (right_order, right_order), "forward map once more"),
        Wrong("changes x_b in place", (in_place, right_undo), "in place"),
        Wrong("no return", (right_order, lambda y, s, t: None), "forget `return`"),
        Wrong("NaN", (lambda x, s, t: x / 0 * 0, right_undo), "NaN"),
    ],
    "2.3": [
        Wrong("nothing repaired", (repaired(sign=1, mask="none"),), "neither of the two bugs"),
        Wrong("forgotten sign", (repaired(sign=1),), "the sign is wrong: the inverse"),
        Wrong("padding counted", (repaired(mask="none"),), "padding is counted: only"),
        Wrong("off by one", (repaired(mask="late"),), "one step too many"),
        Wrong("mask inverted", (repaired(mask="padding"),), "wrong way round"),
        Wrong("mean over channels", (repaired(reduce="mean"),), "mean over the channels"),
        Wrong("mean over steps", (mean_over_steps,), "mean over the valid steps"),
        Wrong("adds up s", (repaired(reduce="scales"),), "you add up s"),
        Wrong("one number per step", (repaired(keep_steps=True),), "one value per step"),
        Wrong("one number per batch", (repaired(whole=True),), "one number for the whole batch"),
        Wrong("the determinant", (determinant,), "that is the determinant"),
        Wrong("breaks x_b", (repaired(forwards=True),), "x_b is the forward map"),
        Wrong("only x_b", (lambda layer, a, b, n: repaired()(layer, a, b, n)[0],), "return two things"),
    ],
    "2.4": [
        Wrong("columns", (lambda f, x: differs(f, x).any(0),), "every channel moved.*not column i"),
        Wrong("the kept ones", (lambda f, x: ~differs(f, x).any(1),), "other way round"),
        Wrong("the diagonal", (lambda f, x: differs(f, x).diagonal(),), "diagonal alone"),
        Wrong("values", (lambda f, x: (f(x) - x).abs() > 1e-9,), "you compare values"),
        Wrong(
            "always the second half",
            (second_half,),
            "first half: it is the other way round|first half: channels",
        ),
        Wrong("zeros", (lambda f, x: (torch.func.jacrev(f)(x) == 0).any(1),), "every channel moved"),
        Wrong("a matrix", (differs,), "matrix \\(d, d\\)"),
        Wrong("numbers", (as_numbers,), "return a bool tensor"),
        Wrong("no return", (lambda f, x: None,), "forget `return`"),
    ],
    "2.5": [
        Wrong("t = -mean", banana(lambda m, sd: -sd.log(), lambda m, sd: -m), "Eq. \\(1\\) scales first"),
        Wrong(
            "s instead of log s", banana(lambda m, sd: 1 / sd, lambda m, sd: -m / sd), "returns its logarithm"
        ),
        Wrong(
            "multiplies by sd",
            banana(lambda m, sd: sd.log(), lambda m, sd: -m / sd),
            "log s has the wrong sign",
        ),
        Wrong("variance", banana(lambda m, sd: -2 * sd.log(), lambda m, sd: -m / sd), "over the variance"),
        Wrong("forward shift", banana(lambda m, sd: -sd.log(), lambda m, sd: m / sd), "t has the wrong sign"),
        Wrong(
            "the law's own sd and mean",
            banana(lambda m, sd: sd.log(), lambda m, sd: m),
            "log s has the wrong sign",
        ),
        Wrong("only straight", banana(lambda m, sd: 0 * sd, lambda m, sd: -m), "width still depends"),
        Wrong("only even", banana(lambda m, sd: -sd.log(), lambda m, sd: 0 * m), "still bent"),
        Wrong("swapped", banana(lambda m, sd: -m / sd, lambda m, sd: -sd.log()), "swapped"),
        Wrong("no return", (lambda x_a, mean, sd: None,), "forget `return`"),
    ],
    "2.6": [
        Wrong("plain exp", from_log(lambda r: r), "not bounded above"),
        Wrong("sigmoid", from_log(torch.nn.functional.logsigmoid), "can only shrink"),
        Wrong("shifted sigmoid", from_log(lambda r: -0.9 * torch.sigmoid(-r)), "can only shrink"),
        Wrong("only stretches", from_log(lambda r: torch.sigmoid(r)), "can only stretch"),
        Wrong("underflow", (sigmoid_of_two,), "underflows to 0"),
        Wrong("clamp", from_log(lambda r: r.clamp(-1, 1)), "gradient is zero"),
        Wrong("Eq. (4)", from_log(lambda r: 0.8 * torch.tanh(r / 0.8)), "Eq. \\(4\\) itself"),
        Wrong("falls", from_log(lambda r: -torch.atan(r)), "s falls somewhere"),
        Wrong("off centre", from_log(lambda r: torch.atan(r + 1)), "at r = 0; it must be 1"),
        Wrong("too wide", from_log(lambda r: 3 * torch.atan(r)), "at most 10"),
        Wrong("forgets the logarithm", (log_forgotten,), "not the logarithm"),
        Wrong("detached", (log_detached,), "autograd"),
        Wrong("constant", from_log(lambda r: 0 * r), "hardly differs from 1"),
        Wrong("only s", (lambda r: (r / (1 + r.abs())).exp(),), "return two things"),
    ],
}
