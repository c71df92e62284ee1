"""What every user of a data set relies on, whatever was in its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dicmor_lib.data.dataset import MultimodalData
from dicmor_lib.data.readers import read
from dicmor_lib.errors import DicmorError


def assert_sound(data: MultimodalData) -> None:
    """Finite features that are 0 behind their lengths, labels in [-3, 3], something observed in every sample."""
    assert len(data.train) > 0
    for split in data.splits.values():
        assert len(split.ids) == len(split) and split.observed.any(axis=1).all()
        assert np.abs(split.labels).max(initial=0) <= 3
        for m, x in enumerate(split.features):
            assert x.dtype == np.float32 and np.isfinite(x).all() and x.shape[2] == data.feature_dims[m]
            assert not x[np.arange(x.shape[1]) >= split.lengths[:, m, None]].any()
            assert ((split.lengths[:, m] > 0) == split.observed[:, m]).all()


def one_sentence(error: DicmorError) -> None:
    """A refusal fits one line of a terminal log and can be printed."""
    assert str(error).isprintable() and len(str(error)) < 700, str(error)


def read_or_refuse(path: Path) -> bool:
    """Whether the file was refused; what was read must be sound."""
    try:
        assert_sound(read(path))
    except DicmorError as error:
        one_sentence(error)
        return True
    return False
