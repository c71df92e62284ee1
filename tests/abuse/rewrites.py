"""What a learner does to a chapter, as rewrites of its notebook: cells twice, wrong answers, all of it once more.

Each function takes a notebook and returns a changed copy; cells that a rewrite adds say in their metadata what they
are, so that a test can tell them from the chapter's own.
"""

from __future__ import annotations

import ast
import copy
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tests.course.chapters import CHECKED

GOES_ON = "raises-exception"  # a tag: JupyterLab and nbclient go on after an error in a cell that has it
PROBE = """\
import json, os, socket, dicmor_lib
def refused(call):
    try:
        return not call()
    except OSError:
        return True
def write():
    with open(os.path.join(os.path.dirname(dicmor_lib.__file__), "written"), "w"):
        return True
print("PROBE " + json.dumps({
    "uid": os.getuid(), "cores": len(os.sched_getaffinity(0)), "cwd": os.getcwd(), "library": dicmor_lib.__file__,
    "read_only": refused(write), "offline": refused(lambda: socket.create_connection(("192.0.2.1", 80), 3)),
}))"""


def is_exercise(cell: NotebookNode) -> bool:
    """Whether a cell holds the stub and the check of an exercise."""
    return cell.cell_type == "code" and CHECKED.search(cell.source) is not None


def fast(notebook: NotebookNode) -> NotebookNode:
    """In profile fast, without outputs: what papermill would run."""
    changed = copy.deepcopy(notebook)
    for cell in changed.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    parameters = next(c for c in changed.cells if "parameters" in c.metadata.get("tags", []))
    assert 'profile = "full"' in parameters.source
    parameters.source = parameters.source.replace('profile = "full"', 'profile = "fast"', 1)
    return changed


def cells_twice(notebook: NotebookNode) -> NotebookNode:
    """Every code cell of the chapter's own is followed by itself."""
    changed, cells = copy.deepcopy(notebook), []
    for cell in changed.cells:
        own = cell.cell_type == "code" and "abuse" not in cell.metadata
        cells += [cell, _again(cell, "twice")] if own else [cell]
    changed.cells = cells
    return changed


def once_more(notebook: NotebookNode, times: int = 1) -> NotebookNode:
    """After its last cell the notebook is run again from the top, each cell that often; exercises are left out."""
    changed = copy.deepcopy(notebook)
    own = [
        c
        for c in notebook.cells
        if c.cell_type == "code" and not is_exercise(c) and "abuse" not in c.metadata
    ]
    changed.cells += [_again(cell, "once more") for cell in own for _ in range(times)]
    return changed


def wrong_answers(notebook: NotebookNode) -> NotebookNode:
    """Below the stub of each exercise a wrong answer, and one that returns nothing, in cells tagged like the stub's.

    The first wrong answer of tests/course/wrong takes the stub's names, as a learner's would.
    """
    changed, cells = copy.deepcopy(notebook), []
    for cell in changed.cells:
        cells.append(cell)
        if is_exercise(cell):
            number, names = asked_for(cell.source)
            check = f"check({number!r}, {', '.join(names)})"
            answers = f"from tests.course.wrong.chapter_{int(number.split('.')[0]):02} import WRONG\n"
            answers += f"{', '.join(names)}, = WRONG[{number!r}][0].answers\n{check}"
            nothing = "\n".join(f"def {name}(*args, **options):\n    return None" for name in names)
            for what, source in (("wrong", answers), ("nothing", f"{nothing}\n{check}")):
                added = _cell(source, what)
                added.metadata.update(tags=list(cell.metadata.get("tags", [])), number=number)
                cells.append(added)
    changed.cells = cells
    return changed


def exercises_alone(notebook: NotebookNode) -> NotebookNode:
    """The parameters, the first cell of imports, and the exercises: where a learner goes on after a restart."""
    changed = copy.deepcopy(notebook)
    code = [cell for cell in changed.cells if cell.cell_type == "code"]
    changed.cells = [*code[:2], *(cell for cell in code if is_exercise(cell))]
    return changed


def asked_for(source: str) -> tuple[str, list[str]]:
    """The number of an exercise and the names of the answers in its call of `check`."""
    calls = (
        n.value for n in ast.parse(source).body if isinstance(n, ast.Expr) and isinstance(n.value, ast.Call)
    )
    call = next(c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "check")
    return ast.literal_eval(call.args[0]), [ast.unparse(argument) for argument in call.args[1:]]


def probed(notebook: NotebookNode) -> NotebookNode:
    """A first cell prints what the kernel's surroundings are."""
    changed = copy.deepcopy(notebook)
    changed.cells.insert(0, _cell(PROBE, "probe"))
    return changed


def read(path: Path) -> NotebookNode:
    """The notebook at `path`."""
    return nbformat.read(path, as_version=4)


def _again(cell: NotebookNode, what: str) -> NotebookNode:
    added = _cell(cell.source, what)
    added.metadata["tags"] = [tag for tag in cell.metadata.get("tags", []) if tag == GOES_ON]
    return added


def _cell(source: str, what: str) -> NotebookNode:
    return nbformat.v4.new_code_cell(source, metadata={"abuse": what})
