"""Loading a BERT: safetensors only, complete, and one clear sentence for everything else."""

from __future__ import annotations

import json
import pickle
import sys

import pytest
import safetensors.torch
import torch

from dicmor_lib.errors import CheckpointError, DataError, MissingExtraError
from dicmor_lib.language import load_encoder
from dicmor_lib.language.load import rebuild_encoder


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_is_loaded(encoder, bert):
    assert encoder.channels == 16 and encoder.source == str(bert.resolve())
    assert not encoder.training and {p.dtype for p in encoder.parameters()} == {torch.float32}
    assert encoder.architecture["vocab_size"] == 50 and json.dumps(encoder.about())
    assert not any("pooler" in name for name in encoder.state_dict())


def test_nothing_is_printed_and_the_verbosity_stays(transformers, bert, capfd):
    before = transformers.utils.logging.get_verbosity()
    load_encoder(bert)
    out, err = capfd.readouterr()
    assert out == err == "" and transformers.utils.logging.get_verbosity() == before


def test_saved_and_loaded_again(encoder, tmp_path):
    encoder.save(tmp_path / "again")
    assert {path.name for path in (tmp_path / "again").iterdir()} == {"config.json", "model.safetensors"}
    assert load_encoder(tmp_path / "again").fingerprint() == encoder.fingerprint()


def test_the_fingerprint_tells_weights_and_architecture_apart(encoder, make_bert, tmp_path):
    before = encoder.fingerprint()
    assert load_encoder(make_bert(tmp_path / "other", seed=1)).fingerprint() != before
    assert load_encoder(make_bert(tmp_path / "heads", num_attention_heads=4)).fingerprint() != before
    with torch.no_grad():
        encoder.bert.embeddings.LayerNorm.bias[3] += 1e-6
    assert encoder.fingerprint() != before


def test_half_precision_becomes_float32(transformers, bert, tmp_path):
    transformers.BertModel.from_pretrained(bert).half().save_pretrained(tmp_path)
    assert {p.dtype for p in load_encoder(tmp_path).parameters()} == {torch.float32}


def test_a_model_with_a_head_gives_its_bert(transformers, encoder, bert, tmp_path):
    """Names with the prefix "bert.", as in the published bert-base."""
    model = transformers.BertForMaskedLM(transformers.BertConfig.from_pretrained(bert))
    model.bert.load_state_dict(encoder.bert.state_dict())
    model.save_pretrained(tmp_path)
    assert load_encoder(tmp_path).fingerprint() == encoder.fingerprint()


def test_rebuilt_from_a_checkpoint(encoder):
    again = rebuild_encoder(encoder.about(), encoder.state_dict(), "here")
    assert again.fingerprint() == encoder.fingerprint() and not again.training
    weights = encoder.state_dict()
    weights.pop("bert.embeddings.LayerNorm.bias")
    with pytest.raises(CheckpointError, match="the BERT in here is damaged"):
        rebuild_encoder(encoder.about(), weights, "here")
    with pytest.raises(CheckpointError, match="the BERT in here is damaged"):
        rebuild_encoder({"source": "x"}, encoder.state_dict(), "here")


# --- mistakes -----------------------------------------------------------------------------------------


def test_without_transformers(bert, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match="python -m pip install 'transformers>=4.48'"):
        load_encoder(bert)


def refused(folder, message):
    with pytest.raises(DataError, match=message) as caught:
        load_encoder(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_no_such_folder(transformers, tmp_path):
    refused(tmp_path / "nothing", "there is no folder")
    refused("./nothing", "there is no folder")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "there is no folder")
    refused(tmp_path, "holds no config.json")


def test_pickled_weights_are_refused_and_not_read(make_bert, tmp_path):
    class Evil:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    folder = make_bert(tmp_path / "bert")
    (folder / "model.safetensors").unlink()
    refused(folder, "holds no model.safetensors")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    refused(folder, r"pickled weights only \(pytorch_model.bin\)")
    assert not (tmp_path / "ran").exists()


def test_code_in_the_folder_is_not_run(make_bert, tmp_path):
    folder = make_bert(tmp_path / "bert")
    (folder / "modeling.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    edit_config(folder, auto_map={"AutoModel": "modeling.Bert", "AutoConfig": "modeling.Config"})
    assert load_encoder(folder).channels == 16 and not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(model_type="roberta"), "a model of type 'roberta'"),
        (dict(is_decoder=True), "sets is_decoder"),
        (dict(position_embedding_type="relative_key"), "sets position_embedding_type"),
        (dict(quantization_config={"quant_method": "bitsandbytes"}), "sets quantization_config"),
        (dict(hidden_size="large"), "cannot load a BERT from"),
        (dict(hidden_act="no such function"), "cannot load a BERT from"),
        (dict(num_hidden_layers=3), "the weights in .* are not those of its config.json"),
        (dict(hidden_size=32), "cannot load a BERT from|are not those of its config.json"),
    ],
)
def test_other_configurations(make_bert, tmp_path, changes, message):
    folder = make_bert(tmp_path / "bert")
    edit_config(folder, **changes)
    refused(folder, message)


def test_damaged_files(make_bert, tmp_path):
    folder = make_bert(tmp_path / "bert")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:1000])
    refused(folder, "cannot load a BERT from")
    few = dict(sorted(safetensors.torch.load(weights).items())[:10])
    safetensors.torch.save_file(few, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, "27 parameters are missing")
    (folder / "config.json").write_text("{")
    refused(folder, "cannot load a BERT from")
