"""`dicmor reproduce`: data sets x seeds x methods, trained and evaluated into a ledger; resumable at any point."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from dicmor_lib.commands.common import add_quiet, new_parser, say

SMALL = ("stage1_epochs", "stage2_epochs", "batch_size", "learning_rate", "accelerator")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the options of `dicmor reproduce`."""
    summary = "train and evaluate all variants over several seeds, into a ledger of results"
    example = "dicmor reproduce --data synthetic --preset tiny --seeds 0-4 --out runs/oracle"
    parser = new_parser(subparsers, "reproduce", summary, example)
    parser.add_argument(
        "--data", metavar="FILE", nargs="+", default=["synthetic"], help="data files, or 'synthetic'"
    )
    parser.add_argument(
        "--preset", default="tiny", help="size of the models: tiny (the default), mosi or mosei"
    )
    parser.add_argument("--seeds", default="0-4", help="training seeds, such as 0-4 (the default) or 0,2,5")
    parser.add_argument(
        "--variants", default="all", help="'all' (the default), or names with commas between them"
    )
    parser.add_argument(
        "--out", metavar="DIR", required=True, help="folder of the study; a finished part is kept"
    )
    parser.add_argument("--only", choices=("train", "evaluate"), help="stop after training, or do not train")
    parser.add_argument("--again", action="store_true", help="evaluate anew what was evaluated before")
    parser.add_argument(
        "--ledger", metavar="DIR", help="merge the results into this ledger (default: OUT/ledger)"
    )
    parser.add_argument("--permutations", type=int, default=200, help="for the p-values of distances (200)")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap (1000)")
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with a seed of its own (1)")
    parser.add_argument(
        *("--set", "-s"),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any setting of the models or of training, for all variants alike",
    )
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what is not done yet; Ctrl-C says how to go on."""
    from dicmor_lib.errors import ConfigError
    from dicmor_lib.evaluation.reproduce import reproduce

    if args.jobs < 1:
        raise ConfigError(f"--jobs is {args.jobs}; at least one process is needed")
    study = study_of(args)
    try:
        ledger = reproduce(
            *(study, args.only, args.again, args.jobs),
            bars=False if args.quiet else None,
            ledger=Path(args.ledger) if args.ledger else None,
        )
    except KeyboardInterrupt:
        say(f"dicmor: stopped; the same command goes on from here, and repeats nothing that is in {args.out}")
        return 130
    if args.only == "train":
        print(f"trained; the runs are in {args.out}; next: the same command without --only train")
    else:
        print(f"the ledger is in {ledger}; next: dicmor results --ledger {ledger}")
    return 0


def study_of(args: argparse.Namespace) -> Any:
    """The study that the options describe."""
    from dicmor_lib.commands.train import settings
    from dicmor_lib.evaluation.study import Source, Study, parse_seeds
    from dicmor_lib.evaluation.variants import choose_variants

    model, training = settings(args.set)
    return Study(
        sources=tuple(Source.of(path) for path in args.data),
        out=Path(args.out),
        preset=args.preset,
        seeds=parse_seeds(args.seeds),
        variants=tuple(choose_variants(args.variants)),
        permutations=args.permutations,
        resamples=args.resamples,
        model=model,
        training=training,
    )
