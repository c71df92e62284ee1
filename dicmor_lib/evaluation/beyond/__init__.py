"""Beyond the paper: the joint prior measured beside DiCMoR, ridge and the Gaussian conditional (chapter 12)."""

from dicmor_lib.evaluation.beyond.results import Found, Results, read_results
from dicmor_lib.evaluation.beyond.setting import Setting

__all__ = ["Found", "Results", "Setting", "read_results"]
