"""The glossary: every term says where it is met, and is met there."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

import pytest

from dicmor_lib.course.equations import EQUATIONS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "dicmor_lib" / "site" / "glossary.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^\*\*(.+?)\.\*\* (.+?)(?=\n\n|\n*\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
CHAPTER = re.compile(r"\[Chapter (\d+)\]\(chapters/(\w+)\.ipynb\)")
SOURCE = re.compile(r"\[([\w/]+\.py)\]\(source/([\w.]+)\.md\)")
SAID_OTHERWISE = {  # the words that stand for a term where it is met, if it is not spelt out
    "Affine coupling": "coupling layer",
    "Available mask": "available",
    "Bayes accuracy": "bayes",
    "Class-conditional prior": "prior",
    "CMU-MOSI, CMU-MOSEI": "mosi",
    "Coverage": "covered",
    "Depth collapse": "collapse",
    "Conformal interval": "conformal",
    "Distribution-consistent": "law",
    "Imputation": "impute",
    "Invertible 1x1 convolution": "1x1",
    "Majority class": "majority",
    "Mean-fill": "mean",
    "Observed mask": "observed",
    "Pearson's r": "pearson",
    "Permutation test": "relabel",
    "RCAB": "channel attention",
    "Recovery loss": "recovery",
    "Sliced Wasserstein distance": "sliced",
    "Stage 1, stage 2": "stage",
    "Standardising": "standardis",
    "Training objective": "objective",
    "Zero-fill": "zero",
}


def prose(text: str) -> str:
    return re.sub(r"\[[^]]*\]\([^)]*\)", "", text)


@functools.cache
def chapter_text(name: str) -> str:
    cells = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells).lower()


def test_there_are_enough_terms_in_alphabetical_order():
    terms = [term for term, _ in ENTRIES]
    assert 40 <= len(terms) <= 65 and len(set(terms)) == len(terms)
    assert TEXT.count("\n**") == len(terms), "an entry does not begin as **Term.** and go on"
    assert terms == sorted(terms, key=str.lower)


@pytest.mark.parametrize("term, text", ENTRIES, ids=[term for term, _ in ENTRIES])
class TestEntry:
    def test_it_is_short(self, term, text):
        sentences = re.split(r"(?<=[.:])\s+(?=[A-Z\"])", " ".join(prose(text).split()).strip(" ,."))
        assert 1 <= len(sentences) <= 4 and len(text) < 600, sentences

    def test_the_chapter_and_the_file_exist(self, term, text):
        chapters, sources = CHAPTER.findall(text), SOURCE.findall(text)
        assert len(chapters) == len(sources) == 1
        assert len(re.findall(r"\]\(", text)) == 2, "a link that is neither a chapter nor a file"
        (number, name), (path, page) = chapters[0], sources[0]
        assert int(name[:2]) == int(number) and (ROOT / "notebooks" / f"{name}.ipynb").is_file()
        assert page == f"dicmor_lib/{path}".removesuffix(".py").replace("/", ".")
        assert (ROOT / "dicmor_lib" / path).is_file()

    def test_equations_are_those_of_the_chapter_and_the_file(self, term, text):
        mentioned = [int(number) for number in re.findall(r"Eq\. \((\d+)\)", text)]
        known = {equation.number: equation for equation in EQUATIONS}
        (_, chapter), (path, _) = CHAPTER.findall(text)[0], SOURCE.findall(text)[0]
        for number in mentioned:
            assert known[number].chapter == chapter
            if term != "Protocol":  # Eq. (24) scores protocols; what they are stands in another file
                assert known[number].file == f"dicmor_lib/{path}"

    def test_the_term_is_met_there(self, term, text):
        words = SAID_OTHERWISE.get(term, term).lower()
        (_, chapter), (path, _) = CHAPTER.findall(text)[0], SOURCE.findall(text)[0]
        assert words in chapter_text(chapter), f"chapter {chapter} does not speak of {words!r}"
        code = (ROOT / "dicmor_lib" / path).read_text(encoding="utf-8").lower()
        parts = [word for word in re.findall(r"[\w-]+", words) if len(word) > 1]
        assert any(word in code for word in parts), f"{path} does not speak of {words!r}"
