"""Chapter 0 builds no class of its own."""

from __future__ import annotations

from collections.abc import Callable

EQUAL: dict[str, Callable[[dict], None]] = {}
