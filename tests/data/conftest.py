"""Small data files in the layouts of the real ones, written afresh for each test."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DIMS = {"text": 6, "audio": 4, "vision": 5}
SIZES = {"train": 8, "valid": 3, "test": 4}


@pytest.fixture
def mmsa_content() -> dict[str, dict[str, Any]]:
    """The content of an MMSA pickle: T = 7, no zero step at all, labels on both sides of 0."""
    rng = np.random.default_rng(7)
    content = {}
    for split, count in SIZES.items():
        content[split] = {
            key: rng.uniform(0.5, 2.0, (count, 7, dim)).astype(np.float32) for key, dim in DIMS.items()
        }
        content[split]["raw_text"] = np.array([f"words {i}" for i in range(count)])
        content[split]["id"] = [f"{split}$_${i}" for i in range(count)]
        content[split]["annotations"] = ["Positive"] * count
        content[split]["audio_lengths"] = [7] * count
        content[split]["vision_lengths"] = [7] * count
        content[split]["text_bert"] = rng.integers(0, 100, (count, 3, 7)).astype(np.float32)
        content[split]["regression_labels"] = np.linspace(-3, 3, count, dtype=np.float32)
        content[split]["classification_labels"] = np.zeros(count, np.float32)
    return content


@pytest.fixture
def write_pickle(tmp_path: Path) -> Callable[..., Path]:
    """`write_pickle(content, protocol=4, name="data.pkl")` gives the path of the written file."""

    def write(content: object, protocol: int = 4, name: str = "data.pkl") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
        return path

    return write
