"""DiCMoR: recovering a missing modality with normalizing flows (Wang, Cui and Li, ICCV 2023)."""

from dicmor_lib.config import DiCMoRConfig
from dicmor_lib.modalities import LETTERS, MODALITIES, PATTERNS, available_mask, mask_pattern, pattern_mask
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
