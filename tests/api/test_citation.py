"""CITATION.cff follows the Citation File Format 1.2.0 and says the same as pyproject.toml."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import dicmor_lib

ROOT = Path(__file__).resolve().parents[2]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What the 1.2.0 schema allows at the top, the part of a reference's keys that a paper needs, and who may be an author.
TOP = {"cff-version", "message", "type", "title", "version", "abstract", "license", "license-url", "authors"}
TOP |= {
    "keywords",
    "references",
    "preferred-citation",
    "date-released",
    "repository-code",
    "url",
    "doi",
    "commit",
}
TOP |= {"contact", "identifiers", "repository", "repository-artifact"}
REFERENCE = {"type", "title", "authors", "collection-title", "collection-type", "conference", "year", "month"}
REFERENCE |= {"start", "end", "pages", "doi", "url", "publisher", "editors", "volume", "issue", "journal"}
PERSON = {
    "family-names",
    "given-names",
    "name-particle",
    "name-suffix",
    "alias",
    "affiliation",
    "orcid",
    "email",
}
ENTITY = {
    "name",
    "alias",
    "city",
    "country",
    "date-start",
    "date-end",
    "website",
    "orcid",
    "email",
    "location",
}


def faults(citation: dict[str, Any]) -> list[str]:
    """What the schema of CFF 1.2.0 would refuse, as far as this file makes use of it."""
    found = [f"unknown key {key}" for key in set(citation) - TOP]
    found += [
        f"{key} is required"
        for key in ("cff-version", "message", "title", "authors")
        if not citation.get(key)
    ]
    if citation.get("cff-version") != "1.2.0":
        found.append("cff-version is not 1.2.0")
    if citation.get("type", "software") not in ("software", "dataset"):
        found.append("the type is neither software nor dataset")
    found += [
        f"{key} is not text"
        for key in ("message", "title", "abstract", "version")
        if not is_text(citation, key)
    ]
    found += author_faults(citation.get("authors"), "authors")
    for i, reference in enumerate(citation.get("references", [])):
        found += [f"references[{i}]: unknown key {key}" for key in set(reference) - REFERENCE]
        found += [
            f"references[{i}]: {key} is required"
            for key in ("type", "title", "authors")
            if key not in reference
        ]
        found += author_faults(reference.get("authors"), f"references[{i}]")
        found += [f"references[{i}]: the conference has no name"] * (
            "name" not in reference.get("conference", {"name"})
        )
    return found


def is_text(citation: dict[str, Any], key: str) -> bool:
    return isinstance(citation.get(key, ""), str)


def author_faults(authors: Any, where: str) -> list[str]:
    if not isinstance(authors, list) or not authors:
        return [f"{where}: no list of authors"]
    good = [isinstance(a, dict) and (set(a) <= PERSON or ("name" in a and set(a) <= ENTITY)) for a in authors]
    return [
        f"{where}: author {i} is neither a person nor an entity" for i, fine in enumerate(good) if not fine
    ]


def test_it_follows_the_schema():
    assert faults(CITATION) == []


@pytest.mark.parametrize(
    "path, value",
    [
        (("cff-version",), "1.1.0"),
        (("message",), ""),
        (("authors",), "the dicmor authors"),
        (("authors", 0), {"nom": "the dicmor authors"}),
        (("cite-as",), "this"),
        (("version",), 0.1),
        (("references", 0, "booktitle"), "ICCV"),
        (("references", 0, "conference"), {}),
    ],
    ids=str,
)
def test_a_fault_would_be_found(path, value):
    broken = copy.deepcopy(CITATION)
    holder = broken
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    assert faults(broken)


def test_it_says_what_pyproject_says():
    assert CITATION["version"] == PROJECT["version"] == dicmor_lib.__version__
    assert CITATION["license"] == PROJECT["license"]
    assert CITATION["authors"] == PROJECT["authors"]
    assert set(CITATION["keywords"]) <= set(PROJECT["keywords"])


def test_it_names_the_paper():
    (paper,) = CITATION["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Wang", "Cui", "Li"]
    assert (paper["year"], paper["start"], paper["end"]) == (2023, 22025, 22034)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{{{paper['title']}}}" in readme and "{22025--22034}" in readme


def test_the_readme_cites_it_alike():
    entry = re.search(
        r"@software\{.*?^\}", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert f"{{{{{CITATION['title']}}}}}" in entry[0] and f"{{{CITATION['version']}}}" in entry[0]
    assert all(author["name"] in entry[0] for author in CITATION["authors"])
