"""The library's docstrings are plain text with `code`; Sphinx reads reStructuredText. This makes the one into the other."""

from __future__ import annotations

import re
from itertools import groupby

CODE = re.compile(r"(`+)([^`]+)\1")
FIELD = re.compile(r"\w+(?:, \w+)*: ")
ITEM = re.compile(r"(?:[-*]|\d+\.) ")
ROW = re.compile(r"\|.*\|\s*$")
SECTION = re.compile(r"(?:Args|Attributes|Examples?|Notes?|Raises|Returns|Yields):\s*$")
SPECIAL = re.compile(r"([*|\\`]|_(?=\W|$))")


def as_rst(lines: list[str]) -> list[str]:
    """Return the lines of a docstring in reStructuredText; its sections ("Args:") are left to napoleon.

    `name` becomes code and what would be markup is escaped. Lines of the form "name: what it is" and lists become
    lists, an indented paragraph or a table becomes a block of code, and examples (>>>) stay as they are.
    """
    result: list[str] = []
    in_section = False
    for block in _blocks(lines):
        in_section = bool(SECTION.match(block[0])) or (in_section and block[0].startswith(" "))
        if block[0].lstrip().startswith(">>>"):
            result += block
        elif in_section:
            result += map(_escaped, block)
        elif all(line.startswith(" ") or ROW.match(line) for line in block):
            result += ["::", "", *(f"    {line}" for line in block)]
        elif sum(bool(FIELD.match(line)) for line in block) > 1:
            result += _list([f"- {line}" if FIELD.match(line) else line for line in block])
        else:
            result += _list(block)
        result.append("")
    return result


def _blocks(lines: list[str]) -> list[list[str]]:
    """Split at empty lines and before the names of sections."""
    blocks = [list(group) for filled, group in groupby(lines, lambda line: bool(line.strip())) if filled]
    parts = []
    for block in blocks:
        starts = [0, *(i for i, line in enumerate(block) if i and SECTION.match(line))]
        parts += [block[start:end] for start, end in zip(starts, [*starts[1:], None])]
    return parts


def _list(block: list[str]) -> list[str]:
    """Return a paragraph, or a list with an empty line before its first item and its other lines indented."""
    result: list[str] = []
    in_list = False
    for line in map(str.strip, block):
        if ITEM.match(line):
            result += [_item(line)] if in_list or not result else ["", _item(line)]
            in_list = True
        else:
            result.append(("   " if in_list else "") + _escaped(line))
    return result


def _item(line: str) -> str:
    mark, _, text = line.partition(" ")
    return f"{mark:2} {_escaped(text)}"  # three columns, as "1. " has


def _escaped(line: str) -> str:
    """Mark code as literal and everything else as no markup at all."""
    parts: list[str] = []
    end = 0
    for found in CODE.finditer(line):
        parts.append(SPECIAL.sub(r"\\\1", line[end : found.start()]))
        before = "\\ " if found.start() and line[found.start() - 1].isalnum() else ""
        after = "\\ " if line[found.end() : found.end() + 1].isalnum() else ""
        parts.append(f"{before}``{found[2]}``{after}")
        end = found.end()
    return "".join([*parts, SPECIAL.sub(r"\\\1", line[end:])])
