"""Validation sees what is available and nothing else, and its numbers are those of the metrics."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from dicmor_lib import PATTERNS, available_mask
from dicmor_lib.data.dataset import collate
from dicmor_lib.evaluation.metrics import sentiment_metrics
from dicmor_lib.modalities import pattern_mask
from dicmor_lib.training import validation
from dicmor_lib.training.engine import launch
from dicmor_lib.training.validation import predict_patterns, validate


@pytest.fixture
def engine(kit):
    return launch(kit.settings())


def test_predictions_equal_those_of_the_model(kit, data, engine, monkeypatch):
    model = kit.make_model()
    monkeypatch.setattr(validation, "ROWS", 50)  # several passes
    found = predict_patterns(model, data.valid, PATTERNS, engine)
    assert model.training  # left as it was
    batch = collate(data.valid, range(16))
    model.eval()
    for pattern, prediction in zip(PATTERNS, found):
        with torch.no_grad():
            expected = model(batch.features, available_mask(pattern, 16), batch.lengths).prediction
        np.testing.assert_allclose(prediction, expected.numpy(), atol=1e-6)


def test_what_is_missing_is_not_read(kit, data, engine):
    """NaN in every modality that a pattern lacks changes no bit of its predictions, nor do the labels."""
    model = kit.make_model()
    clean = predict_patterns(model, data.valid, PATTERNS, engine)
    for row, pattern in enumerate(PATTERNS):
        seen = pattern_mask(pattern)
        features = tuple(x if seen[m] else np.full_like(x, np.nan) for m, x in enumerate(data.valid.features))
        hidden = dataclasses.replace(data.valid, features=features, labels=np.zeros(16, np.float32))
        assert np.array_equal(predict_patterns(model, hidden, (pattern,), engine)[0], clean[row])


def test_the_selection_error_is_the_mean_over_patterns(kit, data, engine):
    model = kit.make_model()
    row = validate(model, data.valid, 2, engine)
    predictions = predict_patterns(model, data.valid, PATTERNS, engine)
    each = [sentiment_metrics(prediction, data.valid.labels) for prediction in predictions]
    assert row["valid_mae"] == pytest.approx(np.mean([metrics["mae"] for metrics in each]))
    for pattern, metrics in zip(PATTERNS, each):
        for name in ("mae", "acc2", "pearson"):
            assert row[f"valid_{name}_{pattern}"] == pytest.approx(metrics[name], nan_ok=True)
    assert validate(model, data.valid, 1, engine)["valid_mae"] == row["valid_mae_lav"]


def test_a_pattern_that_no_sample_has_is_left_out(kit, data, engine):
    observed = np.tile([True, True, False], (16, 1))
    split = dataclasses.replace(data.valid, observed=observed, lengths=data.valid.lengths * observed)
    row = validate(kit.make_model(), split, 2, engine)
    assert "valid_mae_v" not in row and row["valid_mae_av"] == row["valid_mae_a"]
    assert np.isfinite(row["valid_mae"])
