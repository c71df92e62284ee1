"""Language features are BERT's own last hidden states, laid out as the readers lay out features."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from dicmor_lib.data.mixing import mix_in
from dicmor_lib.data.readers import read
from dicmor_lib.errors import ConfigError, DataError, ShapeError
from dicmor_lib.language import encode_language, load_encoder
from dicmor_lib.language.tokens import check_tokens, token_span


def with_tokens(data, change):
    """The data set with the tokens of each split edited."""

    def edited(split):
        tokens = split.tokens.copy()
        change(tokens)
        return dataclasses.replace(split, tokens=tokens)

    return data.replace_splits({name: edited(split) for name, split in data.splits.items()})


def own_output(transformers, bert, tokens) -> np.ndarray:
    """What Hugging Face's model itself says, (N, T, 16)."""
    model = transformers.BertModel.from_pretrained(bert).eval()
    ids, mask, segments = torch.from_numpy(tokens).unbind(1)
    with torch.no_grad():
        return model(ids, mask, segments).last_hidden_state.numpy()


def test_features_are_berts_last_hidden_states(transformers, bert, encoder, data):
    encoded = encode_language(data, encoder, batch_size=5)
    for name, split in encoded.splits.items():
        tokens = data.splits[name].tokens
        expected = own_output(transformers, bert, tokens)
        length = tokens[:, 1].sum(1)
        x = split.features[0]
        assert x.dtype == np.float32 and x.shape == (len(split), length.max(), 16)
        for row, steps in enumerate(length):
            np.testing.assert_allclose(x[row, :steps], expected[row, :steps], atol=2e-5)
            assert not x[row, steps:].any()
        assert np.array_equal(split.lengths[:, 0], length) and split.observed.all()
        for kept in ("labels", "tokens"):
            assert getattr(split, kept) is getattr(data.splits[name], kept)
        assert split.features[1] is data.splits[name].features[1]
        assert np.array_equal(split.lengths[:, 1:], data.splits[name].lengths[:, 1:])
    assert encoded.feature_dims == (16, 3, 4) and encoded.sha256 == data.sha256
    assert encoded.language["sha256"] == encoder.fingerprint() and data.language is None
    assert any(str(bert.resolve()) in note for note in encoded.report.notes)


def test_the_file_s_own_language_features_do_not_count(encoder, data):
    other = data.replace_splits(
        {
            name: dataclasses.replace(split, features=(split.features[0] * 0 + 7, *split.features[1:]))
            for name, split in data.splits.items()
        }
    )
    one, two = (encode_language(x, encoder).train.features[0] for x in (data, other))
    assert np.array_equal(one, two)


def test_the_content_of_padding_changes_nothing(encoder, data):
    """Any id and any segment may stand where nothing is attended to, also one that BERT does not know."""

    def soil(tokens):
        padding = tokens[:, 1] == 0
        tokens[:, 0][padding], tokens[:, 2][padding] = 10**6, 99

    one, two = (encode_language(x, encoder).train for x in (data, with_tokens(data, soil)))
    assert np.array_equal(one.features[0], two.features[0]) and np.array_equal(one.lengths, two.lengths)


def test_batches_do_not_matter(encoder, data):
    one, two = (encode_language(data, encoder, batch_size=size).train.features[0] for size in (3, 24))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_the_encoder_stays_as_it_is_and_dropout_is_off(encoder, data):
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder.train()
    one = encode_language(data, encoder).train.features[0]
    two = encode_language(data, encoder.eval()).train.features[0]
    assert np.array_equal(one, two)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    encoder.train()
    encode_language(data, encoder)
    assert encoder.training  # left in the mode that it was in


def test_sequences_padded_in_front_start_at_step_0(transformers, bert, encoder, data):
    """They are moved after BERT, which sees the positions of the file; steps inside that are masked are 0."""

    def roll(tokens):
        tokens[:] = np.roll(tokens, 2, axis=2)
        tokens[0, 1] = [0, 0, 1, 0, 1, 0, 0, 0, 0]

    moved = with_tokens(data, roll)
    split = encode_language(moved, encoder).train
    expected = own_output(transformers, bert, moved.train.tokens)
    for row in (0, 1, 5):
        steps = split.lengths[row, 0]
        mask = moved.train.tokens[row, 1, 2 : 2 + steps, None]
        np.testing.assert_allclose(
            split.features[0][row, :steps], expected[row, 2 : 2 + steps] * mask, atol=2e-5
        )
        assert not split.features[0][row, steps:].any()
    assert split.lengths[0, 0] == 3 and not split.features[0][0, 1].any()


