"""The flow's inverse error is measured on validation clips after each epoch, reported, and stops what it must."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from dicmor_lib.data.dataset import collate
from dicmor_lib.errors import TrainingError
from dicmor_lib.modalities import MODALITIES
from dicmor_lib.training import fit, inverse
from dicmor_lib.training.engine import launch
from dicmor_lib.training.inverse import inverse_errors, inverse_warning


@pytest.fixture
def engine(kit):
    return launch(kit.settings())


def with_scales(kit, **changes):
    """A model whose flows do something: new ones are the identity."""
    model = kit.make_model(**changes)
    for name, parameter in model.flow.named_parameters():
        if ".last." in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def test_it_is_the_largest_difference(kit, data, engine):
    model = with_scales(kit)
    found = inverse_errors(model, data.valid, engine)
    assert model.training and list(found) == [f"inverse_error_{name}" for name in MODALITIES]
    model.eval()
    batch = collate(data.valid, range(16))
    with torch.no_grad():
        x = model.shallow_features(batch.features, batch.lengths)
        mask = model.step_mask(batch.lengths, x.shape[2])
        back = model.flow.inverse(model.flow(x * mask[..., None], mask)[0], mask)
    for m, value in enumerate(found.values()):
        expected = 0.0
        for clip in range(16):
            valid = slice(0, int(batch.lengths[clip, m]))
            expected = max(expected, float((back - x)[m, clip, valid].abs().max()))
        assert value == pytest.approx(expected / max(1.0, float((x * mask[..., None])[m].abs().max())))
        assert 0 < value < 1e-5


def test_an_inverse_that_is_wrong_is_seen(kit, data, engine, monkeypatch):
    model = with_scales(kit)
    whole = model.flow.inverse
    off = torch.tensor([0.0, 0.25, 0.0])[:, None, None, None]
    monkeypatch.setattr(model.flow, "inverse", lambda z, mask: whole(z, mask) + off * mask[..., None])
    found = inverse_errors(model, data.valid, engine)
    assert found["inverse_error_audio"] > 0.05 > 1e-5 > found["inverse_error_language"]
    told = inverse_warning({"stage": 2, "epoch": 4, **found})
    assert "in epoch 4 of stage 2 the inverse of the flow of audio misses its input" in told
    assert inverse_warning({"stage": 2, "epoch": 4, "inverse_error_audio": 1e-6}) is None
    assert inverse_warning({"stage": 1, "epoch": 4}) is None
    off[2] = float("nan")
    with pytest.raises(
        TrainingError, match="the inverse of the flow of vision does not return finite features"
    ):
        inverse_errors(model, data.valid, engine)


def test_what_is_not_observed_is_neither_read_nor_reported(kit, data, engine):
    observed = np.tile([True, True, False], (16, 1))
    nan = np.full_like(data.valid.features[2], np.nan)
    split = dataclasses.replace(
        data.valid,
        features=(*data.valid.features[:2], nan),
        observed=observed,
        lengths=data.valid.lengths * observed,
    )
    found = inverse_errors(with_scales(kit), split, engine)
    assert list(found) == ["inverse_error_language", "inverse_error_audio"]
    assert all(np.isfinite(value) for value in found.values())


def test_a_large_split_is_sampled_evenly(kit, data, engine, monkeypatch):
    taken = []
    monkeypatch.setattr(inverse, "CLIPS", 4)
    monkeypatch.setattr(inverse, "collate", lambda split, index: taken.append(index) or collate(split, index))
    inverse_errors(kit.make_model(), data.valid, engine)
    assert taken[0].tolist() == [0, 5, 10, 15]


def test_a_run_reports_it_and_warns_once(kit, data, monkeypatch):
    _, history = kit.train(data, kit.settings())
    for name in MODALITIES:
        assert len(history.column(f"inverse_error_{name}", 2)) == 2
        assert history.column(f"inverse_error_{name}", 1) == []
    assert history.notices == []
    monkeypatch.setattr(inverse, "LARGE", 0.0)
    notices = kit.train(data, kit.settings())[1].notices
    assert len(notices) == 1 and "in epoch 1 of stage 2 the inverse of the flow of" in notices[0]


def test_it_changes_nothing_that_is_trained(kit, data, monkeypatch):
    from dicmor_lib.training import stage

    first, _ = kit.train(data, kit.settings())
    monkeypatch.setattr(stage, "inverse_errors", lambda *_: {})
    assert kit.identical(first, kit.train(data, kit.settings())[0])


def test_it_stays_in_float32_under_bf16(kit, data):
    history = fit(with_scales(kit), data, kit.settings(precision="bf16-mixed"), progress=False)
    assert max(history.column("inverse_error_audio")) < 1e-5
