"""A plausible wrong answer to an exercise, and what its check must say about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Wrong:
    """`says` is a regular expression that the check's message must match: it names this mistake and no other."""

    mistake: str
    answers: tuple[Any, ...]
    says: str
