"""Plausible wrong answers to the exercises of chapter 9."""

from __future__ import annotations

import math

import numpy as np

from tests.course.wrong.wrong import Wrong

LAV, NAMES = "lav", ("language", "audio", "vision")


def letter(modality):
    return LAV[NAMES.index(modality)]


def ordered(letters):
    return "".join(x for x in LAV if x in letters)


def hidden(available):
    return ordered(set(LAV) - set(available))


def judge(toggles=lambda b, a: b is None or len({*b} ^ {*a}) == 1, empty=None, star=bool, recovered=hidden):
    def possible(available, before, framed, drawn):
        expected = recovered(available) if available or empty is None else empty
        return toggles(before, available) and framed == expected and drawn == star(available)

    return possible


def no_empty(available, before, framed, drawn):
    return bool(available) and judge(empty="")(available, before, framed, drawn)


def ranked(sizes=np.abs, shift=1, minus=1):
    def half_width(residuals, share):
        values = np.sort(sizes(residuals))
        k = math.ceil((len(values) + shift) * share)
        return float(values[k - minus]) if math.ceil((len(values) + 1) * share) <= len(values) else math.inf

    return half_width


def largest_if_too_few(residuals, share):
    values = np.sort(np.abs(residuals))
    k = math.ceil((len(values) + 1) * share)
    return float(values[min(k, len(values)) - 1]) if len(values) else math.inf


def sorts_in_place(residuals, share):
    residuals.sort()
    return ranked()(residuals, share)


def upper(errors, tail):
    k = math.ceil((len(errors) + 1) * (1 - tail) - 1e-9)
    return float(np.sort(errors)[k - 1]) if k <= len(errors) else math.inf


def two(tail=lambda share: (1 - share) / 2, order=1, mirror=1):
    def sides(e, share):
        low, high = -upper(-mirror * e, tail(share)), upper(mirror * e, tail(share))
        return (low, high)[::order]

    return sides


def rounded_up_twice(e, share):
    tail, ranks = (1 - share) / 2, np.sort(e)
    return float(ranks[math.ceil((len(e) + 1) * tail) - 1]), upper(e, tail)


def never_infinite(e, share):
    tail, ranks = (1 - share) / 2, np.sort(e)
    k = min(math.ceil((len(e) + 1) * (1 - tail) - 1e-9), len(e))
    return float(-np.sort(-e)[k - 1]), float(ranks[k - 1])


def of_n(e, share):
    tail, ranks, n = (1 - share) / 2, np.sort(e), len(e)
    return ranks[math.ceil(n * tail) - 1], ranks[math.ceil(n * (1 - tail)) - 1]


WRONG: dict[str, list[Wrong]] = {
    "9.1": [
        Wrong("only on", (lambda s, m: (s[0], ordered({*s[1]} | {letter(m)})),), "goes both ways"),
        Wrong("only off", (lambda s, m: (s[0], s[1].replace(letter(m), "")),), "goes both ways"),
        Wrong(
            "appended",
            (lambda s, m: (s[0], s[1].replace(letter(m), "") if letter(m) in s[1] else s[1] + letter(m)),),
            "another order",
        ),
        Wrong(
            "radio buttons", (lambda s, m: (s[0], letter(m) if s[1] != letter(m) else ""),), "other switches"
        ),
        Wrong(
            "what is hidden",
            (lambda s, m: (s[0], hidden({*s[1]} ^ {letter(m)})),),
            "what is hidden|as it was",
        ),
        Wrong(
            "goes to the first clip", (lambda s, m: (0, ordered({*s[1]} ^ {letter(m)})),), "clip has changed"
        ),
        Wrong("a string", (lambda s, m: ordered({*s[1]} ^ {letter(m)}),), "return a pair"),
    ],
    "9.2": [
        Wrong(
            "any path", (judge(toggles=lambda b, a: b is None or b != a, empty=""),), "more than one toggle"
        ),
        Wrong(
            "no toggle at all",
            (judge(toggles=lambda b, a: b is None or len({*b} ^ {*a}) < 2, empty=""),),
            "never equal",
        ),
        Wrong("recovers from nothing", (judge(star=bool),), "nothing to recover from"),
        Wrong("star from nothing", (judge(empty="", star=lambda a: True),), "no latent to merge"),
        Wrong("star needs two", (judge(empty="", star=lambda a: len(a) > 1),), "mean of one"),
        Wrong(
            "no star if complete",
            (judge(empty="", star=lambda a: 0 < len(a) < 3),),
            "still drawn",
        ),
        Wrong("available framed", (judge(empty="", recovered=ordered),), "not what is available"),
        Wrong(
            "None refused",
            (judge(toggles=lambda b, a: b is not None and len({*b} ^ {*a}) == 1, empty=""),),
            "None is fine",
        ),
        Wrong("nothing is no state", (no_empty,), "a state like others"),
    ],
    "9.3": [
        Wrong("the new place", (lambda m, k, z: (k * m + z) / (k + 1),), "subtract where it stood"),
        Wrong("turned round", (lambda m, k, z: (m - z) / (k + 1),), "sign is turned round"),
        Wrong("all the way", (lambda m, k, z: z - m,), "whole way"),
        Wrong("halfway always", (lambda m, k, z: (z - m) / 2,), "a third of the way"),
        Wrong("divided by k", (lambda m, k, z: (z - m) / max(k, 1.0000001),), "a third of the way|whole way"),
        Wrong("the new part only", (lambda m, k, z: z / (k + 1),), "parts of the others"),
    ],
    "9.4": [
        Wrong("n instead of n + 1", (ranked(shift=0),), r"it is n \+ 1"),
        Wrong("with sign", (ranked(sizes=lambda e: e),), "absolute values"),
        Wrong("off by one", (ranked(minus=0),), "position k - 1"),
        Wrong("rounded down", (ranked(minus=2),), "one rank too low"),
        Wrong(
            "np.quantile",
            (lambda e, share: float(np.quantile(np.abs(e), share)) if len(e) else math.inf,),
            "interpolates",
        ),
        Wrong("the largest if too few", (largest_if_too_few,), "too few"),
        Wrong("in place", (sorts_in_place,), "in place"),
    ],
    "9.5": [
        Wrong("tails too large", (two(tail=lambda share: 1 - share),), "half of 1 - share"),
        Wrong("ends swapped", (two(order=-1),), "swapped"),
        Wrong("prediction minus label", (two(mirror=-1),), "label minus prediction"),
        Wrong("symmetric", (lambda e, s: (-ranked()(e, s), ranked()(e, s)),), "symmetric band"),
        Wrong(
            "np.quantile", (lambda e, s: tuple(np.quantile(e, [(1 - s) / 2, (1 + s) / 2])),), "interpolates"
        ),
        Wrong("both ranks rounded up", (rounded_up_twice,), "rounded down"),
        Wrong("n instead of n + 1", (of_n,), r"makes it n \+ 1"),
        Wrong("never infinite", (never_infinite,), "infinite"),
    ],
}
