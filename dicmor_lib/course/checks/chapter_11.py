"""Checks of chapter 11: scaling up."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dicmor_lib.course.checks.asking import (
    Answer,
    close,
    expect_close,
    expect_number,
    expect_shape,
    expect_tensor,
    generator,
    left_alone,
    random_tensors,
)
from dicmor_lib.course.exercises import exercise


@exercise("11.1", "Count the arithmetic", level="warm-up", minutes=5)
def count_the_arithmetic(flops: Answer) -> str:
    for batch, time, inputs, outputs in ((32, 50, 64, 128), (2, 7, 5, 3)):
        true = 2 * batch * time * inputs * outputs
        value = expect_number(flops(batch, time, inputs, outputs), "the number of FLOP")
        assert value != true / 2, (
            "a multiplication and an addition for every weight are two operations, not one"
        )
        assert value != true / time, "every time step is multiplied, not one step per clip"
        assert value != true / batch, "every clip of the batch is multiplied"
        assert value != 3 * true, "that is forward and backward together; asked for is the forward pass"
        assert value == true, (
            f"the forward pass multiplies batch * time rows: {true:,} FLOP here, not {value:,.0f}"
        )
    return "The backward pass costs twice as much again: one product for the weights' gradient, one for the input's."


@exercise("11.2", "What share of the machine?", level="core", minutes=10)
def share_of_the_peak(share: Answer) -> str:
    for flop, seconds, product_seconds in ((26.3e9, 0.725, 0.112), (1e9, 2.0, 0.5)):
        true = (flop / seconds) / (2 * 2048**3 / product_seconds)
        value = expect_number(share(flop, seconds, product_seconds), "the share")
        assert not close(value, 1 / true), (
            "that is the peak as a multiple of the step; turn the fraction over"
        )
        assert not close(value, 2 * true), "the product of 2048 x 2048 x 2048 takes 2 * 2048^3 operations"
        assert not close(value, product_seconds / seconds), (
            "that compares times alone; the step and the product do different numbers of operations"
        )
        assert not close(value, 100 * true), "that is in per cent; return a share between 0 and 1"
        expect_close(
            value, true, "the share is (FLOP / s of the step) / (FLOP / s of the product)", rtol=1e-6
        )
    return "A quarter of the peak is common for a model of many small layers; a large language model reaches half."


class _Calls(TorchDispatchMode):
    """Count the matrix products that run inside."""

    PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "matmul", "linear"}

    def __init__(self) -> None:
        super().__init__()
        self.products = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.products += function.__name__.split(".")[0] in self.PRODUCTS
        return function(*args, **(kwargs or {}))


@exercise("11.3", "Three layers in one call", level="core", minutes=15)
def three_layers_in_one_call(wide: Answer) -> str:
    for seed, (batch, time, inputs, outputs) in enumerate(((4, 5, 6, 7), (1, 1, 3, 3), (2, 9, 8, 2))):
        x, weight, bias = random_tensors(seed, (3, batch, time, inputs), (3, inputs, outputs), (3, outputs))
        with left_alone(x, weight, bias), _Calls() as calls:
            y = expect_shape(wide(x, weight, bias), (3, batch, time, outputs), "the result")
        true = torch.stack([x[m] @ weight[m] + bias[m] for m in range(3)])
        assert not close(y, true - bias[:, None, None]), "the bias is missing"
        assert not close(y, true.flip(0)) and not close(y, true.roll(1, 0)), (
            "the modalities have changed places"
        )
        expect_close(y, true, "modality m must give x[m] W[m] + b[m]", 1e-9)
        assert calls.products <= 1, (
            f"the values are right, but {calls.products} matrix products ran; stack the modalities and use one"
        )
    return "With 1 clip, that is three times fewer calls, and calls are what a small step pays for."


@exercise("11.4", "The mean over processes", level="core", minutes=10)
def mean_over_processes(combine: Answer) -> str:
    for totals, counts in (([4.0, 5.0], [4, 1]), ([2.0, 0.0, 9.0], [1, 0, 6]), ([0.0, 0.0], [0, 0])):
        t, n = torch.tensor(totals, dtype=torch.float64), torch.tensor(counts)
        with left_alone(t, n):
            value = combine(t, n)
        value = value if isinstance(value, (int, float)) else float(expect_tensor(value, "the mean"))
        true = sum(totals) / max(1, sum(counts))
        assert value == value, "0 / 0: a term that nobody counted (all counts are 0) must come out as 0"
        means = [a / max(1, c) for a, c in zip(totals, counts)]
        assert close(sum(means) / len(means), true) or not close(value, sum(means) / len(means)), (
            "that is the mean of the means: a process that counted one clip weighs as much as one that counted four"
        )
        assert close(sum(means), true) or not close(value, sum(means)), "that is the sum of the means"
        assert close(sum(totals) / len(totals), true) or not close(value, sum(totals) / len(totals)), (
            "divided by the number of processes; divide by what they counted"
        )
        expect_close(value, true, "add the totals, add the counts, then divide once")
    return "The same holds for micro-batches: gradients of means may be added only with the weights of their counts."


@exercise("11.5", "What a faster part is worth", level="challenge", minutes=10)
def faster_part(speed_up: Answer) -> str:
    for share, factor in ((0.45, 2.0), (0.2, 100.0), (0.9, 4.0)):
        true = 1 / (1 - share + share / factor)
        value = expect_number(speed_up(share, factor), "the speed-up of the step")
        assert not close(value, factor * share), (
            "the rest of the step has not become faster, and has not vanished"
        )
        assert not close(value, 1 + share * (factor - 1)), (
            "shares of the old time do not add up as speeds; add up times, then divide"
        )
        assert not close(value, 1 / true), (
            "that is the new time as a share of the old; the speed-up is its inverse"
        )
        expect_close(value, true, "the new time is (1 - share) + share / factor of the old one")
    return "Amdahl's law: making a fifth of the step infinitely fast gains a quarter, so look at the profile first."


@exercise("11.6", "A mean that survives bf16", level="challenge", minutes=15)
def mean_in_bf16(mean: Answer) -> str:
    rng = generator(116)
    x = (torch.randn(2, 4000, 3, generator=rng) * 0.1 + 1).to(torch.bfloat16)
    lengths = torch.tensor([4000, 1700])
    inside = torch.arange(4000)[None] < lengths[:, None]
    x[1, 1700:] = 50
    with left_alone(x, lengths):
        value = expect_shape(mean(x, lengths), (2, 3), "the mean")
    true = torch.stack([x[i, :n].double().mean(0) for i, n in enumerate(lengths)])
    padded = (x.double()).mean(1)
    assert not close(value, padded, 1e-2), (
        "padding is counted: steps from the length on hold 50 here, and must not matter"
    )
    assert not close(value, (x.double() * inside[..., None]).mean(1), 1e-2), (
        "divided by the time axis, not by the length"
    )
    assert value.dtype in (torch.float32, torch.float64), (
        "the result is bf16: two decimal digits are left of the mean; return float32"
    )
    assert (value.double() - true).abs().max() < 1e-4, (
        "the sum was taken in bf16, where 1 added to 256 is lost; convert before you add, not after"
    )
    return (
        "This is why the library keeps log-determinants, losses and the channel attention's means in float32."
    )


@exercise("11.7", "Plan a study on two GPUs", level="open-ended", minutes=20)
def plan_a_study(plan: Answer) -> str:
    worth = {1: 1.0, 2: 1.3}  # a small model: two GPUs on one run make it 1.3 times as fast
    for runs, hours in ((10, 2.0), (7, 1.5), (1, 3.0)):
        schedule = plan(runs, hours, worth)
        assert isinstance(schedule, list) and schedule, (
            "return a list of (start hour, run number, GPUs) entries"
        )
        assert sorted(run for _, run, _ in schedule) == list(range(runs)), (
            f"each of the runs 0 to {runs - 1} once"
        )
        ends = [start + hours / worth[gpus] for start, _, gpus in schedule]
        for now in [start for start, _, _ in schedule]:
            busy = sum(g for (start, _, g), end in zip(schedule, ends) if start <= now + 1e-9 < end - 1e-9)
            assert busy <= 2, f"at hour {now:g} the plan uses {busy} GPUs; there are two"
        one_by_one = runs * hours / worth[2]
        best = min(one_by_one, (runs // 2) * hours + (runs % 2) * hours / worth[2])
        assert max(ends) < one_by_one - 1e-9 or runs == 1, (
            f"the study takes {max(ends):g} hours, no less than spreading every run over both GPUs one after another"
        )
        assert max(ends) <= best + 1e-9, (
            f"the study takes {max(ends):g} hours and could take {best:g}: runs side by side, and both GPUs only where "
            "one run is left over"
        )
    return "Seeds side by side beat one run spread out whenever two GPUs make a run less than twice as fast."
