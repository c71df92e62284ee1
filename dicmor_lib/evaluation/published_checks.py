"""Doubts about published numbers, each with its evidence. A doubt is no proof: it is printed beside the number.

| kind | what was found |
|---|---|
| impossible | a number that no classifier can have, or a name that means nothing here |
| duplicate | the same table, method and case twice |
| repeated | a case that repeats all numbers of another case of the same table |
| swapped | a method's Acc and F1 columns look exchanged |
| possibly swapped | the same method's columns look exchanged on another data set of the same table |

Exchanged columns are looked for in a method's rows as a group, never in a single row, in two ways:

1. *Sign.* With much missing, a model leans towards the majority class, which pulls weighted F1 below accuracy.
   Its mean F1 - Acc at rates of .4 and above is then negative or about 0. Above `GAP` the group is flagged.
2. *A second source.* Its columns are ours the other way round in at least `ENOUGH` rows, and in more rows than
   they agree.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dicmor_lib.evaluation.published_numbers import QUOTABLE, PublishedRow, by_group
from dicmor_lib.modalities import PATTERNS

GAP = 0.5
"""Points. The rows that a second source confirms lie below 0, every other healthy group below 0.33."""
HIGH_RATE = 0.4
ENOUGH = 3
DATASETS = ("mosi", "mosei")
RANGES = {"acc2": (0, 100), "f1": (0, 100), "acc7": (0, 100), "mae": (0, 6), "corr": (-1, 1)}
ROUNDING = 0.06  # of a number printed with one digit, in points


@dataclass(frozen=True)
class Doubt:
    """Why some rows should not be believed as they stand; `evidence` is one sentence with its numbers."""

    kind: str
    rows: tuple[PublishedRow, ...]
    evidence: str

    @property
    def about(self) -> str:
        """Return what it is about: "ComP Table 2, mosei random, DiCMoR"."""
        row = self.rows[0]
        return f"{row.source}, {row.dataset} {row.protocol}, {row.method}"


def check_published(rows: Sequence[PublishedRow], second: Sequence[PublishedRow] = ()) -> list[Doubt]:
    """Return every doubt about the rows.

    Args:
        rows: the table to check, all rows that belong to its groups.
        second: rows of other sources to compare columns with; those of the same source are not used. They may be
            of any kind, unattributed ones too, because nothing of them is quoted.
    """
    return [*impossible(rows), *duplicates(rows), *repeated(rows), *swapped(rows, second)]


def impossible(rows: Sequence[PublishedRow]) -> list[Doubt]:
    """Return a doubt for every impossible value or unknown name."""
    return [Doubt("impossible", (row,), text) for row in rows for text in _impossible(row)]


def duplicates(rows: Sequence[PublishedRow]) -> list[Doubt]:
    """Return a doubt for every case that stands in the table more than once."""
    found: dict[tuple[str, ...], list[PublishedRow]] = {}
    for row in rows:
        found.setdefault(row.key, []).append(row)
    return [
        Doubt("duplicate", tuple(same), f"{same[0].where} stands in lines {_lines(same)}")
        for same in found.values()
        if len(same) > 1
    ]


def repeated(rows: Sequence[PublishedRow]) -> list[Doubt]:
    """Return a doubt for every set of cases of one table, method and data set with all numbers (>= 2) equal."""
    doubts = []
    for group in by_group(rows).values():
        found: dict[tuple[tuple[str, float], ...], list[PublishedRow]] = {}
        for row in {row.key: row for row in group}.values():
            found.setdefault(tuple(sorted(row.values.items())), []).append(row)
        for numbers, same in found.items():
            if len(same) > 1 and len(numbers) > 1:
                cases = ", ".join(row.where for row in same)
                printed = ", ".join(f"{name} {value:g}" for name, value in numbers)
                text = (
                    f"{cases} have the same {printed}: the method ignores what differs, or rows were copied"
                )
                doubts.append(Doubt("repeated", tuple(same), text))
    return doubts


def swapped(rows: Sequence[PublishedRow], second: Sequence[PublishedRow] = ()) -> list[Doubt]:
    """Return a doubt for every method of a table whose Acc and F1 columns look exchanged."""
    groups = by_group(row for row in rows if row.protocol == "random")
    gaps = {key: gap for key, group in groups.items() if not math.isnan(gap := mean_gap(group))}
    doubts = []
    for key, group in groups.items():
        texts = _gap_evidence(key, gaps) + _exchange_evidence(group, second)
        if texts:
            doubts.append(Doubt("swapped", tuple(group), "; ".join(texts)))
    flagged = {(d.rows[0].source, d.rows[0].method): d for d in doubts}
    for (source, _, _, method), group in groups.items():
        other = flagged.get((source, method))
        if other is not None and not any(group[0] in d.rows for d in doubts):
            gap = gaps.get(group[0].group, math.nan)
            text = f"its {other.rows[0].dataset} columns look exchanged; here mean F1 - Acc is {gap:+.2f}, "
            text += "too small to tell" if gap > 0 else "which does not support it"
            doubts.append(Doubt("possibly swapped", tuple(group), text))
    return doubts


def mean_gap(group: Sequence[PublishedRow]) -> float:
    """Return the mean of F1 - Acc, in points, over rows at rates of .4 and above; NaN without such a row."""
    gaps = [
        row.values["f1"] - row.values["acc2"]
        for row in group
        if row.rate > HIGH_RATE - 1e-9 and {"f1", "acc2"} <= row.values.keys()
    ]
    return sum(gaps) / len(gaps) if gaps else math.nan


def f1_bounds(accuracy: float) -> tuple[float, float]:
    """Return the smallest and largest weighted F1 that two classes can have at an accuracy, all in percent.

    With accuracy a and any class shares, weighted F1 lies in [2 a^2 / (1 + a), 2 a / (1 + a)]: the lower end is
    reached by always guessing the majority class, the upper when there is one class only.
    """
    a = accuracy / 100
    return 100 * 2 * a * a / (1 + a), 100 * 2 * a / (1 + a)


def _gap_evidence(key: tuple[str, str, str, str], gaps: dict[tuple[str, str, str, str], float]) -> list[str]:
    """The sentence about the sign, if the gap is too large."""
    if not gaps.get(key, 0.0) > GAP:
        return []
    others = [gap for other, gap in gaps.items() if other[:3] == key[:3] and gap <= GAP]
    text = f"mean F1 - Acc at rates of .4 and above is {gaps[key]:+.2f} points"
    if others:
        text += f" (the methods of the table that are not flagged: {min(others):+.2f} to {max(others):+.2f})"
    return [text]


def _exchange_evidence(group: Sequence[PublishedRow], second: Sequence[PublishedRow]) -> list[str]:
    """The sentences about other sources that have the columns the other way round."""
    first, texts = group[0], []
    for source in dict.fromkeys(row.source for row in second if row.source != first.source):
        other = {
            row.where: row.values
            for row in second
            if (row.source, row.dataset, row.protocol, row.method) == (source, *first.group[1:])
        }
        pairs = [(row.values, other[row.where]) for row in group if row.where in other]
        crossed = sum(_matches(ours, theirs, crossed=True) for ours, theirs in pairs)
        straight = sum(_matches(ours, theirs, crossed=False) for ours, theirs in pairs)
        if crossed >= ENOUGH and crossed > straight:
            texts.append(
                f"what {source} prints has these columns the other way round in {crossed} of {len(pairs)} rows "
                f"and the same way in {straight}"
            )
    return texts


def _matches(ours: dict[str, float], theirs: dict[str, float], crossed: bool) -> bool:
    """Whether all of Acc and F1 that the other source prints are equal; a row with Acc = F1 says nothing."""
    if ours.get("acc2") == ours.get("f1") or not {"acc2", "f1"} <= ours.keys():
        return False
    partner = {"acc2": "f1", "f1": "acc2"} if crossed else {"acc2": "acc2", "f1": "f1"}
    printed = [name for name in partner if name in theirs]
    return bool(printed) and all(theirs[name] == ours[partner[name]] for name in printed)


def _impossible(row: PublishedRow) -> list[str]:
    texts = []
    if row.dataset not in DATASETS:
        texts.append(f"the data set {row.dataset!r} is none of {', '.join(DATASETS)}")
    if row.protocol not in ("random", "fixed"):
        texts.append(f"the protocol {row.protocol!r} is neither random nor fixed")
    if row.protocol == "random" and not 0 <= row.rate <= 1:
        texts.append(f"{row.where!r} is no missing rate")
    if row.protocol == "fixed" and row.where not in PATTERNS:
        texts.append(f"{row.where!r} is no pattern of available modalities")
    if row.kind not in QUOTABLE:
        texts.append(f"rows of the kind {row.kind!r} may not be quoted")
    if not row.source or not row.method:
        texts.append("it has no source or no method")
    if not row.values:
        texts.append("it holds no number")
    for name, value in row.values.items():
        low, high = RANGES[name]
        if not low <= value <= high:
            texts.append(f"{name} is {value:g}, outside [{low}, {high}]")
    if row.f1_std is not None and not 0 <= row.f1_std <= 50:
        texts.append(f"the standard deviation of F1 is {row.f1_std:g}, outside [0, 50]")
    if not texts and {"acc2", "f1"} <= row.values.keys():
        least, most = f1_bounds(row.values["acc2"])
        if not least - ROUNDING <= row.values["f1"] <= most + ROUNDING:
            texts.append(
                f"no two-class prediction with an accuracy of {row.values['acc2']:g} has a weighted F1 of "
                f"{row.values['f1']:g}: it lies between {least:.1f} and {most:.1f}"
            )
    return [f"line {row.line}: {text}" for text in texts]


def _lines(rows: Sequence[PublishedRow]) -> str:
    return ", ".join(str(row.line) for row in rows)


def count_kinds(doubts: Sequence[Doubt]) -> str:
    """Return "2 swapped, 1 repeated", or "no doubt"."""
    counts = Counter(doubt.kind for doubt in doubts)
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "no doubt"
