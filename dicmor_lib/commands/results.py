"""`dicmor results`: a ledger, or runs that differ in their seed, as Markdown; printed or written into a document."""

from __future__ import annotations

import argparse
from pathlib import Path

from dicmor_lib.commands.common import new_parser

WHOLE = "all"
"""The section that a ledger fills if --section names no other."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the options of `dicmor results`."""
    summary = "print a ledger of results, or a summary of evaluated runs over their seeds"
    example = "dicmor results --ledger runs/oracle/ledger --into README.md"
    parser = new_parser(subparsers, "results", summary, example)
    parser.add_argument("folders", metavar="DIR", nargs="*", help="runs that 'dicmor evaluate' has scored")
    parser.add_argument(
        "--ledger", metavar="DIR", help="what 'dicmor reproduce' has written, instead of runs"
    )
    parser.add_argument(
        "--split", default="test", help="which evaluation of the runs to read (default: test)"
    )
    parser.add_argument("--into", metavar="FILE", help="Markdown document to write the tables into")
    parser.add_argument(
        "--section",
        help="replace what stands between <!-- results:NAME --> and <!-- /results:NAME --> there (default for a "
        f"ledger: {WHOLE})",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the tables, or write them into a section of a document."""
    from dicmor_lib.errors import ConfigError

    if bool(args.ledger) == bool(args.folders):
        raise ConfigError("give either --ledger DIR or the folders of evaluated runs")
    section = args.section or (WHOLE if args.ledger and args.into else None)
    if (args.into is None) != (section is None):
        raise ConfigError(
            "--into and --section belong together: a document, and the section to replace in it"
        )
    text = _of_ledger(args.ledger) if args.ledger else _of_runs(args.folders, args.split)
    if args.into is None or section is None:
        print(text)
        return 0
    document = Path(args.into)
    write_section(document, section, text)
    print(f"{document}: section {section!r} written from {args.ledger or f'{len(args.folders)} run(s)'}")
    return 0


def _of_ledger(folder: str) -> str:
    from dicmor_lib.evaluation.ledger import Ledger
    from dicmor_lib.evaluation.report import report

    return report(Ledger.read(folder))


def _of_runs(folders: list[str], split: str) -> str:
    from dicmor_lib.errors import DataError
    from dicmor_lib.evaluation.seeds import SeedSummary
    from dicmor_lib.evaluation.table_files import read_json

    files = [Path(folder) / f"evaluation-{split}" / "evaluation.json" for folder in folders]
    for file in files:
        if not file.is_file():
            raise DataError(f"there is no {file}; run 'dicmor evaluate {file.parent.parent}' first")
    return SeedSummary.of([read_json(file) for file in files]).to_markdown()


def write_section(document: Path, name: str, content: str, group: str = "results") -> None:
    """Replace a section of a document by `replace_section`; the file is swapped whole.

    Raises:
        DataError: if the document cannot be read or lacks the section's marks.
    """
    from dicmor_lib.errors import DataError
    from dicmor_lib.training.atomic import write_file

    try:
        text = document.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"{document} cannot be read ({error.strerror}); name an existing Markdown file"
        ) from None
    write_file(document, replace_section(text, name, content, group).encode())


def replace_section(text: str, name: str, content: str, group: str = "results") -> str:
    """Return `text` with `content` between the two marks of section `name`: <!-- group:name --> and its end.

    Raises:
        DataError: if the marks are not there exactly once each, in order.
    """
    from dicmor_lib.errors import DataError

    start, end = f"<!-- {group}:{name} -->", f"<!-- /{group}:{name} -->"
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise DataError(f"the document needs {start} and, after it, {end}, once each")
    before, after = text[: text.index(start) + len(start)], text[text.index(end) :]
    return f"{before}\n{content}\n{after}"
