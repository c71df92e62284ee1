"""Every exercise: announced as registered, unsolved as a stub, passed by its solution, not by wrong answers."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType
from typing import Any

import pytest

from dicmor_lib.course.exercises import CHAPTERS, LEVELS, WrongAnswer, check, exercise, exercises
from dicmor_lib.errors import ConfigError
from tests.course.chapters import ROOT, announced
from tests.course.wrong.wrong import Wrong

FEWEST = {0: 3}  # chapters that may have fewer than five exercises
HERE = {
    n: name
    for n, name in CHAPTERS.items()
    if importlib.util.find_spec(f"dicmor_lib.course.checks.chapter_{n:02}")
}
BY_NUMBER = {e.number: e for chapter in HERE for e in exercises(chapter)}
BY_CHAPTER = pytest.mark.parametrize("chapter", CHAPTERS, ids=CHAPTERS.values())


def test_every_listed_chapter_has_its_checks():
    assert HERE == CHAPTERS


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"loaded_{re.sub(r'[^0-9a-z]', '_', path)}", ROOT / path)
    assert spec and spec.loader, path
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answers_of(number: str) -> tuple[Any, ...]:
    return load(BY_NUMBER[number].solution).ANSWERS[number]


def wrong_answers(chapter: int) -> dict[str, list[Wrong]]:
    path = f"tests/course/wrong/chapter_{chapter:02}.py"
    return load(path).WRONG if (ROOT / path).exists() else {}


@BY_CHAPTER
class TestChapter:
    def test_it_announces_the_registered_exercises_in_order(self, chapter):
        shown = announced(ROOT / "notebooks" / f"{CHAPTERS[chapter]}.ipynb")
        assert [(e.number, e.title, e.level, e.minutes) for e in shown] == [
            (e.number, e.title, e.level, e.minutes) for e in exercises(chapter)
        ]
        assert [e.number for e in shown] == [f"{chapter}.{i}" for i in range(1, len(shown) + 1)]
        assert len(shown) >= FEWEST.get(chapter, 5)

    def test_each_has_a_hint_ladder_and_a_stub_that_is_checked(self, chapter):
        for shown in announced(ROOT / "notebooks" / f"{CHAPTERS[chapter]}.ipynb"):
            hints = re.findall(r"<summary>Hint (\d)</summary>", shown.text)
            assert hints == [str(i) for i in range(1, len(hints) + 1)] and len(hints) >= 2, shown.number
            assert shown.text.count("<details>") == shown.text.count("</details>") == len(hints), shown.number
            assert "raise NotImplementedError" in shown.code, shown.number
            assert f'check("{shown.number}", ' in shown.code, shown.number

    def test_levels_rise_from_warm_up(self, chapter):
        levels = [LEVELS.index(e.level) for e in exercises(chapter)]
        assert levels[0] == 0, "a chapter's first exercise is a warm-up"
        if len(levels) >= 5:
            assert max(levels) >= LEVELS.index("challenge")

    def test_every_exercise_has_a_solution_and_three_wrong_answers(self, chapter):
        numbers = {e.number for e in exercises(chapter)}
        assert set(load(f"notebooks/solutions/{CHAPTERS[chapter]}.py").ANSWERS) == numbers
        wrong = wrong_answers(chapter)
        assert set(wrong) == numbers
        assert all(len({w.mistake for w in each}) >= 3 for each in wrong.values())


@pytest.mark.parametrize(
    "number", BY_NUMBER, ids=lambda number: f"chapter_{int(number.split('.')[0]):02}-{number}"
)
def test_the_solution_passes(number, capsys):
    check(number, *answers_of(number))
    assert capsys.readouterr().out.startswith(f"Exercise {number}: correct. ")


WRONG = [
    pytest.param(number, wrong, id=f"chapter_{chapter:02}-{number}-{wrong.mistake[:40]}")
    for chapter in HERE
    for number, each in wrong_answers(chapter).items()
    for wrong in each
]


@pytest.mark.parametrize("number, wrong", WRONG)
def test_a_wrong_answer_is_refused_with_its_mistake_named(number, wrong):
    with pytest.raises(WrongAnswer, match=re.compile(wrong.says, re.I)) as refused:
        check(number, *wrong.answers)
    assert str(refused.value).startswith(f"Exercise {number}: ")
    assert "\n\n" not in str(refused.value), "a message is a sentence or two, not a dump"


@pytest.mark.parametrize("number", BY_NUMBER)
def test_nothing_returned_is_refused_and_a_stub_is_not_solved(number, capsys):
    count = len(answers_of(number))

    def stub(*_: object, **__: object) -> None:
        raise NotImplementedError

    def nothing(*_: object, **__: object) -> None:
        return None

    check(number, *[stub] * count)
    assert f"Exercise {number}: not solved yet" in capsys.readouterr().out
    with pytest.raises((WrongAnswer, TypeError, AttributeError)):
        check(number, *[nothing] * count)


def test_an_unknown_exercise_is_refused_with_the_remedy():
    for number in ("13.1", "2.99", "two", "2", 3.5):
        with pytest.raises(ConfigError, match="there is no exercise"):
            check(number)
    with pytest.raises(ConfigError, match="no chapter 40"):
        exercises(40)


def test_two_checks_cannot_share_a_number():
    with pytest.raises(ConfigError, match="2.1 has two checks"):
        exercise("2.1", "Another", level="core", minutes=1)(lambda answer: "")
    with pytest.raises(ConfigError, match="level 'easy'"):
        exercise("2.98", "Another", level="easy", minutes=1)(lambda answer: "")


def test_an_error_in_the_learners_code_passes_through():
    def divides(*_: object) -> float:
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        check("2.1", divides)
