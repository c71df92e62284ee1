"""What several commands share: their data, device and way of speaking."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from dicmor_lib.data.dataset import FeatureArrays, MultimodalData
    from dicmor_lib.language import LanguageEncoder
    from dicmor_lib.training import RunInfo

SYNTHETIC = "synthetic"


def new_parser(
    subparsers: argparse._SubParsersAction, name: str, summary: str, example: str, more: str = ""
) -> argparse.ArgumentParser:
    """Add the parser of a subcommand with a one-line summary, an example and, perhaps, `more` to say about it."""
    return subparsers.add_parser(
        name,
        help=summary,
        description=textwrap.fill(f"{summary[0].upper()}{summary[1:]}. {more}".strip(), 78),
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add --quiet."""
    parser.add_argument("--quiet", action="store_true", help="write nothing but results and errors")


def add_accelerator(parser: argparse.ArgumentParser) -> None:
    """Add --accelerator, for commands that only predict."""
    parser.add_argument(
        "--accelerator",
        default="auto",
        choices=("auto", "cpu", "cuda", "mps"),
        help="where to compute (default: auto)",
    )


def find_device(accelerator: str) -> torch.device:
    """The device for a command that only predicts.

    Raises:
        DeviceError: if there is none of this kind.
    """
    import torch

    from dicmor_lib.training.engine import resolve_accelerator

    return torch.device(resolve_accelerator(accelerator))


def load_data(path: str, extra_train: str | None = None, published: bool = False) -> MultimodalData:
    """Read a data file, or draw the synthetic data set, and mix further training clips in.

    Raises:
        DataError, ShapeError: if a file cannot be read or the clips do not fit.
    """
    from dicmor_lib.data.mixing import mix_in
    from dicmor_lib.data.oracle import Oracle
    from dicmor_lib.data.readers import read

    data = Oracle().dataset() if path == SYNTHETIC else read(path, published_layout=published)
    return mix_in(data, read(extra_train, published_layout=published)) if extra_train else data


def add_bert(parser: argparse.ArgumentParser) -> None:
    """Add --bert, for commands that apply a trained model."""
    parser.add_argument(
        "--bert",
        metavar="FOLDER",
        help="the frozen BERT that the model was trained with (default: where it was then)",
    )


def load_run_data(
    info: RunInfo,
    path: str | None,
    quiet: bool,
    device: torch.device | str = "cpu",
    bert: str | None = None,
) -> MultimodalData:
    """The data for a trained model, standardised as in its training: `path`, or what it was trained on.

    A model whose language came from a BERT gets it computed here, on `device`; see `run_encoder` for `bert`.

    Raises:
        CheckpointError: if no path is given and the run does not say where its data was.
    """
    from dicmor_lib.errors import CheckpointError
    from dicmor_lib.training.tuning import run_encoder

    extra = None
    if path is None:
        path, extra = info.data.get("path"), info.data.get("extra_train")
        if path is None:
            raise CheckpointError(f"{info.folder} does not say where its data is; give it with --data")
    data = load_data(path, extra, published=not info.model_config.honour_lengths)
    encoder = run_encoder(info, bert)
    if encoder is not None:
        data = encode(data, encoder, device, quiet)
    if not quiet:
        for sentence in data.report.sentences():
            say(f"note: {sentence}")
        if data.sha256 != info.data.get("sha256"):
            say(f"note: the model was trained on other data ({info.data.get('source')})")
    data = with_channels(data, info.model_config.feature_dims)
    standardiser = info.standardiser
    return data if standardiser is None else standardiser.apply(data)


def encode(
    data: MultimodalData, encoder: LanguageEncoder, device: torch.device | str, quiet: bool
) -> MultimodalData:
    """Compute language features from token ids on `device`, and say so: it may take a while."""
    from dicmor_lib.language.encode import check_language, encode_language

    check_language(data, encoder)
    if not quiet:
        samples = sum(map(len, data.splits.values()))
        say(f"computing the language features of {samples} samples with the BERT {encoder.source}")
    return encode_language(data, encoder.to(device))


def with_channels(data: MultimodalData, feature_dims: tuple[int, int, int]) -> MultimodalData:
    """Give a modality that the whole file lacks the channels that a model expects; it stays not observed."""
    import dataclasses

    import numpy as np

    def widen(features: FeatureArrays) -> FeatureArrays:
        language, audio, vision = (
            x if x.shape[2] else np.zeros((*x.shape[:2], d), np.float32)
            for x, d in zip(features, feature_dims)
        )
        return language, audio, vision

    splits = {name: dataclasses.replace(s, features=widen(s.features)) for name, s in data.splits.items()}
    return data.replace_splits(splits)


def say(sentence: str) -> None:
    """Write a sentence to stderr, once however many processes there are; results go to stdout."""
    if is_first_process():
        print(sentence, file=sys.stderr, flush=True)


def is_first_process() -> bool:
    """Whether this is the only process, or the first of several that train together."""
    return all(os.environ.get(name, "0") in ("", "0") for name in ("LOCAL_RANK", "RANK", "SLURM_PROCID"))


def absolute(path: str | None) -> str | None:
    """A path that still holds when the command is run from another folder; 'synthetic' stays as it is."""
    return path if path in (None, SYNTHETIC) else str(Path(path).resolve())
