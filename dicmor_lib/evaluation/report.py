"""The results section of the README, from the ledger alone: a headline table per data set, the rest on a click."""

from __future__ import annotations

from dicmor_lib.evaluation.clips import ERROR, LAW
from dicmor_lib.evaluation.joint import INCOMPLETE
from dicmor_lib.evaluation.ledger import Ledger
from dicmor_lib.evaluation.ledger_view import TITLES, Line, View, details, interval, markdown, number, views
from dicmor_lib.evaluation.render import SYNTHETIC_NOTE
from dicmor_lib.evaluation.report_details import (
    differences,
    distances,
    patterns,
    protocols,
    published,
    recovery,
    verdict,
)
from dicmor_lib.evaluation.variants import MAIN, VARIANTS

HEADLINE_NOTE = (
    "Acc-2, MAE and r are means over the six patterns that lack something. Recovery error: mean squared error of "
    "the missing modality's shallow features in training standard deviations (filling in the training mean costs "
    "about 1), mean over all cases of pattern and missing modality. Distance: MMD^2 between the law of recovered "
    "and of real features, one step of each clip, 0 for equal laws. In brackets: 95 % intervals over test clips "
    "and training seeds together; DiCMoR minus a method below 0 means that DiCMoR is better there, bold that the "
    "interval excludes 0. A dash: there is no such number."
)
SAME_TRAINING = (
    "All variants share the stage 1 of their seed (C^m and the start of fusion) and were trained in the same way: "
    "same standardised data, optimiser, epochs and masks, weights selected on the validation split."
)


def report(ledger: Ledger) -> str:
    """Return everything in the ledger as Markdown.

    Raises:
        DataError: if the ledger is empty, or a data set lacks DiCMoR or a baseline.
    """
    lines = [HEADLINE_NOTE, ""]
    for view in views(ledger):
        lines += _data_set(view)
    return "\n".join(lines).rstrip()


def _data_set(view: View) -> list[str]:
    run = view.run
    title = "The oracle (synthetic)" if view.synthetic else f"`{run.data}`"
    lines = [f"### {title}", ""]
    lines += [f"**{SYNTHETIC_NOTE}** {run.data}.", ""] if view.synthetic else []
    lines += [
        f"Preset {run.preset}; {run.split} split, {run.clips} clips; training seeds {', '.join(run.seeds.split())}; "
        f"every model selected on the split '{run.selected_on}'. Data `{run.data_sha256[:12]}`, masks "
        f"`{run.masks_sha256[:12]}`, code `{run.commit or 'unknown'}`, {run.date}.",
        "",
        *markdown(_headline(view)),
        "",
    ]
    lines += details("Ablations: DiCMoR with one thing changed", _ablations(view))
    if view.synthetic:
        lines += details("The verdict: how much of what can be known was recovered", verdict(view))
    lines += details("Seven patterns, all methods", patterns(view))
    lines += details("DiCMoR minus every other method, per pattern", differences(view))
    lines += details("Recovery error, per pattern and missing modality", recovery(view))
    lines += details(
        "Distances between the laws of recovered and real features, with p-values", distances(view)
    )
    lines += details("One model, five meanings of a missing rate", protocols(view))
    lines += details("Beside published numbers", published(view)) if "mosi" in run.data else []
    lines += details("Machine and software", [f"{run.hardware}; {run.versions}."])
    return lines


def _headline(view: View) -> list[list[str]]:
    head = ["", *(TITLES[m] for m in ("acc2", "mae", "pearson"))]
    head += ["recovery error", "DiCMoR minus it", "distance", "DiCMoR minus it"]
    return [head, *(_line(view, line) for line in headline_lines(view))]


def headline_lines(view: View) -> list[Line]:
    """DiCMoR before and after the RCABs, the baselines, and what is best possible."""
    lines = [Line(f"**{MAIN}**", MAIN), Line(f"{MAIN}, transferred only", MAIN, "transferred")]
    for method in view.of_kind("imputer", "reference", "bound"):
        lines.append(Line(method, method))
        if view.mean(Line(method, method, "sample"), ERROR):
            lines.append(Line(f"{method}, a draw", method, "sample"))
    return lines


def _line(view: View, line: Line) -> list[str]:
    # predictions belong to what is recovered, not to a draw or to what was transferred
    scored = [view.get(line.method, INCOMPLETE, "", m) for m in ("acc2", "mae", "pearson")]
    cells = [number(m) if line.kind == "recovered" else number(None) for m in scored]
    for what, digits in ((ERROR, 3), (LAW, 4)):
        cells += [number(view.mean(line, what), digits), interval(view.gap(line, what), digits)]
    return [line.label, *cells]


def _ablations(view: View) -> list[str]:
    head = ["", *(TITLES[m] for m in ("acc2", "mae", "pearson")), "error, transferred"]
    head += ["error, recovered", "DiCMoR minus it", "distance", "DiCMoR minus it"]
    rows = [head]
    for method in view.of_kind("model"):
        cells = _line(view, Line(method, method))
        before = view.mean(Line(method, method, "transferred"), ERROR)
        rows.append([*cells[:4], number(before), *cells[4:]])
    about = [f"- {name}: {VARIANTS[name].sentence}" for name in view.of_kind("model") if name in VARIANTS]
    return [*markdown(rows), "", SAME_TRAINING, "", *about]
