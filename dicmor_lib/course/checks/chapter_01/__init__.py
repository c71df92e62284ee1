"""Checks of chapter 1: padding, patterns, masks, and what a fill may and may not do."""

from dicmor_lib.course.checks.chapter_01 import fills, masks

__all__ = ["fills", "masks"]
