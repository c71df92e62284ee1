"""Wrong answers to the exercises of chapter 4."""

from __future__ import annotations

import math

import numpy as np
import torch

from tests.course.wrong.wrong import Wrong

# --- 4.1 ------------------------------------------------------------------------------------------------------------


def goes_home(x, source, target):
    return source.inverse(source(x)[0])


def swapped(x, source, target):
    return source.inverse(target(x)[0])


def stops_at_latents(x, source, target):
    return source(x)[0]


def both_forwards(x, source, target):
    return target(source(x)[0])[0]


def returns_the_pair(x, source, target):
    return target(source(x)[0])


def forgets_to_unpack(x, source, target):
    return target.inverse(source(x))


def turned_round(x, source, target):
    return target(source.inverse(x))[0]


def forgets_the_source(x, source, target):
    return target.inverse(x)


# --- 4.2 ------------------------------------------------------------------------------------------------------------


def reaches(z, lengths):
    return torch.arange(z.shape[2]) < lengths.t()[..., None]


def clean(z, lengths):
    return torch.where(reaches(z, lengths)[..., None], z, 0.0)


def divides_by_three(z, lengths):
    return clean(z, lengths).mean(0)


def divides_by_available(z, lengths):
    return clean(z, lengths).sum(0) / (lengths > 0).sum(1).clamp(min=1)[:, None, None]


def sums(z, lengths):
    return clean(z, lengths).sum(0)


def multiplies_with_the_mask(z, lengths):
    mask = reaches(z, lengths)
    return (z * mask[..., None]).sum(0) / mask.sum(0).clamp(min=1)[..., None]


def divides_by_zero(z, lengths):
    mask = reaches(z, lengths)
    return clean(z, lengths).sum(0) / mask.sum(0)[..., None]


def no_mask_over_time(z, lengths):
    here = (lengths > 0).t()[:, :, None, None]
    return torch.where(here, z, 0.0).sum(0) / here.sum(0).clamp(min=1)


def no_mask_at_all(z, lengths):
    return z.mean(0)


def in_place(z, lengths):
    z.masked_fill_(~reaches(z, lengths)[..., None], 0.0)
    return z.sum(0) / reaches(z, lengths).sum(0).clamp(min=1)[..., None]


def off_by_one(z, lengths):
    mask = torch.arange(z.shape[2]) <= lengths.t()[..., None]
    return torch.where(mask[..., None], z, 0.0).sum(0) / mask.sum(0).clamp(min=1)[..., None]


# --- 4.4 ------------------------------------------------------------------------------------------------------------


def blocks(kernel, first):
    return kernel[first][:, first], kernel[~first][:, ~first], kernel[first][:, ~first]


def with_diagonal(kernel, first):
    a, b, c = blocks(kernel, first)
    return a.mean() + b.mean() - 2 * c.mean()


def diagonal_counted(kernel, first):
    a, b, c = blocks(kernel, first)
    n, m = len(a), len(b)
    return (a.sum() - n) / n**2 + (b.sum() - m) / m**2 - 2 * c.mean()


def diagonal_summed(kernel, first):
    a, b, c = blocks(kernel, first)
    n, m = len(a), len(b)
    return a.sum() / (n * (n - 1)) + b.sum() / (m * (m - 1)) - 2 * c.mean()


def unbiased(a, b, c, weight=-2):
    n, m = len(a), len(b)
    return (a.sum() - n) / (n * (n - 1)) + (b.sum() - m) / (m * (m - 1)) + weight * c.mean()


def cross_once(kernel, first):
    return unbiased(*blocks(kernel, first), weight=-1)


def cross_added(kernel, first):
    return unbiased(*blocks(kernel, first), weight=2)


def ignores_labels(kernel, first):
    n = first.sum()
    return unbiased(kernel[:n, :n], kernel[n:, n:], kernel[:n, n:])


def never_negative(kernel, first):
    return max(0.0, unbiased(*blocks(kernel, first)))


def takes_the_root(kernel, first):
    return math.sqrt(max(0.0, unbiased(*blocks(kernel, first))))


