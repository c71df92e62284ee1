"""Fine-tuning: stage 1 trains the BERT, stage 2 reads it, resuming is exact, and the run keeps it."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
import torch

from dicmor_lib import DiCMoR, DiCMoRConfig
from dicmor_lib.data.dataset import collate
from dicmor_lib.data.readers import read
from dicmor_lib.data.standardise import Standardiser
from dicmor_lib.errors import CheckpointError, ConfigError
from dicmor_lib.language import encode_language, load_encoder
from dicmor_lib.training import fit, load_checkpoint
from dicmor_lib.training.checkpoint import read_state
from dicmor_lib.training.tuning import LiveLanguage, run_encoder
from tests.language.runs import NO_DROPOUT, SIZES, flat, same, settings, train


@pytest.fixture(scope="module")
def whole(bert, data, tmp_path_factory):
    """The folder of an uninterrupted fine-tuned run, and the encoder that it left."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    _, encoder, _ = train(bert, data, folder)
    return folder, encoder


def test_frozen_leaves_every_bit_of_the_encoder(bert, data, tmp_path):
    _, encoder, _ = train(bert, data, tmp_path, config=settings(bert_mode="frozen"))
    assert same(encoder.state_dict(), load_encoder(bert).state_dict())
    assert not list(tmp_path.glob("**/encoder*"))  # a frozen BERT is not copied into the run
    found = run_encoder(load_checkpoint(tmp_path)[1])
    assert found.fingerprint() == encoder.fingerprint()


def test_stage_1_trains_the_encoder_and_stage_2_does_not(bert, data):
    encoder, marks = load_encoder(bert), []
    encoded = encode_language(data, encoder)
    torch.manual_seed(1)
    model = DiCMoR(DiCMoRConfig.tiny(encoded.feature_dims, **SIZES))

    def mark(row):
        marks.append((row["stage"], encoder.fingerprint(), row["is_best"]))

    fit(model, encoded, settings(), progress=False, callback=mark, encoder=encoder)
    prints = [load_encoder(bert).fingerprint()] + [mark for stage, mark, _ in marks if stage == 1]
    assert len(set(prints)) == 4  # as loaded, and after each of three epochs
    selected = [mark for stage, mark, best in marks if stage == 1 and best][-1]
    assert {mark for stage, mark, _ in marks if stage == 2} == {selected}
    assert encoder.fingerprint() == selected and not encoder.training
    moved = [not torch.equal(a, b) for a, b in zip(encoder.parameters(), load_encoder(bert).parameters())]
    assert all(moved)  # down to the embeddings


def test_the_tokens_are_what_is_learnt(still_bert, data):
    """The sentiment is in the tokens alone: a BERT that trains lowers the loss of a model that hardly does."""
    slow = dict(stage1_epochs=5, stage2_epochs=0, learning_rate=1e-7, plateau_patience=9)
    falls = []
    for rate in (1e-7, 1e-2):
        config = settings(**slow, bert_learning_rate=rate)
        _, _, history = train(still_bert, data, config=config, **NO_DROPOUT)
        task = history.column("task", stage=1)
        falls.append(1 - task[-1] / task[0])
    assert abs(falls[0]) < 1e-3 and falls[1] > 0.1, falls


def test_a_run_keeps_its_encoder(bert, whole):
    folder, encoder = whole
    for which in ("best", "stage1", "last"):
        model, info = load_checkpoint(folder, which)
        found = run_encoder(info)
        assert same(found.state_dict(), encoder.state_dict()) and not found.training
    assert info.data["language"]["sha256"] == load_encoder(bert).fingerprint()  # as it was at first
    assert [path.parent.name for path in folder.glob("*/encoder.safetensors")] == ["stage1"]
    kinds = {
        path.suffix for path in folder.rglob("*") if path.is_file() and path.parent.name != "tensorboard"
    }
    assert kinds == {".json", ".safetensors", ".csv"}


@pytest.mark.parametrize(("stage", "epoch"), [(1, 1), (1, 2), (1, 3), (2, 1)])
def test_resumed_exactly(bert, data, whole, tmp_path, stage, epoch):
    def stop(row):
        if (row["stage"], row["epoch"]) == (stage, epoch):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(bert, data, tmp_path, callback=stop)
    model, encoder, _ = train(bert, data, tmp_path, resume=True)
    assert same(encoder.state_dict(), whole[1].state_dict())
    for name in ("last", "previous", "best", "stage1"):
        (one, tensors_one), (two, tensors_two) = (read_state(folder, name) for folder in (tmp_path, whole[0]))
        assert one == two and tensors_one.keys() == tensors_two.keys()
        assert all(same(tensors_one[part], tensors_two[part]) for part in tensors_one)
    assert same(model.state_dict(), load_checkpoint(whole[0])[0].state_dict())


