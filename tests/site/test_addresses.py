"""Where everything stands: links of the chapters become links of the site, equations have places."""

from __future__ import annotations

import pytest

from dicmor_lib.course.equations import EQUATIONS
from dicmor_lib.errors import ConfigError
from dicmor_lib.site.addresses import (
    MENTION,
    ROOT,
    equation_code,
    equation_place,
    linked_page,
    shown_files,
    source_page,
)


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("../dicmor_lib/blocks/coupling.py", "../source/dicmor_lib.blocks.coupling.md"),
        ("../dicmor_lib/objective.py#line-3", "../source/dicmor_lib.objective.md#line-3"),
        ("solutions/07_train_dicmor.py", "../source/solutions.07_train_dicmor.md"),
        ("solutions/", "../source/index.md"),
        ("04_distribution_transfer.ipynb", "04_distribution_transfer.ipynb"),
        ("#exercises", "#exercises"),
        ("https://example.org/a.py", "https://example.org/a.py"),
    ],
)
def test_a_link_of_a_chapter_becomes_a_link_of_the_site(written, becomes):
    assert linked_page(written, "02_coupling_layers") == becomes


@pytest.mark.parametrize("lost", ["../dicmor_lib/gone.py", "../Makefile", "../../outside.py", "notes.txt"])
def test_a_link_to_what_the_site_does_not_show_is_refused(lost):
    with pytest.raises(
        ConfigError, match="02_coupling_layers.*which the site does not show; link to a chapter"
    ):
        linked_page(lost, "02_coupling_layers")


@pytest.mark.parametrize("equation", EQUATIONS, ids=lambda e: f"({e.number})")
def test_an_equation_has_a_place_and_a_line_that_bears_its_number(equation):
    assert equation_place(equation.number) == (f"chapters/{equation.chapter}", f"equation-{equation.number}")
    path, line = equation_code(equation.number)
    assert path in shown_files()
    assert f"Eq. ({equation.number})" in (ROOT / path).read_text(encoding="utf-8").splitlines()[line - 1]


def test_an_unknown_equation_has_no_place():
    assert equation_place(len(EQUATIONS) + 1) is None


def test_every_page_of_a_file_has_a_name_of_its_own():
    pages = [source_page(path) for path in shown_files()]
    assert len(set(pages)) == len(pages) > 100
    assert not any("__pycache__" in path for path in shown_files())


def test_mentions_end_where_the_numbers_end():
    text = "Eq. (1), Eqs. (3) and (4), Eq. (13), (14); not (5), nor Seq. (6)."
    assert [m[0] for m in MENTION.finditer(text)] == ["Eq. (1)", "Eqs. (3) and (4)", "Eq. (13), (14)"]
