"""`dicmor convert-checkpoint`: from a published .pth file to a folder that `load_checkpoint` reads."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch

from dicmor_lib import DiCMoRConfig, available_mask, load_published
from dicmor_lib.cli import main
from dicmor_lib.commands.convert_checkpoint import convert
from dicmor_lib.errors import CheckpointError
from dicmor_lib.training import load_checkpoint
from tests.published_state import published_state

DIMS = (30, 4, 6)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Random weights under published names: complete data of both presets, and MOSI with every group."""
    folder = tmp_path_factory.mktemp("published")
    states = {
        "mosi": published_state(DiCMoRConfig.mosi(DIMS, published=True), complete_data=True),
        "mosei": published_state(DiCMoRConfig.mosei(DIMS, published=True), complete_data=True),
        "whole": published_state(DiCMoRConfig.mosi(DIMS, published=True)),
    }
    for name, state in states.items():
        torch.save({f"Model.{k}": v for k, v in state.items()}, folder / f"{name}.pth")
    return folder


def outputs(model, pattern):
    features = [torch.randn(2, 9, d, generator=torch.Generator().manual_seed(d)) for d in DIMS]
    with torch.no_grad():
        return model(features, available_mask(pattern, 2))


@pytest.mark.parametrize("preset", ("mosi", "mosei"))
def test_preset_and_dimensions_are_inferred_and_the_model_is_the_same(checkpoints, tmp_path, capsys, preset):
    assert main(["convert-checkpoint", str(checkpoints / f"{preset}.pth"), str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert f"{preset} as published, feature dimensions: language 30, audio 4, vision 6" in told
    assert "published parameters loaded" in told and "freshly initialised: flow, prior, rec, cat" in told
    assert "note: the groups flow, prior, rec, cat are random numbers" in told
    model, info = load_checkpoint(tmp_path / "out")
    config = DiCMoRConfig.preset(preset, DIMS, published=True)
    assert model.config == info.model_config == config and not model.training
    plain = load_published(checkpoints / f"{preset}.pth", config)
    assert torch.equal(outputs(model, "lav").prediction, outputs(plain, "lav").prediction)


def test_what_the_folder_says(checkpoints, tmp_path):
    convert(checkpoints / "mosi.pth", tmp_path / "out")
    _, info = load_checkpoint(tmp_path / "out")
    assert info.data["source"] == "converted from the published checkpoint mosi.pth"
    assert info.data["sha256"] == hashlib.sha256((checkpoints / "mosi.pth").read_bytes()).hexdigest()
    assert info.data["feature_dims"] == list(DIMS) and info.data["converted"] is True
    assert (
        info.standardiser is None and not info.train_config.standardise
    )  # the published code reads raw features
    assert info.train_config.protocol == "dicmor" and info.state["stage"] == 1
    content = {
        path.relative_to(tmp_path / "out").as_posix()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert content == {"config.json"} | {
        f"{w}/{f}" for w in ("best", "stage1") for f in ("model.safetensors", "state.json")
    }
    json.loads((tmp_path / "out" / "config.json").read_text())


def test_complete_data_weights_are_a_stage_one_model_too(checkpoints, tmp_path):
    convert(checkpoints / "mosi.pth", tmp_path / "out")
    best, stage1 = (load_checkpoint(tmp_path / "out", which)[0] for which in ("best", "stage1"))
    assert torch.equal(outputs(best, "lav").prediction, outputs(stage1, "lav").prediction)


def test_a_whole_checkpoint_keeps_its_recovery(checkpoints, tmp_path, capsys):
    assert main(["convert-checkpoint", str(checkpoints / "whole.pth"), str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "initialised" not in told and "random numbers" not in told
    model, info = load_checkpoint(tmp_path / "out")
    plain = load_published(checkpoints / "whole.pth", model.config)
    for field in ("prediction", "recovered"):
        assert torch.equal(getattr(outputs(model, "av"), field), getattr(outputs(plain, "av"), field))
    assert info.state["stage"] == 2 and not (tmp_path / "out" / "stage1").exists()


def test_what_is_initialised_comes_from_the_seed_and_leaves_the_caller_alone(checkpoints, tmp_path):
    torch.manual_seed(11)
    expected = torch.rand(3)
    weights = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(11)
        convert(checkpoints / "mosi.pth", tmp_path / name, seed)
        assert torch.equal(torch.rand(3), expected)
        weights.append(load_checkpoint(tmp_path / name)[0].recovery.up.weight)
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def failure(capsys, *args) -> str:
    assert main(["convert-checkpoint", *map(str, args)]) == 2
    caught = capsys.readouterr()
    assert caught.out == "" and caught.err.startswith("dicmor: ") and caught.err.count("\n") == 1
    return caught.err


def test_mistakes_are_told_in_one_sentence(checkpoints, tmp_path, capsys):
    assert "there is no published checkpoint at" in failure(capsys, tmp_path / "none.pth", tmp_path / "x")
    (tmp_path / "text.pth").write_text("hello")
    assert "not a file of weights only" in failure(capsys, tmp_path / "text.pth", tmp_path / "x")
    torch.save({"other.weight": torch.zeros(2)}, tmp_path / "other.pth")
    assert "has no convolution proj_l.weight" in failure(capsys, tmp_path / "other.pth", tmp_path / "x")
    torch.save({f"proj_{m}.weight": torch.zeros(40, 3, 5) for m in "lav"}, tmp_path / "wide.pth")
    assert "has 40 outputs; the published models have 32 (mosi) or 64 (mosei)" in failure(
        capsys, tmp_path / "wide.pth", tmp_path / "x"
    )
    torch.save({f"proj_{m}.weight": torch.zeros(32, 3, 5) for m in "lav"}, tmp_path / "part.pth")
    assert "lacks trans_l_with_a.layers.0" in failure(capsys, tmp_path / "part.pth", tmp_path / "x")
    assert not (tmp_path / "x").exists()  # nothing is left behind


def test_a_run_is_never_overwritten(checkpoints, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    assert "already holds a training run; choose another folder" in failure(
        capsys, checkpoints / "mosi.pth", tmp_path / "run"
    )
    assert (tmp_path / "run" / "config.json").read_text() == "{}"


def test_a_place_that_cannot_be_written(checkpoints, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write"):
        convert(checkpoints / "mosi.pth", tmp_path / "file" / "out")
