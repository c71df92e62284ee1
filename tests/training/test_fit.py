"""`fit`: what the two stages learn, and what cannot influence them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from dicmor_lib.data.dataset import Split
from dicmor_lib.errors import ConfigError, DataError, TrainingError
from dicmor_lib.modalities import PATTERNS


def with_unobserved(split: Split, fill: float, share: int = 3) -> Split:
    """The split with language not observed in every `share`-th sample, and `fill` where it was."""
    rows = np.arange(len(split)) % share == 0
    language = split.features[0].copy()
    language[rows] = fill
    observed, lengths = split.observed.copy(), split.lengths.copy()
    observed[rows, 0], lengths[rows, 0] = False, 0
    return dataclasses.replace(
        split, features=(language, *split.features[1:]), observed=observed, lengths=lengths
    )


def test_the_loss_falls_in_both_stages(kit, data):
    config = kit.settings(stage1_epochs=8, stage2_epochs=8, learning_rate=1e-2)
    model, history = kit.train(data, config)
    for stage in (1, 2):
        loss = history.column("loss", stage)
        assert len(loss) == 8 and loss[-1] < loss[0] - 0.05
        assert history.best(stage)["valid_mae"] == min(history.column("valid_mae", stage))
    nll = history.column("nll_audio", 2)
    assert nll[-1] < nll[0] and not model.training


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(kit, data):
    first, _ = kit.train(data, kit.settings())
    torch.rand(7)  # the global random state plays no part
    again, _ = kit.train(data, kit.settings())
    other, _ = kit.train(data, kit.settings(seed=1))
    assert kit.identical(first, again) and not kit.identical(first, other)


def test_the_training_seed_alone_matters_too(kit, data):
    """Equal initial weights, other order, masks and dropout."""
    from dicmor_lib.training import fit

    models = [kit.make_model(0), kit.make_model(0)]
    for seed, model in enumerate(models):
        fit(model, data, kit.settings(seed=seed), progress=False)
    assert not kit.identical(*models)


def test_the_global_random_state_is_given_back(kit, data):
    model = kit.make_model()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    from dicmor_lib.training import fit

    fit(model, data, kit.settings(stage1_epochs=1, stage2_epochs=0), progress=False)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("frozen", [True, False])
def test_stage_2_leaves_the_shallow_features_alone_if_told_to(kit, data, frozen):
    stage1, _ = kit.train(data, kit.settings(stage2_epochs=0))
    both, _ = kit.train(data, kit.settings(freeze_shallow=frozen))
    assert kit.identical(stage1.shallow, both.shallow) == frozen
    assert not kit.identical(stage1.fusion, both.fusion) and not kit.identical(stage1.flow, both.flow)
    assert all(parameter.requires_grad for parameter in both.parameters())


def test_stage_1_trains_shallow_features_and_fusion_only(kit, data):
    start, (end, _) = kit.make_model(), kit.train(data, kit.settings(stage2_epochs=0))
    assert kit.identical(start.flow, end.flow) and kit.identical(start.recovery, end.recovery)
    assert not kit.identical(start.shallow, end.shallow) and not kit.identical(start.fusion, end.fusion)


def test_the_published_model_trains_its_shallow_features_in_stage_1(kit, data):
    start = kit.make_model(shallow_gradient=False)
    from dicmor_lib.training import fit

    end = kit.make_model(shallow_gradient=False)
    fit(end, data, kit.settings(stage2_epochs=0), progress=False)
    assert not kit.identical(start.shallow, end.shallow) and end.shallow_gradient is False


def test_the_test_split_never_influences_training(kit, data, tmp_path):
    rng = np.random.default_rng(0)
    order = rng.permutation(len(data.test))
    test = dataclasses.replace(
        data.test,
        features=tuple(1e3 * x[rng.permutation(len(x))] for x in data.test.features),
        labels=data.test.labels[order],
    )
    _, first = kit.train(data, kit.settings(), out=tmp_path / "a")
    _, second = kit.train(dataclasses.replace(data, test=test), kit.settings(), out=tmp_path / "b")
    from dicmor_lib.training.checkpoint import read_state

    for name in ("best", "last", "stage1"):
        (state, tensors), (other_state, other) = (read_state(tmp_path / run, name) for run in "ab")
        assert state == other_state and all(kit.identical(tensors[part], other[part]) for part in tensors)
    assert (tmp_path / "a/config.json").read_text() == (tmp_path / "b/config.json").read_text()
    empty = dataclasses.replace(data, test=data.test.select(np.arange(0)))
    assert kit.identical(kit.train(empty, kit.settings())[0], kit.train(data, kit.settings())[0])


@pytest.mark.parametrize("valid_too", [False, True])
def test_unobserved_language_reaches_nothing(kit, data, valid_too):
    """Clips without language train together with those that have it; NaN in its place changes no bit."""
    models, losses = [], []
    for fill in (0.0, np.nan, 1e6):
        changed = {"train": with_unobserved(data.train, fill)}
        if valid_too:
            changed["valid"] = with_unobserved(data.valid, fill, share=2)
        model, history = kit.train(dataclasses.replace(data, **changed), kit.settings())
        models.append(model)
        losses.append([{k: v for k, v in row.items() if "second" not in k} for row in history.rows])
    assert kit.identical(models[0], models[1]) and kit.identical(models[0], models[2])
    assert losses[0] == losses[1] == losses[2]
    assert not kit.identical(models[0], kit.train(data, kit.settings())[0])


def test_without_complete_samples_stage_1_is_skipped_and_the_shallow_features_train_later(kit, data):
    incomplete = dataclasses.replace(data, train=with_unobserved(data.train, 0.0, share=1))
    start = kit.make_model()
    model, history = kit.train(incomplete, kit.settings(freeze_shallow=True))
    assert [row["stage"] for row in history.rows] == [2, 2]
    assert "stage 1 is skipped: only 0" in history.notices[0]
    assert not kit.identical(start.shallow, model.shallow)


def test_a_held_out_validation_split_is_said_aloud(kit, data):
    without = dataclasses.replace(data, valid=data.valid.select(np.arange(0)))
    _, history = kit.train(without, kit.settings())
    assert "5 of 48 training samples" in history.notices[0] and "held out" in history.notices[0]


@pytest.fixture
def planned(monkeypatch):
    """Let the validation errors be those of a list."""
    from dicmor_lib.training import stage

    def plan(*errors):
        left = iter(errors)
        monkeypatch.setattr(stage, "validate", lambda *_: {"valid_mae": next(left)})

    return plan


def test_early_stopping_is_by_the_validation_error(kit, data, planned):
    planned(0.9, 0.5, 0.6, 0.5, 0.7, 0.1)
    _, history = kit.train(data, kit.settings(stage1_epochs=30, stage2_epochs=0, patience=3))
    assert history.column("valid_mae") == [0.9, 0.5, 0.6, 0.5, 0.7]  # equal is not better
    assert history.best(1)["epoch"] == 2 and history.column("is_best") == [1, 1, 0, 0, 0]


def test_selection_returns_the_weights_of_the_best_epoch(kit, data, planned):
    """Stopping right after the best epoch gives the same model as going on and returning to it."""
    planned(0.9, 0.5, 0.6, 0.7)
    model, _ = kit.train(data, kit.settings(stage1_epochs=4, stage2_epochs=0))
    planned(0.9, 0.5)
    assert kit.identical(model, kit.train(data, kit.settings(stage1_epochs=2, stage2_epochs=0))[0])


def test_the_learning_rate_follows_the_validation_error(kit, data, planned):
    planned(0.9, 1.0, 1.0, 1.0)
    config = kit.settings(stage1_epochs=4, stage2_epochs=0, plateau_patience=1, plateau_factor=0.5)
    _, history = kit.train(data, config)
    assert history.column("learning_rate") == [3e-3, 3e-3, 3e-3, 1.5e-3]


def test_rows_hold_every_pattern_in_stage_2(kit, data):
    _, history = kit.train(data, kit.settings())
    first, last = history.rows[0], history.rows[-1]
    assert {f"valid_mae_{p}" for p in PATTERNS} <= set(last) and "valid_mae_l" not in first
    assert last["valid_mae"] == pytest.approx(np.mean([last[f"valid_mae_{p}"] for p in PATTERNS]))
    assert first["valid_mae"] == first["valid_mae_lav"]


@pytest.mark.parametrize("stage", [1, 2])
def test_non_finite_loss_is_named_and_the_checkpoint_stays(kit, data, tmp_path, stage):
    from dicmor_lib.training import load_checkpoint
    from dicmor_lib.training.checkpoint import read_state

    model = kit.make_model()

    def poison(row):
        if (row["stage"], row["epoch"]) == (stage, 1):
            for parameter in model.fusion.parameters():
                parameter.data.fill_(float("inf"))

    from dicmor_lib.training import fit

    with pytest.raises(TrainingError, match=f"'task' stopped being finite in stage {stage}, epoch 2, step 1"):
        fit(model, data, kit.settings(), out=tmp_path, progress=False, callback=poison)
    state, tensors = read_state(tmp_path, "last")
    assert (state["stage"], state["epoch"]) == (stage, 1)
    assert all(torch.isfinite(value).all() for value in tensors["model"].values())
    kit.train(data, kit.settings(), out=tmp_path, resume=True)
    assert load_checkpoint(tmp_path)[1].state["stage"] == 2


def test_what_does_not_fit_together_is_refused(kit, data):
    from dicmor_lib.training import fit

    with pytest.raises(ConfigError, match=r"\(4, 3, 9\) channels .* \(4, 3, 3\)"):
        fit(kit.make_model(dims=(4, 3, 9)), data, kit.settings(), progress=False)
    with pytest.raises(DataError, match="training split is empty"):
        kit.train(dataclasses.replace(data, train=data.train.select(np.arange(0))), kit.settings())
    with pytest.raises(DataError, match="no validation split and only 1"):
        alone = dataclasses.replace(data, train=data.train.select([0]), valid=data.valid.select(np.arange(0)))
        kit.train(alone, kit.settings())
    with pytest.raises(ConfigError, match="no whole step of 64"):
        kit.train(data, kit.settings(stage1_epochs=0, batch_size=64, drop_remainder=True))


def test_published_settings_run(kit, data):
    from dicmor_lib.training import TrainConfig, fit

    config = TrainConfig.preset("mosi", published=True, stage1_epochs=1, stage2_epochs=1, accelerator="cpu")
    model = kit.make_model(shallow_gradient=False, honour_lengths=False, mixing="none", clamp_nll=True)
    # as such files are read: everything is as long as T
    full = {
        name: dataclasses.replace(s, lengths=np.full_like(s.lengths, 6)) for name, s in data.splits.items()
    }
    history = fit(model, dataclasses.replace(data, **full), config, progress=False)
    assert [row["stage"] for row in history.rows] == [1, 2] and np.isfinite(history.rows[-1]["loss"])
