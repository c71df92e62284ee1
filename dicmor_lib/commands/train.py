"""`dicmor train`: both stages of training on a data file or the synthetic data set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicmor_lib.commands.common import (
    SYNTHETIC,
    absolute,
    add_quiet,
    encode,
    find_device,
    is_first_process,
    load_data,
    new_parser,
    say,
)

if TYPE_CHECKING:
    from dicmor_lib.config import DiCMoRConfig
    from dicmor_lib.data.dataset import MultimodalData
    from dicmor_lib.language import LanguageEncoder
    from dicmor_lib.training import TrainConfig

OPTIONS: dict[str, tuple[type, str]] = {
    "seed": (int, "of the weights, the data order, the masks and dropout"),
    "stage1_epochs": (int, "most epochs on complete data"),
    "stage2_epochs": (int, "most epochs with missing modalities"),
    "patience": (int, "epochs without a better validation error that end a stage"),
    "batch_size": (int, "samples per batch, over all processes"),
    "learning_rate": (float, "of the optimiser"),
    "missing_rate": (float, "missing rate of the protocol; alone it means the DiCMoR schedule"),
    "protocol": (str, "what is missing in training: uniform, independent, dicmor, gcnet, mplmm"),
    "accelerator": (str, "auto, cpu, cuda or mps"),
    "bert_mode": (str, "frozen: compute its features once (the default); fine-tune: train it in stage 1"),
    "bert_learning_rate": (float, "of the BERT in stage 1, with --bert-mode fine-tune"),
    "devices": (int, "processes on this machine, one device each"),
    "nodes": (int, "machines"),
    "precision": (str, "32-true or bf16-mixed"),
}
"""Settings of `TrainConfig` with an option of their own; --set reaches all others."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the options of `dicmor train`."""
    example = "dicmor train --data mosi.pkl --preset mosi --seed 1 --out runs/mosi-1"
    parser = new_parser(subparsers, "train", "train a model in both stages", example)
    parser.add_argument("--data", metavar="FILE", help="data file, or 'synthetic' (the default)")
    parser.add_argument("--preset", help="size of the model: tiny (the default), mosi or mosei")
    parser.add_argument(
        "--out", metavar="DIR", help="folder for checkpoints and metrics (default: runs/NAME)"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    parser.add_argument(
        "--extra-train", metavar="FILE", help="further training clips; modalities may be absent"
    )
    parser.add_argument(
        "--bert",
        metavar="FOLDER",
        help="compute language features from the file's token ids (text_bert) with this Hugging Face BERT",
    )
    parser.add_argument("--published", action="store_true", default=None, help="as the published code trains")
    parser.add_argument("--no-standardise", action="store_true", help="leave the features as they are")
    for name, (kind, text) in OPTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help=text)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any setting of the model or the training",
    )
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train; Ctrl-C says how to go on."""
    import torch

    from dicmor_lib.model import DiCMoR
    from dicmor_lib.training import fit

    origin, data, model_config, config, out, encoder = _settle(args)
    if not args.quiet:
        say(f"training on {data.source}: {len(data.train)} samples; results go to {out}")
        for sentence in data.report.sentences():
            say(f"note: {sentence}")
    torch.manual_seed(config.seed)
    model = DiCMoR(model_config)
    try:
        progress = False if args.quiet else None
        history = fit(
            model, data, config, out, resume=args.resume, progress=progress, origin=origin, encoder=encoder
        )
    except KeyboardInterrupt:
        say(f"dicmor: stopped; resume with: dicmor train --resume --out {out}")
        return 130
    best = history.best(2) or history.best(1)
    if best is not None and is_first_process():
        print(
            f"selected on validation: stage {best['stage']}, epoch {best['epoch']}, "
            f"MAE {best['valid_mae']:.4f}{' (synthetic data)' if data.synthetic else ''}\n"
            f"the model is in {out / 'best'}; next: dicmor evaluate {out}"
        )
    return 0


def _settle(
    args: argparse.Namespace,
) -> tuple[dict[str, Any], MultimodalData, DiCMoRConfig, TrainConfig, Path, LanguageEncoder | None]:
    """From the options, and from config.json where a run is resumed, to everything that training needs."""
    from dicmor_lib.config import DiCMoRConfig
    from dicmor_lib.errors import ConfigError, DataError
    from dicmor_lib.modalities import MODALITIES
    from dicmor_lib.training import TrainConfig

    model_changes, train_changes = _changes(args)
    stored = _stored(args)
    origin: dict[str, Any] = {
        "path": absolute(args.data or (stored and stored[2].get("path")) or SYNTHETIC),
        "extra_train": absolute(args.extra_train or (stored and stored[2].get("extra_train"))),
        "preset": args.preset or (stored and stored[2].get("preset")) or "tiny",
        "published": bool(args.published or (stored and stored[2].get("published"))),
    }
    if origin["published"] and origin["preset"] == "tiny":
        raise ConfigError(
            "--published goes with --preset mosi or mosei; the published code has no tiny model"
        )
    DiCMoRConfig.preset(origin["preset"])  # an unknown one is said before a large file is read
    if stored:
        config = stored[1].replace(**train_changes)
    else:
        config = TrainConfig.preset(origin["preset"], published=origin["published"], **train_changes)
    bert = args.bert or (stored and (stored[2].get("language") or {}).get("source"))
    data, encoder = _load(origin, bert, config, args.quiet)
    if 0 in data.feature_dims:
        raise DataError(
            f"{data.source} has no {MODALITIES[data.feature_dims.index(0)]} at all; train on a file that has "
            "all three modalities, and add these clips with --extra-train"
        )
    if stored:
        model_config = stored[0].replace(**model_changes)
    else:
        switches = {"published": True} if origin["published"] else {}
        model_config = DiCMoRConfig.preset(origin["preset"], data.feature_dims, **switches, **model_changes)
    out = Path(args.out) if args.out else _free_folder(origin, config)
    return origin, data, model_config, config, out, encoder


def _load(
    origin: dict[str, Any], bert: str | None, config: TrainConfig, quiet: bool
) -> tuple[MultimodalData, LanguageEncoder | None]:
    """The data, with language computed by a BERT if there is one, and that BERT if it is to be tuned."""
    from dicmor_lib.errors import ConfigError

    if bert is None:
        if config.bert_mode == "fine-tune":
            raise ConfigError("--bert-mode fine-tune needs --bert FOLDER, the BERT to tune")
        return load_data(origin["path"], origin["extra_train"], origin["published"]), None
    from dicmor_lib.language import load_encoder

    encoder = load_encoder(bert)  # its mistakes are said before a large file is read
    data = load_data(origin["path"], origin["extra_train"], origin["published"])
    data = encode(data, encoder, find_device(config.accelerator), quiet)
    return data, encoder if config.bert_mode == "fine-tune" else None


def _stored(args: argparse.Namespace) -> tuple[DiCMoRConfig, TrainConfig, dict[str, Any]] | None:
    """What config.json of the run to resume says; None for a new run."""
    from dicmor_lib.errors import CheckpointError
    from dicmor_lib.training.checkpoint import read_config

    if not args.resume:
        return None
    if not args.out:
        raise CheckpointError("--resume needs --out DIR, the folder of the run to go on with")
    folder = Path(args.out)
    if not folder.is_dir():
        raise CheckpointError(f"there is no folder {folder} to resume from; give the one that --out named")
    return read_config(folder) if (folder / "config.json").exists() else None


def _changes(args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings given as options: those of the model and those of the training."""
    model, train = settings(args.set)
    named = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    train = {**named, **train}
    if args.no_standardise:
        train["standardise"] = False
    if "missing_rate" in named and not args.published:
        train.setdefault("protocol", "dicmor")
    return model, train


