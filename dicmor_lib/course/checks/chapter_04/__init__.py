"""Checks of chapter 4: distribution transfer."""

from dicmor_lib.course.checks.chapter_04 import transfer, two_sample

__all__ = ["transfer", "two_sample"]
