"""`dicmor --help`, and that of each subcommand, can be read on a terminal of 80 columns."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from dicmor_lib.cli import COMMANDS, build_parser


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from parsers(inner)


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


PARSERS = list(parsers(build_parser()))


def test_every_command_is_there():
    assert {parser.prog.split()[1] for parser in PARSERS if " " in parser.prog} == set(COMMANDS)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog.replace(" ", "-"))
class TestHelp:
    def test_it_fits_the_terminal(self, parser):
        assert [line for line in parser.format_help().splitlines() if len(line) > 80] == []
        assert len(parser.format_help().splitlines()) <= 62, "longer than two screens"

    def test_it_ends_with_an_example_that_works(self, parser):
        text = parser.format_help()
        examples = [line.strip() for line in text.splitlines() if line.strip().startswith("dicmor ")]
        assert "example" in text and examples
        for example in examples:
            build_parser().parse_args(example.split()[1:])

    def test_every_option_is_explained(self, parser):
        bare = [
            a.dest for a in parser._actions if not a.help and not isinstance(a, argparse._SubParsersAction)
        ]
        assert not bare
        subcommands = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        assert all(choice.help for action in subcommands for choice in action._choices_actions)
