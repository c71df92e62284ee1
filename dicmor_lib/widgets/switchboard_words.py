"""The picture of the switchboard in words: its alternative text, and what the status line says."""

from __future__ import annotations

import math

import numpy as np

from dicmor_lib.modalities import LETTERS, MODALITIES
from dicmor_lib.plots.drawing import minus, signed
from dicmor_lib.plots.style import describe
from dicmor_lib.widgets.picture import names
from dicmor_lib.widgets.switchboard_clips import Prepared
from dicmor_lib.widgets.switchboard_interval import SHARE
from dicmor_lib.widgets.switchboard_state import SwitchboardState


def describe_switchboard(state: SwitchboardState, prepared: Prepared) -> str:
    """Return in words what the picture of a state shows.

    Raises:
        ConfigError: if there is no such clip.
    """
    clips, sample = prepared.clips, state.sample
    seen, whole = clips.seen(sample, state.available), clips.seen(sample, LETTERS)
    told = [f"Clip {sample + 1} of {len(clips)}."]
    if seen:
        told.append(f"Available: {describe(names(seen))}.")
        told += [
            _recovered(prepared, sample, seen, m)
            for m in range(3)
            if LETTERS[m] in whole and LETTERS[m] not in seen
        ]
        told.append(f"Prediction {signed(prepared.guess(sample, seen))}")
    else:
        told.append("Nothing is available, so nothing can be recovered and the model cannot be asked.")
        told.append(f"The blind guess, the median training label, is {signed(clips.blind)}")
    told[-1] += f", {_interval(prepared, sample, seen)}, true label {signed(float(clips.label[sample]))}."
    if seen and seen != whole:
        told.append(f"With everything available it is {signed(prepared.guess(sample, whole))}.")
    if prepared.best:
        best = signed(float(prepared.best[seen][sample]))
        told.append(f"The best possible guess from what is available is {best}.")
    moved = moved_by(state, prepared)
    if moved is not None:
        told.append(f"The merged latent moved by {moved:.2f} in the plane.")
    return " ".join(told)


def moved_by(state: SwitchboardState, prepared: Prepared) -> float | None:
    """Return how far the merged latent went with the last toggle; None if it is not there before and after."""
    if state.before is None:
        return None
    now, earlier = (prepared.clips.seen(state.sample, p) for p in (state.available, state.before))
    way = prepared.plane.stand_in(state.sample, now) - prepared.plane.stand_in(state.sample, earlier)
    return float(np.hypot(*way)) if np.isfinite(way).all() else None


def _recovered(prepared: Prepared, sample: int, seen: str, m: int) -> str:
    r = prepared.clips.agreement(sample, seen, m)
    close = "" if math.isnan(r) else minus(f" and correlates {r:.2f} with the true features")
    return f"{MODALITIES[m].capitalize()} is recovered{close}."


def _interval(prepared: Prepared, sample: int, seen: str) -> str:
    if not math.isfinite(prepared.half_width[seen]):
        return "no interval (too few validation clips)"
    low, high = prepared.interval(sample, seen)
    return f"{SHARE * 100:.0f} % interval {signed(low)} to {signed(high)}"
