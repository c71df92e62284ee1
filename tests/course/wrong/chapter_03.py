"""Wrong answers to the exercises of chapter 3 that students really give."""

from __future__ import annotations

import math

import torch

from tests.course.wrong.wrong import Wrong

HALF = 0.5 * math.log(2 * math.pi)


def normal(z):
    return -0.5 * z**2 - HALF


# 3.3 ----------------------------------------------------------------------------------------------


def prior(z, label, mean, log_sd, row=None, parts=(1, 1, 1)):
    row = label.round().long() + 3 if row is None else row(label)
    square = 0.5 * ((z - mean[row, None]) / log_sd[row, None].exp()) ** 2
    a, b, c = parts
    return -(a * square + b * log_sd[row, None] + c * HALF).sum(-1)


def prior_with(**options):
    return (lambda z, label, mean, log_sd: prior(z, label, mean, log_sd, **options),)


def prior_mean_of_channels(z, label, mean, log_sd):
    return prior(z, label, mean, log_sd) / z.shape[-1]


def prior_with_variance(z, label, mean, log_sd):
    row = label.round().long() + 3
    square = 0.5 * (z - mean[row, None]) ** 2 / log_sd[row, None].exp()
    return -(square + log_sd[row, None] + HALF).sum(-1)


def prior_in_place(z, label, mean, log_sd):
    row = label.round().long() + 3
    z -= mean[row, None]
    return -(0.5 * (z / log_sd[row, None].exp()) ** 2 + log_sd[row, None] + HALF).sum(-1)


# 3.4 ----------------------------------------------------------------------------------------------


def run(layers, x):
    accounts = []
    for layer in layers:
        x, account = layer(x)
        accounts.append(account)
    return x, accounts


def compose_unmasked(layers, x, mask):
    z, accounts = run(layers, x)
    return z, sum(accounts).sum(-1)


def compose_last_alone(layers, x, mask):
    z, accounts = run(layers, x)
    return z, (accounts[-1] * mask).sum(-1)


def compose_product(layers, x, mask):
    z, accounts = run(layers, x)
    return z, (math.prod(accounts) * mask).sum(-1)


def compose_backwards(layers, x, mask):
    z, accounts = run(layers[::-1], x)
    return z, (sum(accounts) * mask).sum(-1)


def compose_all_at_x(layers, x, mask):
    z, _ = run(layers, x)
    return z, (sum(layer(x)[1] for layer in layers) * mask).sum(-1)


def compose_each_on_x(layers, x, mask):
    for layer in layers:
        z, account = layer(x)
    return z, (account * mask).sum(-1)


def compose_per_step(layers, x, mask):
    z, accounts = run(layers, x)
    return z, sum(accounts) * mask


def compose_mean(layers, x, mask):
    z, accounts = run(layers, x)
    return z, (sum(accounts) * mask).sum(-1) / mask.sum(-1)


# 3.7 ----------------------------------------------------------------------------------------------


def one_step(weight):
    return torch.linalg.slogdet(weight).logabsdet


def masked(x, weight, mask):
    return (x @ weight) * mask[..., None]


# 3.9 ----------------------------------------------------------------------------------------------


class Plain:
    def __init__(self, channels):
        self.half = channels // 2


class Identity(Plain):
    def forward(self, x):
        return x, x.new_zeros(x.shape[:-1])

    def inverse(self, y):
        return y


class PermutedWithinHalves(Identity):
    def forward(self, x):
        a, b = x.chunk(2, -1)
        return torch.cat([a.flip(-1), b.flip(-1)], -1), x.new_zeros(x.shape[:-1])

    def inverse(self, y):
        return self.forward(y)[0]


class ForgottenVolume(Plain):
    def forward(self, x):
        return 2 * x.flip(-1), x.new_zeros(x.shape[:-1])

    def inverse(self, y):
        return y.flip(-1) / 2


class VolumeOfInverse(ForgottenVolume):
    def forward(self, x):
        y, zero = super().forward(x)
        return y, zero - x.shape[-1] * math.log(2)


class NotInvertible(Plain):
    def forward(self, x):
        a, b = x.chunk(2, -1)
        return torch.cat([a + b, a + b], -1), x.new_zeros(x.shape[:-1])

    def inverse(self, y):
        return y / 2


class RolledAgain(Plain):
    def forward(self, x):
        return x.roll(1, -1), x.new_zeros(x.shape[:-1])

    def inverse(self, y):
        return y.roll(1, -1)


class OneHalfOnly(Plain):
    def forward(self, x):
        a, b = x.chunk(2, -1)
        return torch.cat([a + b, b], -1), x.new_zeros(x.shape[:-1])

    def inverse(self, y):
        a, b = y.chunk(2, -1)
        return torch.cat([a - b, b], -1)


