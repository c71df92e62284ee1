"""`dicmor results`: one summary of runs that differ in their seed, printed or written into a document."""

from __future__ import annotations

import argparse
from pathlib import Path

from dicmor_lib.commands.common import new_parser


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the options of `dicmor results`."""
    summary = "summarise evaluated runs over their seeds, beside the baselines"
    example = "dicmor results runs/mosi-0 runs/mosi-1 runs/mosi-2 --into README.md --section mosi"
    parser = new_parser(subparsers, "results", summary, example)
    parser.add_argument("folders", metavar="DIR", nargs="+", help="runs that 'dicmor evaluate' has scored")
    parser.add_argument("--split", default="test", help="which evaluation to read (default: test)")
    parser.add_argument("--into", metavar="FILE", help="Markdown document to write the summary into")
    parser.add_argument(
        "--section", help="replace what stands between <!-- results:NAME --> and <!-- /results:NAME --> there"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the summary, or write it into a section of a document."""
    from dicmor_lib.errors import ConfigError, DataError
    from dicmor_lib.evaluation.seeds import SeedSummary
    from dicmor_lib.evaluation.table_files import read_json

    if (args.into is None) != (args.section is None):
        raise ConfigError(
            "--into and --section belong together: a document, and the section to replace in it"
        )
    files = [Path(folder) / f"evaluation-{args.split}" / "evaluation.json" for folder in args.folders]
    for file in files:
        if not file.is_file():
            raise DataError(f"there is no {file}; run 'dicmor evaluate {file.parent.parent}' first")
    summary = SeedSummary.of([read_json(file) for file in files]).to_markdown()
    if args.into is None:
        print(summary)
        return 0
    document = Path(args.into)
    try:
        text = document.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"{document} cannot be read ({error.strerror}); name an existing Markdown file"
        ) from None
    replaced = replace_section(text, args.section, summary)
    from dicmor_lib.training.atomic import write_file

    write_file(document, replaced.encode())
    print(f"{document}: section {args.section!r} written from {len(files)} run(s)")
    return 0


def replace_section(text: str, name: str, content: str) -> str:
    """Return `text` with `content` between the two marks of section `name`.

    Raises:
        DataError: if the marks are not there exactly once each, in order.
    """
    from dicmor_lib.errors import DataError

    start, end = f"<!-- results:{name} -->", f"<!-- /results:{name} -->"
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise DataError(f"the document needs {start} and, after it, {end}, once each")
    before, after = text[: text.index(start) + len(start)], text[text.index(end) :]
    return f"{before}\n{content}\n{after}"
