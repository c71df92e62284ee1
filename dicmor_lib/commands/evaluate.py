"""`dicmor evaluate`: the seven-pattern table of a trained model beside its baselines, and five missing rates."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dicmor_lib.commands.common import (
    add_accelerator,
    add_bert,
    add_quiet,
    find_device,
    load_run_data,
    new_parser,
    say,
)

if TYPE_CHECKING:
    import torch

    from dicmor_lib.evaluation import Evaluation, ProtocolEvaluation
    from dicmor_lib.model import DiCMoR
    from dicmor_lib.training import RunInfo


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the options of `dicmor evaluate`."""
    summary = "print and save the table of seven patterns x metrics, beside the baselines"
    parser = new_parser(subparsers, "evaluate", summary, "dicmor evaluate runs/mosi-1")
    parser.add_argument("folder", metavar="DIR", help="what 'dicmor train --out' wrote")
    parser.add_argument("--data", metavar="FILE", help="data file (default: the one it was trained on)")
    parser.add_argument("--split", default="test", help="train, valid or test (default: test)")
    parser.add_argument("--out", metavar="DIR", help="folder for the tables (default: DIR/evaluation-SPLIT)")
    parser.add_argument(
        "--protocols",
        metavar="NAMES",
        help="also score under missing-data protocols: 'all', or a comma list of dicmor, imder, gcnet, "
        "independent, mplmm (no further pass) and frames (one pass per rate)",
    )
    parser.add_argument(
        "--rates",
        metavar="RATE",
        nargs="+",
        type=float,
        help="missing rates of --protocols (default: .1 .2 ... .7)",
    )
    parser.add_argument("--mask-seed", metavar="N", type=int, help="of the frame masks (default: 0)")
    add_bert(parser)
    add_accelerator(parser)
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate the selected model and write the tables."""
    from dicmor_lib.evaluation.bench import Bench
    from dicmor_lib.evaluation.evaluate import evaluate
    from dicmor_lib.training import load_checkpoint
    from dicmor_lib.training.atomic import explain_os_errors

    names, rates = _protocols(args)
    benches: list[Bench] = []  # what the observer is given: the fitted methods, the same for every pattern
    device = find_device(args.accelerator)
    model, info = load_checkpoint(args.folder, device=device)
    data = load_run_data(info, args.data, args.quiet, device, args.bert)
    stage1, notes = _stage1(args.folder, model, device)
    notes.append(_origin(info))
    result = evaluate(
        model,
        data,
        stage1=stage1,
        split=args.split,
        extra={
            "training_seed": info.train_config.seed,
            "checkpoint": str(info.folder / info.which),
            "notes": notes,
        },
        progress=None if args.quiet else _report,
        observer=lambda pattern, bench, result: benches.append(bench),
    )
    found: list[Evaluation | ProtocolEvaluation] = [result]
    if names:
        from dicmor_lib.evaluation.protocol_run import evaluate_protocols

        progress = None if args.quiet else _report
        seed = args.mask_seed or 0
        found.append(evaluate_protocols(result.predictions, benches[0], names, rates, seed, progress))
    out = Path(args.out) if args.out else Path(args.folder) / f"evaluation-{args.split}"
    with explain_os_errors(f"the tables to {out}"):
        paths = [path for part in found for path in part.save(out)]
    print("\n\n".join(part.to_text() for part in found))
    print(f"\nsaved: {', '.join(str(path) for path in paths)}")
    return 0


def _protocols(args: argparse.Namespace) -> tuple[tuple[str, ...], list[float]]:
    """The asked protocols and rates, checked before anything is computed; no protocols without --protocols."""
    from dicmor_lib.errors import ConfigError
    from dicmor_lib.evaluation.frames import check_frame_rate
    from dicmor_lib.evaluation.protocol_run import FRAMES, RATES, parse_protocols
    from dicmor_lib.evaluation.protocols import defined_cases

    if args.protocols is None:
        if args.rates or args.mask_seed is not None:
            raise ConfigError("--rates and --mask-seed belong to --protocols; add '--protocols all'")
        return (), []
    names, rates = parse_protocols(args.protocols), list(args.rates or RATES)
    if args.mask_seed is not None and args.mask_seed < 0:
        raise ConfigError(f"--mask-seed is {args.mask_seed}; it must be a whole number of at least 0")
    laws = [name for name in names if name != FRAMES]
    if laws:
        defined_cases(laws, rates)
    else:
        check_frame_rate(min(rates))
    return names, rates


def _stage1(folder: str, model: DiCMoR, device: torch.device) -> tuple[DiCMoR, list[str]]:
    """The complete-data model that the baselines predict with; the model itself without a stage 1."""
    from dicmor_lib.training import load_checkpoint
    from dicmor_lib.training.atomic import find

    if find(Path(folder) / "stage1").is_dir():
        return load_checkpoint(folder, "stage1", device)[0], []
    return model, ["Stage 1 was not trained: the imputation baselines use this model's own C^m and fusion."]


def _origin(info: RunInfo) -> str:
    """Where the weights come from, in a sentence."""
    standardised = f"standardised features: {'no' if info.standardiser is None else 'yes'}."
    if info.data.get("language"):
        tuned = "fine-tuned in stage 1" if info.train_config.bert_mode == "fine-tune" else "frozen"
        standardised += f" Language: the BERT {info.data['language']['source']}, {tuned}."
    if info.data.get("converted"):
        lacked = (
            "; what the checkpoint lacks (flows, recovery) is untrained" if info.state["stage"] == 1 else ""
        )
        return f"The model was {info.data['source']}{lacked}; {standardised}"
    return (
        f"Training seed {info.train_config.seed}; the model was selected on the validation split "
        f"(stage {info.state['stage']}, epoch {info.state['epoch']}); {standardised}"
    )


def _report(done: int, total: int, what: str) -> None:
    say(f"[{done}/{total}] {what}")
