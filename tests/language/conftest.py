"""A small BERT with random weights, and data with token ids for it; everything is skipped without transformers."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dicmor_lib.data.dataset import MultimodalData
from dicmor_lib.data.readers import read
from dicmor_lib.language import LanguageEncoder, load_encoder

TIME, VOCABULARY = 9, 50
SIZES = {"train": 24, "valid": 8, "test": 8}
SMALL = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)


@pytest.fixture(scope="session")
def transformers():
    return pytest.importorskip("transformers")


@pytest.fixture(scope="session")
def make_bert(transformers) -> Callable[..., Path]:
    """`make_bert(folder, **changes)` saves a randomly initialised BERT there; gives the folder."""

    def make(folder: Path, seed: int = 0, **changes) -> Path:
        sizes = {"vocab_size": VOCABULARY, "max_position_embeddings": 16, **SMALL, **changes}
        torch.manual_seed(seed)
        model = transformers.BertModel(transformers.BertConfig(**sizes))
        with torch.no_grad():  # larger weights than the usual start, so that words and context matter
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
        model.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def bert(make_bert, tmp_path_factory) -> Path:
    """The folder of a small BERT."""
    return make_bert(tmp_path_factory.mktemp("bert") / "small bert")


@pytest.fixture(scope="session")
def still_bert(make_bert, tmp_path_factory):
    """The folder of a BERT without dropout."""
    off = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return make_bert(tmp_path_factory.mktemp("still") / "bert", **off)


@pytest.fixture
def encoder(bert) -> LanguageEncoder:
    return load_encoder(bert)


def draw_tokens(rng: np.random.Generator, count: int, positive: np.ndarray) -> np.ndarray:
    """text_bert (count, 3, TIME): of 2 to 7 tokens, padded behind, whose ids tell whether the label is positive."""
    tokens = np.zeros((count, 3, TIME))
    for row in range(count):
        length = int(rng.integers(2, 8))
        low = 25 if positive[row] else 1
        tokens[row, 0, :length] = rng.integers(low, low + 25, length)
        tokens[row, 1, :length] = 1
        tokens[row, 2, length // 2 : length] = 1
    return tokens


@pytest.fixture(scope="session")
def content() -> dict[str, dict]:
    """The content of an MMSA pickle whose language features say nothing: the tokens do."""
    rng = np.random.default_rng(3)
    content = {}
    for name, count in SIZES.items():
        labels = np.linspace(-2.5, 2.5, count, dtype=np.float32)
        content[name] = {
            "text": rng.normal(size=(count, TIME, 5)).astype(np.float32),
            "audio": rng.normal(size=(count, 6, 3)).astype(np.float32),
            "vision": rng.normal(size=(count, 7, 4)).astype(np.float32),
            "text_bert": draw_tokens(rng, count, labels > 0).astype(np.float32),
            "id": [f"{name}{i}" for i in range(count)],
            "regression_labels": labels,
        }
    return content


@pytest.fixture(scope="session")
def file(content, tmp_path_factory) -> Path:
    """That pickle."""
    path = tmp_path_factory.mktemp("data") / "words.pkl"
    path.write_bytes(pickle.dumps(content))
    return path


@pytest.fixture(scope="session")
def data(file) -> MultimodalData:
    """That pickle, read."""
    return read(file)
