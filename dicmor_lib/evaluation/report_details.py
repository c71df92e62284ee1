"""The tables of the results section that open on a click."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from dicmor_lib.evaluation.bootstrap import Estimate
from dicmor_lib.evaluation.clips import ERROR, FRAMES
from dicmor_lib.evaluation.joint import ALL, INCOMPLETE, LAWS
from dicmor_lib.evaluation.ledger_view import TITLES, Line, View, interval, markdown, number, p_value
from dicmor_lib.evaluation.published_tables import published_beside
from dicmor_lib.evaluation.scoring import COMPARED
from dicmor_lib.evaluation.two_sample import STATISTICS
from dicmor_lib.evaluation.variants import MAIN

LEVEL = 0.05


def patterns(view: View) -> list[str]:
    """Per metric: methods x patterns."""
    lines = ["Means over the training seeds. Columns: the available modalities.", ""]
    for metric in COMPARED:
        rows = [[TITLES[metric], *(f"`{pattern}`" for pattern in view.patterns)]]
        for method in view.of_kind("model", "imputer", "reference", "bound"):
            found = [view.get(method, pattern, "", metric) for pattern in view.patterns]
            if any(found):
                rows.append([method, *map(number, found)])
        lines += [*markdown(rows), ""]
    return lines[:-1]


def differences(view: View) -> list[str]:
    """Per metric: DiCMoR minus each method x patterns, with intervals."""
    lines = [
        "95 % intervals, paired over clips and seeds; bold: 0 is outside. DiCMoR is better where Acc-2 is above 0 and "
        "MAE below.",
        "",
    ]
    for metric in ("acc2", "mae"):
        rows = [[f"{TITLES[metric]}, DiCMoR minus", *(f"`{p}`" for p in view.patterns), "mean of six"]]
        for method in view.of_kind("model", "imputer", "reference"):
            columns = [*view.patterns, INCOMPLETE]
            found = [view.get(MAIN, pattern, "", metric, method) for pattern in columns]
            if any(found):
                rows.append([method, *map(interval, found)])
        lines += [*markdown(rows), ""]
    return lines[:-1]


def estimate_lines(view: View) -> list[Line]:
    """Every estimate of missing features: of models before and after the RCABs, of baselines, of the oracle."""
    lines = []
    for method in view.of_kind("model", "imputer", "bound", "floor"):
        for kind, label in (
            ("transferred", f"{method}, transferred"),
            ("recovered", method),
            ("sample", f"{method}, a draw"),
        ):
            if any(key[0] == method and key[3].endswith(f" {kind}") for key in view.numbers):
                lines.append(Line(label, method, kind))
    return lines


def recovery(view: View) -> list[str]:
    """Errors of all estimates in all cases, then DiCMoR's minus the others'."""
    columns = [f"`{pattern}` {target}" for pattern, target in view.cases]
    errors = [["error", *columns]]
    gaps = [["DiCMoR recovered minus", *columns]]
    for line in estimate_lines(view):
        found = [view.get(line.method, *case, f"{ERROR} {line.kind}") for case in view.cases]
        if any(found):
            errors.append([line.label, *map(number, found)])
        found = [view.get(MAIN, *case, f"{ERROR} recovered", line.against) for case in view.cases]
        if any(found):
            gaps.append([line.label, *map(interval, found)])
    about = "Columns: what is available, and the missing modality. Below 0: DiCMoR recovers better; bold: 0 is outside."
    return [about, "", *markdown(errors), "", *markdown(gaps)]


def distances(view: View) -> list[str]:
    """A summary of all statistics, then MMD in feature space case by case."""
    names = list(dict.fromkeys(key[3].rsplit(" ", 1)[0] for key in view.numbers if _is_distance(key[3])))
    summary = [["mean over the cases", *names]]
    cases = [["MMD^2, shallow features", *(f"`{pattern}` {target}" for pattern, target in view.cases)]]
    for line in estimate_lines(view):
        cells = [_over_cases(view, line, name) for name in names]
        if any(cell != number(None) for cell in cells):
            summary.append([line.label, *cells])
        found = [view.get(line.method, *case, f"feature mmd {line.kind}") for case in view.cases]
        if any(found):
            cases.append([line.label, *(_with_p(m) for m in found)])
    about = [
        "The clips are halved: recovered features of one half against real ones of the other, one step per clip; "
        "'real' is the noise floor. 'feature': shallow features; 'latent': through DiCMoR's flows"
        + (
            "; 'joint': beside the available ones, against draws from the true conditional law"
            * view.synthetic
        )
        + f". In brackets: in how many of the {len(view.cases)} cases equality is rejected (p < {LEVEL:g}; p is twice "
        "the median over the seeds). Below: the p-values.",
        "",
    ]
    return [*about, *markdown(summary), "", *markdown(cases)]


def _is_distance(measure: str) -> bool:
    space, _, rest = measure.partition(" ")
    return space in ("feature", "latent", "joint") and rest.split(" ")[0] in STATISTICS


def _over_cases(view: View, line: Line, name: str) -> str:
    found = [view.get(line.method, *case, f"{name} {line.kind}") for case in view.cases]
    known = [m for m in found if m is not None]
    if not known:
        return number(None)
    mean = sum(m.value for m in known) / len(known)
    rejected = sum(m.p < LEVEL for m in known)
    shown: Any = _plain(mean)
    return f"{number(shown, 4 if name.endswith('mmd') else 3)} ({rejected})"


def _plain(value: float) -> SimpleNamespace:
    return SimpleNamespace(value=value)


def _with_p(measure: object) -> str:
    text = number(measure, 4)  # type: ignore[arg-type]
    p = getattr(measure, "p", math.nan)
    return text if math.isnan(p) else f"{text} ({p_value(p)})"


def protocols(view: View) -> list[str]:
    """DiCMoR under every protocol at several rates, then all methods at rate 0.5."""
    names = [*LAWS, FRAMES]
    rates = ["0.1", "0.3", "0.5", "0.7"]
    lines = [
        "Each protocol means something else by a missing rate. The first four are expectations over all masks, from "
        "the seven patterns; 'dicmor' is IMDer's schedule too; 'frames' drops that share of the steps of every "
        "modality. F1 of protocols is in the ledger.",
        "",
    ]
    for metric in ("acc2", "mae"):
        rows = [[f"{MAIN}, {TITLES[metric]}", *(f"rate {rate}" for rate in rates)]]
        for name in names:
            found = [view.get(MAIN, f"{name} {rate}", "", metric) for rate in rates]
            rows.append([name, *map(interval, found)])
        lines += [*markdown(rows), ""]
    for metric in ("acc2", "mae"):
        rows = [[f"rate 0.5, {TITLES[metric]}", *names]]
        for method in view.of_kind("model", "imputer", "reference"):
            rows.append([method, *(number(view.get(method, f"{name} 0.5", "", metric)) for name in names)])
        lines += [*markdown(rows), ""]
    return lines[:-1]


def verdict(view: View) -> list[str]:
    """Shares of what can be known: of recovery, and of predictions; then DiCMoR beside Bayes per pattern."""
    metrics = ("acc2", "mae", "pearson")
    rows = [["share of what can be known", "recovered features", *(TITLES[m] for m in metrics)]]
    for line in estimate_lines(view):
        share = view.get(line.method, INCOMPLETE, ALL, f"share {line.kind}")
        scores = [view.get(line.method, INCOMPLETE, "", f"{m} share") for m in metrics]
        cells = [interval(m) if line.kind == "recovered" else number(None) for m in scores]
        if share or any(scores):
            rows.append([line.label, interval(share), *cells])
    lines = [
        "0 is knowing nothing (the training mean, the majority), 1 is the exact answer from the oracle's law (the "
        "conditional mean, the Bayes-optimal prediction); below 0 is worse than knowing nothing. Means over the "
        "patterns that lack something. A draw from a law has about twice the error of its mean, by construction.",
        "",
        *markdown(rows),
        "",
    ]
    for metric in metrics:
        table = [[TITLES[metric], *(f"`{pattern}`" for pattern in view.patterns)]]
        for method in (MAIN, "Bayes"):
            table.append([method, *(number(view.get(method, p, "", metric)) for p in view.patterns)])
        shares = [view.get(MAIN, p, "", f"{metric} share") for p in view.patterns]
        lines += [*markdown([*table, ["share", *map(interval, shares)]]), ""]
    return lines[:-1]


def published(view: View) -> list[str]:
    """Our scores under the DiCMoR schedule with published ones of MOSI below them, and their doubts."""
    scores = []
    for method in [MAIN, *view.of_kind("imputer", "reference")]:
        for rate in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
            found = {m: view.get(method, f"dicmor {rate:g}", "", m) for m in ("acc2", "f1")}
            if all(found.values()):
                metrics = {m: Estimate(x.value, x.low, x.high) for m, x in found.items() if x is not None}
                about = dict(protocol="dicmor", rate=rate, method=method, kind=view.runs[method].kind)
                scores.append(SimpleNamespace(**about, n=view.run.clips, metrics=metrics, mask_hash=""))
    info = {"sha256": view.run.data_sha256, "data": view.run.data, "synthetic": view.synthetic}
    return published_beside(scores, info, "dicmor", dataset="mosi").splitlines()
