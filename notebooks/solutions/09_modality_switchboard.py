"""Solutions of chapter 9. Try first: the hints in the chapter are made for that."""

from __future__ import annotations

import math

import numpy as np

from dicmor_lib import MODALITIES
from dicmor_lib.modalities import LETTERS


def toggle(state, modality):
    """9.1: a letter stays if it is there and is not the pressed one, or the other way round.

    Walking over "lav" keeps the order, so every state has one name and can be looked up in a cache.
    """
    sample, available = state
    pressed = LETTERS[MODALITIES.index(modality)]
    return sample, "".join(x for x in LETTERS if (x in available) != (x == pressed))


def possible(available, before, recovered, star):
    """9.2: three facts that follow from the state; a picture that contradicts one of them is a bug.

    The star needs one available latent, and then everything hidden is recovered. With nothing available there is
    neither. The symmetric difference of two patterns counts the toggles between them.
    """
    hidden = "".join(x for x in LETTERS if x not in available) if available else ""
    one_toggle = before is None or len(set(before) ^ set(available)) == 1
    return one_toggle and recovered == hidden and star == bool(available)


def step(star, k, new):
    """9.3: (k m + z) / (k + 1) - m = (z - m) / (k + 1).

    A mean needs its number of terms and nothing else to take in one more.
    """
    return (new - star) / (k + 1)


def half_width(residuals, share):
    """9.4: the new residual has any of the n + 1 ranks with equal probability, so rank k is exceeded by 1 - k / (n + 1).

    Rounding k up keeps the promise. If k is n + 1, even the largest residual is exceeded too often.
    """
    sizes = np.sort(np.abs(residuals))
    k = math.ceil((len(sizes) + 1) * share)
    return float(sizes[k - 1]) if k <= len(sizes) else math.inf


def sides(residuals, share):
    """9.5: two one-sided bounds, each missed with probability (1 - share) / 2 at most.

    The lower one is the upper one of the mirrored residuals. That rounds its rank down, which a hand-made
    lower rank easily gets wrong.
    """

    def upper(errors):
        k = math.ceil((len(errors) + 1) * (1 + share) / 2)
        return float(np.sort(errors)[k - 1]) if k <= len(errors) else math.inf

    return -upper(-np.asarray(residuals)), upper(np.asarray(residuals))


ANSWERS: dict[str, tuple] = {
    "9.1": (toggle,),
    "9.2": (possible,),
    "9.3": (step,),
    "9.4": (half_width,),
    "9.5": (sides,),
}
