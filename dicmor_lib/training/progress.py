"""What a person sees while a model trains: bars on a terminal, a line per epoch elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from typing import Any

from dicmor_lib.training.epoch_log import EpochLog

REFRESH = 0.5
"""Seconds between two looks at the running loss; each makes the processor wait for the device once."""


class Progress:
    """Reports to stderr; `bars` is True or False, or None for bars on a terminal and lines elsewhere.

    With `bars=False` nothing at all is written. `may_stop`: whether a look at a loss that is no longer finite
    may end the training at once; one of several processes must not leave the others behind.
    """

    def __init__(self, bars: bool | None, may_stop: bool = True) -> None:
        self._may_stop = may_stop
        self._bars = sys.stderr.isatty() if bars is None else bars
        self._lines = bars is None and not self._bars
        self._bar: Any = None
        self._title = ""
        self._next_look = 0.0

    def say(self, sentence: str) -> None:
        """Write one sentence above the bar."""
        if self._bars:
            from tqdm import tqdm

            tqdm.write(sentence, file=sys.stderr)
        elif self._lines:
            print(sentence, file=sys.stderr, flush=True)

    def start_epoch(self, stage: int, epoch: int, epochs: int, samples: int) -> None:
        """Begin an epoch of so many samples."""
        self._title = f"stage {stage} epoch {epoch}/{epochs}"
        self._next_look = time.monotonic() + REFRESH
        if self._bars:
            from tqdm import tqdm

            self._bar = tqdm(
                total=samples,
                desc=self._title,
                unit="sample",
                file=sys.stderr,
                leave=False,
                dynamic_ncols=True,
            )

    def step(self, samples: int, log: EpochLog, stage: int, epoch: int) -> None:
        """Count a step; now and then show the running loss, and stop if it is no longer finite."""
        if self._bar is None:
            return
        self._bar.update(samples)
        if time.monotonic() >= self._next_look:
            if self._may_stop:
                log.check_finite(stage, epoch)
            self._bar.set_postfix(loss=f"{log.means()['loss']:.4f}")
            self._next_look = time.monotonic() + REFRESH

    def end_epoch(self, row: dict[str, float]) -> None:
        """Close the bar and sum the epoch up in one line."""
        self.close()
        inverse = [value for name, value in row.items() if name.startswith("inverse_error_")]
        self.say(
            f"{self._title}: loss {row['loss']:.4f}, validation MAE {row['valid_mae']:.4f}"
            f"{' (best)' if row['is_best'] else ''}, "
            f"{f'inverse error {max(inverse):.0e}, ' if inverse else ''}{row['seconds']:.1f} s, "
            f"{row['samples_per_second']:.0f} samples/s"
        )

    def close(self) -> None:
        """Remove an unfinished bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
