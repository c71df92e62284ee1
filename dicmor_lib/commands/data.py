"""`dicmor data check`: what a data file holds, in words and a small table."""

from __future__ import annotations

import argparse

from dicmor_lib.commands.common import new_parser


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe `dicmor data` and what can be done with a file."""
    parser = new_parser(subparsers, "data", "look at data files", "dicmor data check mosi.pkl")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summary = "say what a file holds: splits, shapes, lengths, padding, non-finite values, labels"
    check = new_parser(actions, "check", summary, "dicmor data check mosi.pkl")
    check.add_argument("file", metavar="FILE", help="MMSA pickle, MulT/MultiBench pickle or .npz file")
    check.set_defaults(run=run_check)


def run_check(args: argparse.Namespace) -> int:
    """Print what the file holds."""
    from dicmor_lib.data.check import check_file, render

    print(render(check_file(args.file)))
    return 0
