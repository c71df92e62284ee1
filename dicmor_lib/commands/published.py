"""`dicmor published`: what other papers print, with its sources and the doubts about it."""

from __future__ import annotations

import argparse

from dicmor_lib.commands.common import new_parser

METRICS = ("acc2", "f1", "acc7", "mae", "corr")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the options of `dicmor published`."""
    summary = "print published numbers with their sources and the doubts about them"
    parser = new_parser(subparsers, "published", summary, "dicmor published --dataset mosi --metric acc2 f1")
    parser.add_argument("--dataset", choices=("mosi", "mosei"), help="default: both")
    parser.add_argument(
        "--protocol", choices=("random", "fixed"), help="missing rates or fixed patterns (default: both)"
    )
    parser.add_argument(
        "--metric",
        nargs="+",
        choices=METRICS,
        default=METRICS,
        metavar="NAME",
        help=f"of {', '.join(METRICS)} (default: all)",
    )
    parser.add_argument("--check", action="store_true", help="print only the doubts, each with its evidence")
    parser.add_argument(
        "--second",
        metavar="FILE",
        help="CSV of further sources to compare columns with; used as evidence, never printed as a result",
    )
    parser.add_argument("--file", metavar="FILE", help="check and print this CSV instead of the built-in one")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the numbers, or the doubts about them."""
    from dicmor_lib.evaluation.published_checks import check_published, count_kinds
    from dicmor_lib.evaluation.published_numbers import published_rows, select
    from dicmor_lib.evaluation.published_tables import doubts_to_lines, published_to_text

    rows = published_rows(args.file)
    second = published_rows(args.second, kinds=None) if args.second else ()
    doubts = check_published(rows, second)
    shown = select(rows, args.dataset, args.protocol)
    if not args.check:
        print(published_to_text(shown, doubts, args.metric))
        return 0
    held = {id(row) for row in shown}
    listed = [doubt for doubt in doubts if any(id(row) in held for row in doubt.rows)]
    print(f"{len(shown)} rows of {len({row.source for row in shown})} sources: {count_kinds(listed)}")
    print("\n".join(doubts_to_lines(listed)))
    return 0
