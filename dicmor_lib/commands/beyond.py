"""`dicmor beyond`: the joint prior beside the paper's model, ridge and the Gaussian, over seeds; resumable."""

from __future__ import annotations

import argparse
from pathlib import Path

from dicmor_lib.commands.common import add_quiet, new_parser, say
from dicmor_lib.commands.results import write_section


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the options of `dicmor beyond`."""
    summary = "compare the joint prior (chapter 12) with DiCMoR, ridge and a Gaussian, over several seeds"
    example = "dicmor beyond --data synthetic --out runs/beyond\n  dicmor beyond --into README.md"
    parser = new_parser(subparsers, "beyond", summary, example)
    parser.add_argument("--data", metavar="FILE", nargs="+", help="data files, or 'synthetic'")
    parser.add_argument("--seeds", default="0-4", help="training seeds, such as 0-4 (the default) or 0,2,5")
    parser.add_argument("--out", metavar="DIR", help="folder of the study; a finished part is kept")
    parser.add_argument(
        "--only", choices=("measure",), help="do not join the seeds: for one process of several"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="of the CPU (default: as torch likes)")
    parser.add_argument(
        "--results",
        metavar="FILE",
        help="JSON that gets the joined numbers, or holds them (default: the library's)",
    )
    parser.add_argument(
        "--into", metavar="FILE", help="Markdown document: its sections beyond:DATA get the tables"
    )
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure what is not measured yet, if data are given; then print the tables or write them into a document."""
    from dicmor_lib.errors import ConfigError
    from dicmor_lib.evaluation.beyond.results import RESULTS, read_results
    from dicmor_lib.evaluation.beyond.tables import to_markdown

    if bool(args.data) != bool(args.out):
        raise ConfigError("--data and --out belong together: what to measure, and the folder to keep it in")
    results = Path(args.results) if args.results else RESULTS
    if args.data:
        _measure(args, results)
        if args.only:
            return 0
    found = read_results(results)
    for name in found.info:
        if args.into:
            write_section(Path(args.into), name, to_markdown(found, name), group="beyond")
            print(f"{args.into}: section '{name}' written")
        elif not args.quiet:
            print(f"# {name}\n\n{to_markdown(found, name)}\n")
    return 0


def _measure(args: argparse.Namespace, results: Path) -> None:
    """Train and measure, and replace these data sets' numbers in `results`."""
    import torch

    from dicmor_lib.evaluation.beyond.facts import facts
    from dicmor_lib.evaluation.beyond.results import Results, join_seeds, read_results, without, write_results
    from dicmor_lib.evaluation.beyond.run import run_seed
    from dicmor_lib.evaluation.beyond.setting import Setting
    from dicmor_lib.evaluation.study import SYNTHETIC, parse_seeds

    if args.threads:
        torch.set_num_threads(args.threads)
    seeds, tell = parse_seeds(args.seeds), (lambda what: None) if args.quiet else say
    rows, info = {}, {}
    for path in args.data:
        setting = Setting.of_oracle() if path == SYNTHETIC else Setting.of_file(path)
        measured = [run_seed(setting, seed, Path(args.out), say=tell) for seed in seeds]
        if not args.only:
            name = setting.source.name
            rows[name], info[name] = join_seeds(name, measured), facts(setting, seeds)
    if not args.only:
        before = read_results(results) if results.exists() else Results({}, ())
        kept = [*without(before, rows), *(row for name in rows for row in rows[name])]
        write_results(Results({**before.info, **info}, tuple(kept)), results)
