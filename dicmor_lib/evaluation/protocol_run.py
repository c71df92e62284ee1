"""One trained model, five meanings of "missing rate": all protocols at all rates, computed, printed and saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicmor_lib.data.missingness import FRAMES, PROTOCOLS, save_masks
from dicmor_lib.errors import ConfigError
from dicmor_lib.evaluation import protocol_tables, table_files
from dicmor_lib.evaluation.bench import Bench
from dicmor_lib.evaluation.bootstrap import LEVEL, RESAMPLES
from dicmor_lib.evaluation.frames import FramePass, check_frame_rate, run_frames, score_frames
from dicmor_lib.evaluation.predictions import PatternPredictions
from dicmor_lib.evaluation.protocols import RATES, ProtocolTable, score_protocols

ALL = "all"
NAMES: tuple[str, ...] = (*PROTOCOLS, FRAMES)
Progress = Callable[[int, int, str], None]


@dataclass
class ProtocolEvaluation:
    """The scores of all methods under all asked protocols, and the frame masks that were drawn for them."""

    table: ProtocolTable
    frames: list[FramePass]

    def to_text(self) -> str:
        """Return one table per metric as text."""
        return protocol_tables.protocols_to_text(self.table)

    def to_markdown(self) -> str:
        """Return one table per metric as Markdown."""
        return protocol_tables.protocols_to_markdown(self.table)

    def save(self, directory: Path) -> list[Path]:
        """Write protocols.csv, .json, .md and masks-frames-RATE.npz for every drawn mask; returns the paths."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        paths = [directory / f"protocols.{kind}" for kind in ("csv", "json", "md")]
        table_files.write_protocols(self.table, paths[0])
        table_files.write_protocols_json(self.table, paths[1])
        paths[2].write_text(self.to_markdown() + "\n", encoding="utf-8")
        for done in self.frames:
            paths.append(directory / f"masks-frames-{done.rate:g}.npz")
            save_masks(paths[-1], done.masks, protocol=FRAMES, rate=done.rate, seed=done.seed)
        return paths


def parse_protocols(text: str) -> tuple[str, ...]:
    """Return the protocols of "all" or of a list such as "dicmor,frames". Raises `ConfigError`."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if names == (ALL,):
        return NAMES
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names:
        what = f"there is no protocol {unknown[0]!r}" if unknown else "no protocol is named"
        raise ConfigError(f"{what}; give 'all' or a comma list of {', '.join(NAMES)}")
    return names


def evaluate_protocols(
    predictions: PatternPredictions,
    bench: Bench | None = None,
    protocols: Sequence[str] = NAMES,
    rates: Sequence[float] = RATES,
    mask_seed: int = 0,
    progress: Progress | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> ProtocolEvaluation:
    """Score all methods of one evaluation under protocols.

    Args:
        predictions: of the seven patterns; every law is computed from them without another pass.
        bench: the fitted methods of the same evaluation, for "frames", which runs them once per rate.
        protocols: of `NAMES`.
        rates: missing rates. One that a protocol does not define is left out with a note.
        mask_seed: of the frame masks.
        progress: called after each method of each frame-level pass.
        resamples, seed, level: of the bootstrap over samples, as in `evaluate`.

    Raises:
        ConfigError: unknown protocols; no rate that exists; "frames" without a bench.
        DataError: if a law is asked for and a sample lacks a pattern (see `mixture_metrics`).
    """
    laws = [name for name in protocols if name != FRAMES]
    settings: dict[str, Any] = {"resamples": resamples, "seed": seed, "level": level}
    info = predictions.info | settings
    passes: list[FramePass] = []
    notes: list[str] = []
    if FRAMES in protocols:
        if bench is None:
            raise ConfigError(
                "the protocol 'frames' runs every method again; give the bench of the evaluation"
            )
        passes, notes = _frame_passes(bench, rates, mask_seed, progress, alone=not laws)
    scores = []
    if laws:
        table = score_protocols(predictions, laws, rates, **settings)
        scores, info = list(table.scores), table.info
    scores += score_frames(passes, predictions.label, predictions.kinds, **settings)
    info = info | {"mask_seed": mask_seed, "notes": [*info.get("notes", []), *notes]}
    return ProtocolEvaluation(ProtocolTable(tuple(scores), info), passes)


def _frame_passes(
    bench: Bench, rates: Sequence[float], seed: int, progress: Progress | None, alone: bool
) -> tuple[list[FramePass], list[str]]:
    """One pass for each rate that exists, and a sentence about those that do not."""
    usable, notes = [], []
    for rate in dict.fromkeys(rates):
        try:
            check_frame_rate(rate)
        except ConfigError as problem:
            notes.append(f"Left out: frames at {rate:g}, because {problem}.")
        else:
            usable.append(rate)
    if alone and not usable:
        raise ConfigError(notes[0] if notes else "no rate is given for the protocol 'frames'")
    total, done, passes = len(usable) * (len(bench.kinds) - 1), 0, []
    for rate in usable:

        def report(what: str, rate: float = rate) -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, total, f"frames at {rate:g}: {what}")

        passes.append(run_frames(bench, rate, seed, report))
    return passes, notes
