"""What learners do to a chapter does not break it; what their wrong answers do stays in the exercise's cell."""

from __future__ import annotations

import ast
import contextlib
import io

import pytest

from tests.abuse.rewrites import (
    GOES_ON,
    asked_for,
    cells_twice,
    exercises_alone,
    fast,
    is_exercise,
    once_more,
    read,
    wrong_answers,
)
from tests.course.chapters import NOTEBOOKS

BY_CHAPTER = pytest.mark.parametrize("chapter", NOTEBOOKS, ids=lambda path: path.stem)


@BY_CHAPTER
def test_run_all_goes_on_after_an_exercise_and_after_nothing_else(chapter):
    """An error elsewhere must stop the run, so no other cell has the tag."""
    for cell in read(chapter).cells:
        assert (GOES_ON in cell.metadata.get("tags", [])) == is_exercise(cell), cell.source[:60]


@BY_CHAPTER
def test_exercises_need_the_imports_alone(chapter):
    """After a restart a learner runs the first cells and goes straight to an exercise."""
    _, imports, *stubs = [cell.source for cell in exercises_alone(read(chapter)).cells]
    kept = [node for node in ast.parse(imports).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names: dict[str, object] = {}
    exec(compile(ast.Module(kept, []), "imports", "exec"), names)
    for stub in stubs:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exec(compile(stub, "stub", "exec"), names)
        assert said.getvalue().startswith(f"Exercise {asked_for(stub)[0]}: not solved yet.")


@BY_CHAPTER
def test_an_answer_takes_no_name_that_the_chapter_calls(chapter):
    """Cells above an exercise can be run again after it: its answers hide no function, class or import of theirs."""
    own, answers = set(), set()
    for cell in read(chapter).cells:
        if cell.cell_type == "code":
            (answers if is_exercise(cell) else own).update(_defined(ast.parse(cell.source)))
    assert answers and not own & answers


def _defined(tree: ast.Module) -> set[str]:
    """Functions, classes and imports at the top of a cell."""
    found = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return found | {(name.asname or name.name).split(".")[0] for node in imports for name in node.names}


def test_the_rewrites_add_what_they_say():
    notebook = read(NOTEBOOKS[0])
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    exercises = [cell for cell in code if is_exercise(cell)]
    assert len(exercises) >= 3

    def added(changed, what):
        return [cell for cell in changed.cells if cell.metadata.get("abuse") == what]

    twice = cells_twice(notebook)
    assert [c.source for c in added(twice, "twice")] == [c.source for c in code]
    assert all(a.source == b.source for a, b in _neighbours(twice) if b.metadata.get("abuse") == "twice")
    assert len(added(once_more(notebook), "once more")) == len(code) - len(exercises)
    wrong = wrong_answers(notebook)
    assert len(added(wrong, "wrong")) == len(added(wrong, "nothing")) == len(exercises)
    assert all(GOES_ON in c.metadata.tags for c in added(wrong, "wrong"))
    assert [cell.source for cell in fast(notebook).cells if 'profile = "fast"' in cell.source] != []
    assert not [cell.source for cell in fast(notebook).cells if 'profile = "full"' in cell.source]
    assert not any(c.outputs for c in fast(notebook).cells if c.cell_type == "code")
    assert len(notebook.cells) == len(read(NOTEBOOKS[0]).cells), "a rewrite changes a copy"


def _neighbours(notebook):
    return zip(notebook.cells, notebook.cells[1:])
