"""The trained model of the chapters: shipped for the oracle, trained on the spot for a learner's file."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from dicmor_lib.course import course_model
from dicmor_lib.course.trained import EPOCHS
from dicmor_lib.data import collate
from dicmor_lib.errors import ConfigError, DataError
from tests.mmsa import mmsa


def test_the_shipped_model_predicts_and_recovers_better_than_a_constant():
    course = course_model()
    assert course.oracle is not None and course.clips.synthetic
    test = course.clips.test
    batch = collate(test, np.arange(len(test)))
    with torch.no_grad():
        out = course.model(batch.features, batch.observed, batch.lengths)
    error = (out.prediction - batch.label).abs().mean()
    assert error < 0.75 * (batch.label - batch.label.median()).abs().mean()


def test_both_stages_share_the_shallow_convolution():
    course = course_model()
    for ours, theirs in zip(course.model.shallow.parameters(), course.stage1.shallow.parameters()):
        assert torch.equal(ours, theirs)


def test_clips_are_the_raw_data_standardised():
    course = course_model()
    again = course.standardiser.apply_split(course.raw.test)
    np.testing.assert_array_equal(again.features[0], course.clips.test.features[0])
    assert abs(course.clips.train.features[1][course.clips.train.features[1] != 0].mean()) < 0.02


def test_a_file_is_trained_on_the_spot(tmp_path, monkeypatch):
    monkeypatch.setitem(EPOCHS, "fast", (1, 1))
    path = tmp_path / "clips.pkl"
    path.write_bytes(pickle.dumps(mmsa(sizes=(24, 8, 8), seed=3)))
    course = course_model(str(path), "fast", seed=1)
    assert course.oracle is None and not course.clips.synthetic
    assert len(course.clips.train) == 24 and course.model.config.feature_dims == course.raw.feature_dims
    assert not course.model.training


def test_a_wrong_profile_or_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="profile is 'quick'"):
        course_model(profile="quick")
    with pytest.raises(DataError, match="nowhere.pkl"):
        course_model(str(tmp_path / "nowhere.pkl"))
