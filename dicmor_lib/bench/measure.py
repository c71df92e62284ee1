"""Measures one case in this process: memory, then time in turns with a matrix product, then operations."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.benchmark import Measurement, TaskSpec

from dicmor_lib.bench.cases import Case, build
from dicmor_lib.bench.flops import count_flops
from dicmor_lib.bench.memory import peak_resident_memory, resident_memory

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler writes its log past Python to stderr

CUBE = 2048
"""Side of the matrices of the product that the step is compared with."""
PRODUCT_FLOPS = 2 * CUBE**3
SYNCHRONISING = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
WARM_UP = 2


def measure(case: Case, seconds: float, rounds: int, memory_before: float) -> dict[str, Any]:
    """Measure a case; must be the first thing that this process computes.

    Args:
        seconds, rounds: go on until both are spent; the number of rounds is at least 2.
        memory_before: megabytes that the process held with nothing but torch imported.

    Returns:
        The case's settings, and: seconds (median), quartiles, samples_per_second, product_seconds, ratio
        (seconds / product_seconds), flops, share_of_peak (of the product's FLOP/s, in the same rounds), rounds,
        peak_memory_mb (and of it libraries_mb and weights_mb), operators, first_seconds (the first call: with
        torch.compile the compilation) and, on CUDA, synchronisations.
    """
    if case.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    built = build(case)
    weights = sum(p.nbytes for p in built.model.parameters()) / 1e6
    libraries = 0.0 if case.device == "cuda" else resident_memory() - memory_before - weights
    first = clock(built.call, case.device)
    for _ in range(WARM_UP - 1):
        built.call()
    memory = peak_memory(case.device) - (0 if case.device == "cuda" else memory_before)
    result = case.to_dict() | {"first_seconds": first, "peak_memory_mb": memory, "libraries_mb": libraries}
    # with their gradients and Adam's two moments, where it trains
    result["weights_mb"] = weights * (4 if case.task == "train" else 1)
    result |= time_in_turns(built.call, case, seconds, rounds)
    flops = count_flops(
        build(Case(**case.to_dict() | {"compiled": False})).call if case.compiled else built.call
    )
    result["flops"] = flops
    result["share_of_peak"] = flops / result["seconds"] / (PRODUCT_FLOPS / result["product_seconds"])
    return result | count_operators(built.call, case.device)


def time_in_turns(call: Callable[[], object], case: Case, seconds: float, rounds: int) -> dict[str, Any]:
    """Time `call` and the matrix product in turns, so that what else runs on the machine slows both down."""
    product = matrix_product(case)
    product()
    times: list[float] = []
    products: list[float] = []
    began = time.perf_counter()
    while len(times) < max(rounds, 2) or time.perf_counter() - began < seconds:
        products.append(clock(product, case.device))
        times.append(clock(call, case.device))
    of_call, of_product = (
        Measurement(number_per_run=1, raw_times=t, task_spec=TaskSpec("", "")) for t in (times, products)
    )
    low, _, high = statistics.quantiles(times, n=4, method="inclusive")
    return {
        "seconds": of_call.median,
        "quartiles": [low, high],
        "samples_per_second": case.samples / of_call.median,
        "product_seconds": of_product.median,
        "ratio": of_call.median / of_product.median,
        "rounds": len(times),
    }


def matrix_product(case: Case) -> Callable[[], torch.Tensor]:
    """A product of two 2048 x 2048 matrices: float32, or bf16 on a GPU that computes the case in bf16."""
    half = case.device == "cuda" and case.precision == "bf16-mixed"
    dtype = torch.bfloat16 if half else torch.float32
    a, b, out = (torch.rand(CUBE, CUBE, device=case.device, dtype=dtype) for _ in range(3))
    return lambda: torch.mm(a, b, out=out)


def clock(call: Callable[[], object], device: str) -> float:
    """Seconds that one call takes, with everything it queued on the device."""
    synchronise(device)
    began = time.perf_counter()
    call()
    synchronise(device)
    return time.perf_counter() - began


def synchronise(device: str) -> None:
    """Wait for the device."""
    if device == "cuda":
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()


def peak_memory(device: str) -> float:
    """Megabytes: the most that tensors took on a CUDA device, else the most that this process held so far."""
    return torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else peak_resident_memory()


def count_operators(call: Callable[[], object], device: str) -> dict[str, Any]:
    """Calls of torch operators that are not part of another one and, on CUDA, waits for the device."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    synchronise(device)
    with profile(activities=activities) as record:
        call()
    events = record.events()
    operators = sum(e.name.startswith("aten::") and not _inside_another(e) for e in events)
    counts: dict[str, Any] = {"operators": operators}
    if device == "cuda":  # the last one is the profiler's own
        waits = sum(e.name in SYNCHRONISING for e in events)
        counts["synchronisations"] = max(0, waits - 1)
    return counts


def _inside_another(event: Any) -> bool:
    parent = event.cpu_parent
    while parent is not None:
        if parent.name.startswith("aten::"):
            return True
        parent = parent.cpu_parent
    return False
