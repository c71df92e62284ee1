"""Every chapter runs from top to bottom, and is committed the way a reader should find it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

from tests.course.chapters import announced

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BUILT = ROOT / "build" / "notebooks"
SECONDS_PER_CELL = {"fast": 300, "full": 1800}  # a limit for a cell that hangs, far above what any takes
LARGEST_FILE = 2_000_000  # bytes
SPELT_SO = ("ba", "nd", "inout")  # names in formulas and code that codespell would correct


def execute(chapter: Path, name: str, parameters: dict[str, object]) -> nbformat.NotebookNode:
    """Run a chapter with papermill in this interpreter's own kernel; the result is kept in build/notebooks."""
    BUILT.mkdir(parents=True, exist_ok=True)
    return papermill.execute_notebook(
        chapter,
        BUILT / f"{name}.ipynb",
        parameters=parameters,
        kernel_name="python3",
        cwd=ROOT,
        progress_bar=False,
        execution_timeout=SECONDS_PER_CELL[str(parameters.get("profile", "full"))],
        start_timeout=120,
        extra_arguments=["--log-level=ERROR"],
    )


def printed(notebook: nbformat.NotebookNode) -> str:
    outputs = [o for cell in code_cells(notebook) for o in cell.outputs]
    assert not [o.text for o in outputs if o.get("name") == "stderr"]
    state = (
        notebook.metadata.get("widgets", {})
        .get("application/vnd.jupyter.widget-state+json", {})
        .get("state", {})
    )
    hidden = [
        o
        for model in state.values()
        for o in model["state"].get("outputs", [])
        if o["output_type"] == "error"
    ]
    assert not hidden, "an error inside an Output widget"
    return "".join(o.text for o in outputs if o.output_type == "stream")


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(autouse=True)
def kernel_environment(monkeypatch):
    """One thread per kernel, no kernel of another installation, no graphics back end of this process."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.delenv("JUPYTER_PATH", raising=False)


def record_times(notebook: nbformat.NotebookNode, chapter: str, record_property) -> None:
    """Keep the seconds of every cell in build/notebooks, and let the end of the run list those of the chapters."""
    cells = [(cell.metadata.papermill.duration, cell.source.splitlines()[0]) for cell in code_cells(notebook)]
    total = notebook.metadata.papermill.duration
    assert total > 0 and all(seconds is not None for seconds, _ in cells), "papermill took no times"
    content = {"chapter": chapter, "seconds": total, "cells": cells}
    (BUILT / f"{chapter}.times.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    slowest, line = max(cells)
    record_property("chapter", [chapter, round(total, 1), round(slowest, 1), line])


def test_every_chapter_is_there():
    missing = [
        f"{number:02}" for number in range(13) if not list(ROOT.glob(f"notebooks/{number:02}_*.ipynb"))
    ]
    assert not missing


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_runs_on_the_oracle(chapter, record_property):
    notebook = execute(chapter, chapter.stem, {"profile": "fast"})
    text = printed(notebook)
    assert "profile fast, data synthetic" in text
    for exercise in announced(chapter):
        assert f"Exercise {exercise.number}: not solved yet." in text
    record_times(notebook, chapter.stem, record_property)


@pytest.mark.shared
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_runs_on_a_real_file(chapter, shared_data, record_property):
    file = shared_data / "ict_mmmo_aligned_20.pkl"
    notebook = execute(chapter, f"{chapter.stem}-real", {"profile": "fast", "data": str(file)})
    text = printed(notebook)
    assert f"profile fast, data {file}" in text
    assert "SYNTHETIC" not in text
    if chapter.stem.startswith("07"):
        assert "{'language': 300, 'audio': 74, 'vision': 36}" in text and file.name in text
    record_times(notebook, f"{chapter.stem}-real", record_property)


def test_the_kernel_is_this_interpreter(tmp_path):
    asked = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import sys; print(sys.prefix)")])
    nbformat.write(asked, tmp_path / "kernel.ipynb")
    assert printed(execute(tmp_path / "kernel.ipynb", "kernel", {})).strip() == sys.prefix


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
class TestCommittedChapter:
    """What `git` holds: executed in order, small, without state of a machine."""

    def test_it_was_executed_from_top_to_bottom(self, chapter):
        counts = [cell.execution_count for cell in code_cells(read(chapter)) if cell.source.strip()]
        assert counts == list(range(1, len(counts) + 1))

    def test_it_holds_no_error_no_warning_and_no_injected_parameters(self, chapter):
        notebook = read(chapter)
        assert not [cell for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", [])]
        assert [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        for output in (o for cell in code_cells(notebook) for o in cell.outputs):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")

    def test_it_holds_no_widget_state_and_no_path_of_a_machine(self, chapter):
        notebook, text = read(chapter), chapter.read_text()
        assert not set(notebook.metadata) - {"kernelspec", "language_info"}
        assert notebook.metadata.kernelspec.name == "python3"
        assert not re.search(r"[\"' ](/home/|/root/|/work/|/tmp/|/Users/|[A-Z]:\\\\)", text)
        assert len(text) < LARGEST_FILE

    def test_cells_have_unique_ids_and_the_file_is_valid(self, chapter):
        notebook = read(chapter)
        nbformat.validate(notebook)
        ids = [cell.id for cell in notebook.cells]
        assert len(set(ids)) == len(ids)

    def test_every_figure_has_an_alternative_text(self, chapter):
        for output in (o for cell in code_cells(read(chapter)) for o in cell.outputs):
            if "image/png" in output.get("data", {}):
                assert len(output.metadata.get("image/png", {}).get("alt", "")) > 40
        for cell in read(chapter).cells:
            assert not re.search(r"!\[\s*\]\(", cell.source), "an image without alternative text"

    def test_headings_form_a_tree(self, chapter):
        texts = [re.sub(r"^```.*?^```", "", cell.source, flags=re.DOTALL | re.M) for cell in prose(chapter)]
        levels = [len(m[1]) for text in texts for m in re.finditer(r"^(#+) ", text, re.MULTILINE)]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(below <= above + 1 for above, below in zip(levels, levels[1:]))

    def test_it_says_what_it_needs_and_where_to_go_next(self, chapter):
        text = "\n\n".join(cell.source for cell in prose(chapter))
        marks = (
            "**You will be able to**",
            "**You need**",
            "**CPU time**",
            "## You can now",
            "**Where next.**",
        )
        places = [text.find(mark) for mark in marks]
        assert -1 not in places and places == sorted(places), dict(zip(marks, places))
        assert stated_minutes(chapter)["full"] <= 10 and stated_minutes(chapter)["fast"] <= 2

    def test_readme_lists_it_with_its_title_and_minutes(self, chapter):
        row = next(line for line in README.splitlines() if f"](notebooks/{chapter.name})" in line)
        title = re.match(r"# (\d+) · (.+)", prose(chapter)[0].source)
        assert title and title[1] == str(int(chapter.stem[:2]))
        assert row.startswith(f"| [{chapter.stem[:2]} {title[2]}](notebooks/{chapter.name}) |")
        assert row.endswith(f"| {stated_minutes(chapter)['full']:g} |")

    def test_links_within_the_repository_lead_somewhere(self, chapter):
        for cell in prose(chapter):
            for target in re.findall(r"\]\((?!https?:|#)([^)\s#]+)\)", cell.source):
                assert (chapter.parent / target).exists(), f"a link leads to {target}, which is not there"

    def test_cells_are_short_and_show_something(self, chapter):
        cells = code_cells(read(chapter))
        assert max(len(cell.source.splitlines()) for cell in cells) <= 25
        for cell in cells:
            is_setup = "parameters" in cell.metadata.get("tags", [])
            assert cell.outputs or "assert" in cell.source or is_setup, cell.source


README = (ROOT / "README.md").read_text(encoding="utf-8")


def stated_minutes(chapter: Path) -> dict[str, float]:
    """Minutes by profile, from a line such as "about 1 minute in profile `fast`, 4 minutes in profile `full`"."""
    line = re.search(r"\*\*CPU time\*\*[^\n]*(?:\n[^\n]+)*", "\n\n".join(c.source for c in prose(chapter)))[0]
    found = re.findall(r"([\d.]+) minutes? in profile `(fast|full)`", line.replace("\n", " "))
    return {profile: float(minutes) for minutes, profile in found}


def test_nothing_is_misspelt(tmp_path):
    texts = [tmp_path / f"{chapter.stem}.md" for chapter in CHAPTERS]
    for text, chapter in zip(texts, CHAPTERS):
        # code and formulas are not prose; what comments and messages say is read in the library's own files
        words = "\n\n".join(cell.source for cell in prose(chapter))
        text.write_text(
            re.sub(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$", " ", words, flags=re.S), encoding="utf-8"
        )
    files = [*texts, ROOT / "README.md", *sorted((ROOT / "dicmor_lib").rglob("*.py"))]
    files += sorted((ROOT / "notebooks" / "solutions").glob("*.py"))
    command = [
        sys.executable,
        "-m",
        "codespell_lib",
        "--builtin",
        "clear,rare",
        "-L",
        ",".join(SPELT_SO),
        *map(str, files),
    ]
    found = subprocess.run(command, capture_output=True, text=True)
    assert not found.stdout and found.returncode == 0, found.stdout + found.stderr


def test_a_misspelling_would_be_found(tmp_path):
    (tmp_path / "text.md").write_text("the recieved latents")
    command = [sys.executable, "-m", "codespell_lib", str(tmp_path / "text.md")]
    assert "recieved" in subprocess.run(command, capture_output=True, text=True).stdout


def read(chapter: Path) -> nbformat.NotebookNode:
    return nbformat.read(chapter, as_version=4)


def prose(chapter: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(chapter).cells if cell.cell_type == "markdown"]
