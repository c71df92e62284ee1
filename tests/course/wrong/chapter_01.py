"""Plausible wrong answers to the exercises of chapter 1."""

from __future__ import annotations

import itertools

import torch

from tests.course.wrong.wrong import Wrong


def inside(lengths, time):
    return torch.arange(time) < lengths[..., None]


# --- 1.2 ---------------------------------------------------------------------------------------------------------
def sum_over_length(x, lengths):
    return x.sum(1) / lengths.clamp(min=1)[:, None]


def product_mask(x, lengths):
    return (x * inside(lengths, x.shape[1])[..., None]).sum(1) / lengths.clamp(min=1)[:, None]


def no_clamp(x, lengths):
    return torch.where(inside(lengths, x.shape[1])[..., None], x, 0.0).sum(1) / lengths[:, None]


def in_place_mean(x, lengths):
    x[~inside(lengths, x.shape[1])] = 7.0
    return x.mean(1)


# --- 1.3 ---------------------------------------------------------------------------------------------------------
def all_masks(observed, numbers=range(1, 8)):
    if not observed.any():
        raise ValueError("nothing")
    return torch.tensor([[bool(k >> i & 1) for i in range(3)] for k in numbers])


def subsets(observed, keep, refuse=True):
    if refuse and not observed.any():
        raise ValueError("nothing")
    masks = [m for m in itertools.product((False, True), repeat=3)]
    fitting = [m for m in masks if all(o or not a for a, o in zip(m, observed.tolist()))]
    return torch.tensor([m for m in fitting if keep(sum(m), int(observed.sum()))] or [[False] * 3])


# --- 1.4 ---------------------------------------------------------------------------------------------------------
def masks(n, two, one, seed, *, exact=True, shuffled=True, which="uniform", rng=None, swap=False):
    rng = rng or torch.Generator().manual_seed(seed)
    two, one = (one, two) if swap else (two, one)
    if exact:
        missing = torch.zeros(n, dtype=torch.long)
        missing[: round(n * two)] = 2
        missing[round(n * two) : round(n * two) + round(n * one)] = 1
    else:
        u = torch.rand(n, generator=rng)
        missing = 2 * (u < two).long() + ((u >= two) & (u < two + one)).long()
    missing = missing[torch.randperm(n, generator=rng)] if shuffled else missing
    rank = torch.rand(n, 3, generator=rng).argsort(1).argsort(1)
    return (rank if which == "uniform" else torch.arange(3).expand(n, 3)) >= missing[:, None]


def global_seed(n, two, one, seed):
    torch.manual_seed(seed)
    return masks(n, two, one, seed, rng=torch.default_generator)


# --- 1.5 ---------------------------------------------------------------------------------------------------------
def filled(mean, test, lengths, available, padding=False):
    place = torch.ones(test.shape[:2], dtype=torch.bool) if padding else inside(lengths, test.shape[1])
    return torch.where(available[:, None, None], test, torch.where(place[..., None], mean, 0.0))


def right_mean(train, train_lengths):
    return (train * inside(train_lengths, train.shape[1])[..., None]).sum((0, 1)) / train_lengths.sum()


def fill_everyone(train, train_lengths, test, lengths, available):
    return filled(right_mean(train, train_lengths), test, lengths, torch.zeros_like(available))


def fill_in_place(train, train_lengths, test, lengths, available):
    test[~available] = right_mean(train, train_lengths)
    return test


def mean_of_clips(train, train_lengths):
    return (train.sum(1) / train_lengths[:, None]).mean(0)


# --- 1.6 ---------------------------------------------------------------------------------------------------------
def errors(m, v, r, **wrong):
    right = dict(zero=v + m**2, mean=v, other=2 * v, conditional=(1 - r) * v, draw=2 * (1 - r) * v)
    return tuple((right | wrong).values())


# --- 1.7 ---------------------------------------------------------------------------------------------------------
def per_modality(recovered, real):
    return ((recovered - real) ** 2).mean(2)


def over(recovered, real, chosen, count=None):
    squared = per_modality(recovered, real)
    return (squared * chosen).sum() / (chosen if count is None else count).sum().clamp(min=1)


# --- 1.8 ---------------------------------------------------------------------------------------------------------
def noise_like(mean, generator):
    return torch.randn(mean.shape, generator=generator, dtype=mean.dtype)


def cholesky_draw(mean, covariance, generator, transpose=True):
    root = torch.linalg.cholesky(covariance)
    return mean + noise_like(mean, generator) @ (root.T if transpose else root)


def one_noise(mean, covariance, generator):
    return mean + noise_like(mean[:1], generator) @ torch.linalg.cholesky(covariance).T


