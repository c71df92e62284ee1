"""The picture of the switchboard in words: its alternative text, and what the status line says."""

from __future__ import annotations

import math

import numpy as np

from dicmor_lib.modalities import LETTERS, MODALITIES
from dicmor_lib.plots.drawing import minus, signed
from dicmor_lib.plots.style import describe
from dicmor_lib.widgets.picture import names
from dicmor_lib.widgets.switchboard_clips import Prepared
from dicmor_lib.widgets.switchboard_interval import SHARE, interval_source
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
    told += _classes(prepared, sample, seen) + _moves(state, prepared)
    return " ".join(told)


def moved_by(state: SwitchboardState, prepared: Prepared, modality: int = 0) -> float | None:
    """Return how far the latent that stands in went with the last toggle; None if it is not there before and after.

    That is the merged latent; with a joint prior, where every modality has a plane, what is expected of `modality`.
    """
    if state.before is None:
        return None
    now, earlier = (prepared.clips.seen(state.sample, p) for p in (state.available, state.before))
    plane = prepared.planes[modality]
    way = plane.stand_in(state.sample, now) - plane.stand_in(state.sample, earlier)
    return float(np.hypot(*way)) if np.isfinite(way).all() else None


def _moves(state: SwitchboardState, prepared: Prepared) -> list[str]:
    """How far the latents went that stand in for the missing."""
    if prepared.joint is None:
        moved = moved_by(state, prepared)
        return [] if moved is None else [f"The merged latent moved by {moved:.2f} in the plane."]
    ways = [(modality, moved_by(state, prepared, m)) for m, modality in enumerate(MODALITIES)]
    return [
        f"The latent expected of {name} moved by {way:.2f} in its plane."
        for name, way in ways
        if way is not None
    ]


def _recovered(prepared: Prepared, sample: int, seen: str, m: int) -> str:
    r, view, name = prepared.clips.agreement(sample, seen, m), prepared.joint, MODALITIES[m].capitalize()
    if view is None:
        close = "" if math.isnan(r) else minus(f" and correlates {r:.2f} with the true features")
        return f"{name} is recovered{close}."
    held = view.held(prepared.clips, sample, seen, m)
    said = [f"{name} is recovered in {view.draws} draws"]
    if not math.isnan(r):
        said.append(minus(f"their mean correlates {r:.2f} with the true features"))
    if not math.isnan(held):
        said.append(f"their {SHARE * 100:.0f} % band holds {held * 100:.0f} % of the true values")
    return ", ".join(said) + "."


def _interval(prepared: Prepared, sample: int, seen: str) -> str:
    if not prepared.has_interval(sample, seen):
        return "no interval (too few validation clips)"
    low, high = prepared.interval(sample, seen)
    told = f"{SHARE * 100:.0f} % interval {signed(low)} to {signed(high)}"
    if prepared.joint is None:
        return told
    source = interval_source(seen, f"{prepared.joint.draws} draws")
    return f"{told} ({source})"


def _classes(prepared: Prepared, sample: int, seen: str) -> list[str]:
    """The most probable class by a joint prior, and by whoever knows the law of the data."""
    if prepared.joint is None or not prepared.joint.posterior:
        return []
    own = prepared.joint.posterior[seen][sample]
    told = f"The model finds class {_class(own)} most probable"
    if prepared.best:
        told += f"; to somebody who knows the law of the data it is {_class(prepared.classes[seen][sample])}"
    return [f"{told}."]


def _class(law: np.ndarray) -> str:
    return f"{signed(int(law.argmax()) - 3)} ({law.max() * 100:.0f} %)"
