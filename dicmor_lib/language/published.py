"""The BERT inside a checkpoint of the published code, which tunes it together with the rest."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from dicmor_lib.errors import CheckpointError
from dicmor_lib.language.encoder import LanguageEncoder
from dicmor_lib.language.load import rebuild_encoder

PREFIX = "text_model."
HEAD_SIZE = 64
"""Channels per attention head of every published BERT size; the shapes of the weights do not tell the heads."""


def published_encoder(state: Mapping[str, Tensor], source: str) -> LanguageEncoder | None:
    """Return the BERT of a published state dict (as `read_published` gives it); None if it holds none.

    Raises:
        MissingExtraError: if the package transformers is not installed.
        CheckpointError: if its parameters are not those of a BERT.
    """
    words = [
        name
        for name in state
        if name.startswith(PREFIX) and name.endswith("embeddings.word_embeddings.weight")
    ]
    if len(words) != 1:
        return None
    start = words[0].removesuffix("embeddings.word_embeddings.weight")
    weights = {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}
    weights = {
        f"bert.{name}": value
        for name, value in weights.items()
        if not name.startswith("pooler.")
        and value.is_floating_point()  # the pooler is unused, indices are no weights
    }
    return rebuild_encoder(
        {"source": source, "architecture": _architecture(weights, source)}, weights, source
    )


def _architecture(weights: Mapping[str, Tensor], source: str) -> dict[str, int]:
    """What the shapes of the weights tell; the rest is as in every published BERT."""
    try:
        vocabulary, hidden = weights["bert.embeddings.word_embeddings.weight"].shape
        found = {
            "vocab_size": vocabulary,
            "hidden_size": hidden,
            "max_position_embeddings": len(weights["bert.embeddings.position_embeddings.weight"]),
            "type_vocab_size": len(weights["bert.embeddings.token_type_embeddings.weight"]),
            "intermediate_size": len(weights["bert.encoder.layer.0.intermediate.dense.weight"]),
            "num_hidden_layers": len(
                {name.split(".")[3] for name in weights if name.startswith("bert.encoder.layer.")}
            ),
            "num_attention_heads": max(hidden // HEAD_SIZE, 1),
        }
    except (KeyError, ValueError) as problem:
        raise CheckpointError(
            f"the BERT in {source} is incomplete: it lacks {problem}; get the checkpoint again from its source"
        ) from problem
    if hidden % HEAD_SIZE:
        raise CheckpointError(
            f"the BERT in {source} has {hidden} channels, which heads of {HEAD_SIZE} do not divide"
        )
    return found
