"""Every numbered equation stands in its chapter and by the code that computes it; there are no orphans."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dicmor_lib.course.equations import EQUATIONS, where
from dicmor_lib.errors import ConfigError
from tests.course.chapters import NOTEBOOKS, ROOT, cells

NUMBERS = [e.number for e in EQUATIONS]
TAG = re.compile(r"\\tag\{(\d+)\}")
MENTION = re.compile(r"Eqs?\.\s*\((\d+)\)(?:(?: and|,|(?: to|-))\s*\((\d+)\))*")


def mentioned(text: str) -> set[int]:
    """Numbers in "Eq. (1)", "Eq. (1) and (2)", "Eq. (13), (14)"."""
    return {int(n) for m in MENTION.finditer(text) for n in re.findall(r"\((\d+)\)", m[0])}


def library_files() -> list[Path]:
    return sorted(p for p in (ROOT / "dicmor_lib").rglob("*.py") if "course" not in p.parts)


def test_numbers_count_up_from_one():
    assert NUMBERS == list(range(1, len(NUMBERS) + 1))


@pytest.mark.parametrize("equation", EQUATIONS, ids=lambda e: f"({e.number})")
class TestEquation:
    def test_the_code_that_computes_it_bears_its_number(self, equation):
        file, _, line = where(equation.number).partition(":")
        assert file == equation.file
        assert f"Eq. ({equation.number})" in (ROOT / file).read_text().splitlines()[int(line) - 1]

    def test_it_is_displayed_once_in_its_chapter(self, equation):
        shown = {
            n.stem: TAG.findall("\n".join(cells(n, "markdown"))).count(str(equation.number))
            for n in NOTEBOOKS
        }
        assert {name: count for name, count in shown.items() if count} == {equation.chapter: 1}

    def test_its_chapter_links_the_file(self, equation):
        text = "\n".join(cells(ROOT / "notebooks" / f"{equation.chapter}.ipynb", "markdown"))
        assert f"](../{equation.file})" in text


def test_no_file_of_the_library_names_an_equation_that_is_not_its_own():
    for file in library_files():
        for number in mentioned(file.read_text(encoding="utf-8")):
            assert number in NUMBERS, f"{file.name} names Eq. ({number}), which no chapter derives"


def test_no_chapter_names_an_unknown_equation():
    for notebook in NOTEBOOKS:
        text = "\n".join(cells(notebook, "markdown") + cells(notebook, "code"))
        assert mentioned(text) <= set(NUMBERS), notebook.stem


def test_every_code_anchor_has_its_formula_in_a_chapter():
    anchored = set().union(*(mentioned(file.read_text(encoding="utf-8")) for file in library_files()))
    assert anchored == set(NUMBERS)


def test_an_unknown_number_is_refused():
    with pytest.raises(ConfigError, match="no equation \\(99\\)"):
        where(99)
