"""Exercises: a learner's answer goes in, "correct", "not solved yet" or the likely mistake comes out.

The checks of chapter 2 live in `dicmor_lib/course/checks/chapter_02.py`, and so on; where they are many, in a folder of
that name. A check is a function of the learner's answers that asserts on random cases; the message of the assertion that
fails names the likely mistake.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dicmor_lib.course.guide import GUIDE
from dicmor_lib.errors import ConfigError

LEVELS: tuple[str, ...] = ("warm-up", "core", "challenge", "open-ended")
CHAPTERS: dict[int, str] = {chapter.number: chapter.name for chapter in GUIDE}
"""Every chapter has exercises; by the first part of an exercise's number."""


class WrongAnswer(AssertionError):
    """The answer to an exercise is wrong; the message says which mistake it looks like."""


@dataclass(frozen=True)
class Exercise:
    """One exercise as its chapter announces it.

    Attributes:
        number: chapter and place, such as "2.1".
        title: as in the chapter's heading.
        level: "warm-up", "core", "challenge" or "open-ended".
        minutes: that a student who knows PyTorch should plan for.
        test: asserts on the learner's answers and returns what is worth knowing once they are right.
    """

    number: str
    title: str
    level: str
    minutes: int
    test: Callable[..., str]

    @property
    def solution(self) -> str:
        """Path of the file with the solution, from the root of the repository."""
        return f"notebooks/solutions/{CHAPTERS[int(self.number.split('.')[0])]}.py"


_REGISTERED: dict[str, Exercise] = {}


def exercise(
    number: str, title: str, *, level: str, minutes: int
) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Register the function below as the check of an exercise.

    Raises:
        ConfigError: if the level is unknown or another check has that number.
    """

    def register(test: Callable[..., str]) -> Callable[..., str]:
        if level not in LEVELS:
            raise ConfigError(f"exercise {number} has level {level!r}; choose one of {', '.join(LEVELS)}")
        known = _REGISTERED.get(number)
        if known and (known.test.__module__, known.test.__name__) != (test.__module__, test.__name__):
            raise ConfigError(f"exercise {number} has two checks: {known.test.__name__} and {test.__name__}")
        _REGISTERED[number] = Exercise(number, title, level, minutes, test)
        return test

    return register


def exercises(chapter: int) -> list[Exercise]:
    """Return the exercises of a chapter in order, none for a chapter without.

    Raises:
        ConfigError: if there is no such chapter.
    """
    if chapter not in CHAPTERS:
        raise ConfigError(
            f"there is no chapter {chapter} with exercises; these have some: {', '.join(map(str, CHAPTERS))}"
        )
    importlib.import_module(f"dicmor_lib.course.checks.chapter_{chapter:02}")
    mine = [e for e in _REGISTERED.values() if e.number.split(".")[0] == str(chapter)]
    return sorted(mine, key=lambda e: int(e.number.split(".")[1]))


def check(number: str, *answers: Any) -> None:
    """Check the answers to an exercise and print what came of it: correct, or not solved yet.

    Args:
        number: of the exercise, such as "2.1".
        answers: what the exercise asks for: functions, classes, numbers.

    Raises:
        WrongAnswer: if an answer is wrong; the message names the likely mistake. NotImplementedError from the
            learner's code is no mistake ("not solved yet"); any other exception of theirs passes through.
        ConfigError: if there is no such exercise.
    """
    found = _find(number)
    try:
        remark = found.test(*answers)
    except NotImplementedError:
        print(f"Exercise {number}: not solved yet. Stuck after the hints? {found.solution}")
        return
    except AssertionError as mistake:
        raise WrongAnswer(
            f"Exercise {number}: {str(mistake) or 'a check failed without saying why'}"
        ) from None
    print(f"Exercise {number}: correct. {remark}".rstrip())


def _find(number: str) -> Exercise:
    chapter, _, place = str(number).partition(".")
    if chapter.isdecimal() and place.isdecimal() and int(chapter) in CHAPTERS:
        for found in exercises(int(chapter)):
            if found.number == number:
                return found
    raise ConfigError(
        f"there is no exercise {number!r}; the headings of the chapters name them, such as '2.1'"
    )