def settings(texts: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What --set NAME=VALUE gives: settings of the model and of the training.

    Raises:
        ConfigError: if one is not of this form, or neither has a setting of this name.
    """
    from dataclasses import fields

    from dicmor_lib.config import DiCMoRConfig
    from dicmor_lib.errors import ConfigError
    from dicmor_lib.training import TrainConfig

    of_model, of_training = ({field.name for field in fields(kind)} for kind in (DiCMoRConfig, TrainConfig))
    model: dict[str, Any] = {}
    train: dict[str, Any] = {}
    for setting in texts:
        name, equals, text = setting.partition("=")
        if not equals or name not in of_model | of_training or name == "feature_dims":
            raise ConfigError(
                f"--set {setting} is not NAME=VALUE with the name of a setting; "
                "DiCMoRConfig and TrainConfig in the library list them"
            )
        (model if name in of_model else train)[name] = _value(text)
    return model, train


def _value(text: str) -> Any:
    """The value of a setting: JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _free_folder(origin: dict[str, Any], config: TrainConfig) -> Path:
    """runs/NAME, or the first of NAME-2, NAME-3 ... that is free; not with several processes."""
    from dicmor_lib.errors import ConfigError

    stem = Path(origin["path"]).stem
    folder = Path("runs") / f"{stem}-{origin['preset']}{'-published' * origin['published']}-seed{config.seed}"
    if config.processes > 1 and folder.exists():
        raise ConfigError(
            f"{folder} exists; name another folder with --out, or resume it with --resume --out {folder}"
        )
    free, number = folder, 1
    while free.exists() and config.processes == 1:
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free
