"""Notebooks made ready for the site: nothing of the original changes, links and equations work, pictures have words."""

from __future__ import annotations

import copy
import json
import re

import pytest

from dicmor_lib.course.equations import EQUATIONS, where
from dicmor_lib.course.guide import GUIDE
from dicmor_lib.errors import ConfigError
from dicmor_lib.site.addresses import NOTEBOOKS
from dicmor_lib.site.chapters import NO_WIDGET, displayed_equations, markdown, prepare

PNG = {"data": {"image/png": "iVBOR", "text/plain": "x"}, "output_type": "execute_result"}


def chapter(*outputs: dict, text: str = "") -> dict:
    code = {"cell_type": "code", "metadata": {}, "source": "1", "outputs": list(outputs)}
    return {"metadata": {}, "cells": [{"cell_type": "markdown", "metadata": {}, "source": [text]}, code]}


def picture(alt: str) -> dict:
    return PNG | {"metadata": {"image/png": {"alt": alt}}}


def texts(notebook: dict) -> str:
    return "\n".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown")


@pytest.mark.parametrize("name", [c.name for c in GUIDE])
class TestChapter:
    @pytest.fixture
    def notebook(self, name):
        return json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))

    def test_the_notebook_itself_stays_as_it_is(self, name, notebook):
        before = copy.deepcopy(notebook)
        prepare(notebook, name)
        assert notebook == before

    def test_no_link_leaves_the_site_folder_but_for_source_pages(self, name, notebook):
        links = re.findall(r"\]\((\.\./[^)]*)\)", texts(prepare(notebook, name)))
        assert all(link.startswith("../source/") and link.endswith(".md") for link in links)

    def test_each_equation_has_one_anchor_and_its_line_of_code(self, name, notebook):
        shown = texts(prepare(notebook, name))
        for equation in EQUATIONS:
            own = equation.chapter == name
            assert shown.count(f"\n(equation-{equation.number})=\n$$") == own
            path, _, line = where(equation.number).rpartition(":")
            assert (f"Eq. ({equation.number}) is computed in" in shown) == own
            assert not own or f'.html#line-{line}">{path}, line {line}</a>' in shown

    def test_every_picture_has_its_words(self, name, notebook):
        for before, after in zip(notebook["cells"], prepare(notebook, name)["cells"]):
            alts = [
                o["metadata"]["image/png"]["alt"]
                for o in before.get("outputs", [])
                if "image/png" in o.get("data", {})
            ]
            assert after["metadata"].get("mystnb", {}).get("image", {}).get("alt") == (
                alts[0] if alts else None
            )

    def test_hints_are_closed_again(self, name, notebook):
        shown = texts(prepare(notebook, name))
        assert shown.count("<details>") == shown.count("</details>") == texts(notebook).count("<details>") > 0


def test_every_equation_is_found_with_its_formula():
    found = {}
    for c in GUIDE:
        found |= displayed_equations(json.loads((NOTEBOOKS / f"{c.name}.ipynb").read_text(encoding="utf-8")))
    assert sorted(found) == [e.number for e in EQUATIONS]
    assert found[3].endswith(r"= \sum_i \log s_i(x_a) \tag{3}") and "$" not in "".join(found.values())


def test_formulas_without_a_number_and_code_are_left_alone():
    text = "$$a \\\\ b$$\n\nas in `$$x \\tag{1}$$`\n\n```\n$$\nx \\tag{1}\n$$\n[f](../gone.py)\n```\n"
    assert markdown(text, "02_coupling_layers") == text


def test_a_link_around_code_is_a_link():
    assert (
        markdown("[`fit`](../dicmor_lib/objective.py)", "x") == "[`fit`](../source/dicmor_lib.objective.md)"
    )


def test_a_widget_gives_way_to_a_sentence():
    view = {
        "data": {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "VBox(...)"},
        "output_type": "display_data",
    }
    notebook = chapter(view) | {"metadata": {"widgets": {"state": {}}}}
    shown = prepare(notebook, "x")
    assert shown["cells"][1]["outputs"][0]["data"] == {"text/plain": NO_WIDGET}
    assert "widgets" not in shown["metadata"]


@pytest.mark.parametrize("outputs", [[PNG], [picture("")], [picture("one"), picture("two")]])
def test_a_picture_without_words_of_its_own_is_refused(outputs):
    with pytest.raises(ConfigError, match="cell 1 of notebooks/x.ipynb shows a picture without"):
        prepare(chapter(*outputs), "x")


def test_links_in_printed_tables_are_made_ready_too():
    table = {
        "data": {"text/markdown": ["| [a](solutions/) | [b](01_missing_modalities.ipynb) |"]},
        "output_type": "display_data",
    }
    assert prepare(chapter(table), "x")["cells"][1]["outputs"][0]["data"] == {
        "text/markdown": "| [a](../source/index.html) | [b](01_missing_modalities.html) |"
    }
