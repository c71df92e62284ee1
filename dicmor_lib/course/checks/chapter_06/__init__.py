"""Checks of chapter 6: masks, positions, padding, who reads whom, and which modality moved the prediction."""

from dicmor_lib.course.checks.chapter_06 import masking, reading

__all__ = ["masking", "reading"]
