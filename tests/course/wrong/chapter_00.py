"""Plausible wrong answers to the exercises of chapter 0."""

from __future__ import annotations

from itertools import permutations

import torch

from dicmor_lib import available_mask
from dicmor_lib.course import EQUATIONS, where
from tests.course.wrong.wrong import Wrong

LEFT = {"l": "av", "a": "lv", "v": "la"}


def changes_errors(errors):
    full = errors.pop("lav")
    return max(LEFT, key=lambda m: errors[LEFT[m]] - full)


def find_by_words(name):
    return where(next(e.number for e in EQUATIONS if name.split()[0] in e.name))


def ask_with(mask=lambda available: available, lengths=True, gradient=False, whole=False):
    def ask(model, batch, pattern):
        with torch.set_grad_enabled(gradient):
            available = mask(available_mask(pattern, len(batch)))
            out = model(batch.features, available, batch.lengths if lengths else None)
        return out if whole else out.prediction

    return ask


def gains(errors, letter):
    """What a letter adds to nothing, to each other one, and to both."""
    others = ["", *LEFT[letter], LEFT[letter]]
    return [errors[o] - errors["".join(sorted(o + letter, key="lav".index))] for o in others]


def summed_over_orders(errors):
    shares = dict.fromkeys("lav", 0.0)
    for order in permutations("lav"):
        for i, letter in enumerate(order):
            before, after = ("".join(sorted(order[:n], key="lav".index)) for n in (i, i + 1))
            shares[letter] += errors[before] - errors[after]
    return shares


def turned_round(errors):
    return {letter: -share / 6 for letter, share in summed_over_orders(errors).items()}


WRONG: dict[str, list[Wrong]] = {
    "0.1": [
        Wrong(
            "what is missing",
            (lambda p: torch.tensor([m not in p for m in "lav"]),),
            "that is what is missing",
        ),
        Wrong(
            "numbers, not booleans",
            (lambda p: torch.tensor([float(m in p) for m in "lav"]),),
            "a mask is torch.bool",
        ),
        Wrong(
            "walks over the pattern",
            (lambda p: torch.tensor([m in "lav" for m in p]),),
            "not over those of the pattern",
        ),
        Wrong(
            "other order",
            (lambda p: torch.tensor([m in p for m in "val"]),),
            "the order is language, audio, vision",
        ),
        Wrong(
            "alphabetical order", (lambda p: torch.tensor([m in p for m in "alv"]),), r"is \[.*expected \["
        ),
        Wrong("a list", (lambda p: [m in p for m in "lav"],), "is a list, not a tensor"),
    ],
    "0.2": [
        Wrong(
            "the pattern that is left", (lambda e: max(LEFT.values(), key=e.get),), "the pattern that is left"
        ),
        Wrong("the cheapest loss", (lambda e: min(LEFT, key=lambda m: e[LEFT[m]]),), "the cheapest loss"),
        Wrong("the best alone", (lambda e: min("lav", key=e.get),), "best alone|worst alone|cheapest"),
        Wrong("the worst alone", (lambda e: max("lav", key=e.get),), "worst alone|best alone|cheapest"),
        Wrong("always language", (lambda e: "l",), "alone|cheapest|another loss"),
        Wrong("the dictionary is changed", (changes_errors,), "changes the dictionary"),
        Wrong("the difference", (lambda e: max(e[LEFT[m]] - e["lav"] for m in "lav"),), "return a letter"),
    ],
    "0.3": [
        Wrong(
            "the number",
            (lambda n: next(e.number for e in EQUATIONS if e.name == n),),
            "number of the equation",
        ),
        Wrong(
            "the file alone", (lambda n: next(e.file for e in EQUATIONS if e.name == n),), "the file alone"
        ),
        Wrong(
            "the chapter", (lambda n: next(e.chapter for e in EQUATIONS if e.name == n),), "asked is the code"
        ),
        Wrong(
            "off by one",
            (lambda n: where(max(1, [e.name for e in EQUATIONS].index(n))),),
            "numbered from 1, positions in a tuple from 0",
        ),
        Wrong("the first with these words", (find_by_words,), "Compare whole names|next to it"),
    ],
    "0.4": [
        Wrong(
            "the mask is turned round", (ask_with(lambda a: ~a | a.all(1, keepdim=True)),), "what is missing"
        ),
        Wrong("other order", (ask_with(lambda a: a.flip(1)),), "another order"),
        Wrong("everything is seen", (ask_with(torch.ones_like),), "the model saw everything"),
        Wrong("lengths are forgotten", (ask_with(lengths=False),), "read the padding"),
        Wrong("gradients are kept", (ask_with(gradient=True),), r"torch\.no_grad"),
        Wrong("the whole output", (ask_with(whole=True),), "the whole output"),
    ],
    "0.5": [
        Wrong("alone", (lambda e: {m: gains(e, m)[0] for m in "lav"},), "as if it always came first"),
        Wrong("last", (lambda e: {m: gains(e, m)[3] for m in "lav"},), "as the last one"),
        Wrong("equal weights", (lambda e: {m: sum(gains(e, m)) / 4 for m in "lav"},), "2 of 6 orders"),
        Wrong("not divided", (summed_over_orders,), "divide by their number, 6"),
        Wrong("signs", (turned_round,), "signs are turned round"),
        Wrong(
            "a third each", (lambda e: dict.fromkeys("lav", (e[""] - e["lav"]) / 3),), "means over all orders"
        ),
        Wrong("a list", (lambda e: [0.1, 0.2, 0.3],), "return a dictionary"),
    ],
}