# --- 1.9 ---------------------------------------------------------------------------------------------------------
def with_one(x):
    return torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)


def linear(train_sources, train_target, sources):
    return with_one(sources) @ torch.linalg.lstsq(with_one(train_sources), train_target).solution


def own_units(train_sources, train_target, sources):
    scaled = [(x - x.mean(0)) / x.std(0) for x in (train_sources, sources)]
    return linear(scaled[0], train_target, scaled[1])


def noisy(train_sources, train_target, sources):
    mean = linear(train_sources, train_target, sources)
    return mean + 0.3 * torch.randn(mean.shape, dtype=mean.dtype)


def nearest(train_sources, train_target, sources):
    return train_target[torch.cdist(sources, train_sources).argmin(1)]


def timid(train_sources, train_target, sources):
    mean = train_target.mean(0)
    return mean + 0.3 * (linear(train_sources, train_target, sources) - mean)


WRONG: dict[str, list[Wrong]] = {
    "1.1": [
        Wrong("<= instead of <", (lambda n, t: torch.arange(t) <= n[..., None],), "one step too long"),
        Wrong("counts from 1", (lambda n, t: torch.arange(1, t + 1) < n[..., None],), "one step too short"),
        Wrong("marks the padding", (lambda n, t: torch.arange(t) >= n[..., None],), "marks the padding"),
        Wrong("real steps at the end", (lambda n, t: inside(n, t).flip(-1),), "padding is at the end"),
        Wrong(
            "time in the middle", (lambda n, t: inside(n, t).transpose(1, 2),), "axes are in another order"
        ),
        Wrong("modality first", (lambda n, t: inside(n.t(), t),), "axes are in another order"),
        Wrong("floats", (lambda n, t: inside(n, t).float(),), "bool tensor"),
        Wrong("nothing returned", (lambda n, t: None,), "forget `return`"),
    ],
    "1.2": [
        Wrong("padding counted", (lambda x, n: x.mean(1),), "padding included"),
        Wrong("longest length for all", (lambda x, n: x.sum(1) / n.max(),), "longest length"),
        Wrong("sums the padding", (sum_over_length,), "reads the padding"),
        Wrong("multiplies by the mask", (product_mask,), "NaN \\* 0 is NaN"),
        Wrong("divides by zero", (no_clamp,), "length 0 gives 0 / 0"),
        Wrong("changes its input", (in_place_mean,), "in place"),
        Wrong("averages the channels", (lambda x, n: x.mean(2),), "shape"),
    ],
    "1.3": [
        Wrong("empty pattern included", (lambda o: all_masks(o & True, range(8)),), "empty pattern"),
        Wrong("ignores what is observed", (all_masks,), "not observed cannot be available"),
        Wrong("forgets the full one", (lambda o: subsets(o, lambda k, n: 0 < k < max(n, 2)),), "left out"),
        Wrong(
            "single ones and the full one only",
            (lambda o: subsets(o, lambda k, n: k in (1, n)),),
            "7 patterns",
        ),
        Wrong("does not refuse", (lambda o: subsets(o, lambda k, n: k > 0, refuse=False),), "refuse it"),
        Wrong("floats", (lambda o: subsets(o, lambda k, n: k > 0).float(),), "expected bool"),
    ],
    "1.4": [
        Wrong("share by share at random", (lambda *a: masks(*a, exact=False),), "fix the counts"),
        Wrong("filled in order", (lambda *a: masks(*a, shuffled=False),), "filled in order"),
        Wrong("always the same modality", (lambda *a: masks(*a, which="first"),), "drawn uniformly"),
        Wrong("returns what is missing", (lambda *a: ~masks(*a),), "\\*missing\\* modalities"),
        Wrong("shares swapped", (lambda *a: masks(*a, swap=True),), "swapped"),
        Wrong("global stream", (lambda *a: masks(*a, rng=torch.default_generator),), "global stream"),
        Wrong("reseeds the global stream", (global_seed,), "reseeds"),
        Wrong("ignores the seed", (lambda n, t, o, seed: masks(n, t, o, 0),), "two seeds"),
    ],
    "1.5": [
        Wrong(
            "mean over the test clips",
            (lambda a, n, x, m, v: filled(x.sum((0, 1)) / m.sum(), x, m, v),),
            "mean over the test clips: a leak",
        ),
        Wrong(
            "the snippet's mean",
            (lambda a, n, x, m, v: filled(x.mean((0, 1)), x, m, v),),
            "padding included: a leak",
        ),
        Wrong(
            "mean over both",
            (lambda a, n, x, m, v: filled((a.sum((0, 1)) + x.sum((0, 1))) / (n.sum() + m.sum()), x, m, v),),
            "training and test",
        ),
        Wrong(
            "mean over the available test clips",
            (lambda a, n, x, m, v: filled(x[v].sum((0, 1)) / m[v].sum(), x, m, v),),
            "available test clips: a leak",
        ),
        Wrong(
            "padding counted", (lambda a, n, x, m, v: filled(a.mean((0, 1)), x, m, v),), "counts the padding"
        ),
        Wrong(
            "mean of clip means",
            (lambda a, n, x, m, v: filled(mean_of_clips(a, n), x, m, v),),
            "clips' means",
        ),
        Wrong(
            "fills the padding",
            (lambda a, n, x, m, v: filled(right_mean(a, n), x, m, v, True),),
            "no longer zero",
        ),
        Wrong("fills what is available", (fill_everyone,), "available were changed"),
        Wrong("fills in place", (fill_in_place,), "in place"),
    ],
    "1.6": [
        Wrong(
            "the mean forgotten",
            (lambda m, v, r: errors(m, v, r, zero=v),),
            "distance to the mean is missing",
        ),
        Wrong("the mean not squared", (lambda m, v, r: errors(m, v, r, zero=v + m),), "squared"),
        Wrong("a deviation", (lambda m, v, r: errors(m, v, r, mean=v.sqrt()),), "deviation"),
        Wrong("one variance", (lambda m, v, r: errors(m, v, r, other=v),), "variances add up"),
        Wrong(
            "explained for unexplained",
            (lambda m, v, r: errors(m, v, r, conditional=r * v),),
            "what is left over",
        ),
        Wrong(
            "a draw without noise", (lambda m, v, r: errors(m, v, r, draw=(1 - r) * v),), "noise of its own"
        ),
        Wrong(
            "a draw with all noise", (lambda m, v, r: errors(m, v, r, draw=v + (1 - r) * v),), "unexplained"
        ),
        Wrong("four numbers", (lambda m, v, r: errors(m, v, r)[:4],), "five tensors"),
    ],
    "1.7": [
        Wrong(
            "everything not available",
            (lambda x, y, a, o: over(x, y, ~a),),
            "do not exist",
        ),
        Wrong("everything observed", (lambda x, y, a, o: over(x, y, o),), "over observed modalities"),
        Wrong(
            "everything", (lambda x, y, a, o: over(x, y, o & ~a, torch.ones_like(o)),), "over all modalities"
        ),
        Wrong("a product", (lambda x, y, a, o: over(x, y, o & ~a),), "NaN \\* 0 is NaN"),
        Wrong(
            "no targets",
            (lambda x, y, a, o: ((x[o & ~a] - y[o & ~a]) ** 2).mean(),),
            "nothing hidden",
        ),
        Wrong(
            "a sum",
            (lambda x, y, a, o: ((x[o & ~a] - y[o & ~a]) ** 2).mean(1).sum(),),
            "sum over the targets",
        ),
    ],
    "1.8": [
        Wrong("no noise", (lambda m, c, g: m.clone(),), "mean itself"),
        Wrong("factor not transposed", (lambda m, c, g: cholesky_draw(m, c, g, False),), "wrong side"),
        Wrong("covariance instead of a root", (lambda m, c, g: m + noise_like(m, g) @ c,), "take a root"),
        Wrong(
            "channels one by one",
            (lambda m, c, g: m + noise_like(m, g) * c.diagonal().sqrt(),),
            "covariance is lost",
        ),
        Wrong(
            "variances for deviations",
            (lambda m, c, g: m + noise_like(m, g) * c.diagonal(),),
            "variances instead",
        ),
        Wrong("standard noise", (lambda m, c, g: m + noise_like(m, g),), "standard normal"),
        Wrong("one noise for all", (one_noise,), "same noise"),
        Wrong("global stream", (lambda m, c, g: cholesky_draw(m, c, None),), "generator="),
    ],
    "1.9": [
        Wrong(
            "the training mean",
            (lambda a, b, x: b.mean(0).expand(len(x), -1),),
            "does not use what is available",
        ),
        Wrong("units of the test steps", (own_units,), "changes with the other test steps"),
        Wrong("a draw", (noisy,), "two calls"),
        Wrong("the nearest neighbour", (nearest,), "noise of its own"),
        Wrong("the sources themselves", (lambda a, b, x: x[:, : b.shape[1]].clone(),), "units do not fit"),
        Wrong("shrunk to the mean", (timid,), "goes unused"),
        Wrong("wrong shape", (lambda a, b, x: linear(a, b, x).T,), "shape"),
    ],
}
