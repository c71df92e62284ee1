"""Who reads what: scores, encoders, positions, order, and what moved the prediction."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dicmor_lib.blocks.attention import position_code
from dicmor_lib.blocks.fusion import QUERIES, SOURCES
from dicmor_lib.course.checks.asking import (
    Answer,
    close,
    expect_number,
    expect_shape,
    left_alone,
    random_tensors,
)
from dicmor_lib.course.exercises import exercise


@exercise("6.2", "How large is a score?", level="warm-up", minutes=8)
def score_sizes(answer: Answer) -> str:
    """answer(d, sd_q, sd_k): standard deviation of q . k, and of q . k / sqrt(d)."""
    for d, sd_q, sd_k in [(9, 3.0, 0.7), (64, 1.0, 1.0), (16, 0.5, 2.0), (4, 0.2, 1.5)]:
        value = answer(d, sd_q, sd_k)
        assert value is not None, "nothing came back; did you forget `return`?"
        assert isinstance(value, (tuple, list)) and len(value) == 2, (
            "return two numbers: before the division by sqrt(d) and after it"
        )
        before, after = (
            expect_number(v, f"the size {when} the division") for v, when in zip(value, ("before", "after"))
        )
        true = math.sqrt(d) * sd_q * sd_k
        if not close(before, true):
            assert not close(before, true**2), (
                "before: that is the variance; the standard deviation is its root"
            )
            assert not close(before, d * sd_q * sd_k), (
                "before: d independent terms add their variances, so the standard deviation grows like sqrt(d), not like d"
            )
            assert not close(before, sd_q * sd_k), (
                "before: one product has that size, but d of them are added"
            )
            assert not close(before, math.sqrt(d)), (
                "before: the standard deviations of queries and keys count too: each term is a product of both"
            )
            raise AssertionError(
                f"before: for d = {d}, sd {sd_q} and {sd_k} expected {true:.3f}, not {before:.3f}; "
                "the variance of a sum of independent terms is the sum of their variances"
            )
        if not close(after, sd_q * sd_k):
            assert not close(after, before / d), "after: divide by sqrt(d), not by d"
            assert not close(after, before), "after: the division is missing, both numbers are the same"
            assert not close(after, 1.0), (
                "after: the size is 1 only if queries and keys have standard deviation 1"
            )
            raise AssertionError(
                f"after: expected {sd_q * sd_k:.3f}, not {after:.3f}; divide the first by sqrt(d)"
            )
    return "Without the root a width of 64 starts with scores of size 8: the softmax would be almost one-hot."


@exercise("6.5", "Who reads whom?", level="core", minutes=10)
def who_reads_whom(encoder: Answer, touched: Answer) -> str:
    """encoder(query, source): 0 .. 5; touched(m): sorted encoders whose input changes if modality m is replaced."""
    pairs = list(zip(QUERIES, SOURCES))
    got = [expect_number(encoder(m, k), f"the encoder with query {m} and source {k}") for m, k in pairs]
    assert got != [float(pairs.index((k, m))) for m, k in pairs], (
        "query and source are swapped: the encoders are ordered by query first, and (0, 1), language that reads audio, "
        "is encoder 0"
    )
    assert got != [float(3 * m + k) for m, k in pairs], (
        "3 * query + source leaves room for pairs (m, m) that no cross-modal encoder has: each query has two sources"
    )
    assert got != [float(2 * m + k) for m, k in pairs], (
        "2 * query is right, but a source is the first or second of the two OTHERS: count it without the query itself"
    )
    for (m, k), value, g in zip(pairs, got, range(6)):
        assert value == g, f"query {m}, source {k} is encoder {g}, not {value:g}"
    for m in range(3):
        value = touched(m)
        assert value is not None, "touched returned None; did you forget `return`?"
        found = sorted(int(g) for g in value)
        asks, read = ([g for g, p in enumerate(pairs) if p[side] == m] for side in (0, 1))
        assert found != asks, (
            f"touched({m}): those are the encoders that modality asks in; others read it as their source"
        )
        assert found != read, (
            f"touched({m}): those are the encoders that read it; it also asks in two of its own"
        )
        assert found != sorted(set(range(6)) - set(asks) - set(read)), (
            f"touched({m}): those are the encoders that it does NOT enter"
        )
        assert found == sorted(asks + read), f"touched({m}) is {sorted(asks + read)}, not {found}"
    return "One missing modality enters four of the six encoders, and what is read there enters all three self encoders."


@exercise("6.6", "One step later is a rotation", level="challenge", minutes=20)
def shift_matrix(answer: Answer) -> str:
    """answer(width, steps): R with code(p + steps) = code(p) @ R for every p, float64."""
    for width, steps in [(2, 1), (8, 1), (16, 5), (32, -3), (10, 0), (6, 40)]:
        code = position_code(torch.ones(90, dtype=torch.bool), width, torch.float64)
        value = expect_shape(answer(width, steps), (width, width), "R").to(torch.float64)
        start = max(0, -steps)
        p, later = code[start : 90 - max(steps, 0)], code[start + steps : 90 - max(steps, 0) + steps]
        if close(p @ value, later, 1e-5):
            continue
        assert not close(later @ value, p, 1e-5), (
            "that goes back in time: the signs of the two sine blocks are swapped (R multiplies from the right)"
        )
        half = width // 2
        message = f"code(p) @ R is not code(p + {steps}) for width {width}"
        if width > 2:
            assert not close(value, _rotation(half, steps, half), 1e-5), (
                "the frequencies are those of Vaswani et al.; here the exponent is i / (width/2 - 1), so that the last is 1/10000"
            )
            assert not close(value, _interleaved(half, steps), 1e-5), (
                "that is for a code with sine, cosine, sine, ... in turn; here all sines come first, then all cosines"
            )
        assert not close(value, torch.eye(width, dtype=torch.float64)), "R is the identity: nothing moves"
        turned = value.T @ value
        if not close(turned, torch.eye(width, dtype=torch.float64), 1e-5):
            message += "; R is not even orthogonal: each (sine, cosine) pair turns by an angle, which keeps its length"
        raise AssertionError(message)
    return "So a query can ask for `three steps ago` with one fixed matrix, the same at every position."


@exercise("6.8", "Does the order matter?", level="challenge", minutes=20)
def ignores_order(answer: Answer) -> str:
    """answer(read, source): whether read(source) is the same whatever the order of the source's steps."""
    source = random_tensors(3, (2, 7, 4))[0]
    query, map_q, map_k = random_tensors(4, (2, 3, 4), (4, 4), (4, 4))
    step = torch.arange(7, dtype=torch.float64)

    def attention(s: Tensor) -> Tensor:
        return ((query @ map_q) @ (s @ map_k).transpose(1, 2) / 2).softmax(-1) @ s

    code = position_code(torch.ones(7, dtype=torch.bool), 4, torch.float64)
    cases: list[tuple[str, Callable[[Tensor], Tensor], bool, str]] = [
        ("the largest value over time", lambda s: s.amax(1), True, "is the same in any order, so your answer must be "
         "True; look at the axis that you permute: it is time, axis 1"),
        ("the mean over time", lambda s: s.mean(1), True, "is the same in any order up to rounding; compare with a "
         "tolerance, not with torch.equal"),
        ("attention without positions", attention, True, "sums over the steps, so it is the same in any order up to "
         "rounding; compare with a tolerance, not with torch.equal"),
        ("attention with a position code", lambda s: attention(s + code), False, "tells the steps apart"),
        ("the last step", lambda s: s[:, -1], False, "depends on the order; try an order that moves the last step"),
        ("a constant weight per distance from the middle", lambda s: (s * (step - 3).abs()[:, None]).sum(1), False,
         "is unchanged if time runs backwards, but not in every order: a flip alone is no test"),
        ("the mean product of neighbours in a ring", lambda s: (s * s.roll(1, 1)).mean(1), False,
         "is unchanged by a cyclic roll, but not in every order: draw random permutations"),
        ("the sum of the first and the second half, weighted",
         lambda s: 2 * s[:, :5].sum(1) + s[:, 5:].sum(1), False, "depends on which steps come first"),
        ("a position code of size 0.01", lambda s: attention(s + 0.01 * code), False,
         "depends on the order, if only a little: your tolerance is too wide"),
        ("the order, seen by the sum of squares of the differences", lambda s: s.diff(dim=1).square().sum((1, 2)), False,
         "depends on which steps are neighbours"),
    ]  # fmt: skip
    for what, read, true, why in cases:
        with left_alone(source):
            value = answer(read, source)
        assert value is not None, "nothing came back; did you forget `return`?"
        assert isinstance(value, (bool,)) or getattr(value, "dtype", None) == torch.bool, (
            f"return True or False, not a {type(value).__name__}"
        )
        assert bool(value) is true, f"{what}: {why}"
    return "Attention without positions is a function of a set; the position code is all that it knows about time."


