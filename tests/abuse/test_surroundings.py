"""Chapters run with next to nothing around them, and with a learner at work on them, all at once.

The surroundings: a read-only checkout in folders with spaces and letters beyond ASCII, a user who is not root, no
network, one core, 4 GB of memory, and a kernel name of another time in the notebook. The learner: every cell twice in
a row, earlier cells after later ones, and in each exercise a wrong answer and one that returns nothing.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator

import nbformat
import pytest
from nbformat import NotebookNode

from tests.abuse.rewrites import cells_twice, fast, once_more, probed, read, wrong_answers
from tests.abuse.surroundings import LITTLE, ROOT, Place, hostile_place
from tests.course.chapters import NOTEBOOKS
from tests.notebooks.same import differences

BUILT = ROOT / "build" / "abuse"
LIGHT = ROOT / "notebooks" / "02_coupling_layers.ipynb"  # runs in make test; the others in make test-long
OTHERS = [chapter for chapter in NOTEBOOKS if chapter != LIGHT]
OLD = {"name": "python3.9-old", "display_name": "Python 3.9 (old)", "language": "python"}

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="made with means that Linux has")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with hostile_place() as found:
        yield found


def test_a_chapter_survives_a_learner_in_poor_surroundings_and_says_the_same_there(place):
    """In profile full: once as it stands, which must print what is committed, then once more with each cell twice."""
    committed = read(LIGHT)
    done = place.execute(with_old_kernel(once_more(wrong_answers(committed), times=2)), LIGHT.stem)
    assert_survived(done, LIGHT.stem, place)
    own = nbformat.v4.new_notebook(cells=[cell for cell in done.cells if "abuse" not in cell.metadata])
    assert not [found for found in differences(committed, own) if not found.close]


@pytest.mark.slow
@pytest.mark.parametrize("chapter", OTHERS, ids=lambda path: path.stem)
def test_each_chapter_survives_a_learner_in_poor_surroundings(place, chapter):
    done = place.execute(with_old_kernel(cells_twice(wrong_answers(fast(read(chapter))))), chapter.stem)
    assert_survived(done, chapter.stem, place)


@pytest.mark.slow
@pytest.mark.parametrize(
    "chapter", [c for c in OTHERS if c.stem[:2] in ("00", "05", "11")], ids=lambda p: p.stem
)
def test_each_cell_can_be_run_again_after_all_others(place, chapter):
    done = place.execute(with_old_kernel(once_more(wrong_answers(fast(read(chapter))))), chapter.stem)
    assert_survived(done, chapter.stem, place)


def with_old_kernel(notebook: NotebookNode) -> NotebookNode:
    """A copy that asks for a kernel of another time, and says first what its surroundings are."""
    changed = probed(notebook)
    changed.metadata.kernelspec = OLD
    return changed


def assert_survived(done: NotebookNode, chapter: str, place: Place) -> None:
    """Every cell was executed, no cell complained but those with wrong answers, and these said what was wrong."""
    probe, *cells = [cell for cell in done.cells if cell.cell_type == "code"]
    assert_surrounded(probe, place)
    for cell in cells:
        assert cell.execution_count, f"not executed: {cell.source[:80]}"
        assert not [o.text for o in cell.outputs if o.get("name") == "stderr"], cell.source[:80]
        what = cell.metadata.get("abuse")
        if what in ("wrong", "nothing"):
            assert_refused(cell, chapter if what == "wrong" else None)
        else:
            assert not errors(cell), f"run {what or 'once'}: {cell.source[:80]}\n{errors(cell)}"
    assert done.metadata.peak < LITTLE["bytes"]
    BUILT.mkdir(parents=True, exist_ok=True)
    counts = {
        "cells": len(cells),
        "refused": sum(bool(errors(cell)) for cell in cells),
        "peak": done.metadata.peak,
    }
    (BUILT / f"{chapter}.json").write_text(json.dumps(counts), encoding="utf-8")


def assert_surrounded(probe: NotebookNode, place: Place) -> None:
    """The surroundings are what this module says they are."""
    seen = json.loads(re.search(r"PROBE (.*)", probe.outputs[0].text)[1])
    assert seen["uid"] != 0 and seen["cores"] == 1 and seen["read_only"] and seen["offline"], seen
    assert seen["library"].startswith(str(place.checkout)) and seen["cwd"] == str(place.checkout)
    assert " " in seen["cwd"] and not seen["cwd"].isascii()


def assert_refused(cell: NotebookNode, chapter: str | None) -> None:
    """The check says which exercise, and of a known wrong answer (chapter given) which mistake."""
    (error,) = errors(cell)
    if chapter is None:  # nothing is returned: the check says so, or Python does
        assert error.ename in ("WrongAnswer", "TypeError", "AttributeError"), error.ename
        return
    wrong = __import__(f"tests.course.wrong.chapter_{chapter[:2]}", fromlist=["WRONG"]).WRONG
    number = cell.metadata.number
    assert error.ename == "WrongAnswer" and error.evalue.startswith(f"Exercise {number}: ")
    assert re.search(wrong[number][0].says, error.evalue, re.I)


def errors(cell: NotebookNode) -> list[NotebookNode]:
    return [output for output in cell.outputs if output.output_type == "error"]


def test_an_error_in_a_cell_that_may_not_fail_would_end_the_run(place):
    notebook = fast(read(ROOT / "notebooks" / "00_start_here.ipynb"))
    notebook.cells = notebook.cells[:2]
    notebook.cells[-1].update(cell_type="code", source="1 / 0", outputs=[], execution_count=None)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        place.execute(notebook, "broken")


def test_nothing_was_written_into_the_checkout(place):
    """Runs after the chapters: pytest keeps a module's order."""
    assert not [p for p in place.checkout.rglob("*") if p.name in ("__pycache__", "runs", "written")]
    assert not [p for p in (place.checkout / "notebooks").iterdir() if p.suffix not in (".ipynb", "")]


TRAIN = ("-m", "dicmor_lib", "train", "--data", "synthetic", "--preset", "tiny")


def test_training_in_a_read_only_folder_is_refused_before_it_starts(place):
    """The default output, runs/, lies in the working folder."""
    refused = place.run(*TRAIN)
    assert refused.returncode == 2 and "epoch" not in refused.stdout
    sentence = refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr and sentence.startswith("dicmor: cannot write runs/"), (
        refused.stderr
    )
    assert "choose a folder that can be written" in sentence


@pytest.mark.slow
def test_training_goes_elsewhere_from_a_read_only_folder(place):
    elsewhere = place.home / "a run"
    trained = place.run(*TRAIN, "--out", str(elsewhere), "--stage1-epochs", "1", "--stage2-epochs", "1")
    assert trained.returncode == 0, trained.stderr
    assert (elsewhere / "best").exists()


def test_doctor_names_what_is_poor_here(place):
    found = place.run("-m", "dicmor_lib", "doctor", "--json")
    problems = [f for f in json.loads(found.stdout)["findings"] if f["level"] == "problem"]
    assert found.returncode == 1 and ["written" in f["what"] for f in problems] == [True], problems
    assert str(place.checkout) in problems[0]["what"] and "--out" in problems[0]["remedy"]
    notes = [f["what"] for f in json.loads(found.stdout)["findings"] if f["level"] == "note"]
    assert any("no network" in what for what in notes)
