"""Wrong answers to the exercises of chapter 11."""

from __future__ import annotations

import torch

from tests.course.wrong.wrong import Wrong


def _loop(x, weight, bias):
    return torch.stack([x[m] @ weight[m] + bias[m] for m in range(3)])


def _without_bias(x, weight, bias):
    return torch.bmm(x.flatten(1, 2), weight).unflatten(1, x.shape[1:3])


def _mixed_up(x, weight, bias):
    return (torch.bmm(x.flatten(1, 2), weight).unflatten(1, x.shape[1:3]) + bias[:, None, None]).flip(0)


def _one_weight(x, weight, bias):
    return x @ weight[0] + bias[:, None, None]


def _mean_in_bf16(x, lengths):
    inside = torch.arange(x.shape[1]) < lengths[:, None]
    total = torch.zeros(x.shape[0], x.shape[2], dtype=torch.bfloat16)
    for step in range(x.shape[1]):
        total += x[:, step] * inside[:, step, None]
    return total.float() / lengths[:, None]


def _padding_counted(x, lengths):
    return x.float().mean(1)


def _wrong_divisor(x, lengths):
    inside = torch.arange(x.shape[1]) < lengths[:, None]
    return (x.float() * inside[..., None]).mean(1)


def _bf16_result(x, lengths):
    inside = torch.arange(x.shape[1]) < lengths[:, None]
    return ((x.float() * inside[..., None]).sum(1) / lengths[:, None]).to(torch.bfloat16)


def _one_after_another(runs, hours, worth):
    return [(run * hours / worth[2], run, 2) for run in range(runs)]


def _side_by_side_only(runs, hours, worth):
    return [(hours * (run // 2), run, 1) for run in range(runs)]


def _all_at_once(runs, hours, worth):
    return [(0.0, run, 1) for run in range(runs)]


def _forgets_one(runs, hours, worth):
    return [(hours * (run // 2), run, 1) for run in range(runs - runs % 2)] or [(0.0, 1, 1)]


WRONG: dict[str, list[Wrong]] = {
    "11.1": [
        Wrong("one operation per weight", (lambda b, t, i, o: b * t * i * o,), says="two operations"),
        Wrong("one step per clip", (lambda b, t, i, o: 2 * b * i * o,), says="every time step"),
        Wrong("one clip", (lambda b, t, i, o: 2 * t * i * o,), says="every clip"),
        Wrong("backward included", (lambda b, t, i, o: 6 * b * t * i * o,), says="forward and backward"),
    ],
    "11.2": [
        Wrong("turned over", (lambda f, s, p: (2 * 2048**3 / p) / (f / s),), says="turn the fraction over"),
        Wrong("the product counted half", (lambda f, s, p: (f / s) / (2048**3 / p),), says="2 \\* 2048"),
        Wrong("times alone", (lambda f, s, p: p / s,), says="times alone"),
        Wrong("per cent", (lambda f, s, p: 100 * (f / s) / (2 * 2048**3 / p),), says="per cent"),
    ],
    "11.3": [
        Wrong("a loop", (_loop,), says="3 matrix products ran"),
        Wrong("no bias", (_without_bias,), says="bias is missing"),
        Wrong("modalities reversed", (_mixed_up,), says="changed places"),
        Wrong("one weight for all", (_one_weight,), says="W\\[m\\]"),
    ],
    "11.4": [
        Wrong("mean of means", (lambda t, n: (t / n.clamp(min=1)).mean(),), says="mean of the means"),
        Wrong("sum of means", (lambda t, n: (t / n.clamp(min=1)).sum(),), says="sum of the means"),
        Wrong("over processes", (lambda t, n: t.sum() / len(t),), says="number of processes"),
        Wrong(
            "0 / 0",
            (lambda t, n: float(t.sum()) / float(n.sum()) if n.sum() else float("nan"),),
            says="0 / 0",
        ),
    ],
    "11.5": [
        Wrong("the rest forgotten", (lambda p, f: p * f,), says="rest of the step"),
        Wrong("linear", (lambda p, f: 1 + p * (f - 1),), says="add up times"),
        Wrong("time instead of speed", (lambda p, f: 1 - p + p / f,), says="inverse"),
        Wrong("the whole step faster", (lambda p, f: f,), says="\\(1 - share\\)"),
    ],
    "11.6": [
        Wrong("added in bf16", (_mean_in_bf16,), says="taken in bf16"),
        Wrong("padding counted", (_padding_counted,), says="padding is counted"),
        Wrong("divided by the time axis", (_wrong_divisor,), says="not by the length"),
        Wrong("bf16 returned", (_bf16_result,), says="result is bf16"),
    ],
    "11.7": [
        Wrong("each run on both", (_one_after_another,), says="one after another"),
        Wrong("the last run on one GPU", (_side_by_side_only,), says="could take"),
        Wrong("all at once", (_all_at_once,), says="there are two"),
        Wrong("a run is missing", (_forgets_one,), says="each of the runs"),
    ],
}
