"""A small data file, as far as the reader can tell a real one."""

from __future__ import annotations

from dicmor_lib.data.oracle import Oracle


def mmsa(sizes=(40, 16, 16), seed=0) -> dict:
    """The oracle's clips in the layout of an MMSA pickle."""
    data = Oracle(dims=(4, 3, 3), time=6, mean_length=4, sizes=sizes).dataset(seed)
    return {
        name: {
            "text": split.features[0],
            "audio": split.features[1],
            "vision": split.features[2],
            "regression_labels": split.labels,
            "id": list(split.ids),
        }
        for name, split in data.splits.items()
    }
