"""Data: safe readers, the synthetic oracle, seeded masks of what is missing, and batches."""

from dicmor_lib.data.check import CheckReport, check_file, render
from dicmor_lib.data.dataset import Batch, MultimodalData, Split, batches, collate
from dicmor_lib.data.missingness import fixed_masks, mask_hash, missing_masks
from dicmor_lib.data.mixing import mix_in
from dicmor_lib.data.oracle import Oracle
from dicmor_lib.data.readers import read
from dicmor_lib.data.report import ReadReport
from dicmor_lib.data.safe_npz import write_npz
from dicmor_lib.data.standardise import Standardiser

__all__ = [
    "Batch",
    "CheckReport",
    "MultimodalData",
    "Oracle",
    "ReadReport",
    "Split",
    "Standardiser",
    "batches",
    "check_file",
    "collate",
    "fixed_masks",
    "mask_hash",
    "missing_masks",
    "mix_in",
    "read",
    "render",
    "write_npz",
]
