"""Small training runs on the language features of a BERT, for the tests of fine-tuning."""

from __future__ import annotations

import torch

from dicmor_lib import DiCMoR, DiCMoRConfig
from dicmor_lib.language import encode_language, load_encoder
from dicmor_lib.training import TrainConfig, fit

SIZES = dict(hidden=8, flow_width=8, flow_layers=2, rcab_width=8, rcab_blocks=1, heads=2, fusion_layers=1)
# Plateau patience 0 lowers both learning rates soon, so that a forgotten one would show.
QUICK = dict(stage1_epochs=3, stage2_epochs=2, batch_size=8, learning_rate=0.02, plateau_patience=0)
QUICK |= dict(bert_mode="fine-tune", bert_learning_rate=3e-3, accelerator="cpu")

NO_DROPOUT = dict(language_dropout=0, attention_dropout=(0, 0, 0), embedding_dropout=0, output_dropout=0)


def settings(**changes) -> TrainConfig:
    return TrainConfig(**{**QUICK, **changes})


def train(bert, data, out=None, resume=False, callback=None, config=None, **sizes):
    """Train a small model on the features of the BERT in a folder; give the model, the BERT and the history."""
    config = config or settings()
    encoder = load_encoder(bert)
    encoded = encode_language(data, encoder)
    torch.manual_seed(1)
    model = DiCMoR(DiCMoRConfig.tiny(encoded.feature_dims, **SIZES | sizes))
    tuned = encoder if config.bert_mode == "fine-tune" else None
    history = fit(
        model, encoded, config, out, resume=resume, progress=False, callback=callback, encoder=tuned
    )
    return model, encoder, history


def same(first, second) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def flat(module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])
