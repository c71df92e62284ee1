"""Checks of the exercises of chapter 0."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import permutations

import torch
from torch import Tensor, nn

from dicmor_lib import PATTERNS, DiCMoR, DiCMoRConfig, DiCMoROutput, available_mask, pattern_mask
from dicmor_lib.course.checks.asking import (
    close,
    expect_close,
    expect_no_mistake,
    expect_number,
    expect_shape,
    expect_tensor,
    left_alone,
)
from dicmor_lib.course.equations import EQUATIONS, PACKAGE, where
from dicmor_lib.course.exercises import exercise
from dicmor_lib.data import Batch
from dicmor_lib.modalities import LETTERS

WITHOUT = {letter: "".join(other for other in LETTERS if other != letter) for letter in LETTERS}
"""The pattern that is left if a modality is lost: "l" -> "av"."""


@exercise("0.1", "Read a pattern", level="warm-up", minutes=3)
def read_a_pattern(mask_of: Callable[[str], Tensor]) -> str:
    for pattern in (*PATTERNS, "va", "val"):
        true = torch.tensor(pattern_mask(pattern))
        mask = expect_tensor(mask_of(pattern), f'mask_of("{pattern}")')
        assert mask.dtype == torch.bool, (
            f'mask_of("{pattern}") holds {mask.dtype}; a mask is torch.bool, for 0 and 1 as numbers would pick entries '
            "instead of masking them"
        )
        assert tuple(mask.shape) == (3,), (
            f'mask_of("{pattern}") has shape {tuple(mask.shape)}, expected (3,): one entry for each modality, whatever '
            "the pattern; walk over the letters of the alphabet, not over those of the pattern"
        )
        assert not mask.equal(~true), (
            f'mask_of("{pattern}") is {mask.tolist()}: that is what is missing; a pattern names what is available'
        )
        assert not mask.equal(true.flip(0)) or pattern in ("a", "lv", "lav", "val"), (
            f'mask_of("{pattern}") is {mask.tolist()}: the order is language, audio, vision'
        )
        assert mask.equal(true), f'mask_of("{pattern}") is {mask.tolist()}, expected {true.tolist()}'
    return "`pattern_mask` of the library does this, and refuses what is no pattern."


@exercise("0.2", "The costliest loss", level="warm-up", minutes=5)
def the_costliest_loss(costliest: Callable[[dict[str, float]], str]) -> str:
    rng = random.Random(0)
    for _ in range(200):
        errors = {pattern: rng.uniform(0.5, 1.5) for pattern in PATTERNS}
        costs = {letter: errors[WITHOUT[letter]] - errors["lav"] for letter in LETTERS}
        true = max(costs, key=costs.__getitem__)
        kept = dict(errors)
        answer = costliest(errors)
        assert errors == kept, "your code changes the dictionary that it was given; work on a copy"
        assert answer is not None, "costliest(errors) is None; did you forget `return`?"
        assert isinstance(answer, str), f"costliest(errors) is {answer!r}; return a letter: 'l', 'a' or 'v'"
        assert answer not in WITHOUT.values(), (
            f"costliest(errors) is {answer!r}, the pattern that is left; return the letter of what was lost"
        )
        assert answer in LETTERS, f"costliest(errors) is {answer!r}; return a letter: 'l', 'a' or 'v'"
        if answer != true:
            _say_which_loss(answer, errors, costs)
    return "A modality is worth what is lost without it, which is not what it can do alone."


def _say_which_loss(answer: str, errors: dict[str, float], costs: dict[str, float]) -> None:
    alone = {letter: errors[letter] for letter in LETTERS}
    shown = ", ".join(f"{pattern} {error:.2f}" for pattern, error in errors.items())
    assert answer != min(costs, key=costs.__getitem__), (
        f"for the errors {shown} your answer {answer!r} is the cheapest loss, not the costliest: an error is bad when it "
        "is large"
    )
    for extreme, word in ((min, "best"), (max, "worst")):
        assert answer != extreme(alone, key=alone.__getitem__), (
            f"for the errors {shown} your answer {answer!r} is the modality that is {word} alone; asked is what is lost "
            "when it goes and the two others stay"
        )
    raise AssertionError(f"for the errors {shown} your answer is {answer!r}, and another loss costs more")


@exercise("0.3", "From a formula to its code", level="core", minutes=8)
def from_a_formula_to_its_code(find: Callable[[str], str]) -> str:
    for place, equation in enumerate(EQUATIONS):
        true, answer = where(equation.number), find(equation.name)
        asked = f"find({equation.name!r})"
        assert answer is not None, f"{asked} is None; did you forget `return`?"
        assert answer != equation.number, f"{asked} is the number of the equation; give it to `where`"
        assert isinstance(answer, str), f"{asked} is a {type(answer).__name__}; return what `where` returns"
        assert answer != equation.file, (
            f"{asked} is the file alone; the line is asked too: `where` gives both"
        )
        assert answer != equation.chapter, f"{asked} is the chapter that derives it; asked is the code"
        neighbours = [e for e in (*EQUATIONS[:place][-1:], *EQUATIONS[place + 1 :][:1])]
        assert answer not in {where(e.number) for e in neighbours} - {true}, (
            f"{asked} is the place of the equation next to it: equations are numbered from 1, positions in a tuple from 0"
        )
        assert answer == true, (
            f"{asked} is {answer!r}, expected {true!r}; does another name contain these words too? Compare whole names"
        )
    file, _, line = where(1).partition(":")
    code = (PACKAGE.parent / file).read_text(encoding="utf-8").splitlines()[int(line) - 1].strip()
    return f"Eq. (1) is computed by `{code.partition('#')[0].strip()}`."


@exercise("0.4", "Ask the model", level="core", minutes=10)
def ask_the_model(ask: Callable[[nn.Module, Batch, str], Tensor]) -> str:
    for seed, pattern in ((0, "la"), (1, "v"), (2, "lav"), (3, "va")):
        model, batch = _model_and_batch(seed)
        batch_size = len(batch)
        available = available_mask(pattern, batch_size)
        said = f'ask(model, batch, "{pattern}")'
        with torch.no_grad():
            true = model(batch.features, available, batch.lengths).prediction
        with left_alone(*batch.features, batch.lengths):
            answer = ask(model, batch, pattern)
        assert not isinstance(answer, DiCMoROutput), (
            f"{said} is the whole output; its field `prediction` was asked for"
        )
        prediction = expect_shape(answer, (batch_size,), said)
        assert not prediction.requires_grad, (
            f"{said} still carries the graph for a backward pass; to predict only, compute under torch.no_grad()"
        )
        if not close(prediction, true, 1e-9, 1e-9):
            _say_what_was_asked(model, batch, available, prediction, said)
    return "No label was needed, and what the pattern hides could have been NaN: it is never read."


def _model_and_batch(seed: int) -> tuple[DiCMoR, Batch]:
    """A model with random weights, and clips of different lengths whose padding is not to be read."""
    rng = torch.Generator().manual_seed(seed)
    model = DiCMoR(
        DiCMoRConfig.tiny((4, 3, 3), hidden=8, flow_layers=2, flow_width=8, rcab_width=8, rcab_blocks=1)
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng) * 0.3)
    lengths = torch.tensor([9, 5, 7, 3])[:, None].expand(4, 3).clone()
    lengths[1, 2] = 4
    inside = [(torch.arange(9) < lengths[:, m, None])[..., None] for m in range(3)]
    features = [torch.randn(4, 9, d, generator=rng).double() * inside[m] for m, d in enumerate((4, 3, 3))]
    label = torch.randn(4, generator=rng).double().clamp(-3, 3)
    everything = torch.ones(4, 3, dtype=torch.bool)
    language, audio, vision = features
    return model.double().eval(), Batch(
        (language, audio, vision), lengths, everything, label, torch.arange(4)
    )


def _say_what_was_asked(
    model: DiCMoR, batch: Batch, available: Tensor, prediction: Tensor, said: str
) -> None:
    """Recognise a mistake by its result."""
    mistakes = [(available.flip(1), "the mask is in another order; it is language, audio, vision")]
    if not available.all():
        mistakes += [(~available, "the mask says what is missing; `available` is what the model may see")]
        mistakes += [(torch.ones_like(available), "the pattern is not used: the model saw everything")]
    with torch.no_grad():
        for mask, message in mistakes:
            other = model(batch.features, mask, batch.lengths).prediction
            assert not close(prediction, other, 1e-9, 1e-9), f"{said}: {message}"
        padded = model(batch.features, available).prediction
    assert not close(prediction, padded, 1e-9, 1e-9), (
        f"{said}: the lengths are not used, so the model read the padding as if it were speech; pass batch.lengths"
    )
    raise AssertionError(
        f"{said} is not what the model says; was it left in eval mode, and are the features as given?"
    )


@exercise("0.5", "Share the credit", level="challenge", minutes=20)
def share_the_credit(credit: Callable[[dict[str, float]], dict[str, float]]) -> str:
    rng = random.Random(0)
    for _ in range(20):
        errors = {pattern: rng.uniform(0.5, 1.5) for pattern in ("", *PATTERNS)}
        shares = credit(dict(errors))
        assert shares is not None, "credit(errors) is None; did you forget `return`?"
        assert isinstance(shares, dict) and set(shares) == set(LETTERS), (
            f"credit(errors) is {shares!r}; return a dictionary with the keys 'l', 'a' and 'v'"
        )
        given = torch.tensor(
            [expect_number(shares[m], f"the share of {m}") for m in LETTERS], dtype=torch.float64
        )
        true = _shapley(errors)
        expect_no_mistake(given, _mistaken_shares(errors, true), atol=1e-9, rtol=1e-9)
        expect_close(
            given.sum(),
            errors[""] - errors["lav"],
            "the shares do not add up to what all three achieve together, errors[''] - errors['lav']",
        )
        expect_close(given, true, "the shares add up, but they are not the means over all orders of arrival")
    return "This mean over all orders is the Shapley value, the only fair division in the sense of four simple axioms."


def _shapley(errors: dict[str, float]) -> Tensor:
    orders = list(permutations(LETTERS))
    total = dict.fromkeys(LETTERS, 0.0)
    for order in orders:
        for place, letter in enumerate(order):
            total[letter] += errors[_pattern(order[:place])] - errors[_pattern(order[: place + 1])]
    return torch.tensor([total[m] / len(orders) for m in LETTERS], dtype=torch.float64)


def _mistaken_shares(errors: dict[str, float], true: Tensor) -> list[tuple[Tensor, str]]:
    def gains(m: str) -> list[float]:
        others = ["", *WITHOUT[m], WITHOUT[m]]
        return [errors[left] - errors[_pattern({*left, m})] for left in others]

    def tensor(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)

    alone = "these are the gains of each modality alone, as if it always came first"
    last = "these are the gains of each modality as the last one; it may also come first or second"
    equal = (
        "the four gains of a modality count equally here, but it comes first in 2 of 6 orders, last in 2 of 6, and second "
        "after each of the others in 1 of 6"
    )
    total = "these are sums over the orders; divide by their number, 6"
    return [
        (-true, "the signs are turned round: an error that falls is a gain"),
        (tensor([gains(m)[0] for m in LETTERS]), alone),
        (tensor([gains(m)[3] for m in LETTERS]), last),
        (tensor([sum(gains(m)) / 4 for m in LETTERS]), equal),
        (6 * true, total),
    ]


def _pattern(letters: tuple[str, ...] | set[str]) -> str:
    return "".join(letter for letter in LETTERS if letter in letters)
