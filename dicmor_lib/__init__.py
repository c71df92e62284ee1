"""DiCMoR: recovering a missing modality with normalizing flows (Wang, Cui and Li, ICCV 2023).

The names below are loaded when they are first used (PEP 562), so that `dicmor --help` need not wait for torch and
the command can set torch's environment variables before torch reads them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicmor_lib.config import DiCMoRConfig
    from dicmor_lib.modalities import (
        LETTERS,
        MODALITIES,
        PATTERNS,
        available_mask,
        mask_pattern,
        pattern_mask,
    )
    from dicmor_lib.model import DiCMoR, DiCMoROutput
    from dicmor_lib.objective import Term
    from dicmor_lib.published import load_published

__version__ = "0.1.0"

__all__ = [
    "DiCMoR",
    "DiCMoRConfig",
    "DiCMoROutput",
    "LETTERS",
    "MODALITIES",
    "PATTERNS",
    "Term",
    "available_mask",
    "load_published",
    "mask_pattern",
    "pattern_mask",
]

_MODULES = {
    "config": ("DiCMoRConfig",),
    "modalities": ("LETTERS", "MODALITIES", "PATTERNS", "available_mask", "mask_pattern", "pattern_mask"),
    "model": ("DiCMoR", "DiCMoROutput"),
    "objective": ("Term",),
    "published": ("load_published",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value  # found directly from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
