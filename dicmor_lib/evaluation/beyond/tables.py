"""The study as Markdown: what is missing and how well it is known, method beside method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.beyond.results import MAIN, Found, Results
from dicmor_lib.evaluation.distances import FLOOR
from dicmor_lib.evaluation.render import short_number
from dicmor_lib.modalities import PATTERNS

INCOMPLETE: tuple[str, ...] = tuple(pattern for pattern in PATTERNS if pattern != "lav")
OTHERS: tuple[str, ...] = ("DiCMoR", "ridge", "gaussian")
ESTIMATES: tuple[str, ...] = (
    *("DiCMoR transferred", "DiCMoR recovered", "ridge", "gaussian", "gaussian sample"),
    *("joint mean", "joint draw", "Bayes mean", "Bayes draw"),
)
LINE = Sequence[str]


def table(header: LINE, lines: Iterable[LINE]) -> list[str]:
    """A Markdown table; the first column is text, the others are numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(line)} |" for line in (header, rule, *lines)]


def effects_table(results: Results, data: str) -> list[str]:
    """How estimates lie to the real features and their laws: means over all cases with something missing."""
    oracle = results.info[data]["synthetic"]
    header = ["", "squared error", "correlation", "spread", "law / floor"]
    header += ["conditional law / floor"] if oracle else []
    lines = []
    for method in ESTIMATES:
        if method.startswith("Bayes") and not oracle:
            continue
        cells = [
            over_cases(results, data, what, method) for what in ("squared_error", "correlation", "spread")
        ]
        ratios = [over_cases(results, data, "law", method, FLOOR)]
        ratios += [over_cases(results, data, "conditional_law", method, "Bayes draw")] if oracle else []
        lines.append([method, *(short_number(x, 3) for x in cells), *(short_number(x, 2) for x in ratios)])
    return table(header, lines)


def over_cases(results: Results, data: str, measure: str, method: str, floor: str = "") -> float:
    """The mean of a measure over all (pattern, missing modality); divided by another method's if `floor` is given."""
    values = []
    for pattern in INCOMPLETE:
        for target in results.targets(data, measure, pattern):
            value = results.get(data, measure, pattern, method, target).value
            values.append(
                value / results.get(data, measure, pattern, floor, target).value if floor else value
            )
    return float(np.mean(values))


def density_table(results: Results, data: str) -> list[str]:
    """log p(missing given available), and how much more probable the joint prior makes it than others do."""
    oracle = results.info[data]["synthetic"]
    header = [
        "available",
        "joint",
        *(f"joint - {name}" for name in OTHERS),
        *(["truth - joint"] if oracle else []),
    ]
    lines = []
    for p in INCOMPLETE:
        own = results.get(data, "log_density", p, "joint")
        cells = [with_interval(own)] + [_against(results, data, "log_density", p, name) for name in OTHERS]
        if oracle:
            gap = results.get(data, "log_density", p, "Bayes", against="joint")
            cells.append(with_interval(gap, -1))
        lines.append([p, *cells])
    return table(header, lines)


def error_table(results: Results, data: str) -> list[str]:
    """Squared error of the mean recovery, case by case."""
    others = ("DiCMoR recovered", "ridge", "gaussian")
    oracle = results.info[data]["synthetic"]
    header = ["case", "joint mean", *(f"joint - {name}" for name in others), *(["Bayes"] if oracle else [])]
    lines = []
    for p in INCOMPLETE:
        for target in results.targets(data, "squared_error", p):
            own = results.get(data, "squared_error", p, "joint mean", target)
            cells = [with_interval(own)]
            cells += [_against(results, data, "squared_error", p, name, target) for name in others]
            if oracle:
                cells.append(
                    short_number(results.get(data, "squared_error", p, "Bayes mean", target).value, 3)
                )
            lines.append([f"{p} to {target}", *cells])
    return table(header, lines)


def law_table(results: Results, data: str) -> list[str]:
    """Sliced Wasserstein distance over its noise floor, case by case: to the conditional law if it is known."""
    oracle = results.info[data]["synthetic"]
    measure, floor = ("conditional_law", "Bayes draw") if oracle else ("law", FLOOR)
    names = [name for name in ESTIMATES if not name.startswith("Bayes") and name != "joint mean"]
    header = ["case", "floor", "joint draw", *(name for name in names if name != "joint draw")]
    lines = []
    for p in INCOMPLETE:
        for target in results.targets(data, measure, p):
            least = results.get(data, measure, p, floor, target).value
            ratios = [results.get(data, measure, p, name, target).value / least for name in header[2:]]
            lines.append([f"{p} to {target}", short_number(least, 4), *(short_number(x, 2) for x in ratios)])
    return table(header, lines)


def prediction_table(results: Results, data: str, measure: str = "acc2") -> list[str]:
    """Acc-2 or MAE by pattern, and the joint prior's difference to each other method."""
    oracle = results.info[data]["synthetic"]
    main = reader(results, data, measure)
    own = [main, *(name for name in ("joint, class", "joint", "joint, 1 draw") if name != main)]
    header = [
        "available",
        *own,
        *OTHERS,
        *(["Bayes"] if oracle else []),
        *(f"({main}) - {n}" for n in OTHERS),
    ]
    lines = []
    for p in PATTERNS:
        names = [*own, *OTHERS, *(["Bayes"] if oracle else [])]
        cells = [short_number(results.get(data, measure, p, name).value, 3) for name in names]
        differences = (with_interval(results.get(data, measure, p, name, against=main)) for name in OTHERS)
        lines.append([p, *cells, *differences])
    return table(header, lines)


