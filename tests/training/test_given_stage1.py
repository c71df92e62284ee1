"""Stage 2 on a given stage 1: shared weights bit for bit, noted, kept in the folder, and resumed exactly."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
import torch

from dicmor_lib.errors import CheckpointError, ConfigError
from dicmor_lib.training import fit, load_checkpoint
from dicmor_lib.training.checkpoint import read_state
from dicmor_lib.training.given_stage1 import SHARED, weights_hash

VARIANTS = [{}, {"transfer": "copy"}, {"recovery": "none"}, {"prior_classes": 1, "mixing": "none"}]
PUBLISHED = {"honour_lengths": False, "two_source_merge": "data_conv", "shallow_gradient": False}


@pytest.fixture(scope="module")
def stage1(kit, data, tmp_path_factory):
    """A run of stage 1 alone: folder."""
    folder = tmp_path_factory.mktemp("stage1") / "run"
    kit.train(data, kit.settings(stage2_epochs=0), out=folder)
    return folder


def shared(weights):
    return {name: value for name, value in weights.items() if name.startswith(SHARED)}


def shallow(weights):
    return {name: value for name, value in weights.items() if name.startswith("shallow.")}


@pytest.mark.parametrize("changes", [*VARIANTS, PUBLISHED])
def test_every_variant_has_the_same_shallow_features_bit_for_bit(kit, data, stage1, tmp_path, changes):
    model = kit.make_model(**changes)
    history = fit(model, data, kit.settings(), tmp_path, progress=False, stage1=stage1)
    given = read_state(stage1, "stage1")[1]["model"]
    for which in ("best", "last", "stage1"):
        assert kit.identical(shallow(given), shallow(read_state(tmp_path, which)[1]["model"]))
    assert kit.identical(shared(given), shared(read_state(tmp_path, "stage1")[1]["model"]))
    assert not kit.identical(shared(given), shared(model.state_dict())), "stage 2 trains the fusion"
    assert {row["stage"] for row in history.rows} == {2} and len(history.rows) == 2


def test_what_stage_1_does_not_train_comes_from_the_models_own_seed(kit, data, stage1, tmp_path):
    begun = kit.make_model(5)
    fit(kit.make_model(5), data, kit.settings(stage2_epochs=1), tmp_path, progress=False, stage1=stage1)
    kept = read_state(tmp_path, "stage1")[1]["model"]  # as stage 2 began
    own = {name: value for name, value in begun.state_dict().items() if not name.startswith(SHARED)}
    assert own and all(torch.equal(kept[name], value) for name, value in own.items())


def test_it_goes_on_exactly_as_one_run_of_both_stages(kit, data, stage1, tmp_path):
    """Given its own stage 1, stage 2 ends with the weights of an undivided run."""
    whole, _ = kit.train(data, kit.settings())
    model = kit.make_model()
    fit(model, data, kit.settings(), progress=False, stage1=stage1)
    assert kit.identical(whole, model)
    again = kit.make_model()
    fit(again, data, kit.settings(), progress=False, stage1=read_state(stage1, "stage1")[1]["model"])
    assert kit.identical(whole, again), "weights in memory do as well as a folder"


def test_it_is_noted_in_the_configuration(kit, data, stage1, tmp_path):
    fit(kit.make_model(), data, kit.settings(), tmp_path, progress=False, stage1=stage1)
    noted = json.loads((tmp_path / "config.json").read_text())["data"]["stage1"]
    weights = shared(read_state(stage1, "stage1")[1]["model"])
    assert noted == {"source": str(stage1), "sha256": weights_hash(weights)}
    name = next(iter(weights))
    changed = {**weights, name: weights[name] + 1e-7}
    assert weights_hash(changed) != noted["sha256"]
    assert json.loads((stage1 / "config.json").read_text())["data"]["stage1"] is None


@pytest.mark.parametrize("again", [True, False])
def test_an_interrupted_run_ends_with_the_same_weights(kit, data, stage1, tmp_path, again):
    """Also if the stage 1 is not given again: the folder holds what is needed."""

    def stop(row):
        raise KeyboardInterrupt

    config = kit.settings(stage2_epochs=3)
    whole = kit.make_model()
    fit(whole, data, config, progress=False, stage1=stage1)
    with pytest.raises(KeyboardInterrupt):
        fit(kit.make_model(), data, config, tmp_path, progress=False, callback=stop, stage1=stage1)
    model = kit.make_model(9)  # what it starts from is replaced
    history = fit(model, data, config, tmp_path, True, False, stage1=stage1 if again else None)
    assert kit.identical(whole, model) and kit.identical(whole, load_checkpoint(tmp_path)[0])
    assert [row["epoch"] for row in history.rows] == [1, 2, 3]
    assert json.loads((tmp_path / "config.json").read_text())["data"]["stage1"]["source"] == str(stage1)


def test_a_run_killed_before_its_first_checkpoint_wants_the_stage_1_again(kit, data, stage1, tmp_path):
    config, folder = kit.settings(), tmp_path / "run"
    whole = kit.make_model()
    fit(whole, data, config, folder, progress=False, stage1=stage1)
    for name in ("last", "previous", "best", "stage1"):
        shutil.rmtree(folder / name)
    with pytest.raises(
        CheckpointError, match="was started with the stage 1 of .*, and none is given; resume it"
    ):
        fit(kit.make_model(), data, config, folder, True, False)
    model = kit.make_model()
    fit(model, data, config, folder, True, False, stage1=stage1)
    assert kit.identical(whole, model)


def test_it_keeps_the_shallow_features_where_complete_clips_are_few(kit, data, stage1):
    """Without a stage 1, C^m would train in stage 2 on such data; with a given one it must not."""
    train = data.train
    observed, lengths = train.observed.copy(), train.lengths.copy()
    observed[:, 2], lengths[:, 2] = False, 0
    few = data.replace_splits({"train": dataclasses.replace(train, observed=observed, lengths=lengths)})
    config = kit.settings(standardise=False, stage2_epochs=1)
    weights = read_state(stage1, "stage1")[1]["model"]
    model = kit.make_model()
    fit(model, few, config, progress=False, stage1=weights)
    assert kit.identical(shallow(weights), shallow(model.state_dict()))


def test_what_does_not_fit_is_refused_in_one_sentence(kit, data, stage1, tmp_path):
    config = kit.settings()
    with pytest.raises(CheckpointError, match="does not fit this model .* is .* there, .* here"):
        fit(kit.make_model(hidden=12), data, config, progress=False, stage1=stage1)
    with pytest.raises(ConfigError, match="features in other units"):
        fit(kit.make_model(), data, kit.settings(standardise=False), progress=False, stage1=stage1)
    with pytest.raises(ConfigError, match="stage2_epochs must be above 0"):
        fit(kit.make_model(), data, kit.settings(stage2_epochs=0), progress=False, stage1=stage1)
    with pytest.raises(CheckpointError, match="holds no training run"):
        fit(kit.make_model(), data, config, progress=False, stage1=tmp_path / "nowhere")
    own = tmp_path / "own"
    kit.train(data, config, out=own)
    with pytest.raises(CheckpointError, match="started with a stage 1 of its own, and that of .* has other"):
        fit(kit.make_model(), data, config, own, True, False, stage1=stage1)
    given = tmp_path / "given"
    fit(kit.make_model(), data, config, given, progress=False, stage1=stage1)
    other = {name: value + 1 for name, value in read_state(stage1, "stage1")[1]["model"].items()}
    with pytest.raises(CheckpointError, match="started with the stage 1 of .* has other weights"):
        fit(kit.make_model(), data, config, given, True, False, stage1=other)