@exercise("6.9", "Which modality did it?", level="open-ended", minutes=30)
def attribution(answer: Answer) -> str:
    """answer(predict, x, baseline): (batch, 3), what each modality contributed to predict(x); x (3, batch, time, width)."""
    for seed, (batch, time, width) in enumerate([(4, 5, 3), (3, 6, 2)]):
        x, baseline, weight = random_tensors(seed, (3, batch, time, width), (3, 1, 1, width), (3, width))

        def part(x: Tensor, m: int, weight: Tensor = weight) -> Tensor:
            return (x[m] @ weight[m]).tanh().mean(-1)

        def additive(x: Tensor) -> Tensor:
            return part(x, 0) + 2 * part(x, 1) - part(x, 2) + 0.5

        empty = baseline.expand_as(x)
        true = torch.stack([c * (part(x, m) - part(empty, m)) for m, c in enumerate((1.0, 2.0, -1.0))], dim=1)
        value = _attributed(answer, additive, x, baseline, batch)
        if not close(value, true):
            _name_attribution_mistake(value, true, additive, x, baseline)
        ignoring = _attributed(answer, lambda x: part(x, 0) * part(x, 2), x, baseline, batch)
        assert close(ignoring[:, 1], torch.zeros(batch)), (
            "audio got a contribution to a prediction that never reads audio"
        )
        twins, same = x.clone(), baseline.clone()
        twins[2], same[2] = x[0], baseline[0]
        symmetric = _attributed(
            answer,
            lambda x: (x[0].mean((1, 2)) + 1) * (x[2].mean((1, 2)) + 1) + part(x, 1),
            twins,
            same,
            batch,
        )
        assert close(symmetric[:, 0], symmetric[:, 2]), (
            "language and vision were equal and played the same part, yet their contributions differ: the order in "
            "which modalities are removed must not matter, so put each back before you remove the next"
        )
    return (
        "Any sensible attribution has these properties; for predictions that are no sums they still disagree, "
        "so an attribution answers a question that you chose (here: what would happen without it?)."
    )


