"""The map and the table of the course agree with the notebooks that exist."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dicmor_lib.course.exercises import CHAPTERS
from dicmor_lib.course.guide import GUIDE, NOTEBOOKS, guide_table, written
from dicmor_lib.errors import ConfigError
from dicmor_lib.plots import figure_alt
from dicmor_lib.plots.course_map import course_map

TITLES = {chapter.number: chapter.title for chapter in GUIDE}


def test_the_guide_lists_every_chapter_once_in_order():
    assert [chapter.number for chapter in GUIDE] == list(range(13))
    assert {n: name for n, name in CHAPTERS.items() if n < 13} == {
        c.number: c.name for c in GUIDE if c.number in CHAPTERS
    }
    assert {path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb")} <= {chapter.name for chapter in GUIDE}


def test_written_chapters_are_those_in_the_folder(tmp_path):
    assert written(tmp_path) == set()
    (tmp_path / "03_flows_and_priors.ipynb").touch()
    assert written(tmp_path) == {3} and 0 in written()


def test_the_table_links_what_is_there_and_says_what_is_to_come():
    table = guide_table({0, 3})
    assert table.count("(to come)") == 11 and "[3 · Flows and priors](03_flows_and_priors.ipynb)" in table
    assert len(table.splitlines()) == 15 and all(line.count("|") == 3 for line in table.splitlines())
    for link in re.findall(r"\]\((.+?)\)", guide_table(written())):
        assert (NOTEBOOKS / link).exists()


@pytest.mark.parametrize("there", [set(range(13)), set(range(8)) | {11}, {0, 1}])
def test_the_map_shows_every_chapter_and_which_are_to_come(there):
    figure = course_map(TITLES, there)
    said = [text.get_text().replace("\n", " ") for text in figure.axes[0].texts]
    for number in range(1, 13):
        assert str(number) in said and TITLES[number] in said
    assert said.count("to come") == len(set(range(1, 13)) - there)
    alt = figure_alt(figure)
    assert all(f"{number} {TITLES[number]}" in alt for number in range(1, 13))
    assert ("To come:" in alt) == (len(there) < 13)


def test_nothing_leaves_its_card():
    """Sketches and words stay inside the picture."""
    figure = course_map(TITLES, set(range(13)))
    figure.canvas.draw()
    for text in figure.axes[0].texts:
        corners = text.get_window_extent().transformed(figure.dpi_scale_trans.inverted()).get_points()
        assert (corners >= 0).all() and (corners <= np.array(figure.get_size_inches())).all(), text.get_text()


def test_other_titles_are_refused():
    with pytest.raises(ConfigError, match="chapters 0 to 12"):
        course_map({0: "Start here"}, {0})
