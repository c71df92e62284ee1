"""`dicmor convert-checkpoint`: a published .pth file becomes a folder that this library loads."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicmor_lib.commands.common import new_parser

if TYPE_CHECKING:
    from torch import Tensor

    from dicmor_lib.config import DiCMoRConfig
    from dicmor_lib.published import PublishedReport

PRESET_OF_HIDDEN = {32: "mosi", 64: "mosei"}
"""Table 1: the hidden dimension of C^m tells the presets apart."""
BERT = "bert"
"""Name of the folder of a checkpoint's own BERT."""
UNTRAINED = (
    "the groups {groups} are random numbers: predictions mean something with all modalities available "
    "(pattern lav) only, until stage 2 is trained"
)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the options of `dicmor convert-checkpoint`."""
    summary = "turn a published .pth checkpoint into a folder that this library loads"
    parser = new_parser(
        subparsers,
        "convert-checkpoint",
        summary,
        "dicmor convert-checkpoint dicmor-mosi.pth runs/published-mosi",
        "The file is read with weights only: nothing in it is executed.",
    )
    parser.add_argument("source", metavar="IN.pth", help="checkpoint of the published implementation")
    parser.add_argument("out", metavar="OUT", help="folder to write; it must not hold a run yet")
    parser.add_argument("--seed", type=int, default=0, help="of the groups that the checkpoint does not have")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Convert, and say what was loaded, unused and initialised."""
    from dicmor_lib.modalities import MODALITIES

    config, preset, report = convert(args.source, args.out, args.seed)
    dims = ", ".join(f"{name} {d}" for name, d in zip(MODALITIES, config.feature_dims))
    print(f"{preset} as published, feature dimensions: {dims}\n{report}")
    if (Path(args.out) / BERT).is_dir():
        print(f"its BERT is in {Path(args.out) / BERT}: language will be computed from token ids (text_bert)")
    elif report.text_model:
        print("note: its BERT is left out; to keep it, install transformers and convert again")
    if report.initialised:
        print(f"note: {UNTRAINED.format(groups=', '.join(report.initialised))}")
    print(f"written to {args.out}; next: dicmor evaluate {args.out} --data FILE")
    return 0


def convert(source: str | Path, out: str | Path, seed: int = 0) -> tuple[DiCMoRConfig, str, PublishedReport]:
    """Write the folder `out` with the model of the published checkpoint `source`.

    The folder is laid out like a training run: config.json and best/. A checkpoint without flows, priors and
    recovery comes from complete data, so it is the stage-1 model as well. What it lacks is initialised from
    `seed`.

    Returns:
        The configuration, the name of its preset, and what happened to the parameters.

    Raises:
        CheckpointError: if the file cannot be read or does not fit, or `out` already holds a run.
    """
    import torch

    from dicmor_lib.errors import CheckpointError
    from dicmor_lib.published import load_published, read_published
    from dicmor_lib.training import TrainConfig
    from dicmor_lib.training.atomic import sha256
    from dicmor_lib.training.checkpoint import BEST, STAGE1, write_config, write_state

    source, out = Path(source), Path(out)
    if (out / "config.json").exists():
        raise CheckpointError(f"{out} already holds a training run; choose another folder")
    state = read_published(source)
    preset, config = infer_config(state, source)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = load_published(state, config)
    report: Any = model.published_report
    complete_data_only = bool(report.initialised)
    about: dict[str, Any] = {
        "source": f"converted from the published checkpoint {source.name}",
        "sha256": sha256(source.read_bytes()),  # of the checkpoint: what it was trained on is not known
        "synthetic": False,
        "feature_dims": list(config.feature_dims),
        "standardiser": None,
        "preset": preset,
        "published": True,
        "converted": True,
    }
    reached = {"stage": 1 if complete_data_only else 2, "epoch": 0, "valid_mae": None}
    weights = model.state_dict()
    for name in (STAGE1, BEST) if complete_data_only else (BEST,):
        write_state(out, name, reached, model=weights)
    about["language"] = _keep_bert(state, out)
    write_config(out, config, TrainConfig.preset(preset, published=True, seed=seed), about)
    return config, preset, report


def _keep_bert(state: Mapping[str, Tensor], out: Path) -> dict[str, Any] | None:
    """Write the checkpoint's own BERT to out/bert, if it has one and transformers is there; what config.json says."""
    from dicmor_lib.errors import MissingExtraError
    from dicmor_lib.language.published import published_encoder

    folder = out / BERT
    try:
        encoder = published_encoder(state, str(folder.resolve()))
    except MissingExtraError:
        return None
    if encoder is None:
        return None
    encoder.save(folder)
    return encoder.about()


def infer_config(state: Mapping[str, Tensor], source: str | Path) -> tuple[str, DiCMoRConfig]:
    """Return the preset and the published configuration that fit the shapes in a published state dict.

    Raises:
        CheckpointError: if the shallow convolutions are absent or as wide as those of neither preset.
    """
    from dicmor_lib.config import DiCMoRConfig
    from dicmor_lib.errors import CheckpointError
    from dicmor_lib.modalities import LETTERS

    names = [f"proj_{letter}.weight" for letter in LETTERS]
    missing = [name for name in names if name not in state or state[name].dim() != 3]
    if missing:
        raise CheckpointError(
            f"{source} has no convolution {missing[0]}, which tells the feature dimensions; "
            "give a checkpoint of the published DiCMoR"
        )
    hidden = state[names[0]].shape[0]
    if hidden not in PRESET_OF_HIDDEN:
        raise CheckpointError(
            f"{names[0]} of {source} has {hidden} outputs; the published models have "
            + " or ".join(f"{width} ({preset})" for width, preset in PRESET_OF_HIDDEN.items())
        )
    preset = PRESET_OF_HIDDEN[hidden]
    language, audio, vision = (state[name].shape[1] for name in names)
    return preset, DiCMoRConfig.preset(preset, (language, audio, vision), published=True)
