"""Checks of chapter 3: flows, log-determinants, priors, bits per dimension, the depth collapse."""

from dicmor_lib.course.checks.chapter_03 import densities, layers

__all__ = ["densities", "layers"]
