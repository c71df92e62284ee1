"""The language encoder of a run: trained live in stage 1 if so configured, stored, and found again.

Fine-tuning keeps one frame for language throughout: features are standardised by the mean and deviation of the
*untuned* encoder's training features, as a fixed map behind the encoder. So stage 1 starts where frozen features
would, and what C^m learns there holds in stage 2, where the features are computed once with the tuned encoder.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dicmor_lib.data.dataset import Batch, MultimodalData
from dicmor_lib.data.standardise import Standardiser
from dicmor_lib.errors import CheckpointError, ConfigError
from dicmor_lib.language.encode import encode_language
from dicmor_lib.language.encoder import LanguageEncoder
from dicmor_lib.language.load import load_encoder, rebuild_encoder
from dicmor_lib.training.checkpoint import LAST, PREVIOUS, STAGE1, RunInfo, read_state
from dicmor_lib.training.config import TrainConfig


class LiveLanguage:
    """Puts the encoder's present language features into a batch, with gradients, standardised as all others.

    Args:
        encoder: on the device of the batches' features.
        standardiser: of the run, as a dictionary; None leaves the features as they are.
        published_layout: as the data was read.
    """

    def __init__(
        self, encoder: LanguageEncoder, standardiser: dict[str, Any] | None, published_layout: bool
    ) -> None:
        self.encoder, self._published = encoder, published_layout
        self._frame: tuple[Tensor, Tensor] | None = None  # mean, standard deviation
        self._limit: float | None = None
        if standardiser is not None:
            frame = Standardiser.from_dict(standardiser)
            mean, sd = (torch.from_numpy(x[0]).float().to(encoder.device) for x in (frame.mean, frame.sd))
            self._frame, self._limit = (mean, sd), frame.limit

    def __call__(self, batch: Batch) -> Batch:
        """The batch with its language features computed from its tokens."""
        x = self.encoder(batch.tokens, batch.features[1].shape[1], self._published)
        return dataclasses.replace(
            batch, features=(self._standardised(x, batch.lengths[:, 0]), *batch.features[1:])
        )

    def _standardised(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(x - mean) / sd within the limit on valid steps, 0 elsewhere: `Standardiser`, differentiable."""
        if self._frame is None:
            return x
        mean, sd = self._frame
        x = (x - mean) / sd
        if self._limit is not None:
            x = x.clamp(-self._limit, self._limit)
        valid = torch.arange(x.shape[1]) < lengths[:, None]
        return torch.where(valid.to(x.device, non_blocking=True)[..., None], x, 0.0)


def check_encoder(data: MultimodalData, config: TrainConfig, encoder: LanguageEncoder | None) -> None:
    """Refuse an encoder that the configuration does not ask for, or that did not compute the data's features.

    Raises:
        ConfigError: if so.
    """
    if config.bert_mode == "frozen":
        if encoder is not None:
            raise ConfigError(
                "an encoder is given, but bert_mode is 'frozen'; set bert_mode='fine-tune' to train it"
            )
        return
    if encoder is None:
        raise ConfigError(
            "bert_mode 'fine-tune' needs the BERT to tune; give encoder= (or --bert to the command)"
        )
    if data.language is None or data.language["sha256"] != encoder.fingerprint():
        raise ConfigError(
            "the language features of the data were not computed by the encoder to be tuned; "
            "encode the data with it first: data = encode_language(data, encoder)"
        )


def recompute(data: MultimodalData, encoder: LanguageEncoder) -> MultimodalData:
    """Training and validation data with the language features of the tuned encoder; the test split is left out."""
    return encode_language(dataclasses.replace(data, test=data.test.select([])), encoder)


def run_encoder(info: RunInfo, bert: str | None = None) -> LanguageEncoder | None:
    """The encoder behind a trained model's language features; None if it reads features as they are.

    A fine-tuned one is stored with the run. A frozen one is not: it is loaded from where it was in training, or
    from `bert`.

    Raises:
        MissingExtraError: if the package transformers is not installed.
        DataError: if the frozen encoder is no longer where it was.
        CheckpointError: if it is another one, or the stored one is damaged.
        ConfigError: if `bert` is given and has no part in this run.
    """
    about = info.data.get("language")
    if about is None:
        if bert is not None:
            raise ConfigError(
                f"the model in {info.folder} was not trained on the features of a BERT; leave --bert out"
            )
        return None
    tuned = _tuned_weights(info)
    if tuned is not None:
        return rebuild_encoder(about, tuned, str(info.folder))
    own = info.folder / "bert"  # of a converted published checkpoint, wherever the folder may be now
    encoder = load_encoder(bert or (own if own.is_dir() else about["source"]))
    if encoder.fingerprint() != about["sha256"]:
        raise CheckpointError(
            f"the BERT in {encoder.source} is not the one that the model in {info.folder} was trained with; "
            "give that one with --bert"
        )
    return encoder


def _tuned_weights(info: RunInfo) -> dict[str, Tensor] | None:
    """The stored encoder of a run: that of a checkpoint within stage 1, else what stage 1 selected."""
    if info.train_config.bert_mode == "frozen":
        return None
    within_stage1 = info.which in (LAST, PREVIOUS) and info.state["stage"] == 1
    return read_tuned(info.folder, info.which if within_stage1 else STAGE1)


def read_tuned(folder: Path, name: str = STAGE1) -> dict[str, Tensor]:
    """The weights of the tuned encoder in a checkpoint of a run.

    Raises:
        CheckpointError: if there are none, or they are damaged.
    """
    tensors = read_state(folder, name)[1]
    if "encoder" not in tensors:
        raise CheckpointError(f"{folder / name} lacks the tuned BERT (encoder.safetensors); train again")
    return tensors["encoder"]
