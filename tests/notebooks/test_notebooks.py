"""Every chapter runs from top to bottom, and is committed the way a reader should find it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BUILT = ROOT / "build" / "notebooks"
SECONDS_PER_NOTEBOOK = 300  # a limit for a notebook that hangs, far above what any takes
LARGEST_FILE = 2_000_000  # bytes


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
        execution_timeout=SECONDS_PER_NOTEBOOK,
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


def test_there_are_chapters():
    assert "07_train_dicmor" in [chapter.stem for chapter in CHAPTERS]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_runs_on_the_oracle(chapter, record_property):
    notebook = execute(chapter, chapter.stem, {"profile": "fast"})
    assert "profile fast, data synthetic" in printed(notebook)
    record_property("seconds", notebook.metadata.papermill.duration)
    times = [(cell.metadata.papermill.duration, cell.source.splitlines()[0]) for cell in code_cells(notebook)]
    record_property("slowest cells", json.dumps(sorted(times, reverse=True)[:3]))


@pytest.mark.shared
@pytest.mark.parametrize(
    "chapter", [c for c in CHAPTERS if c.stem.startswith("07")], ids=lambda path: path.stem
)
def test_chapter_runs_on_a_real_file(chapter, shared_data):
    file = shared_data / "ict_mmmo_aligned_20.pkl"
    text = printed(execute(chapter, f"{chapter.stem}-real", {"profile": "fast", "data": str(file)}))
    assert f"data {file}" in text and file.name in text
    assert "{'language': 300, 'audio': 74, 'vision': 36}" in text
    assert "SYNTHETIC" not in text


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

    def test_cells_are_short_and_show_something(self, chapter):
        cells = code_cells(read(chapter))
        assert max(len(cell.source.splitlines()) for cell in cells) <= 25
        for cell in cells:
            is_setup = "parameters" in cell.metadata.get("tags", [])
            assert cell.outputs or "assert" in cell.source or is_setup, cell.source


def read(chapter: Path) -> nbformat.NotebookNode:
    return nbformat.read(chapter, as_version=4)


def prose(chapter: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(chapter).cells if cell.cell_type == "markdown"]
