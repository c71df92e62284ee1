"""What a chapter builds is what the library does: its definitions are extracted and compared again."""

from __future__ import annotations

import pytest

from dicmor_lib.course.exercises import CHAPTERS
from tests.course.chapters import ROOT, classes, namespace
from tests.course.test_exercises import load

FILES = {chapter: f"tests/course/equal/chapter_{chapter:02}.py" for chapter in CHAPTERS}
BUILT = {chapter: load(file).EQUAL for chapter, file in FILES.items() if (ROOT / file).exists()}
CASES = [
    pytest.param(chapter, name, id=f"chapter_{chapter:02}-{name}")
    for chapter, each in BUILT.items()
    for name in each
]


@pytest.mark.parametrize("chapter, name", CASES)
def test_a_chapters_definition_equals_the_librarys(chapter, name):
    defined = namespace(ROOT / "notebooks" / f"{CHAPTERS[chapter]}.ipynb")
    assert name in defined, f"chapter {chapter} does not define {name}"
    BUILT[chapter][name](defined)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=CHAPTERS.values())
def test_every_class_of_a_chapter_is_compared(chapter):
    defined = set(classes(ROOT / "notebooks" / f"{CHAPTERS[chapter]}.ipynb"))
    assert defined <= set(BUILT.get(chapter, {}))


def test_a_wrong_definition_would_be_noticed():
    """Planted: the chapter's coupling layer with the sign of its log-determinant turned round."""
    defined = namespace(ROOT / "notebooks" / f"{CHAPTERS[2]}.ipynb")
    right = defined["AffineCoupling"]

    class Wrong(right):
        def forward(self, *args, **kwargs):
            y, log_det = super().forward(*args, **kwargs)
            return y, -log_det

    with pytest.raises(AssertionError):
        BUILT[2]["AffineCoupling"](defined | {"AffineCoupling": Wrong})
