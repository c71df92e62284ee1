"""Where a step's time goes: by part of the model, by kind of work, and by operator.

The labels belong to the bench: hooks on the model's modules open and close them. Autograd gives a backward operation
the sequence number of its forward one, which says to which part it belongs.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from dicmor_lib.bench.cases import Built, Case, build
from dicmor_lib.bench.measure import clock

PARTS: dict[str, tuple[str, ...]] = {
    "shallow": ("shallow",),
    "flow": ("flow",),
    "transfer": ("transfer",),
    "recovery": ("recovery",),
    "cross encoders": ("fusion.cross",),
    "self encoders": ("fusion.memory",),
    "head": ("fusion.hidden1", "fusion.hidden2", "fusion.output"),
}
"""Part -> its modules in `DiCMoR`."""
LABEL = "part: "
BACKWARD = "autograd::engine::evaluate_function: "

KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "matrix products",
        ("mm", "bmm", "addmm", "baddbmm", "convolution", "conv", "attention", "linear", "dot"),
    ),
    ("optimiser", ("fused_adam", "fused_adamw", "adam")),
    ("random numbers", ("random", "bernoulli", "dropout", "normal", "uniform")),
    ("normalise, reduce", ("norm", "softmax", "sum", "mean", "max", "min", "argsort", "sort", "cumsum")),
    (
        "copy, reshape",
        ("copy", "cat", "clone", "index", "gather", "stack", "pad", "fill", "zero", "to", "empty"),
    ),
)
"""Kind of work -> parts of the names of its operators, the first that fits; the rest is arithmetic value by value."""


def where_time_goes(case: Case, top: int = 0) -> dict[str, Any]:
    """Profile one call of a case.

    Returns:
        The case, "seconds" of a call without the profiler, "parts" and "kinds": name -> share of the profiled call
        (a part has "forward" and "backward"), and "table", the `top` operators as text.
    """
    built = build(case)
    for _ in range(2):
        built.call()
    seconds = min(clock(built.call, case.device) for _ in range(3))
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if case.device == "cuda" else [])]
    with labelled(built), profile(activities=activities) as record:
        with record_function("whole"):
            built.call()
            if case.device == "cuda":
                torch.cuda.synchronize()
    events = list(record.events())
    on_device = case.device == "cuda"
    table = ""
    if top:
        order = "self_device_time_total" if on_device else "self_cpu_time_total"
        table = record.key_averages().table(sort_by=order, row_limit=top, max_name_column_width=50)
    return case.to_dict() | {
        "seconds": seconds,
        "parts": by_part(events, on_device),
        "kinds": by_kind(events, on_device),
        "table": table,
    }


@contextlib.contextmanager
def labelled(built: Built) -> Iterator[None]:
    """Put labels around the model's parts, and around clipping where there is a stepper, while this is open."""
    handles = []
    for part, names in PARTS.items():
        for name in names:
            handles += _label(built.model.get_submodule(name), LABEL + part)
    if built.stepper is not None:
        clip = built.stepper._clip

        def labelled_clip() -> torch.Tensor:
            with record_function(LABEL + "clip"):
                return clip()

        built.stepper._clip = labelled_clip  # type: ignore[method-assign]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        if built.stepper is not None:
            del built.stepper._clip


def _label(module: nn.Module, label: str) -> list[Any]:
    open_labels: list[record_function] = []

    def enter(*_: Any) -> None:
        open_labels.append(record_function(label))
        open_labels[-1].__enter__()

    def leave(*_: Any) -> None:
        open_labels.pop().__exit__(None, None, None)

    return [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]


def by_part(events: list[Any], on_device: bool = False) -> dict[str, dict[str, float]]:
    """Shares of the whole call by part, {"forward", "backward"}; "optimiser", and "rest" for what has no label."""
    part_of: dict[int, str] = {}  # sequence number of a forward operation -> part
    forward: defaultdict[str, float] = defaultdict(float)
    backward: defaultdict[str, float] = defaultdict(float)
    whole = 0.0
    for event in events:
        if event.name == "whole":
            whole = max(whole, _time(event, on_device))
        elif event.name.startswith(LABEL):
            forward[event.name.removeprefix(LABEL)] += _time(event, on_device)
        elif event.name.startswith("Optimizer.step"):
            forward["optimiser"] += _time(event, on_device)
        elif event.sequence_nr >= 0 and not event.name.startswith(BACKWARD):
            part = _part_around(event)
            if part is not None:
                part_of.setdefault(event.sequence_nr, part)
    for event in events:
        if event.name.startswith(BACKWARD):
            backward[part_of.get(event.sequence_nr, "rest")] += _time(event, on_device)
    names = [*PARTS, "clip", "optimiser"]
    rest = whole - sum(forward.values()) - sum(backward.values())
    shares = {name: {"forward": forward[name] / whole, "backward": backward[name] / whole} for name in names}
    return shares | {"rest": {"forward": max(rest, 0.0) / whole, "backward": backward["rest"] / whole}}


def _part_around(event: Any) -> str | None:
    while event is not None:
        if event.name.startswith(LABEL):
            return event.name.removeprefix(LABEL)
        event = event.cpu_parent
    return None


def by_kind(events: list[Any], on_device: bool = False) -> dict[str, float]:
    """Shares of the whole call by kind of work; "Python and dispatch" is what no operator accounts for."""
    totals: defaultdict[str, float] = defaultdict(float)
    whole = 0.0
    for event in events:
        if event.name == "whole":
            whole = max(whole, _time(event, on_device))
        elif event.name.startswith(("aten::", "mkldnn::")):
            totals[kind_of(event.name)] += _self_time(event, on_device)
    names = [name for name, _ in KINDS] + ["value by value"]
    shares = {name: totals[name] / whole for name in names}
    return shares | {"Python and dispatch": max(0.0, 1 - sum(shares.values()))}


def kind_of(operator: str) -> str:
    """The kind of work of an operator such as "aten::baddbmm"."""
    words = operator.split("::")[-1].strip("_").split("_")
    for kind, marks in KINDS:
        if any(mark in words or "_".join(words).startswith(mark) for mark in marks):
            return kind
    return "value by value"


def _time(event: Any, on_device: bool) -> float:
    return event.device_time_total if on_device else event.cpu_time_total


def _self_time(event: Any, on_device: bool) -> float:
    return event.self_device_time_total if on_device else event.self_cpu_time_total
