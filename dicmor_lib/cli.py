"""The `dicmor` command. Each subcommand is a module of `dicmor_lib.commands` with `add_parser` and `run`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import NoReturn

from dicmor_lib.commands.common import is_first_process
from dicmor_lib.errors import DicmorError

COMMANDS: tuple[str, ...] = (
    "train",
    "evaluate",
    "reproduce",
    "results",
    "published",
    "recover",
    "data",
    "bench",
    "beyond",
    "convert-checkpoint",
    "doctor",
)
"""Modules of `dicmor_lib.commands`, in the order in which the help lists them."""

EXAMPLES = """examples:
  dicmor doctor
  dicmor train --data synthetic --preset tiny --out runs/first
  dicmor evaluate runs/first
  dicmor reproduce --data synthetic --seeds 0-4 --out runs/study
  dicmor recover runs/first --data clips.npz --out recovered.npz
  dicmor data check mosi.pkl
  dicmor data convert mosei.pkl mosei.store

--data takes an MMSA pickle, a MulT/MultiBench pickle, an .npz file, or a store
that 'dicmor data convert' made; 'synthetic' is the built-in data set.
'dicmor COMMAND --help' explains a command's options."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, like every other error of the command."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"dicmor: {message}; see '{self.prog} --help'\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser with every subcommand."""
    parser = _Parser(
        prog="dicmor",
        description="Train, evaluate and apply DiCMoR, which recovers missing modalities.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"dicmor_lib.commands.{name.replace('-', '_')}").add_parser(subparsers)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status: 0, 2 for what the user can mend, 130 after Ctrl-C, or the command's own."""
    args = build_parser().parse_args(argv)
    try:
        return args.run(args) or 0
    except DicmorError as problem:
        if is_first_process():
            print(f"dicmor: {_one_line(problem)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if is_first_process():
            print("dicmor: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _one_line(problem: DicmorError) -> str:
    """The message without line breaks, and without what a file may hold to steer the terminal."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(str(problem).split()))


class _Version(argparse.Action):
    def __init__(self, option_strings: list[str], dest: str, **_: object) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from dicmor_lib import __version__

        print(f"dicmor {__version__}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
