"""The alphabet of the library: three modalities, one order, seven patterns.

Every array that has a modality axis has it in the order (language, audio, vision). A pattern is
the set of *available* modalities, written with its letters in that order: "l", "av", "lav".
"""

from __future__ import annotations

import torch
from torch import Tensor

from dicmor_lib.errors import PatternError, ShapeError

MODALITIES: tuple[str, str, str] = ("language", "audio", "vision")
LETTERS: str = "lav"
PATTERNS: tuple[str, ...] = ("l", "a", "v", "la", "lv", "av", "lav")
"""The seven non-empty sets of available modalities."""


def normalise_pattern(pattern: str) -> str:
    """Return `pattern` with its letters in the order l, a, v.

    >>> normalise_pattern("va")
    'av'

    Raises:
        PatternError: if the pattern is empty, repeats a letter or holds one that is no modality.
    """
    if not isinstance(pattern, str) or not pattern:
        raise PatternError(
            f"the pattern {pattern!r} is empty: at least one modality must be available; "
            f"choose one of {', '.join(PATTERNS)}"
        )
    if set(pattern) - set(LETTERS) or len(set(pattern)) < len(pattern):
        raise PatternError(
            f"the pattern {pattern!r} is not a set of the letters l (language), a (audio), "
            f"v (vision); choose one of {', '.join(PATTERNS)}"
        )
    return "".join(letter for letter in LETTERS if letter in pattern)


def pattern_mask(pattern: str) -> tuple[bool, bool, bool]:
    """Return which of (language, audio, vision) the pattern makes available.

    >>> pattern_mask("av")
    (False, True, True)
    """
    pattern = normalise_pattern(pattern)
    return tuple(letter in pattern for letter in LETTERS)  # type: ignore[return-value]


def mask_pattern(mask: Tensor | tuple[bool, bool, bool] | list[bool]) -> str:
    """Return the pattern of one available mask of three booleans (inverse of `pattern_mask`).

    >>> mask_pattern((True, False, True))
    'lv'
    """
    flags = [bool(flag) for flag in mask]
    if len(flags) != 3:
        raise ShapeError(
            f"an available mask must have 3 entries (language, audio, vision), this has {len(flags)}"
        )
    return normalise_pattern("".join(letter for letter, flag in zip(LETTERS, flags) if flag))


def available_mask(pattern: str, batch: int) -> Tensor:
    """Return the bool tensor (batch, 3) that gives every sample the same pattern.

    >>> available_mask("la", 2)
    tensor([[ True,  True, False],
            [ True,  True, False]])
    """
    return torch.tensor(pattern_mask(pattern)).expand(batch, 3).clone()
