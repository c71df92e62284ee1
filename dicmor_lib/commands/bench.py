"""`dicmor bench`: times, memory and operations of training steps and predictions, beside the targets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicmor_lib.commands.common import add_quiet, new_parser, say
from dicmor_lib.commands.results import write_section

if TYPE_CHECKING:
    from dicmor_lib.bench.suite import Plan

TINY: dict[str, Any] = dict(
    times=(10, 20, 40), curve_batches=(1, 2, 4), seconds=0.1, rounds=2, store_clips=50
)
"""What --quick measures the curves over, how long, and the clips of its store."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the options of `dicmor bench`."""
    summary = "measure speed, memory and where the time goes, on every device that is here"
    example = "dicmor bench --json bench.json\n  dicmor bench --profile --presets mosi\n"
    example += "  dicmor bench --from bench.json --into README.md"
    parser = new_parser(subparsers, "bench", summary, example)
    parser.add_argument("--presets", nargs="+", metavar="NAME", help="models (default: mosi mosei)")
    parser.add_argument(
        "--batches", nargs="+", type=int, metavar="N", help="batch sizes (default: 1 4 32 128)"
    )
    parser.add_argument(
        "--devices", nargs="+", choices=("cpu", "cuda", "mps"), help="where (default: all that are here)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="of the CPU (default: all physical cores)")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="at least this long for each case (default: 5)"
    )
    parser.add_argument("--compiled", action="store_true", help="with torch.compile as well, also on the CPU")
    parser.add_argument(
        "--store-clips",
        type=int,
        metavar="N",
        help="of the file that is converted to a store, about 450 kB of disk each (default: as many as MOSEI; 0: none)",
    )
    parser.add_argument("--quick", action="store_true", help="a small selection: the tiny preset, one batch")
    parser.add_argument(
        "--profile", action="store_true", help="only say where the time of a training step goes"
    )
    parser.add_argument("--json", metavar="FILE", help="write the numbers as JSON")
    parser.add_argument("--from", dest="source", metavar="FILE", help="read numbers instead of measuring")
    parser.add_argument(
        "--into", metavar="FILE", help="Markdown document: its section bench:speed gets the tables"
    )
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure or read, then print or write."""
    from dicmor_lib.bench.report import to_markdown
    from dicmor_lib.bench.results import read_results, write_results

    if args.profile:
        return _profile(args)
    if args.source:
        results = read_results(args.source)
    else:
        from dicmor_lib.bench.suite import run_suite

        results = run_suite(_plan(args), (lambda sentence: None) if args.quiet else say)
    if args.json:
        write_results(args.json, results)
    if args.into:
        document = Path(args.into)
        write_section(document, "speed", to_markdown(results, folded=True), group="bench")
        print(f"{document}: section 'speed' written")
    else:
        print(to_markdown(results))
    return 0


def _plan(args: argparse.Namespace) -> Plan:
    """What the options ask for.

    Raises:
        ConfigError: if a preset or a number is not one.
        DeviceError: if a device is not here.
    """
    from dicmor_lib.bench.machine import devices_here, physical_cores
    from dicmor_lib.bench.suite import Plan
    from dicmor_lib.config import DiCMoRConfig
    from dicmor_lib.errors import ConfigError
    from dicmor_lib.training.engine import resolve_accelerator

    presets = tuple(args.presets or (("tiny",) if args.quick else ("mosi", "mosei")))
    for name in presets:
        DiCMoRConfig.preset(name)
    batches = tuple(args.batches or ((4,) if args.quick else (1, 4, 32, 128)))
    threads = physical_cores() if args.threads is None else args.threads
    if args.store_clips is not None and args.store_clips < 0:
        raise ConfigError(f"--store-clips is {args.store_clips}; give the number of clips, or 0 for no store")
    if min(*batches, threads, 1) < 1:
        raise ConfigError(
            f"--batches are {', '.join(map(str, batches))} and --threads is {threads}; give whole numbers of at least 1"
        )
    devices = tuple(args.devices or devices_here())
    for name in devices:
        resolve_accelerator(name)
    changes = dict(TINY) if args.quick else {}
    if args.seconds is not None:
        changes["seconds"] = args.seconds
    if args.store_clips is not None:
        changes["store_clips"] = args.store_clips
    return Plan(
        presets=presets, batches=batches, devices=devices, threads=threads, compiled=args.compiled, **changes
    )


def _profile(args: argparse.Namespace) -> int:
    from dicmor_lib.bench.report import kinds_table, parts_table
    from dicmor_lib.bench.suite import run_job
    from dicmor_lib.errors import DeviceError

    plan = _plan(args)
    for case in plan.profiled():
        found = run_job({"job": "profile", "case": case.to_dict(), "top": 20}, plan.threads)
        if "error" in found:
            raise DeviceError(f"{case.title()} cannot be profiled: {found['error']}")
        alone = {"profiles": [found]}
        print(
            f"{case.title()}, {plan.threads} thread(s): {found['seconds'] * 1e3:.1f} ms without the profiler\n"
        )
        print(f"{parts_table(alone)}\n\n{kinds_table(alone)}\n\n{found['table']}\n")
    return 0
