"""The numbers of a bench as Markdown: targets first, then times, curves and where the time goes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from dicmor_lib.bench.measure import CUBE
from dicmor_lib.bench.results import ROWS, Results, find
from dicmor_lib.bench.scaling import growth
from dicmor_lib.bench.targets import TARGETS, Target

TASK_TITLES = {"train": "training step", "predict": "prediction", "patterns": "seven patterns of one clip"}


def to_markdown(results: Results, folded: bool = False) -> str:
    """Where it was measured, targets with a reason for each miss, and the tables; those `folded` in a document."""
    first = [
        conditions(results),
        targets_table(results),
        *(f"Missed: {reason}" for reason in misses(results)),
        *failures(results),
    ]
    rest = ["Times (median; in brackets the quartiles):", cases_table(results)]
    if _measured(results["curves"]):
        rest += ["Flow and recovery, forward and backward, against time and batch:", curves_table(results)]
    if _measured(results["profiles"]):
        rest += ["Where the time goes, as shares of it:", parts_table(results), kinds_table(results)]
    if _measured(results["stores"]):
        rest += ["A file of MOSEI's shapes, converted to a store and trained on:", store_table(results)]
    if folded:
        rest = [
            "<details><summary>Times, memory, curves, and where the time goes</summary>",
            *rest,
            "</details>",
        ]
    return "\n\n".join([*first, *rest])


def conditions(results: Results) -> str:
    """Machine, versions, date, and what was timed, in a few sentences."""
    m = results["machine"]
    devices = "".join(f", {name}" for name in m["devices"]) or ", no GPU"
    waiting = m["environment"].get("OMP_WAIT_POLICY")
    busy = f" Load before the start: {m['load_before']}." if m["load_before"] is not None else ""
    return (
        f"Measured {m['date']} on {m['processor']}, {m['cores']} core(s), {m['threads']} thread(s)"
        f"{f' (OMP_WAIT_POLICY={waiting})' if waiting else ''}{devices}; torch {m['torch']}, Python {m['python']}, "
        f"dicmor {m['dicmor']}, commit {m['commit']}.{busy} Clips of 50 steps, all seven patterns mixed in a batch; a "
        f"training step is batch to device, forward, backward, clip and Adam with every parameter training. A *product* is "
        f"one {CUBE} x {CUBE} x {CUBE} matrix product timed in turns with the step, *peak* its FLOP/s{_products(results)}."
    )


def _products(results: Results) -> str:
    """How long the float32 product took on each device, in brackets: what a ratio is a ratio to."""
    of_device: dict[str, list[float]] = {}
    for case in _measured(results["cases"]):
        if case["precision"] == "32-true":
            of_device.setdefault(case["device"], []).append(case["product_seconds"])
    told = []
    for device, seconds in of_device.items():
        middle = statistics.median(seconds)
        told.append(f"{device}: {_figures(1e3 * middle)} ms, {2e-9 * CUBE**3 / middle:,.0f} GFLOP/s")
    return f" ({'; '.join(told)})" if told else ""


def targets_table(results: Results) -> str:
    """Target, measured, met?"""
    rows = [
        (
            t.what,
            _limit(t),
            _number(t.number(results), t.unit),
            f"**{v}**" if (v := t.verdict(results)) == "missed" else v,
        )
        for t in TARGETS
    ]
    return table(("target", "at most", "measured", "met?"), rows, "lrrl")


def misses(results: Results) -> list[str]:
    """One sentence for each missed target: what the profile says."""
    return [
        f"{target.what} ({_number(target.number(results), target.unit)}). {_explain(target, results)}"
        for target in TARGETS
        if target.verdict(results) == "missed"
    ]


def _explain(target: Target, results: Results) -> str:
    if target.name == "growth" or target.rows == "stores":
        return "The table below has the details."
    case = find(results["cases"], **target.case)
    assert case is not None, "a target is missed by a case that was measured"
    if target.name == "peak_memory_mb":
        kept = case["peak_memory_mb"] - case["libraries_mb"] - case["weights_mb"]
        return (
            f"Loaded libraries take {case['libraries_mb']:.0f} MB, weights with their gradients and Adam's moments "
            f"{case['weights_mb']:.0f} MB, and the step itself {kept:.0f} MB, most of it kept by the forward pass for the "
            "backward pass."
        )
    profile = find(results["profiles"], **target.case)
    text = (
        f"It makes {case['operators']:,} operator calls and runs at {case['share_of_peak']:.0%} of the product's FLOP/s; "
        f"its {case['flops'] / 1e9:.1f} GFLOP alone would take {_floor(case):.2f} products."
    )
    if profile is None:
        return text
    kinds = sorted(profile["kinds"].items(), key=lambda item: -item[1])[:3]
    parts = sorted(profile["parts"].items(), key=lambda item: -sum(item[1].values()))[:3]
    alone = profile["kinds"]["matrix products"] * case["ratio"]
    return (
        f"{text} At their sizes its matrix products alone take {alone:.2f}. Time by kind of work: {', '.join(f'{name} {share:.0%}' for name, share in kinds)}; by part: "
        f"{', '.join(f'{name} {sum(share.values()):.0%}' for name, share in parts)}."
    )


def _floor(case: dict[str, Any]) -> float:
    """How many products hold as many floating-point operations as the case."""
    return case["flops"] / (2 * CUBE**3)


def cases_table(results: Results) -> str:
    """Every measured case."""
    several = len({(c["device"], c["precision"], c["compiled"]) for c in _measured(results["cases"])}) > 1
    head = (
        "preset",
        "task",
        "batch",
        *(("where",) if several else ()),
        "ms",
        "samples/s",
        "products",
        "of peak",
    )
    head += ("GFLOP", "peak MB", "operators")
    rows = []
    for c in _measured(results["cases"]):
        low, high = (1e3 * q for q in c["quartiles"])
        where = (
            (f"{c['device']}, {c['precision']}{', compiled' if c['compiled'] else ''}",) if several else ()
        )
        rows.append(
            (c["preset"], TASK_TITLES[c["task"]], str(c["batch"]), *where)
            + (
                f"{_figures(1e3 * c['seconds'])} ({_figures(low)} to {_figures(high)})",
                _figures(c["samples_per_second"]),
            )
            + (f"{c['ratio']:.2f}", f"{c['share_of_peak']:.0%}", _figures(c["flops"] / 1e9))
            + (f"{c['peak_memory_mb']:.0f}", f"{c['operators']:,}")
        )
    return table(head, rows, "ll" + "r" * (1 + several) + "r" * 7)


def failures(results: Results) -> list[str]:
    """One sentence for each case that could not be measured."""
    rows = [row for kind in ROWS for row in results[kind] if "error" in row]
    return [
        f"Not measured: {' '.join(str(v) for k, v in row.items() if k != 'error')}: {row['error']}."
        for row in rows
    ]


def curves_table(results: Results) -> str:
    """Milliseconds against time and against the batch, with the exponent of the growth."""
    rows = []
    for c in _measured(results["curves"]):
        for part in ("flow", "recovery"):
            for axis, other in (("time", "batch"), ("batch", "time")):
                points = [p for p in c["points"] if p["part"] == part and p["axis"] == axis]
                times = ", ".join(f"{p[axis]}: {_figures(1e3 * p['seconds'])}" for p in points)
                fixed = f"{other} {points[0][other]}"
                power = growth(c["points"], part, axis)
                rows.append(
                    (f"{c['preset']}, {c['device']}", part, f"{axis} ({fixed})", times, f"{power:.2f}")
                )
    return table(("model", "part", "against", "size: ms", "exponent"), rows, "llllr")


def parts_table(results: Results) -> str:
    """Shares of a training step by part of the model."""
    found = _measured(results["profiles"])
    rows = [
        (
            part,
            *(
                f"{share[way]:.0%}"
                for c in found
                for share in [c["parts"][part]]
                for way in ("forward", "backward")
            ),
        )
        for part in found[0]["parts"]
    ]
    head = [
        f"{c['preset']} {c['batch']}, {c['device']}, {way}" for c in found for way in ("forward", "backward")
    ]
    return table(("part", *head), rows, "l" + "r" * len(head))


def kinds_table(results: Results) -> str:
    """Shares of a training step by kind of work."""
    found = _measured(results["profiles"])
    rows = [(kind, *(f"{c['kinds'][kind]:.0%}" for c in found)) for kind in found[0]["kinds"]]
    return table(("kind of work", *map(_case, found)), rows, "l" + "r" * len(found))


STORE_PHASES = (
    ("convert the pickle", "convert_s", "convert"),
    ("open the store", "train_open_s", "train_open"),
    ("a training step of 32 clips (tiny preset)", "train_step_s", "train_steps"),
    ("every training clip once, shuffled", "train_pass_s", "train_pass"),
)


def store_table(results: Results) -> str:
    """What each phase took: seconds, the peak of its process so far, and what of its memory is its own (Linux only)."""
    rows = []
    for found in _measured(results["stores"]):
        file = f"{found['clips']:,.0f} clips, {found['file_mb'] / 1e3:.3g} GB"
        for phase, seconds, memory in STORE_PHASES:
            held = [found.get(f"{memory}_{kind}_mb") for kind in ("peak", "anonymous")]
            megabytes = ["-" if mb is None else f"{mb:,.0f}" for mb in held]
            rows.append((file, phase, _figures(found[seconds]), *megabytes))
    return table(("file", "phase", "s", "peak MB", "own MB"), rows, "llrrr")


def _case(profile: dict[str, Any]) -> str:
    """Short, for the head of a column."""
    return f"{profile['preset']} {profile['task']} {profile['batch']}, {profile['device']}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """A Markdown table; `align` has an "l" or "r" for each column."""
    marks = ["---" if side == "l" else "---:" for side in align]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, marks, *rows))


def _measured(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if "error" not in row]


def _limit(target: Target) -> str:
    wish = "" if target.wish is None else f" (better {target.wish:g})"
    return f"{target.limit:g} {target.unit}".strip() + wish


def _number(number: float | None, unit: str) -> str:
    return "-" if number is None else f"{_figures(number)} {unit}".strip()


def _figures(number: float) -> str:
    """Three figures, and no exponent: 0.0123, 1.23, 12.3, 1,234."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}" if number < 1 else f"{number:.{2 if number < 10 else 1}f}"
