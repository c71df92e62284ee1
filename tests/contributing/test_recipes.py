"""CONTRIBUTING.md's recipes, followed to the letter in a copy of the repository: what they say should work works."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contributing.recipes import edited, follow, read_recipes

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = {recipe.title: recipe for recipe in read_recipes(TEXT)}
NEEDED = ("dicmor_lib", "notebooks", "figures", "tests", "pyproject.toml", "README.md", "constraints.txt")
TITLES = ("A data set", "A missing-modality protocol", "A flow layer", "A chapter", "An exercise")
# asked of the copy afterwards, beyond what the recipes themselves run
AND_THEN = (
    "python see_known.py",
    "python see_chapters.py",
)
SEE_KNOWN = "from dicmor_lib.data.known_files import recognise\nprint(recognise('5eed0123' * 8))"
SEE_CHAPTERS = """
from dicmor_lib.course.guide import GUIDE, guide_table
from dicmor_lib.plots.readme_thumbnails import thumbnails
print(guide_table({c.number for c in GUIDE}), thumbnails()["chapter_99.png"][1])
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory) -> dict[str, tuple[int, str]]:
    """Command -> its exit status and output, all recipes followed in one copy."""
    home = tmp_path_factory.mktemp("recipes") / "clone"
    home.mkdir()
    for name in NEEDED:
        source = ROOT / name
        skip = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(source, home / name, ignore=skip) if source.is_dir() else shutil.copy2(
            source, home / name
        )
    for recipe in RECIPES.values():
        follow(recipe, home)
    (home / "see_known.py").write_text(SEE_KNOWN)
    (home / "see_chapters.py").write_text(SEE_CHAPTERS)
    commands = [command for recipe in RECIPES.values() for command in recipe.commands] + list(AND_THEN)
    settings = {"PYTHONPATH": str(home), "OMP_NUM_THREADS": "1", "IPYTHONDIR": str(home / ".ipython")}
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "JUPYTER_PATH"))}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "contributing" / "follower.py"), str(home / "outcome.json")],
        cwd=home,
        env=environment | settings,
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((home / "outcome.json").read_text(encoding="utf-8"))
    return {command: tuple(result) for command, result in zip(commands, found, strict=True)}


def test_the_recipes_are_there():
    assert tuple(RECIPES) == TITLES
    assert all(recipe.commands and (recipe.files or recipe.edits) for recipe in RECIPES.values())


@pytest.mark.parametrize(
    "command", [c for recipe in RECIPES.values() for c in recipe.commands] + list(AND_THEN)
)
def test_each_command_of_a_recipe_succeeds(outcome, command):
    status, output = outcome[command]
    assert status == 0, f"{command}\n{output}"


def command_with(words: str) -> str:
    """The only command of the recipes that holds these words."""
    (found,) = [c for recipe in RECIPES.values() for c in recipe.commands if words in c]
    return found


def test_the_new_data_set_is_read_whole_and_its_file_is_recognised(outcome):
    said = outcome[command_with("data check")][1]
    assert re.search(r"\b40\b.*\b10\b.*\b10\b", said, re.S) and "SHA-256" in said
    assert "My data" in outcome["python see_known.py"][1]


def test_the_new_protocol_is_evaluated(outcome):
    said = outcome[command_with("--protocols")][1]
    assert "one-missing" in said and "ridge" in said, "scored beside the baselines"


@pytest.mark.parametrize("words", ["test_reversal", '99_my_chapter"', "test_exercises"])
def test_the_tests_that_a_recipe_runs_did_run(outcome, words):
    assert re.search(r"[1-9]\d* passed", outcome[command_with(words)][1])


def test_the_new_chapter_is_on_the_map_and_has_a_thumbnail(outcome):
    said = outcome["python see_chapters.py"][1]
    assert "[99 · My chapter](99_my_chapter.ipynb)" in said and "The idea of DiCMoR in three steps." in said


def test_the_new_exercise_is_among_the_tested_ones(outcome):
    """Three wrong answers, a solution and a stub more than the chapter has here."""
    ran = int(re.search(r"(\d+) passed", outcome[command_with("test_exercises")][1])[1])
    here = sum(
        len(re.findall(r"\bWrong\(", path.read_text()))
        for path in [ROOT / "tests/course/wrong/chapter_11.py"]
    )
    assert ran >= here + 3 + 8 + 4


def test_files_and_targets_that_the_text_names_exist():
    made = {path for recipe in RECIPES.values() for path in recipe.files} | {"runs/mine", "mine.npz"}
    named = set(re.findall(r"`((?:dicmor_lib|tests|notebooks|figures)/[\w/.]*)`", TEXT)) - made
    assert len(named) > 6 and not [path for path in named if not (ROOT / path).exists()]
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.M)
    assert set(re.findall(r"`make ([a-z-]+)", TEXT)) <= set(targets)


def test_an_edit_that_finds_no_place_is_noticed():
    with pytest.raises(AssertionError, match="0 lines"):
        edited("a\nb", "above", "c", "d")
    with pytest.raises(AssertionError, match="nothing reads"):
        edited("a", "instead of each", "b", "c")
    with pytest.raises(AssertionError, match="0 assignments"):
        edited("A = (1,)", "at the end of", "B", "2")
    assert (
        edited("D: dict = {\n    1: (2, 3),\n}", "at the end of", "D", "4: 5")
        == "D: dict = {\n    1: (2, 3), 4: 5,\n}"
    )