def clears_the_diagonal(kernel, first):
    np.fill_diagonal(kernel, 0.0)
    a, b, c = blocks(kernel, first)
    return a.sum() / (len(a) * (len(a) - 1)) + b.sum() / (len(b) * (len(b) - 1)) - 2 * c.mean()


# --- 4.6 ------------------------------------------------------------------------------------------------------------


def halves_in_order(real, distance, halvings, rng):
    half = len(real) // 2
    return np.mean([distance(real[:half], real[half : 2 * half]) for _ in range(halvings)])


def same_cut(real, distance, halvings, rng):
    order, half = rng.permutation(len(real)), len(real) // 2
    return np.mean([distance(real[order[:half]], real[order[half : 2 * half]]) for _ in range(halvings)])


def independent_samples(real, distance, halvings, rng):
    n = len(real)
    pick = lambda: rng.permutation(n)[: n // 2]  # noqa: E731
    return np.mean([distance(real[pick()], real[pick()]) for _ in range(halvings)])


def with_replacement(real, distance, halvings, rng):
    n = len(real)
    pick = lambda: rng.integers(0, n, n // 2)  # noqa: E731
    return np.mean([distance(real[pick()], real[pick()]) for _ in range(halvings)])


def against_itself(real, distance, halvings, rng):
    order = rng.permutation(len(real))[: len(real) // 2]
    return np.mean([distance(real[order], real[order]) for _ in range(halvings)])


def keeps_the_odd_one(real, distance, halvings, rng):
    values = []
    for _ in range(halvings):
        order = rng.permutation(len(real))
        values.append(distance(real[order[: len(real) // 2]], real[order[len(real) // 2 :]]))
    return np.mean(values)


def cuts(real, distance, halvings, rng):
    half = len(real) // 2
    for _ in range(halvings):
        order = rng.permutation(len(real))
        yield distance(real[order[:half]], real[order[half : 2 * half]])


def only_one(real, distance, halvings, rng):
    return next(cuts(real, distance, 1, rng))


def only_last(real, distance, halvings, rng):
    return list(cuts(real, distance, halvings, rng))[-1]


def sum_of_cuts(real, distance, halvings, rng):
    return sum(cuts(real, distance, halvings, rng))


def shuffles_in_place(real, distance, halvings, rng):
    half, values = len(real) // 2, []
    for _ in range(halvings):
        rng.shuffle(real)
        values.append(distance(real[:half], real[half : 2 * half]))
    return np.mean(values)


# --- 4.7 ------------------------------------------------------------------------------------------------------------


def valid(source, lengths):
    return (torch.arange(source.shape[1]) < lengths[:, None])[..., None]


def sees_padding(source, made, lengths):
    return (made == source).all(0).all(0)


def any_step(source, made, lengths):
    return ((made == source) & valid(source, lengths)).any(0).any(0)


def nearly(source, made, lengths):
    return (torch.isclose(made, source) | ~valid(source, lengths)).all(0).all(0)


def exchanged(source, made, lengths):
    return ~((made == source) | ~valid(source, lengths)).all(0).all(0)


def padding_must_agree(source, made, lengths):
    return ((made == source) & valid(source, lengths)).all(0).all(0)


def as_a_float(source, made, lengths):
    return ((made == source) | ~valid(source, lengths)).all(0).all(0).float()


def per_clip(source, made, lengths):
    return ((made == source) | ~valid(source, lengths)).all(1)


# --- 4.9 ------------------------------------------------------------------------------------------------------------


def mean_only(x, y):
    return np.square(x.mean(0) - y.mean(0)).sum()


def mean_and_sd(x, y):
    return np.square(x.mean(0) - y.mean(0)).sum() + np.square(x.std(0) - y.std(0)).sum()


def pairs_by_place(x, y):
    n = min(len(x), len(y))
    return np.square(x[:n] - y[:n]).sum()


def one_sided(x, y):
    return (x.mean(0) - y.mean(0)).sum() + np.abs(np.cov(x.T) - np.cov(y.T)).sum()


def likeness(x, y):
    return np.exp(-np.square(x.mean(0) - y.mean(0)).sum() - np.square(np.cov(x.T) - np.cov(y.T)).sum())


def constant(x, y):
    return 1.0


WRONG: dict[str, list[Wrong]] = {
    "4.1": [
        Wrong("the latents go home through the source", (goes_home,), says="source's own features"),
        Wrong("the two flows are swapped", (swapped,), says="swapped"),
        Wrong("the way back is missing", (stops_at_latents,), says="way back.* is missing"),
        Wrong("both flows run forwards, unpacked", (both_forwards,), says="both flows run forwards"),
        Wrong("both flows run forwards", (returns_the_pair,), says="tuple came back"),
        Wrong("the pair of forward is not unpacked", (forgets_to_unpack,), says="unpack"),
        Wrong("inverse first, forward second", (turned_round,), says="turned round"),
        Wrong(
            "features are taken for latents", (forgets_the_source,), says="forward pass through the source"
        ),
    ],
    "4.2": [
        Wrong("divided by three", (divides_by_three,), says="divided by 3"),
        Wrong(
            "divided by the available ones", (divides_by_available,), says=r"number of \*available\* sources"
        ),
        Wrong("a sum", (sums,), says="sum of the sources, not their mean"),
        Wrong("NaN times 0", (multiplies_with_the_mask,), says="0 \\* NaN"),
        Wrong("0 divided by 0", (divides_by_zero,), says="divided by 0"),
        Wrong("no mask over time", (no_mask_over_time,), says="beyond the lengths"),
        Wrong("no mask at all", (no_mask_at_all,), says="beyond the lengths"),
        Wrong("works in place", (in_place,), says="in place"),
        Wrong("<= instead of <", (off_by_one,), says="one step too far"),
    ],
    "4.3": [
        Wrong(
            "truth's spread", (lambda m, s, g, t: ((m - g) ** 2 + t**2).mean(),), says="truth's own spread"
        ),
        Wrong(
            "guess's spread", (lambda m, s, g, t: ((m - g) ** 2 + s**2).mean(),), says="guess's own spread"
        ),
        Wrong("no bias", (lambda m, s, g, t: (s**2 + t**2).mean(),), says="difference of the two means"),
        Wrong("minus", (lambda m, s, g, t: ((m - g) ** 2 + s**2 - t**2).mean(),), says="subtracted"),
        Wrong(
            "sds added", (lambda m, s, g, t: ((m - g) ** 2 + (s + t) ** 2).mean(),), says="added before they"
        ),
        Wrong(
            "sds compared",
            (lambda m, s, g, t: ((m - g) ** 2 + (s - t) ** 2).mean(),),
            says="two laws' distance",
        ),
        Wrong("sd for variance", (lambda m, s, g, t: ((m - g) ** 2 + s + t).mean(),), says="square them"),
        Wrong(
            "bias not squared", (lambda m, s, g, t: ((m - g).abs() + s**2 + t**2).mean(),), says="not squared"
        ),
        Wrong("sum", (lambda m, s, g, t: ((m - g) ** 2 + s**2 + t**2).sum(),), says="sum over the channels"),
        Wrong(
            "per channel", (lambda m, s, g, t: (m - g) ** 2 + s**2 + t**2,), says="average over the channels"
        ),
    ],
    "4.4": [
        Wrong("the diagonal is left in", (with_diagonal,), says="diagonal is still in it"),
        Wrong("the diagonal is counted", (diagonal_counted,), says="still counted"),
        Wrong("the diagonal is summed", (diagonal_summed,), says="not of the sum"),
        Wrong("the cross term counts once", (cross_once,), says="cross term counts twice"),
        Wrong("the cross term is added", (cross_added,), says="must be subtracted"),
        Wrong("the labels are ignored", (ignores_labels,), says="labels are not used"),
        Wrong("cut off at 0", (never_negative,), says="fall below 0|square root"),
        Wrong("the root", (takes_the_root,), says="square root|below 0"),
        Wrong("the kernel is changed", (clears_the_diagonal,), says="in place"),
    ],
    "4.5": [
        Wrong("no +1", (lambda v, r: (r >= v).mean(),), says="\\+1 is missing"),
        Wrong("+1 above only", (lambda v, r: (1 + (r >= v).sum()) / len(r),), says="not below"),
        Wrong("+1 below only", (lambda v, r: (r >= v).sum() / (1 + len(r)),), says="not above"),
        Wrong("ties left out", (lambda v, r: (1 + (r > v).sum()) / (1 + len(r)),), says="ties"),
        Wrong("the other tail", (lambda v, r: (1 + (r <= v).sum()) / (1 + len(r)),), says="wrong tail"),
        Wrong("both tails", (lambda v, r: (1 + (abs(r) >= abs(v)).sum()) / (1 + len(r)),), says="both tails"),
        Wrong("a count", (lambda v, r: 1 + (r >= v).sum(),), says="count came back"),
    ],
    "4.6": [
        Wrong("halves in order", (halves_in_order,), says="cut is not random"),
        Wrong("the same cut again", (same_cut,), says="same cut is measured"),
        Wrong("two independent samples of clips", (independent_samples,), says="both halves"),
        Wrong("drawn with replacement", (with_replacement,), says="replacement"),
        Wrong("a half against itself", (against_itself,), says="same clips are on both sides"),
        Wrong("unequal halves", (keeps_the_odd_one,), says="of an odd number one is left out"),
        Wrong("one halving", (only_one,), says="asked for 1 times"),
        Wrong("the last one", (only_last,), says="only the last"),
        Wrong("the sum", (sum_of_cuts,), says="sum of the distances"),
        Wrong("shuffles the clips themselves", (shuffles_in_place,), says="in place"),
    ],
    "4.7": [
        Wrong("padding decides", (sees_padding,), says="beyond the lengths decides"),
        Wrong("some step is enough", (any_step,), says=r"agrees at \*some\* step"),
        Wrong("close is enough", (nearly,), says="merely close"),
        Wrong("true and false exchanged", (exchanged,), says="exchanged"),
        Wrong("padding must agree", (padding_must_agree,), says="equal or not valid"),
        Wrong("floats", (as_a_float,), says="not bool"),
        Wrong("an answer per clip", (per_clip,), says="shape"),
    ],
    "4.8": [
        Wrong("the plain mean", (lambda a, b, m, s, r: (a + b) / 2,), says="plain mean"),
        Wrong("one source", (lambda a, b, m, s, r: a,), says="left out"),
        Wrong(
            "stretches the value",
            (lambda a, b, m, s, r: (a + b) / 2 / ((1 + r) / 2) ** 0.5,),
            says="mean moves",
        ),
        Wrong(
            "no root",
            (lambda a, b, m, s, r: m + ((a + b) / 2 - m) / ((1 + r) / 2),),
            says="square root is missing",
        ),
        Wrong(
            "r = 0", (lambda a, b, m, s, r: m + ((a + b) / 2 - m) * 2**0.5,), says="correlation is left out"
        ),
        Wrong("1 + r", (lambda a, b, m, s, r: m + ((a + b) / 2 - m) / (1 + r) ** 0.5,), says="not 1 \\+ r"),
        Wrong(
            "narrower", (lambda a, b, m, s, r: m + ((a + b) / 2 - m) * ((1 + r) / 2) ** 0.5,), says="narrower"
        ),
        Wrong(
            "deviation", (lambda a, b, m, s, r: ((a + b) / 2 - m) / ((1 + r) / 2) ** 0.5,), says="added back"
        ),
        Wrong(
            "standardises",
            (lambda a, b, m, s, r: m + ((a + b) / 2 - m) / s / ((1 + r) / 2) ** 0.5,),
            says="divided by sd",
        ),
    ],
    "4.9": [
        Wrong("means only", (mean_only,), says="blind to a wider spread"),
        Wrong("every channel alone", (mean_and_sd,), says="blind to a correlation"),
        Wrong("point by point", (pairs_by_place,), says="order of the points"),
        Wrong("signed difference", (one_sided,), says="which set comes first"),
        Wrong("a likeness", (likeness,), says="smaller for sets that lie far apart"),
        Wrong("a constant", (constant,), says="does not change"),
    ],
}
