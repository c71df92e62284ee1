"""Plain docstrings become reStructuredText that says the same."""

from __future__ import annotations

import pytest

from dicmor_lib.site.docstrings import as_rst


def rst(text: str) -> str:
    return "\n".join(as_rst(text.split("\n"))).rstrip("\n")


@pytest.mark.parametrize(
    ("plain", "marked"),
    [
        ("`x` and `y`", "``x`` and ``y``"),
        ("2`x`", "2\\ ``x``"),
        ("the `group`s", "the ``group``\\ s"),
        ("s * x_b + t", "s \\* x_b + t"),
        ("|r| and x_ end", "\\|r\\| and x\\_ end"),
        ("a path C:\\x", "a path C:\\\\x"),
        ("`a * b_ |c|`", "``a * b_ |c|``"),
    ],
)
def test_code_is_literal_and_nothing_else_is_markup(plain, marked):
    assert rst(plain) == marked


def test_a_list_gets_the_empty_line_it_needs():
    assert rst("Two:\n- one\n  more\n- two") == "Two:\n\n-  one\n   more\n-  two"


def test_lines_with_names_become_a_list():
    assert rst("a: first\n    goes on\nb, c: second") == "-  a: first\n   goes on\n-  b, c: second"


def test_an_indented_paragraph_becomes_code():
    assert rst("So:\n\n    y = x * W\n\nEnd.") == "So:\n\n::\n\n        y = x * W\n\nEnd."


def test_a_table_keeps_its_lines():
    assert rst("| a | b |\n|---|---|") == "::\n\n    | a | b |\n    |---|---|"


def test_sections_and_examples_stay():
    text = "Do.\n\nArgs:\n    x: a `b`.\n\n        more\n\n>>> f('*')\n'*'\n\nRaises:\n    E: if."
    assert rst(text) == text.replace("`b`", "``b``")


def test_a_section_may_follow_without_an_empty_line():
    assert rst("Do.\nRaises:\n    E: if.") == "Do.\n\nRaises:\n    E: if."


def test_wrapped_lines_are_one_paragraph():
    assert rst("one\n  two\nthree") == "one\ntwo\nthree"