def _attributed(answer: Answer, predict: Answer, x: Tensor, baseline: Tensor, batch: int) -> Tensor:
    with left_alone(x, baseline):
        return expect_shape(answer(predict, x, baseline), (batch, 3), "the contributions")


def _name_attribution_mistake(value: Tensor, true: Tensor, predict: Any, x: Tensor, baseline: Tensor) -> None:
    assert not close(value, -true), (
        "the signs are turned round: what raises the prediction contributes positively, so predict(x) comes first"
    )
    assert not close(value, true.abs()), "the signs are gone: a modality may also lower the prediction"
    without = torch.stack([predict(_replaced(x, baseline, [m])) for m in range(3)], dim=1)
    assert not close(value, without), (
        "those are the predictions without each modality; the contribution is the difference to predict(x)"
    )
    only = torch.stack(
        [predict(x) - predict(_replaced(x, baseline, [n for n in range(3) if n != m])) for m in range(3)], 1
    )
    assert not close(value, only), (
        "each entry is what changes when the two OTHER modalities are removed: the selection is inverted"
    )
    cumulative = torch.stack(
        [predict(x) - predict(_replaced(x, baseline, range(m + 1))) for m in range(3)], dim=1
    )
    assert not close(value, cumulative), (
        "a modality that was removed stays removed while the next is tested: the second entry holds two "
        "contributions, the third all; start from a fresh copy of x each time"
    )
    zeroed = torch.stack([predict(x) - predict(_replaced(x, 0 * baseline, [m])) for m in range(3)], dim=1)
    assert not close(value, zeroed), "the removed modality was replaced by zeros instead of the baseline"
    shares = true.abs() / true.abs().sum(1, keepdim=True)
    assert not close(value, shares) and not close(value, true / true.sum(1, keepdim=True)), (
        "the contributions were normalised to shares; leave them in units of the prediction"
    )
    raise AssertionError(
        "for a prediction that is a sum of one term per modality, the contribution of a modality is its term's change "
        "when the modality is replaced by the baseline"
    )


def _replaced(x: Tensor, baseline: Tensor, modalities: Any) -> Tensor:
    x = x.clone()
    for m in modalities:
        x[m] = baseline[m]
    return x


def _rotation(half: int, steps: int, divisor: int) -> Tensor:
    angle = steps * 10000.0 ** (-torch.arange(half, dtype=torch.float64) / divisor)
    cos, sin = torch.diag(angle.cos()), torch.diag(angle.sin())
    return torch.cat([torch.cat([cos, -sin], 1), torch.cat([sin, cos], 1)])


def _interleaved(half: int, steps: int) -> Tensor:
    order = torch.arange(2 * half).view(2, half).T.flatten()  # sine 0, cosine 0, sine 1, ...
    return _rotation(half, steps, max(half - 1, 1))[order][:, order]
