"""What a run leaves on disk, and what reading it back refuses."""

from __future__ import annotations

import json

import pytest
import torch

from dicmor_lib.errors import CheckpointError
from dicmor_lib.training import load_checkpoint
from dicmor_lib.training.checkpoint import read_config, read_state


@pytest.fixture(scope="module")
def run(kit, data, tmp_path_factory):
    """A finished run: (folder, model, history)."""
    folder = tmp_path_factory.mktemp("run") / "räum lich"
    model, history = kit.train(data, kit.settings(), out=folder, origin={"path": "somewhere"})
    return folder, model, history


def test_layout(run):
    folder, _, _ = run
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    expected = {"config.json", "metrics.csv", "best/model.safetensors", "best/state.json"}
    expected |= {"stage1/model.safetensors", "stage1/state.json"}
    for name in ("last", "previous"):
        expected |= {f"{name}/model.safetensors", f"{name}/optimiser.safetensors", f"{name}/state.json"}
    assert expected <= files
    assert all(name.startswith("tensorboard/events") for name in files - expected)


def test_best_is_the_model_that_fit_returns(run, kit, data):
    folder, model, history = run
    loaded, info = load_checkpoint(folder)
    assert kit.identical(model, loaded) and not loaded.training
    assert info.state["epoch"] == history.best(2)["epoch"]
    assert info.state["valid_mae"] == history.best(2)["valid_mae"]
    assert info.train_config == kit.settings() and info.model_config == model.config
    assert info.data["source"] == data.source and info.data["sha256"] == data.sha256
    assert info.data["path"] == "somewhere" and info.data["synthetic"] is True
    assert load_checkpoint(folder, "stage1")[1].state["stage"] == 1


def test_the_standardiser_is_stored_exactly(run, data):
    from dicmor_lib.data.standardise import Standardiser

    stored, fitted = load_checkpoint(run[0])[1].standardiser, Standardiser.fit(data.train)
    assert all((a == b).all() for a, b in zip(stored.mean + stored.sd, fitted.mean + fitted.sd))


def copy(run, tmp_path):
    import shutil

    return shutil.copytree(run[0], tmp_path / "copy")


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("best/model.safetensors", lambda b: b[:-5]),
        ("best/model.safetensors", lambda b: b[:2000] + bytes([b[2000] ^ 1]) + b[2001:]),
        ("best/model.safetensors", lambda b: b""),
        ("best/state.json", lambda b: b.replace(b'"epoch": ', b'"epoch": 1')),
        ("best/state.json", lambda b: b[: len(b) // 2]),
        ("best/state.json", lambda b: b"[1, 2]"),
        ("best/state.json", lambda b: b"\xff\xfe"),
        ("config.json", lambda b: b[:100]),
        ("config.json", lambda b: b.replace(b'"hidden": 8', b'"hidden": 7')),
        ("config.json", lambda b: b.replace(b'"format": 1', b'"format": 99')),
        ("config.json", lambda b: b"null"),
    ],
)
def test_damage_is_one_clear_sentence(run, tmp_path, file, damage):
    folder = copy(run, tmp_path)
    content = (folder / file).read_bytes()
    assert damage(content) != content
    (folder / file).write_bytes(damage(content))
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(folder)
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


def test_a_missing_file_or_folder_is_one_clear_sentence(run, tmp_path):
    folder = copy(run, tmp_path)
    (folder / "best" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="damaged: No such file"):
        load_checkpoint(folder)
    with pytest.raises(CheckpointError, match="holds no training run"):
        load_checkpoint(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="no checkpoint called 'worst'"):
        load_checkpoint(folder, "worst")
    for name in ("best", "stage1", "last", "previous"):
        (folder / name).rename(folder / f"gone-{name}")
    with pytest.raises(CheckpointError, match="it holds none"):
        load_checkpoint(folder)


def test_weights_of_another_model_are_refused(run, tmp_path):
    folder = copy(run, tmp_path)
    content = json.loads((folder / "config.json").read_text())
    content["model"]["flow_layers"] = 3
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="belong to another model"):
        load_checkpoint(folder)


def test_nothing_executable_and_no_shared_memory(run):
    folder, model, _ = run
    state, tensors = read_state(folder, "last")
    assert set(tensors) == {"model", "optimiser"} and set(tensors["model"]) == set(model.state_dict())
    assert all(isinstance(value, torch.Tensor) for part in tensors.values() for value in part.values())
    assert read_config(folder)[0] == model.config and state["stage"] == 2
