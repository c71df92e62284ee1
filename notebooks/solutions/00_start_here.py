"""Solutions of chapter 0, Start here. Each says why it works."""

from __future__ import annotations

from itertools import permutations

import torch

from dicmor_lib import available_mask
from dicmor_lib.course import EQUATIONS, where


def mask_of(pattern: str) -> torch.Tensor:
    """0.1. The alphabet "lav" fixes the order and the length of the mask; the pattern only answers yes or no.

    That is why "va" and "av" give the same mask.
    """
    return torch.tensor([letter in pattern for letter in "lav"])


def costliest(errors: dict[str, float]) -> str:
    """0.2. Losing a modality leaves the other two, so the cost of losing "l" is the error with "av".

    The error with everything is subtracted from all three costs alike and can be left out: the largest stays the largest.
    """
    left = {"l": "av", "a": "lv", "v": "la"}
    return max(left, key=lambda letter: errors[left[letter]])


def find(name: str) -> str:
    """0.3. An equation knows its own number, so its place in the tuple does not matter.

    Names are compared as a whole: "log-determinant of a 1x1 convolution" and "log-determinant of the coupling layer" begin
    alike.
    """
    (number,) = [equation.number for equation in EQUATIONS if equation.name == name]
    return where(number)


def ask(model, batch, pattern: str) -> torch.Tensor:
    """0.4. The mask has a row for each clip, since every clip of a batch may lack something else.

    The lengths tell the model where padding begins; without gradients PyTorch keeps nothing for a backward pass.
    """
    with torch.no_grad():
        return model(batch.features, available_mask(pattern, len(batch)), batch.lengths).prediction


def credit(errors: dict[str, float]) -> dict[str, float]:
    """0.5. In one order of arrival the gains telescope: they add up to errors[""] - errors["lav"], whatever the order.

    So do their means over the six orders, and in the mean nobody profits from coming early or late.
    """
    shares = dict.fromkeys("lav", 0.0)
    for order in permutations("lav"):
        there = ""
        for letter in order:
            more = "".join(sorted(there + letter, key="lav".index))
            shares[letter] += (errors[there] - errors[more]) / 6
            there = more
    return shares


ANSWERS: dict[str, tuple] = {
    "0.1": (mask_of,),
    "0.2": (costliest,),
    "0.3": (find,),
    "0.4": (ask,),
    "0.5": (credit,),
}
