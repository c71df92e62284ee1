"""Checks of chapter 5: channel attention, RCABs, the recovery loss, and what squared error does to the spread."""

from dicmor_lib.course.checks.chapter_05 import losses, network

__all__ = ["losses", "network"]
