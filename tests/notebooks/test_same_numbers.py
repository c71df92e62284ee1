"""Same in, same out: executed again, a chapter says what the committed one says."""

from __future__ import annotations

import copy
import json
import re

import nbformat
import pytest

from tests.notebooks.same import MACHINE, NUMBER, close, differences, told, unit
from tests.notebooks.test_notebooks import BUILT, CHAPTERS, execute, kernel_environment, read  # noqa: F401

LIGHT = "02_coupling_layers"  # tests/abuse compares its numbers in make test, from poor surroundings
MEASURES = re.compile(r"best_of\(|rate\(n\)|seconds_of|milliseconds\(|doctor\(\)|peak|price|run_job\(")


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_executed_again_says_the_same(chapter, record_property):
    again = execute(chapter, f"{chapter.stem}-full", {"profile": "full"})
    found = differences(read(chapter), again)
    content = {
        "chapter": chapter.stem,
        "numbers": len(found),
        "largest": max((d.size for d in found), default=0),
    }
    content["differences"] = [[d.cell, d.before, d.now] for d in found]
    (BUILT / f"{chapter.stem}.same.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    record_property("same", [chapter.stem, len(found), content["largest"]])
    assert not [d for d in found if not d.close]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_what_is_not_compared_is_what_the_machine_decides(chapter):
    """A cell is left out only if it takes times or looks at the machine."""
    for cell in read(chapter).cells:
        if MACHINE in cell.metadata.get("tags", []):
            assert MEASURES.search(cell.source), cell.source
        elif cell.cell_type == "code":
            assert not re.search(r"^print\(doctor\(\)\)|milliseconds\(", cell.source, re.M), cell.source


def test_a_changed_number_a_changed_word_and_a_changed_description_are_found():
    committed = read(next(c for c in CHAPTERS if c.stem == LIGHT))
    assert differences(committed, copy.deepcopy(committed)) == []

    def changed(pattern, replacement):
        notebook = copy.deepcopy(committed)
        for output in (o for c in notebook.cells if c.cell_type == "code" for o in c.outputs):
            for holder, key in ((output, "text"), (output.get("metadata", {}).get("image/png", {}), "alt")):
                if re.search(pattern, holder.get(key, "")):
                    holder[key] = re.sub(pattern, replacement, holder[key], count=1)
                    return notebook
        raise AssertionError(f"nothing says {pattern}")

    (difference,) = differences(committed, changed(r"0\.0172", "0.0190"))
    assert (difference.before, difference.now, difference.close) == ("0.0172", "0.0190", False)
    assert [d.close for d in differences(committed, changed(r"0\.0172", "0.0173"))] == [True]
    with pytest.raises(AssertionError, match="says something else"):
        differences(committed, changed("published", "our own"))
    figure = next(
        o.metadata["image/png"].alt
        for c in committed.cells
        if c.cell_type == "code"
        for o in c.outputs
        if "alt" in o.get("metadata", {}).get("image/png", {})
    )
    with pytest.raises(AssertionError, match="says something else"):
        differences(committed, changed(re.escape(figure[:30]), "Another figure. "))
    last = [cell for cell in committed.cells if cell.cell_type == "code"][-1]
    shorter = nbformat.v4.new_notebook(cells=[cell for cell in committed.cells if cell is not last])
    with pytest.raises(AssertionError, match="other cells"):
        differences(committed, shorter)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("0.512", "0.514", True),
        ("0.012", "0.015", False),
        ("7", "8", False),
        ("1,284", "1,290", True),
        ("120", "130", False),
        ("12", "11", True),
        ("12", "14", False),
        ("9", "10", False),
        ("9.2", "9.5", True),
        ("84", "89", False),
        ("-0.3", "+0.3", False),
        ("3e-15", "2e-16", True),
        ("3e-03", "6e-03", False),
        ("3e-03", "4e-03", True),
    ],
)
def test_how_close_is_the_same(a, b, same):
    assert close(a, b) is same


def test_a_number_may_end_a_sentence_or_a_sum():
    text = "from -0.3 to 1.07. And 1,284 of 1,290, 3e-05 and .351; 2.13.0, a1 and b.5 are none"
    assert NUMBER.findall(text) == ["-0.3", "1.07", "1,284", "1,290", "3e-05", ".351"]


def test_units_of_the_last_place():
    assert unit("0.512") == 1e-3 and unit("7") == 0 and unit("1.5e-03") == pytest.approx(1e-4)


def test_a_reader_reads_text_tables_and_descriptions():
    shown = nbformat.v4.new_output("display_data", {"text/markdown": "| 1 |"})
    figure = nbformat.v4.new_output(
        "execute_result", {"image/png": "", "text/plain": "<Figure>"}, metadata={"image/png": {"alt": "bars"}}
    )
    cell = nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("stream", text="said\n"), shown, figure])
    assert told(cell) == "said\n\n| 1 |\nbars"
