"""Checks of chapter 6: masks, positions, padding, who reads whom, and which modality moved the prediction."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dicmor_lib.blocks.attention import causal_mask, position_code
from dicmor_lib.blocks.fusion import QUERIES, SOURCES
from dicmor_lib.course.checks.asking import (
    Answer,
    close,
    expect_close,
    expect_number,
    expect_shape,
    generator,
    left_alone,
    random_tensors,
)
from dicmor_lib.course.exercises import exercise


@exercise("6.1", "Softmax first, mask later", level="warm-up", minutes=8)
def mask_afterwards(answer: Answer) -> str:
    """answer(weights, allowed): unmasked attention weights to those of a masked softmax."""
    for seed, shape in enumerate([(3, 5), (2, 4, 6), (2, 2, 7, 3)]):
        scores = random_tensors(seed, shape)[0]
        allowed = torch.rand(shape, generator=generator(seed + 10)) < 0.6
        allowed[..., 0] = True
        allowed[..., 0, -1] = False  # something is always forbidden
        weights = scores.softmax(-1)
        true = scores.masked_fill(~allowed, -math.inf).softmax(-1)
        with left_alone(weights, allowed):
            value = expect_shape(answer(weights, allowed), shape, "the masked weights")
        kept = weights * allowed
        assert not close(value, weights), "the weights came back unmasked: a forbidden step still gets weight"
        assert not close(value, kept), (
            "the rows no longer sum to 1: what the forbidden steps had must be shared out, divide by what is left"
        )
        assert not close(value, kept / kept.sum(-2, keepdim=True).clamp_min(1e-12)), (
            "each column sums to 1, not each row: the sources, over which a query shares out its weight, are the last axis"
        )
        hidden = weights * ~allowed
        assert not close(value, hidden / hidden.sum(-1, keepdim=True).clamp_min(1e-12)), (
            "the mask is upside down: `allowed` is True where a step MAY be read"
        )
        assert not close(value, kept.softmax(-1)), (
            "a second softmax gives the forbidden steps weight again, because exp(0) is 1; divide by the sum instead"
        )
        spread = kept + (1 - kept.sum(-1, keepdim=True)) * allowed / allowed.sum(-1, keepdim=True)
        assert not close(value, spread), (
            "what the forbidden steps had was shared out equally; in a masked softmax the ratios of the others stay, "
            "so share it out in proportion: divide by what is left"
        )
        expect_close(value, true, "these are not the weights of a masked softmax")
    return "Masking a softmax is conditioning: given that a forbidden step is not read, the others keep their ratios."


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


@exercise("6.3", "Count the readable steps", level="core", minutes=15)
def readable_steps(answer: Answer) -> str:
    """answer(i, n, k): how many source steps query step i may read, for i in 0 .. n - 1."""
    cases = [
        (i, n, k)
        for n, k in [(8, 8), (4, 8), (8, 4), (5, 7), (7, 5), (6, 9), (1, 5), (5, 1)]
        for i in range(n)
    ]
    cases += [(i, n, k) for n, k in [(13, 27), (50, 33), (21, 23), (22, 55)] for i in range(n)]
    values, true = [], []
    for i, n, k in cases:
        values.append(expect_number(answer(i, n, k), f"the count for i = {i}, n = {n}, k = {k}"))
        true.append(float(causal_mask(torch.tensor(n), torch.tensor(k), max(n, k))[i].sum()))
    known: list[tuple[Callable[[int, int, int], float], str]] = [
        (
            lambda i, n, k: min(i + 1, k),
            "that compares step numbers, j <= i; compare relative times, j/k < (i+1)/n",
        ),
        (
            lambda i, n, k: -(-i * k // n),
            "off by one: that uses i / n, where step i begins; it may read up to its end",
        ),
        (
            lambda i, n, k: min((i + 1) * k // n + 1, k),
            "that counts j/k <= (i+1)/n; the inequality is strict: a step that only begins when the query step ends is later",
        ),
        (
            lambda i, n, k: (i + 1) * k // n,
            "that rounds down; a source step that has begun may be read although it has not ended, so round up",
        ),
        (
            lambda i, n, k: -(-(i + 1) * n // k),
            "n and k are swapped: n is the length of the query, k of the source",
        ),
        (
            lambda i, n, k: i * k // n + 1,
            "that asks for j/k <= i/n, what begins no later than the query step; read up to its end",
        ),
        (lambda i, n, k: k, "every query reads the whole source: the mask is missing"),
    ]
    for mistake, message in known:
        assert values != [float(mistake(*case)) for case in cases], message
    assert values != [float(math.ceil((i + 1) * (k / n))) for i, n, k in cases], (
        "almost: k / n is rounded before it is multiplied, and a hair above a whole number is rounded up; use whole numbers"
    )
    for case, value, count in zip(cases, values, true):
        i, n, k = case
        assert value == count, f"step {i} of {n} may read {count:.0f} of {k} source steps, not {value:g}"
    return (
        "At i = n - 1 the count is k: the last valid query step sees the whole source, whatever the lengths."
    )


@exercise("6.4", "The last valid step", level="core", minutes=10)
def last_valid(answer: Answer) -> str:
    """answer(x, valid): x (batch, time, width) at the last True of valid (batch, time); zeros where there is none."""
    for seed, (batch, time, width) in enumerate([(5, 6, 3), (6, 9, 2)]):
        x = random_tensors(seed, (batch, time, width))[0]
        step = torch.arange(time)
        valid = torch.zeros(batch, time, dtype=torch.bool)
        valid[0] = step < time - 2  # padding behind
        valid[1] = step >= 3  # padding in front
        valid[2] = (step >= 1) & (step < time - 1)
        valid[3] = step == 0
        valid[4] = (step == 1) | (step == 3)  # a hole
        rows = torch.arange(batch)
        if batch > 5:
            valid[5] = False
        last = torch.where(valid, step, -1).amax(1)
        true = torch.where(valid.any(1)[:, None], x[rows, last.clamp(min=0)], 0.0)
        with left_alone(x, valid):
            value = answer(x, valid)
        value = expect_shape(value, (batch, width), "what you return")
        some = valid.any(1)
        assert not close(value[some], x[some, -1]), (
            "that is the last step of the array, often padding; take the last valid one"
        )
        assert not close(value[some], x[rows, valid.int().argmax(1)][some]), (
            "that is the first valid step: argmax returns the first of several equal values"
        )
        means = (x * valid[..., None]).sum(1) / valid.sum(1).clamp(min=1)[:, None]
        assert not close(value[some], means[some]), (
            "that is the mean over the valid steps, not the last of them"
        )
        count = x[rows, (valid.sum(1) - 1).clamp(min=0)]
        assert not close(value[some], count[some]), (
            "that counts the valid steps and takes step number count - 1, which fits only if padding comes behind; "
            "here it may stand in front, or in between"
        )
        beyond = x[rows, valid.sum(1).clamp(max=time - 1)]
        assert not close(value[some], beyond[some]), (
            "off by one: the count is the number of the step after the last valid one"
        )
        expect_close(value[some], true[some], "this is not the last valid step")
        assert close(value, true), (
            "a clip without any valid step must give zeros; yours gives some step of the padding: an index of -1 or 0 is silent"
        )
    return "This is why lengths (or masks) travel with the features: the array alone does not know where a clip ends."


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


@exercise("6.7", "Where does the padding leak?", level="challenge", minutes=15)
def no_leak(answer: Answer) -> str:
    """answer(x, lengths): self-attention without weights over valid steps, residual, read at the last valid step."""
    for seed, (batch, time, width) in enumerate([(4, 7, 3), (5, 9, 6)]):
        x = random_tensors(seed, (batch, time, width))[0]
        lengths = torch.randint(2, time, (batch,), generator=generator(seed))
        lengths[0] = time
        with left_alone(x, lengths):
            value = expect_shape(answer(x, lengths), (batch, width), "what you return")
        true = torch.stack([_attend_alone(row[:n]) for row, n in zip(x, lengths)])
        if close(value, true):
            loud = torch.where((torch.arange(time) < lengths[:, None])[..., None], x, 1e3)
            assert close(answer(loud, lengths), true), (
                "with padding of 1000 the answer changes: padding still gets weight"
            )
            continue
        for query_masked, key_masked, last_valid_read, message in (
            (
                False,
                False,
                True,
                "one fault left: the padded KEYS are still read (masking the padded QUERIES changes only rows that nobody uses); "
                "mask the keys, the last axis of the scores, before the softmax",
            ),
            (
                False,
                True,
                False,
                "one fault left: x[:, -1] is a padding step for the shorter clips; read the last VALID step",
            ),
            (
                True,
                False,
                False,
                "both faults are still there: which axis of the scores is padded, and which step is read?",
            ),
            (
                False,
                False,
                False,
                "both faults are still there: the padded keys are read, and so is the last padding step",
            ),
        ):
            snippet = _snippet(x, lengths, query_masked, key_masked, last_valid_read)
            assert not close(value, snippet), message
        pooled = _snippet(x, lengths, False, True, None)
        assert not close(value, pooled), (
            "the mean over the valid steps has no leak, but the task is the last valid step"
        )
        zeroed = _after_softmax(x, lengths)
        assert not close(value, zeroed), (
            "padded keys are zeroed after the softmax, so the rows no longer sum to 1: the amount of padding still shows"
        )
        off = torch.arange(batch), lengths.clamp(max=time - 1)
        assert not close(value, _snippet(x, lengths, False, True, None, off)), (
            "off by one: step number `length` is the first padding step; the last valid one is length - 1"
        )
        raise AssertionError(
            "the result is not that of the clip alone without its padding; compare with x[b, :lengths[b]] clip by clip"
        )
    return "The test that finds such a leak is three lines: fill the padding with noise, nothing may change."


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


def _attend_alone(x: Tensor) -> Tensor:
    weights = (x @ x.T / math.sqrt(x.shape[-1])).softmax(-1)
    return (x + weights @ x)[-1]


def _snippet(
    x: Tensor,
    lengths: Tensor,
    query_masked: bool,
    key_masked: bool,
    last_valid_read: bool | None,
    at: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """The exercise's function with some of its faults; `last_valid_read` None: the mean over the valid steps."""
    valid = torch.arange(x.shape[1]) < lengths[:, None]
    scores = x @ x.transpose(1, 2) / math.sqrt(x.shape[-1])
    if query_masked:
        scores = scores.masked_fill(~valid[:, :, None], -1e9)
    if key_masked:
        scores = scores.masked_fill(~valid[:, None, :], -1e9)
    read = x + scores.softmax(-1) @ x
    if at is not None:
        return read[at]
    if last_valid_read is None:
        return (read * valid[..., None]).sum(1) / lengths[:, None]
    return read[torch.arange(len(x)), lengths - 1] if last_valid_read else read[:, -1]


def _after_softmax(x: Tensor, lengths: Tensor) -> Tensor:
    valid = torch.arange(x.shape[1]) < lengths[:, None]
    weights = (x @ x.transpose(1, 2) / math.sqrt(x.shape[-1])).softmax(-1) * valid[:, None, :]
    return (x + weights @ x)[torch.arange(len(x)), lengths - 1]