def test_both_learning_rates_fall_together(bert, data, tmp_path):
    _, _, history = train(bert, data, tmp_path, config=settings(stage2_epochs=0, learning_rate=0.1))
    rates = read_state(tmp_path, "last")[0]["scheduler"]["_last_lr"]
    assert history.column("learning_rate")[0] == 0.1 and rates[0] < 0.1
    assert rates == pytest.approx([rates[0], rates[0] * 3e-3 / 0.1])


@pytest.mark.parametrize(("standardise", "published"), [(True, False), (False, False), (False, True)])
def test_live_features_are_those_computed_once(encoder, file, standardise, published):
    """Without dropout the batch of stage 1 holds what encoding and standardising give."""
    encoded = encode_language(read(file, published_layout=published), encoder)
    frame = Standardiser.fit(encoded, limit=1.5)  # so low that values are cut off
    split = frame.apply_split(encoded.train) if standardise else encoded.train
    live = LiveLanguage(encoder, frame.to_dict() if standardise else None, published)
    batch = collate(split, [5, 0, 17])
    found = live(batch)
    assert found.features[0].requires_grad and found.features[1] is batch.features[1]
    torch.testing.assert_close(found.features[0].detach(), batch.features[0], rtol=1e-4, atol=1e-4)
    assert not standardise or (found.features[0].abs() == 1.5).any()


def test_gradients_of_the_encoder_accumulate(still_bert, data):
    """Two micro-batches of 4 train it like one batch of 8."""
    found = [flat(load_encoder(still_bert))]
    for size, accumulate in ((8, 1), (4, 2)):
        config = settings(batch_size=size, accumulate=accumulate, stage1_epochs=1, stage2_epochs=0)
        found.append(flat(train(still_bert, data, config=config, **NO_DROPOUT)[1]))
    start, one, two = found
    assert (one - two).abs().mean() < 0.02 * (one - start).abs().mean()


# --- mistakes -----------------------------------------------------------------------------------------


def test_what_does_not_go_together(bert, encoder, data, make_bert, tmp_path):
    encoded = encode_language(data, encoder)
    model = DiCMoR(DiCMoRConfig.tiny(encoded.feature_dims, **SIZES))
    other = load_encoder(make_bert(tmp_path / "other", seed=1))

    def refused(message, data=encoded, config=None, encoder=encoder):
        with pytest.raises(ConfigError, match=message):
            fit(model, data, config or settings(), progress=False, encoder=encoder)

    refused("needs the BERT to tune", encoder=None)
    refused("bert_mode is 'frozen'", config=settings(bert_mode="frozen"))
    refused("were not computed by the encoder", encoder=other)
    refused("were not computed by the encoder", data=dataclasses.replace(encoded, language=None))
    gaps = dataclasses.replace(encoded.train, observed=np.tile([True, False, True], (24, 1)))
    refused("only 0 training sample", data=dataclasses.replace(encoded, train=gaps))
    with pytest.raises(ConfigError, match="trains the BERT in stage 1"):
        settings(stage1_epochs=0)
    with pytest.raises(ConfigError, match="bert_mode is 'thaw'"):
        settings(bert_mode="thaw")
    with pytest.raises(ConfigError, match="bert_learning_rate"):
        settings(bert_learning_rate=0.0)


def test_resuming_with_another_bert(bert, data, whole, make_bert, tmp_path):
    with pytest.raises(CheckpointError, match="small bert, not the BERT .*other"):
        train(make_bert(tmp_path / "other", seed=1), data, whole[0], resume=True)


def test_a_frozen_bert_that_moved_or_changed(make_bert, data, tmp_path):
    folder = make_bert(tmp_path / "bert")
    config = settings(bert_mode="frozen", stage1_epochs=1, stage2_epochs=0)
    train(folder, data, tmp_path / "run", config=config)
    _, info = load_checkpoint(tmp_path / "run")
    moved = folder.rename(tmp_path / "moved")
    assert run_encoder(info, str(moved)).channels == 16
    make_bert(folder, seed=1)
    with pytest.raises(CheckpointError, match="is not the one that the model in .* was trained with"):
        run_encoder(info)


def test_a_tuned_encoder_that_was_lost(whole, tmp_path):
    folder = shutil.copytree(whole[0], tmp_path / "run")
    _, info = load_checkpoint(folder)
    shutil.rmtree(folder / "stage1")
    with pytest.raises(CheckpointError, match="no checkpoint 'stage1'"):
        run_encoder(info)
