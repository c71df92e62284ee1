"""Comparing data sets value by value, wherever their features lie."""

from __future__ import annotations

import numpy as np

from dicmor_lib.data.dataset import MultimodalData, Split


def assert_same_split(ours: Split, theirs: Split) -> None:
    """Every field is equal; features on disk are read."""
    assert ours.ids == theirs.ids
    for name in ("lengths", "observed", "labels"):
        one, two = getattr(ours, name), getattr(theirs, name)
        np.testing.assert_array_equal(one, two)
        assert one.dtype == two.dtype
    assert (ours.tokens is None) == (theirs.tokens is None)
    if ours.tokens is not None:
        np.testing.assert_array_equal(ours.tokens, theirs.tokens)
        assert ours.tokens.dtype == theirs.tokens.dtype
    for one, two in zip(ours.features, theirs.features, strict=True):
        assert one.shape == two.shape and one.dtype == two.dtype == np.float32
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two))


def assert_same_data(ours: MultimodalData, theirs: MultimodalData) -> None:
    """Every split, the report and the identity are equal."""
    for name in ("source", "sha256", "synthetic", "report", "feature_dims", "language"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name, split in ours.splits.items():
        assert_same_split(split, theirs.splits[name])