class AcrossTime(Plain):
    def forward(self, x):
        return x.flip(1, 2), x.new_zeros(x.shape[:-1])

    def inverse(self, y):
        return y.flip(1, 2)


WRONG: dict[str, list[Wrong]] = {
    "3.1": [
        Wrong("log-determinant forgotten", (lambda x, k, m: normal(k * x + m),), "without the log-det"),
        Wrong("sign turned", (lambda x, k, m: normal(k * x + m) - math.log(abs(k)),), "wrong sign"),
        Wrong("no absolute value", (lambda x, k, m: normal(k * x + m) + math.log(k),), "absolute value"),
        Wrong(
            "no absolute value, in torch",
            (lambda x, k, m: normal(k * x + m) + torch.tensor(k).log(),),
            "absolute value",
        ),
        Wrong("no logarithm", (lambda x, k, m: normal(k * x + m) + abs(k),), "is its logarithm"),
        Wrong("latent to data", (lambda x, k, m: normal((x - m) / k) - math.log(abs(k)),), "way from data"),
        Wrong("no constant", (lambda x, k, m: -0.5 * (k * x + m) ** 2 + math.log(abs(k)),), "constant"),
        Wrong(
            "the density", (lambda x, k, m: (normal(k * x + m) + math.log(abs(k))).exp(),), "its logarithm"
        ),
        Wrong("a constant", (lambda x, k, m: torch.zeros_like(x),), "wrong for k"),
        Wrong("nothing", (lambda x, k, m: None,), "forget `return`"),
    ],
    "3.2": [
        Wrong("unchanged", (lambda nll, factor: nll,), "cannot stay the same"),
        Wrong("direction", (lambda nll, factor: nll - math.log2(factor),), "wrong direction"),
        Wrong("in nats", (lambda nll, factor: nll + math.log(factor),), "in nats"),
        Wrong("a factor", (lambda nll, factor: nll * factor,), "not a factor"),
        Wrong("a quotient", (lambda nll, factor: nll / factor,), "not a factor"),
        Wrong("the example's number", (lambda nll, factor: 1.3 + math.log2(1000),), "wrong for nll"),
    ],
    "3.3": [
        Wrong("log sigma forgotten", prior_with(parts=(1, 0, 1)), "log sigma is missing"),
        Wrong("log sigma turned", prior_with(parts=(1, -1, 1)), "wrong sign"),
        Wrong("constant forgotten", prior_with(parts=(1, 1, 0)), "constant"),
        Wrong("negative", (lambda *given: -prior(*given),), "sign is missing"),
        Wrong("cut instead of rounded", prior_with(row=lambda y: y.long() + 3), "cuts decimals"),
        Wrong("label as index", prior_with(row=lambda y: y.round().long()), "add 3"),
        Wrong("off by one", prior_with(row=lambda y: y.round().long() + 2), "off by one"),
        Wrong("summed over time", (lambda *given: prior(*given).sum(-1),), "over time"),
        Wrong("mean over channels", (prior_mean_of_channels,), "mean over channels"),
        Wrong("sigma for its square", (prior_with_variance,), "sigma squared"),
        Wrong("in place", (prior_in_place,), "in place"),
    ],
    "3.4": [
        Wrong("padding counted", (compose_unmasked,), "counts the padding"),
        Wrong("last log-determinant alone", (compose_last_alone,), "last layer alone"),
        Wrong("multiplied", (compose_product,), "multiplied the log-det"),
        Wrong("backwards", (compose_backwards,), "ran backwards"),
        Wrong("accounts at x", (compose_all_at_x,), "reach that layer"),
        Wrong("layers on x", (compose_each_on_x,), "last layer applied to x"),
        Wrong("per step", (compose_per_step,), "still per step"),
        Wrong("mean over steps", (compose_mean,), "mean over steps"),
        Wrong("z alone", (lambda layers, x, mask: run(layers, x)[0],), "return two things"),
    ],
    "3.5": [
        Wrong("sign", (lambda p, m, c: p.sum() / (math.log(2) * m.sum() * c),), "negative log-likelihood"),
        Wrong("nats", (lambda p, m, c: -p.sum() / (m.sum() * c),), "nats per dimension"),
        Wrong("times ln 2", (lambda p, m, c: -p.sum() * math.log(2) / (m.sum() * c),), "multiplied by ln 2"),
        Wrong("padding", (lambda p, m, c: -p.sum() / (math.log(2) * m.numel() * c),), "padding was counted"),
        Wrong("channels", (lambda p, m, c: -p.sum() / (math.log(2) * m.sum()),), "bits per step"),
        Wrong("bits in all", (lambda p, m, c: -p.sum() / math.log(2),), "bits in all"),
        Wrong("per clip", (lambda p, m, c: -p.mean() / math.log(2),), "bits per clip"),
        Wrong("clip by clip", (lambda p, m, c: (-p / (math.log(2) * m.sum(-1) * c)).mean(),), "clip by clip"),
        Wrong("not added up", (lambda p, m, c: -p / (math.log(2) * m.sum(-1) * c),), "one number per clip"),
    ],
    "3.6": [
        Wrong("shifts added", (lambda s, t, u, v: (s + u, t + v),), "passes through the second"),
        Wrong("order", (lambda s, t, u, v: (s + u, s.exp() * v + t),), "other way round"),
        Wrong("own scale", (lambda s, t, u, v: (s + u, s.exp() * t + v),), "not by its own"),
        Wrong("both shifts scaled", (lambda s, t, u, v: (s + u, u.exp() * (t + v)),), "not scaled itself"),
        Wrong("scaled by the log", (lambda s, t, u, v: (s + u, u * t + v),), "not by its logarithm"),
        Wrong("logs multiplied", (lambda s, t, u, v: (s * u, u.exp() * t + v),), "logarithms add"),
        Wrong("scale returned", (lambda s, t, u, v: ((s + u).exp(), u.exp() * t + v),), "its logarithm"),
        Wrong(
            "scales added", (lambda s, t, u, v: ((s.exp() + u.exp()).log(), u.exp() * t + v),), "you added"
        ),
    ],
    "3.7": [
        Wrong(
            "as it was",
            (lambda x, w, m: (x @ w, torch.logdet(w.T @ w) * x.shape[1]),),
            "not 0 on padding",
        ),
        Wrong(
            "y alone repaired",
            (lambda x, w, m: (masked(x, w, m), torch.logdet(w.T @ w) * x.shape[1]),),
            "two mistakes left",
        ),
        Wrong("square", (lambda x, w, m: (masked(x, w, m), torch.logdet(w.T @ w) * m.sum(-1)),), "square of"),
        Wrong("padding", (lambda x, w, m: (masked(x, w, m), one_step(w) * x.shape[1]),), "every step was"),
        Wrong("not times the steps", (lambda x, w, m: (masked(x, w, m), one_step(w)),), "of one step"),
        Wrong(
            "no absolute value",
            (lambda x, w, m: (masked(x, w, m), torch.logdet(w) * m.sum(-1)),),
            "absolute value",
        ),
        Wrong("transposed", (lambda x, w, m: (masked(x, w.T, m), one_step(w) * m.sum(-1)),), "transpose"),
        Wrong("sign", (lambda x, w, m: (masked(x, w, m), -one_step(w) * m.sum(-1)),), "the sign"),
        Wrong(
            "per channel",
            (lambda x, w, m: (masked(x, w, m), x.shape[-1] * one_step(w) * m.sum(-1)),),
            "not once per channel",
        ),
    ],
    "3.8": [
        Wrong(
            "exponentials first",
            (lambda p, f: p.exp() * f / (p.exp() * f).sum(-1, keepdim=True),),
            "until softmax",
        ),
        Wrong("frequencies forgotten", (lambda p, f: p.softmax(-1),), "frequencies are missing"),
        Wrong("no logarithm", (lambda p, f: (p + f).softmax(-1),), "add their logarithms"),
        Wrong("axis", (lambda p, f: (p + f.log()).softmax(0),), "over the clips"),
        Wrong("after the softmax", (lambda p, f: p.softmax(-1) * f,), "no longer add up"),
        Wrong("logarithms", (lambda p, f: (p + f.log()).log_softmax(-1),), "those are logarithms"),
        Wrong("not normalised", (lambda p, f: (p + f.log()).exp(),), "not normalised"),
        Wrong("divided", (lambda p, f: (p - f.log()).softmax(-1),), "divide instead"),
    ],
    "3.9": [
        Wrong("the identity", (Identity,), "nothing is mixed"),
        Wrong("within the halves", (PermutedWithinHalves,), "nothing is mixed"),
        Wrong("volume forgotten", (ForgottenVolume,), "log_det is 0, but"),
        Wrong("volume of the inverse", (VolumeOfInverse,), "wrong sign"),
        Wrong("not invertible", (NotInvertible,), "forward loses something"),
        Wrong("rolled again", (RolledAgain,), "inverse does the same"),
        Wrong("one half only", (OneHalfOnly,), "second half of y depends on the second"),
        Wrong("across time", (AcrossTime,), "steps are mixed"),
    ],
}
