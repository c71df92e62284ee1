"""Converting and training on a store needs little memory: measured from outside, in processes of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from dicmor_lib.bench.store import DIMS, STEPS, measure_store, write_pickle
from dicmor_lib.data.readers import read


def test_the_generated_file_has_the_shapes_of_mosei(tmp_path: Path) -> None:
    write_pickle(tmp_path / "data.pkl", 40)
    data = read(tmp_path / "data.pkl")
    assert [len(split) for split in data.splits.values()] == [29, 3, 8]
    assert data.feature_dims == tuple(DIMS.values()) == (768, 74, 35)
    assert data.train.features[0].shape == (29, STEPS, 768) and data.train.tokens.shape == (29, 3, STEPS)
    found = data.report.splits["train"].modalities[1]
    assert found.nonfinite == 3 and found.padding["front"] > 20 and found.stored_lengths_right > 0.9
    assert [path.name for path in tmp_path.iterdir()] == ["data.pkl"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status, which only Linux has")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """70 MB: holding the file or the arrays as well would be seen, beside a constant of about 60 MB.

    How much it is for a file of 4 GB is measured by the benchmark.
    """
    found = measure_store(tmp_path, clips=400, protocol=4, training_steps=1)
    assert 65 < found["file_mb"] < 75 and np.isfinite(found["train_loss"])
    assert found["convert_peak_mb"] - found["convert_start_mb"] < 1.3 * found["file_mb"]
    assert found["convert_anonymous_mb"] - found["train_start_anonymous_mb"] < 0.4 * found["file_mb"]
    assert found["train_open_cpu_s"] < 1
    assert found["train_open_anonymous_mb"] - found["train_start_anonymous_mb"] < 10
    # A batch of everything in turn holds nothing of it (activations of the step before are what is held then).
    assert found["train_pass_anonymous_mb"] - found["train_steps_anonymous_mb"] < 0.2 * found["file_mb"]
    assert list(tmp_path.iterdir()) == []
