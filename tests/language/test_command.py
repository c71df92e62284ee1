"""`dicmor train`, `evaluate` and `recover` on a file with token ids."""

from __future__ import annotations

import json
import pickle
import sys

import numpy as np
import pytest

from dicmor_lib.cli import main

SMALL = [
    *("--set", "hidden=8", "--set", "flow_width=8", "--set", "flow_layers=2", "--set", "rcab_width=8"),
    *("--set", "rcab_blocks=1", "--set", "heads=2", "--set", "fusion_layers=1"),
    *("--stage1-epochs", "1", "--stage2-epochs", "1", "--batch-size", "8", "--accelerator", "cpu"),
]
TUNE = ["--bert-mode", "fine-tune", "--bert-learning-rate", "0.003"]


def dicmor(*argv) -> int:
    return main([str(part) for part in argv])


def fails(capsys, *argv) -> str:
    """Run a command that must end with status 2 and one sentence on stderr; return the sentence."""
    capsys.readouterr()
    assert dicmor(*argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("dicmor: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


@pytest.mark.parametrize("mode", [[], TUNE], ids=["frozen", "fine-tuned"])
def test_from_token_ids_to_a_table_and_recovered_features(bert, file, content, tmp_path, capsys, mode):
    run = tmp_path / "run"
    assert dicmor("train", "--data", file, "--bert", bert, "--out", run, *mode, *SMALL) == 0
    out, err = capsys.readouterr()
    assert (
        "computing the language features of 40 samples with the BERT" in err
        and "next: dicmor evaluate" in out
    )
    config = json.loads((run / "config.json").read_text())
    assert config["model"]["feature_dims"] == [16, 3, 4] and config["data"]["language"]["source"] == str(bert)
    assert (run / "stage1" / "encoder.safetensors").exists() == bool(mode)

    assert dicmor("evaluate", run, "--accelerator", "cpu", "--quiet") == 0
    table = json.loads((run / "evaluation-test" / "evaluation.json").read_text())
    notes = " ".join(table["info"]["notes"])
    assert f"the BERT {bert}, {'fine-tuned in stage 1' if mode else 'frozen'}" in notes
    assert "DiCMoR" in capsys.readouterr().out

    new = tmp_path / "new.pkl"  # other tokens, and one sample that has none
    other = {name: {**split, "id": [f"{i}-new" for i in split["id"]]} for name, split in content.items()}
    other["test"]["text_bert"] = other["test"]["text_bert"].copy()
    other["test"]["text_bert"][0] = 0
    new.write_bytes(pickle.dumps(other))
    recovered = tmp_path / "recovered.npz"
    assert (
        dicmor("recover", run, "--data", new, "--split", "test", "--out", recovered, "--accelerator", "cpu")
        == 0
    )
    with np.load(recovered) as arrays:
        assert arrays["was_recovered"].sum(0).tolist() == [1, 0, 0] and arrays["was_recovered"][0, 0]
        assert arrays["recovered"][0, 0].any() and np.isfinite(arrays["prediction"]).all()


def test_resume_finds_the_bert_again(bert, file, tmp_path):
    run = tmp_path / "run"
    assert dicmor("train", "--data", file, "--bert", bert, "--out", run, "--quiet", *TUNE, *SMALL) == 0
    assert dicmor("train", "--resume", "--out", run, "--stage2-epochs", "2", "--quiet") == 0
    assert len((run / "metrics.csv").read_text().splitlines()) == 1 + 1 + 2


def test_data_check_tells_of_token_ids(file, capsys):
    assert dicmor("data", "check", file) == 0
    text = capsys.readouterr().out
    assert "Token ids (text_bert): 9 per sample, the largest is 49; `dicmor train --bert FOLDER`" in text


def test_mistakes(bert, file, tmp_path, capsys, monkeypatch):
    out = ("--out", tmp_path / "run", *SMALL)
    error = fails(capsys, "train", "--data", "synthetic", "--bert", bert, *out)
    assert "has no token ids (text_bert)" in error
    assert "there is no folder" in fails(capsys, "train", "--data", file, "--bert", tmp_path / "no", *out)
    assert "holds no config.json" in fails(capsys, "train", "--data", file, "--bert", tmp_path, *out)
    assert "needs --bert FOLDER" in fails(capsys, "train", "--data", file, *TUNE, *out)
    assert "bert_mode is 'warm'" in fails(capsys, "train", "--data", file, "--bert-mode", "warm", *out)
    assert dicmor("train", "--data", file, "--quiet", *out) == 0
    error = fails(capsys, "evaluate", tmp_path / "run", "--bert", bert)
    assert "was not trained on the features of a BERT" in error
    monkeypatch.setitem(sys.modules, "transformers", None)
    out = ("--out", tmp_path / "other", *SMALL)
    assert "pip install 'transformers>=4.48'" in fails(capsys, "train", "--data", file, "--bert", bert, *out)
