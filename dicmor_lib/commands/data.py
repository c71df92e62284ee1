"""`dicmor data`: what a data file holds, in words and small tables; a store for files larger than memory."""

from __future__ import annotations

import argparse

from dicmor_lib.commands.common import add_quiet, new_parser, say


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe `dicmor data` and what can be done with a file."""
    summary = "look at data files, and convert large ones"
    parser = new_parser(subparsers, "data", summary, "dicmor data check mosi.pkl")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summary = "say what a file holds: splits, shapes, lengths, padding, non-finite values, labels"
    check = new_parser(actions, "check", summary, "dicmor data check mosi.pkl")
    files = "MMSA pickle, MulT/MultiBench pickle or .npz file"
    check.add_argument("file", metavar="FILE", help=f"{files}, or a store")
    check.set_defaults(run=run_check)
    summary = "write a file as a store: a folder whose features stay on disk in training"
    example = "dicmor data convert mosei.pkl mosei.store\n  dicmor train --data mosei.store --preset mosei"
    convert = new_parser(actions, "convert", summary, example)
    convert.add_argument("file", metavar="FILE", help=files)
    convert.add_argument("store", metavar="STORE", help="folder to write; it must not exist")
    convert.add_argument("--overwrite", action="store_true", help="replace a store that is there")
    add_quiet(convert)
    convert.set_defaults(run=run_convert)


def run_check(args: argparse.Namespace) -> int:
    """Print what the file holds."""
    from dicmor_lib.data.check import check_file, render

    print(render(check_file(args.file)))
    return 0


def run_convert(args: argparse.Namespace) -> int:
    """Write the store; Ctrl-C leaves nothing."""
    from dicmor_lib.data.convert import convert

    try:
        convert(args.file, args.store, overwrite=args.overwrite, say=None if args.quiet else say)
    except KeyboardInterrupt:
        say(f"dicmor: stopped; nothing was written to {args.store}")
        return 130
    print(f"the store is in {args.store}; next: dicmor train --data {args.store}")
    return 0
