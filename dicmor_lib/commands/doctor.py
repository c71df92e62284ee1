"""`dicmor doctor`: what this environment lacks for the course, and what to do about it."""

from __future__ import annotations

import argparse
import json

from dicmor_lib.commands.common import new_parser


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the options of `dicmor doctor`."""
    summary = "check that everything the course needs is here, and say how to mend what is not"
    parser = new_parser(subparsers, "doctor", summary, "dicmor doctor")
    parser.add_argument("--out", metavar="DIR", default="runs", help="folder for runs (default: runs)")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was found; status 1 if something must be mended."""
    from dicmor_lib.doctor import doctor

    report = doctor(args.out)
    print(json.dumps(report.to_dict(), indent=2) if args.json else report)
    return 0 if report.healthy else 1