def test_a_sample_without_tokens_has_no_language(encoder, data):
    def silence(tokens):
        tokens[0, 1] = 0

    encoded = encode_language(with_tokens(data, silence), encoder)
    assert not encoded.train.observed[0, 0] and encoded.train.observed[0, 1:].all()
    assert encoded.train.lengths[0, 0] == 0 and not encoded.train.features[0][0].any()
    assert np.isfinite(encoded.train.features[0]).all() and encoded.train.observed[1:].all()
    assert "train: 1 samples have no tokens, so their language is not observed." in encoded.report.notes


def test_clips_without_tokens_can_be_mixed_in(encoder, data):
    extra = dataclasses.replace(
        data, train=dataclasses.replace(data.test, tokens=None, ids=[f"new{i}" for i in range(8)])
    )
    encoded = encode_language(mix_in(data, extra), encoder)
    assert encoded.train.observed[:24].all() and not encoded.train.observed[24:, 0].any()


def test_published_layout_moves_and_blanks_nothing(transformers, bert, encoder, file):
    data = read(file, published_layout=True)
    encoded = encode_language(data, encoder)
    expected = own_output(transformers, bert, data.test.tokens)
    np.testing.assert_allclose(encoded.test.features[0], expected, atol=2e-5)
    assert (encoded.test.lengths[:, 0] == 9).all()


def test_encoding_again_changes_nothing(encoder, data):
    once = encode_language(data, encoder)
    twice = encode_language(once, encoder)
    assert np.array_equal(once.valid.features[0], twice.valid.features[0]) and once.report == twice.report


def test_progress_counts_every_sample(encoder, data):
    seen = []
    encode_language(data, encoder, batch_size=10, progress=lambda *counts: seen.append(counts))
    assert seen == [(10, 40), (20, 40), (24, 40), (32, 40), (40, 40)]


def test_an_empty_split_stays_empty(encoder, data):
    encoded = encode_language(dataclasses.replace(data, valid=data.valid.select([])), encoder)
    assert encoded.valid.features[0].shape == (0, 0, 16) and len(encoded.valid) == 0


# --- mistakes -----------------------------------------------------------------------------------------


def test_no_tokens_in_the_file(encoder, data):
    bare = data.replace_splits(
        {name: dataclasses.replace(split, tokens=None) for name, split in data.splits.items()}
    )
    with pytest.raises(DataError, match=r"words.pkl has no token ids \(text_bert\)"):
        encode_language(bare, encoder)


def put(row, channel, step, value):
    def change(tokens):
        tokens[row, channel, step] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(3, 0, 1, 50), r"holds 50 in row 3, step 1, as token id, and this BERT knows 0 to 49"),
        (put(2, 0, 0, -1), r"holds -1 in row 2, step 0, as token id"),
        (put(1, 2, 0, 2), r"holds 2 in row 1, step 0, as segment, and this BERT knows 0 to 1"),
        (put(0, 1, 4, 2), r"holds 2 in row 0, step 4, as attention mask, which is 0 or 1"),
    ],
)
def test_tokens_that_this_bert_does_not_know(encoder, data, change, message):
    with pytest.raises(DataError, match="'text_bert' of split 'train' " + message):
        encode_language(with_tokens(data, change), encoder)


def test_sequences_that_are_too_long(make_bert, tmp_path, data):
    short = load_encoder(make_bert(tmp_path / "bert", max_position_embeddings=5))
    with pytest.raises(DataError, match="sequences of 7 tokens, the BERT reads 5 at most"):
        encode_language(data, short)


@pytest.mark.parametrize("tokens", [np.ones((4, 2, 5), int), np.ones((4, 5), int), np.ones((4, 3, 5))])
def test_tokens_of_another_kind(encoder, tokens):
    with pytest.raises(ShapeError, match=r"whole numbers of shape \(samples, 3, tokens\)"):
        check_tokens(tokens, encoder.architecture, "these")


def test_batch_size(encoder, data):
    with pytest.raises(ConfigError, match="batch size is 0"):
        encode_language(data, encoder, batch_size=0)


def test_token_span():
    tokens = np.zeros((3, 3, 4), int)
    tokens[0, 1], tokens[1, 1] = [0, 1, 0, 1], [1, 1, 0, 0]
    first, length = token_span(tokens)
    assert first.tolist() == [1, 0, 0] and length.tolist() == [3, 2, 0]
