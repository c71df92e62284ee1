"""Standardisation sees the training split's valid steps and nothing else."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from dicmor_lib.data import standardise
from dicmor_lib.data.dataset import MultimodalData, Split
from dicmor_lib.data.readers import read
from dicmor_lib.data.standardise import Standardiser
from dicmor_lib.errors import DataError, ShapeError


def make_data(counts: tuple = (40, 10, 10), offset: float = 3.0, scale: float = 5.0) -> MultimodalData:
    """Sequences of random length with mean `offset` and standard deviation `scale`; some not observed."""
    rng = np.random.default_rng(0)
    splits = []
    for count in counts:
        lengths = rng.integers(1, 8, (count, 3))
        lengths[rng.random((count, 3)) < 0.2] = 0
        features = []
        for m, dim in enumerate((4, 3, 2)):
            x = rng.normal(offset, scale, (count, 7, dim)).astype(np.float32)
            x[np.arange(7) >= lengths[:, m, None]] = 0
            features.append(x)
        labels = np.zeros(count, np.float32)
        splits.append(Split(tuple(features), lengths, lengths > 0, labels, [str(i) for i in range(count)]))
    return MultimodalData(*splits, source="test", sha256="0" * 64)


def valid_steps(split: Split, modality: int) -> np.ndarray:
    x = split.features[modality]
    return x[np.arange(x.shape[1]) < split.lengths[:, modality, None]]


def test_training_steps_get_mean_0_and_sd_1_and_padding_stays_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standardise, "CHUNK", 7)  # several chunks, the last one smaller
    data = make_data()
    before = [x.copy() for x in data.train.features]
    standard = Standardiser.fit(data).apply(data)
    for m in range(3):
        steps = valid_steps(standard.train, m).astype(np.float64)
        np.testing.assert_allclose(steps.mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(steps.std(0), 1, atol=1e-6)
        padding = np.arange(7) >= standard.train.lengths[:, m, None]
        assert not standard.train.features[m][padding].any()
        assert standard.train.features[m].dtype == np.float32
        np.testing.assert_array_equal(data.train.features[m], before[m])
    expected = (valid_steps(data.test, 0) - valid_steps(data.train, 0).mean(0)) / valid_steps(
        data.train, 0
    ).std(0)
    np.testing.assert_allclose(valid_steps(standard.test, 0), expected, rtol=1e-4, atol=1e-4)
    assert standard.test.ids == data.test.ids and standard.source == data.source


def test_only_training_samples_count() -> None:
    data = make_data()
    fitted = Standardiser.fit(data).to_dict()
    for split in (data.valid, data.test):
        for x in split.features:
            x[:] = 1e6
    for m, x in enumerate(data.train.features):  # nor does what lies in the padding
        x[np.arange(7) >= data.train.lengths[:, m, None]] = np.nan
    assert Standardiser.fit(data).to_dict() == fitted


def test_constant_channels_become_zero_and_small_variation_is_kept() -> None:
    data = make_data(offset=0.0, scale=1.0)
    language = data.train.features[0]
    valid = np.arange(7) < data.train.lengths[:, 0, None]
    language[..., 0][valid] = np.float32(0.1)
    language[..., 1] *= np.float32(1e-9)
    language[..., 2][valid] += np.float32(1e7)  # float32 keeps whole numbers there
    fitted = Standardiser.fit(data)
    assert fitted.sd[0][0] == 1 and 5e-10 < fitted.sd[0][1] < 2e-9
    standard = fitted.apply(data)
    assert np.abs(valid_steps(standard.train, 0)[:, 0]).max() < 1e-6
    np.testing.assert_allclose(valid_steps(standard.train, 0)[:, 1].std(), 1, atol=1e-3)
    assert np.isfinite(valid_steps(standard.train, 0)).all()


def test_huge_values_stay_finite_or_are_named() -> None:
    data = make_data()
    data.train.features[1][data.train.lengths[:, 1] > 0, 0, 2] = 3e38
    standard = Standardiser.fit(data).apply(data)
    assert all(np.isfinite(split.features[1]).all() for split in standard.splits.values())
    data = make_data(offset=0.0, scale=1e-15)
    data.test.features[2][data.test.lengths[:, 2] > 0, 0, 1] = 3e38
    with pytest.raises(DataError, match="channel 1 of vision"):
        Standardiser.fit(data, limit=None).apply(data)


def test_values_far_out_are_set_to_the_limit_and_counted() -> None:
    data = make_data()
    plain = Standardiser.fit(data, limit=None).apply(data)
    bounded = Standardiser.fit(data, limit=1.5)
    limited = bounded.apply(data)
    for split, before in zip(limited.splits.values(), plain.splits.values()):
        for x, raw, count in zip(split.features, before.features, bounded.clipped(split)):
            np.testing.assert_array_equal(x, raw.clip(-1.5, 1.5))
            assert count == (np.abs(raw) >= 1.5).sum() > 0
    assert Standardiser.fit(data, limit=None).clipped(plain.train) == (0, 0, 0)


def test_it_survives_json_exactly() -> None:
    fitted = Standardiser.fit(make_data())
    again = Standardiser.from_dict(json.loads(json.dumps(fitted.to_dict())))
    for ours, theirs in zip((*fitted.mean, *fitted.sd), (*again.mean, *again.sd)):
        np.testing.assert_array_equal(ours, theirs)
    assert again.feature_dims == (4, 3, 2) and again.limit == 10


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"mean": [[0.0]] * 3},
        {"mean": [[0.0]] * 2, "sd": [[1.0]] * 2, "limit": None},
        {"mean": [[0.0]] * 3, "sd": [[1.0], [1.0], [0.0]], "limit": 3},
        {"mean": [[0.0], [float("nan")], [0.0]], "sd": [[1.0]] * 3},
        {"mean": [[0.0, 1.0], [0.0], [0.0]], "sd": [[1.0]] * 3},
        {"mean": "abc", "sd": [[1.0]] * 3},
        {"mean": [[[0.0]]] * 3, "sd": [[1.0]] * 3},
        {"mean": 3, "sd": None},
        {"mean": [[0.0]] * 3, "sd": [[1.0]] * 3},
        {"mean": [[0.0]] * 3, "sd": [[1.0]] * 3, "limit": 0},
        {"mean": [[0.0]] * 3, "sd": [[1.0]] * 3, "limit": "x"},
    ],
)
def test_damaged_json_is_refused(values: dict) -> None:
    with pytest.raises(DataError, match="standardiser"):
        Standardiser.from_dict(values)


def test_other_channels_are_refused() -> None:
    data, fitted = make_data(), Standardiser.fit(make_data())
    wrong = data.test.select(np.arange(3))
    wrong.features = (wrong.features[0][..., :2], *wrong.features[1:])
    with pytest.raises(ShapeError, match=r"\(2, 3, 2\) channels"):
        fitted.apply_split(wrong)


def test_a_modality_that_never_occurs(mmsa_content: Any, write_pickle: Any) -> None:
    for split in mmsa_content.values():
        split["audio"][:] = 0
    data = read(write_pickle(mmsa_content))
    fitted = Standardiser.fit(data)
    assert (fitted.mean[1] == 0).all() and (fitted.sd[1] == 1).all()
    assert not fitted.apply(data).train.features[1].any()
