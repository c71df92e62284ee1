"""All seeds of one data set together: means, and DiCMoR minus every other method, with two-way intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from dicmor_lib.data.missingness import pattern_shares
from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.clips import BEST_GUESS, ERROR, FRAMES, LAW, ClipRecord
from dicmor_lib.evaluation.distances import SPACES
from dicmor_lib.evaluation.labels import Majority
from dicmor_lib.evaluation.ledger import Ledger
from dicmor_lib.evaluation.ledger_rows import Measure, Run
from dicmor_lib.evaluation.metrics import moment_frame, sample_terms
from dicmor_lib.evaluation.observers import BOUNDS
from dicmor_lib.evaluation.predictions import PatternPredictions
from dicmor_lib.evaluation.protocols import RATES, pattern_sums
from dicmor_lib.evaluation.scoring import CLIPS, COMPARED, DONE, EVALUATION, Found, split_name
from dicmor_lib.evaluation.shares import recovery_shares, score_shares
from dicmor_lib.evaluation.study import Source, Study
from dicmor_lib.evaluation.two_way import Spread, TwoWay, mixture
from dicmor_lib.evaluation.variants import MAIN
from dicmor_lib.evaluation.verdict import BAYES
from dicmor_lib.modalities import PATTERNS

INCOMPLETE, ALL = "incomplete", "all"
"""As a pattern: the mean over the six that lack something. As a target: over all cases (pattern, missing)."""
PLACES: tuple[str, ...] = (*PATTERNS, INCOMPLETE)
BY_PROTOCOL: tuple[str, ...] = ("acc2", "f1", "mae")
LAWS: tuple[str, ...] = ("dicmor", "gcnet", "independent", "mplmm")
"""Protocols that are laws over the seven patterns; IMDer's is DiCMoR's."""

Numbers = dict[tuple[str, str, str, str], Spread]
"""(method or estimate, pattern, target, measure) -> number."""


def joint_ledger(study: Study, source: Source) -> Ledger:
    """Return the ledger of one data set: that of each seed, and the means over them as runs of all seeds.

    Distances are taken over as means alone; those of each seed are in its evaluation/ledger.

    Raises:
        DataError: if a seed is not evaluated, or the seeds were not scored on the same masks and methods.
    """
    folders = [study.folder(source, seed) / EVALUATION for seed in study.seeds]
    for folder in folders:
        if not (folder / DONE).is_file():
            raise DataError(f"{folder.parent} is not evaluated yet; run 'dicmor reproduce' for it first")
    each = [Ledger.read(folder / "ledger") for folder in folders]
    seeds = Seeds.load(
        [PatternPredictions.load(folder / "predictions.npz") for folder in folders],
        [ClipRecord.load(folder / CLIPS) for folder in folders],
        study.resamples,
    )
    found = [*seeds.measures()]
    known = {(method, m.pattern, m.target, m.measure) for method, m in found}
    found += [
        (method, m) for method, m in means(each) if (method, m.pattern, m.target, m.measure) not in known
    ]
    ledger = Ledger()
    for one in each if len(each) > 1 else ():
        ledger.merge(one)
    for key in [key for key in ledger.measures if key[3].split(" ")[0] in SPACES]:
        del ledger.measures[key]  # distances of single seeds stay with them: thousands of lines
    first = {run.method: run for run in each[0].runs.values()}
    for method in dict.fromkeys([*first, *(method for method, _ in found)]):
        run = first.get(method) or replace(
            first[Majority.name], method=method, kind="bound"
        )  # Bayes needs no seed
        seconds = sum(_same(one, run).seconds for one in each) if method in first else 0.0
        whole = replace(run, seeds=" ".join(map(str, study.seeds)), seconds=seconds)
        own = [replace(m, run=whole.id) for name, m in found if name == method]
        ledger.add(whole, own, each[0].configs.get(run.config))
    return ledger


def means(each: list[Ledger]) -> Iterator[Found]:
    """The mean over seeds of every measure that all have; p-values as twice their median, at most 1."""
    by_seed = [{(one.runs[m.run].method, *m.key[1:]): m for m in one.measures.values()} for one in each]
    for key, first in by_seed[0].items():
        same = [measures[key] for measures in by_seed if key in measures]
        if len(same) == len(each):
            p = [m.p for m in same]
            joint = p[0] if len(p) == 1 else min(1.0, 2 * float(np.median(p)))  # NaN stays NaN
            value = float(np.mean([m.value for m in same]))
            yield key[0], replace(first, value=value, low=np.nan, high=np.nan, p=joint)


def _same(ledger: Ledger, run: Run) -> Run:
    """The run of the same method in the ledger of another seed."""
    facts = ("data_sha256", "split", "masks_sha256", "method", "config")
    for other in ledger.runs.values():
        if all(getattr(other, name) == getattr(run, name) for name in facts):
            return other
    raise DataError(
        f"the seeds of {run.data} do not agree on data, masks or settings of {run.method!r}; evaluate all of them "
        "again with --only evaluate --again"
    )


@dataclass(frozen=True)
class Seeds:
    """What all clips say about all methods, for each seed, and the resamples that they share."""

    predictions: list[PatternPredictions]
    clips: list[ClipRecord]
    draw: TwoWay

    @classmethod
    def load(cls, predictions: list[PatternPredictions], clips: list[ClipRecord], resamples: int) -> Seeds:
        """Check that the seeds belong together, and draw the resamples."""
        first = predictions[0]
        for p, c in zip(predictions, clips):
            same = (
                p.kinds == first.kinds
                and p.patterns == first.patterns
                and list(c.values) == list(clips[0].values)
            )
            if not same or not np.array_equal(p.available, first.available) or p.ids != first.ids:
                raise DataError(
                    "the seeds were not evaluated with the same methods, clips and masks; do it again"
                )
        return cls(predictions, clips, TwoWay.draw(len(first.label), len(predictions), resamples))

    def measures(self) -> Iterator[Found]:
        """Every mean, and every difference between DiCMoR and another method."""
        scores = self.scores()
        for (method, pattern, _, name), spread in scores.items():
            yield method, _measure(spread, pattern, "", name)
        for (method, pattern, _, name), spread in scores.items():
            if name in ("acc2", "mae", "pearson") and method not in (MAIN, BAYES) and pattern in PLACES:
                difference = scores[MAIN, pattern, "", name] - spread
                yield MAIN, _measure(difference, pattern, "", name, method)
        recovery = self.recovery()
        methods = [*self.predictions[0].kinds, *BOUNDS]
        for (estimate, pattern, target, what), spread in recovery.items():
            method, kind = split_name(estimate, methods)
            yield method, _measure(spread, pattern, target, f"{what} {kind}")
        yield from self._recovery_differences(recovery, methods)
        for (method, pattern, _, name), spread in score_shares(scores):
            yield method, _measure(spread, pattern, "", f"{name} share")
        errors = {key: spread for key, spread in recovery.items() if key[3] == ERROR}
        for (estimate, pattern, target, _), spread in recovery_shares(errors, (INCOMPLETE, ALL)):
            method, kind = split_name(estimate, methods)
            yield method, _measure(spread, pattern, target, f"share {kind}")

    def _recovery_differences(self, recovery: Numbers, methods: list[str]) -> Iterator[Found]:
        """DiCMoR recovered minus every other estimate in every case; transferred minus the others on average."""
        for kind in ("recovered", "transferred"):
            main = f"{MAIN} {kind}"
            for (estimate, pattern, target, what), spread in recovery.items():
                if estimate != main and (kind == "recovered" or target == ALL):
                    method, other = split_name(estimate, methods)
                    against = method if other == "recovered" and method != MAIN else estimate
                    difference = recovery[main, pattern, target, what] - spread
                    yield MAIN, _measure(difference, pattern, target, f"{what} {kind}", against)

    def scores(self) -> Numbers:
        """Every metric of every method under the patterns, on average over the incomplete ones, and by protocol."""
        numbers: Numbers = {}
        first, weights = self.predictions[0], self.draw.weights
        whole = first.patterns == PATTERNS and bool(first.scored.all())
        for method in first.kinds:
            sums = [pattern_sums(p, method, weights) for p in self.predictions]  # each (P, 1 + R, K)
            cases = {pattern: [each[p] for each in sums] for p, pattern in enumerate(first.patterns)}
            if whole:
                cases |= {name: [np.tensordot(law, s, 1) for s in sums] for name, law in _laws(first).items()}
            for rate, _, name in self.clips[0].of(FRAMES):
                if name == method:
                    guesses = [record.values[FRAMES, rate, "", method] for record in self.clips]
                    cases[f"{FRAMES} {rate}"] = [self._sums(guess) for guess in guesses]
            for case, of_seeds in cases.items():
                found = self.draw.metrics(of_seeds)
                names = COMPARED if case in PATTERNS else BY_PROTOCOL
                numbers |= {(method, case, "", name): found[name] for name in names}
        for (pattern, metric, method), guess in self.clips[0].of(BEST_GUESS).items():
            found = self.draw.metrics([self._sums(guess)] * len(self.clips))  # it needs no training seed
            numbers[method, pattern, "", metric] = found[metric]
        return {**numbers, **_over_incomplete(numbers)} if whole else numbers

    def _sums(self, guess: np.ndarray) -> np.ndarray:
        """Sums (1 + R, K) of predictions (N,) with NaN where a clip is not scored."""
        rows = np.isfinite(guess)
        label = self.predictions[0].label[rows]
        terms = sample_terms(guess[rows], label, moment_frame(guess[rows], label))
        return self.draw.weights[:, rows] @ terms

    def recovery(self) -> Numbers:
        """Errors and distances of every estimate in every case, and on average over the cases."""
        numbers: Numbers = {}
        for what in (ERROR, LAW):
            cases: dict[str, list[Spread]] = {}
            for pattern, target, estimate in self.clips[0].of(what):
                values = np.stack([record.values[what, pattern, target, estimate] for record in self.clips])
                spread = numbers[estimate, pattern, target, what] = self.draw.mean(values)
                cases.setdefault(estimate, []).append(spread)
            numbers |= {(name, INCOMPLETE, ALL, what): mixture(parts) for name, parts in cases.items()}
        return numbers


def _over_incomplete(numbers: Numbers) -> Numbers:
    """The mean over the six patterns that lack something, for each method and metric that has all six."""
    lacking = [pattern for pattern in PATTERNS if len(pattern) < 3]
    found: Numbers = {}
    for method, name in dict.fromkeys((key[0], key[3]) for key in numbers if key[3] in COMPARED):
        parts = [numbers.get((method, pattern, "", name)) for pattern in lacking]
        if None not in parts:
            found[method, INCOMPLETE, "", name] = mixture(parts)  # type: ignore[arg-type]
    return found


def _laws(predictions: PatternPredictions) -> Mapping[str, np.ndarray]:
    """ "gcnet 0.5" -> shares of the patterns (P,), for every protocol and rate."""
    return {
        f"{protocol} {rate:g}": np.array([shares.get(pattern, 0.0) for pattern in predictions.patterns])
        for protocol in LAWS
        for rate in RATES
        for shares in [pattern_shares(protocol, rate)]
    }


def _measure(spread: Spread, pattern: str, target: str, name: str, against: str = "") -> Measure:
    e = spread.estimate()
    p = spread.p_value() if against else float("nan")
    return Measure("", pattern, target, name, e.value, e.low, e.high, p, against)
