"""A published checkpoint brings its own, tuned BERT: converted, it computes language from token ids."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from dicmor_lib import DiCMoRConfig
from dicmor_lib.cli import main
from dicmor_lib.data.readers import read
from dicmor_lib.errors import CheckpointError
from dicmor_lib.language import encode_language, load_encoder
from dicmor_lib.language.published import published_encoder
from tests.published_state import published_state


@pytest.fixture(scope="module")
def bert64(make_bert, tmp_path_factory):
    """The folder of a BERT with one head of the published size."""
    return make_bert(tmp_path_factory.mktemp("bert64") / "bert", hidden_size=64, num_attention_heads=1)


@pytest.fixture(scope="module")
def state(transformers, bert64):
    """Its parameters by their published names, the unused ones included."""
    weights = transformers.BertModel.from_pretrained(bert64).state_dict()
    weights["embeddings.position_ids"] = torch.arange(16)[None]
    return {f"text_model.model.{name}": value for name, value in weights.items()}


def test_the_bert_of_a_published_state(state, bert64):
    encoder = published_encoder(state, "here")
    assert encoder.fingerprint() == load_encoder(bert64).fingerprint() and not encoder.training
    assert published_encoder({"proj_l.weight": torch.zeros(3)}, "here") is None


def test_one_that_is_damaged(state):
    cut = {name: value for name, value in state.items() if "intermediate.dense.weight" not in name}
    with pytest.raises(CheckpointError, match="incomplete: it lacks .*intermediate.dense.weight"):
        published_encoder(cut, "here")
    cut = {name: value for name, value in state.items() if "layer.1.output.LayerNorm" not in name}
    with pytest.raises(CheckpointError, match="the BERT in here is damaged"):
        published_encoder(cut, "here")
    narrow = {name: value[..., :40] if value.dim() == 2 else value for name, value in state.items()}
    with pytest.raises(CheckpointError, match="40 channels, which heads of 64 do not divide"):
        published_encoder(narrow, "here")


def test_converted_and_applied_to_token_ids(state, bert64, file, tmp_path, capsys, monkeypatch):
    config = DiCMoRConfig.mosi((64, 3, 4), published=True)
    whole = {**published_state(config, complete_data=True), **state}
    torch.save({f"Model.{name}": value for name, value in whole.items()}, tmp_path / "in.pth")
    assert main(["convert-checkpoint", str(tmp_path / "in.pth"), str(tmp_path / "out")]) == 0
    assert f"its BERT is in {tmp_path / 'out' / 'bert'}" in capsys.readouterr().out
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    found = tmp_path / "found.npz"
    command = ["recover", str(moved), "--data", str(file), "--split", "test", "--pattern", "la"]
    assert main([*command, "--out", str(found), "--accelerator", "cpu", "--quiet"]) == 0
    from dicmor_lib.evaluation.passes import run_pass
    from dicmor_lib.training import load_checkpoint

    data = encode_language(read(file, published_layout=True), load_encoder(bert64))
    expected = run_pass(load_checkpoint(moved)[0], data.test, np.tile([True, True, False], (8, 1)))
    with np.load(found) as arrays:
        np.testing.assert_allclose(arrays["prediction"], expected.prediction, atol=1e-4)

    monkeypatch.setitem(sys.modules, "transformers", None)
    assert main(["convert-checkpoint", str(tmp_path / "in.pth"), str(tmp_path / "bare")]) == 0
    assert "its BERT is left out; to keep it, install transformers" in capsys.readouterr().out
    assert json.loads((tmp_path / "bare" / "config.json").read_text())["data"]["language"] is None
