"""`dicmor published`: numbers with sources, doubts with evidence."""

from __future__ import annotations

import pytest

from dicmor_lib.cli import main
from dicmor_lib.commands.published import METRICS
from dicmor_lib.evaluation.published_numbers import NUMBERS


def test_it_prints_the_asked_tables_with_sources(capsys):
    assert main(["published", "--dataset", "mosi", "--protocol", "random", "--metric", "f1"]) == 0
    out = capsys.readouterr().out
    assert (
        out.count("mosi random: F1 (%)") == 1
        and "Acc-2 (%)" not in out
        and "mosei" not in out.split("[1]")[0]
    )
    assert "ComP (AAAI 2026) Table 2" in out and "[1] swapped" in out
    assert "not measured here" in out and METRICS == NUMBERS


def test_check_prints_the_evidence_and_counts(capsys):
    assert main(["published", "--check"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("261 rows of 5 sources: 4 repeated, 3 swapped, 1 possibly swapped\n")
    assert (
        "mosei random, DiCMoR: mean F1 - Acc at rates of .4 and above is +2.35" in out and "IMDer" not in out
    )
    assert main(["published", "--check", "--dataset", "mosei", "--protocol", "random"]) == 0
    assert "2 swapped\n" in capsys.readouterr().out


def test_a_second_source_adds_evidence_and_is_not_printed(capsys, shared_data):
    assert main(["published", "--check", "--second", str(shared_data / "published_numbers.csv")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("261 rows") and "the other way round in 7 of 7 rows" in out


@pytest.mark.parametrize("argument", [["--dataset", "sims"], ["--file", "no such.csv"]])
def test_mistakes_are_one_sentence(argument, capsys):
    try:
        status = main(["published", *argument])
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    assert status == 2 and out == "" and err.startswith("dicmor: ") and err.count("\n") == 1
