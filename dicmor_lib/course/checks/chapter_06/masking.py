"""What may be read: masked softmax, readable steps, the last valid step, leaks of padding."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dicmor_lib.blocks.attention import causal_mask
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
