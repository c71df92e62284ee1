"""What a person sees while a study runs: one bar on a terminal, one line per step elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

Row = dict[str, float]


class StepsShown:
    """Counts steps on stderr. `bars`: True or False (silent), or None for a bar on a terminal and lines elsewhere."""

    def __init__(self, total: int, bars: bool | None = None) -> None:
        self._bar: Any = None
        self._lines = bars is None and not sys.stderr.isatty()
        self._total, self._done, self._title = total, 0, ""
        if bars or (bars is None and not self._lines):
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit="step", file=sys.stderr, dynamic_ncols=True)

    def run(self, title: str, work: Callable[[Callable[[Any], None]], None] | None) -> None:
        """Do one step; `work` takes a callback that shows how far it is, None means that it was done before."""
        self._title = title
        began = time.perf_counter()
        if work is not None:
            self.note("")
            work(self.note)
        self.count(title, "done before" if work is None else f"{time.perf_counter() - began:.1f} s")

    def count(self, title: str, took: str) -> None:
        """Say that a step is over, and how long it took."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(1)
        self.say(f"[{self._done}/{self._total}] {title}: {took}")

    def note(self, what: Any) -> None:
        """Show within the bar how far the present step is: a text, or the row of a training epoch."""
        if self._bar is None:
            return
        if isinstance(what, dict):
            what = f"epoch {what['epoch']:.0f}, validation MAE {what['valid_mae']:.4f}"
        self._bar.set_description_str(f"{self._title} {what}".strip())

    def say(self, sentence: str) -> None:
        """Write one sentence above the bar."""
        if self._bar is not None:
            self._bar.write(sentence, file=sys.stderr)
        elif self._lines:
            print(sentence, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