def reader(results: Results, data: str, measure: str) -> str:
    """What predicts for the joint prior: its class posterior, and for Acc-2 on a file the fusion.

    On the oracle the law is learned well enough for Bayes' rule; on a few real clips a network trained to predict is
    the better reader.
    """
    return "joint, class" if results.info[data]["synthetic"] and measure == "acc2" else "joint"


def calibration_table(results: Results, data: str) -> list[str]:
    """How often the intervals hold the label, and how wide they are."""
    header = ["available", "80 % covers", "width", "95 % covers", "width"]
    names = ("cover80", "width80", "cover95", "width95")
    lines = [
        [
            p,
            *(
                with_interval(results.get(data, name, p, "joint"))
                if "cover" in name
                else _width(results, data, name, p)
                for name in names
            ),
        ]
        for p in PATTERNS
    ]
    return table(header, lines)


def _width(results: Results, data: str, name: str, pattern: str) -> str:
    return f"{results.get(data, name, pattern, 'joint').value:.2f}"


def verdict(results: Results, data: str) -> list[str]:
    """The targets of this study on the oracle, the worst case of each, and whether it is met."""
    get = results.get
    gaps = [-get(data, "log_density", p, "Bayes", against="joint").value for p in INCOMPLETE]
    ratios = [
        get(data, "conditional_law", p, "joint draw", t).value
        / get(data, "conditional_law", p, "Bayes draw", t).value
        for p in INCOMPLETE
        for t in results.targets(data, "conditional_law", p)
    ]
    points = [
        100 * (get(data, "acc2", p, "Bayes").value - get(data, "acc2", p, "joint, class").value)
        for p in INCOMPLETE
    ]
    away = [
        100 * abs(get(data, f"cover{level}", p, "joint").value - level / 100)
        for level in (80, 95)
        for p in INCOMPLETE
    ]
    lines = [
        ("log-likelihood below the truth, nats per value", "at most .05", max(gaps), 0.05, 3),
        ("distance to the conditional law, noise floors", "at most 2", max(ratios), 2.0, 2),
        ("Acc-2 below Bayes, points", "at most 1", max(points), 1.0, 2),
        ("coverage of 80 % and 95 % away from nominal, points", "at most 3", max(away), 3.0, 2),
    ]
    cells = [
        [what, wanted, short_number(worst, digits), "met" if worst <= bound else "missed"]
        for what, wanted, worst, bound, digits in lines
    ]
    return table(
        ["oracle, worst of six patterns", "target", "measured", ""], [*cells, *_beaten(results, data)]
    )


def _beaten(results: Results, data: str) -> list[LINE]:
    """In how many comparisons the joint prior wins with an interval that excludes 0."""
    lines: list[LINE] = []
    for measure, title, better in (
        ("log_density", "log-likelihood", 1),
        ("squared_error", "squared error of the mean", -1),
        ("conditional_law", "distance to the conditional law", -1),
        ("acc2", "Acc-2", 1),
    ):
        rows = [
            row
            for row in results.found
            if (row.data, row.measure, row.against) == (data, measure, MAIN[measure][0])
            and row.pattern in INCOMPLETE
            and row.method in (*OTHERS, "DiCMoR recovered", "DiCMoR transferred", "gaussian sample")
        ]
        won = sum((row.low if better > 0 else -row.high) > 0 for row in rows)
        said = "met" if won == len(rows) else "missed"
        lines.append([f"{title} better than DiCMoR, ridge, Gaussian", "all", f"{won} of {len(rows)}", said])
    return lines


def _against(results: Results, data: str, measure: str, pattern: str, name: str, target: str = "") -> str:
    try:
        return with_interval(results.get(data, measure, pattern, name, target, MAIN[measure][0]))
    except DataError:
        return "-"


def with_interval(row: Found, sign: int = 1) -> str:
    """ ".123 [.10, .15]"; `sign` -1 turns a difference round."""
    low, high = sorted((sign * row.low, sign * row.high))
    return f"{short_number(sign * row.value, 3)} [{short_number(low, 3)}, {short_number(high, 3)}]"


def to_markdown(results: Results, data: str) -> str:
    """Everything about one data set; the tables of single cases open on a click."""
    info = results.info[data]
    kind = "Synthetic, with a known law" if info["synthetic"] else "Real features through the C^m of stage 1"
    train, valid, test = (f"{n:,}" for n in info["clips"])
    lines = [
        f"{kind}: {train} training, {valid} validation and {test} complete test clips; {info['state']} channels per "
        f"modality; {len(info['seeds'])} seeds; {info['draws']} draws through the fusion; {info['machine']}. In brackets: "
        "95 % over clips and seeds.",
        "",
    ]
    if info["synthetic"]:
        lines += [*verdict(results, data), ""]
    lines += [*effects_table(results, data), "", "Acc-2:", "", *prediction_table(results, data), ""]
    folded: tuple[tuple[str, Callable[[Results, str], list[str]]], ...] = (
        ("log p(missing given available), nats per value", density_table),
        ("Squared error, in variances of the training features", error_table),
        ("Distances over the noise floor", law_table),
        ("Mean absolute error", lambda r, d: prediction_table(r, d, "absolute_error")),
        ("Prediction intervals", calibration_table),
    )
    for title, make in folded:
        lines += [f"<details><summary>{title}</summary>", "", *make(results, data), "", "</details>", ""]
    return "\n".join(lines).rstrip()
