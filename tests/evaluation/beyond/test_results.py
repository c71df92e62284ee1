"""Seeds joined: means, paired differences and intervals; tables and the verdict say what the numbers say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dicmor_lib.commands.results import replace_section
from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.beyond import tables
from dicmor_lib.evaluation.beyond.results import (
    RESULTS,
    Found,
    Results,
    join_seeds,
    read_results,
    write_results,
)

README = Path(__file__).resolve().parents[3] / "README.md"


def two_seeds(shift: float = 0.0) -> list[dict]:
    rng = np.random.default_rng(0)
    clips = rng.normal(size=200)
    return [
        {
            ("log_density", "l", "", "joint"): clips + 1.0 + 0.01 * s,
            ("log_density", "l", "", "ridge"): clips + 0.5 + shift,
            ("law", "l", "audio", "joint draw"): np.array(0.1 + 0.01 * s),
            ("law", "l", "audio", "ridge"): np.array(0.3 + 0.01 * s),
            ("acc2", "l", "", "Bayes"): np.where(clips > 0, 1.0, np.nan),
        }
        for s in (0, 1)
    ]


def test_means_and_paired_differences():
    found = {(r.measure, r.method, r.against): r for r in join_seeds("x", two_seeds(), resamples=300)}
    clips = two_seeds()[0]["log_density", "l", "", "joint"] - 1
    own = found["log_density", "joint", ""]
    assert own.value == pytest.approx(clips.mean() + 1.005) and own.seeds == 2
    assert own.high - own.low == pytest.approx(2 * 1.96 * clips.std() / np.sqrt(200), rel=0.3)
    difference = found["log_density", "ridge", "joint"]
    assert difference.value == pytest.approx(0.505)
    # the clips cancel: only the seeds are left
    assert 0.49 < difference.low <= difference.high < 0.52
    law = found["law", "ridge", "joint draw"]
    assert (law.value, law.low, law.high) == pytest.approx((-0.2, -0.2, -0.2))
    assert found["law", "ridge", ""].low == pytest.approx(0.305 - 12.706 * 0.005, abs=1e-3)  # t with 1 degree
    assert found["acc2", "Bayes", ""].value == 1.0
    assert ("log_density", "joint", "joint") not in found


def test_a_measure_that_one_seed_lacks_is_left_out():
    one, two = two_seeds()
    del two["acc2", "l", "", "Bayes"]
    assert not [r for r in join_seeds("x", [one, two], 10) if r.measure == "acc2"]


def test_results_are_written_and_read_back(tmp_path):
    found = (*join_seeds("x", two_seeds()[:1], 50),)
    results = Results({"x": {"synthetic": False, "seeds": [0]}}, found)
    write_results(results, tmp_path / "r.json")
    again = read_results(tmp_path / "r.json")
    assert again.info == results.info and len(again.found) == len(found)
    row = again.get("x", "law", "l", "ridge", "audio")
    assert row.value == pytest.approx(0.3) and np.isnan(
        row.low
    )  # of one seed there is no interval over seeds
    assert again.targets("x", "law", "l") == ["audio"]
    with pytest.raises(DataError, match="there is no result"):
        again.get("x", "law", "a", "ridge", "audio")


def oracle_results(gap: float = 0.02, ratio: float = 1.5, cover: float = 0.8, wins: float = 0.1) -> Results:
    """Every number that the tables ask for, all patterns alike."""
    rows: list[Found] = []

    def add(measure, pattern, target, method, value, against="", half=0.01):
        rows.append(
            Found("oracle", measure, pattern, target, method, against, value, value - half, value + half, 5)
        )

    for p in ("l", "a", "v", "la", "lv", "av", "lav"):
        for method in ("joint", "joint, class", "joint, 1 draw", "DiCMoR", "ridge", "gaussian", "Bayes"):
            for measure in ("acc2", "absolute_error"):
                add(measure, p, "", method, 0.7)
                add(measure, p, "", method, wins, tables.MAIN[measure][0])
        for level in (80, 95):
            add(f"cover{level}", p, "", "joint", cover if level == 80 else 0.95)
            add(f"width{level}", p, "", "joint", 3.0)
        if p == "lav":
            continue
        add("log_density", p, "", "joint", -0.6)
        add("log_density", p, "", "Bayes", -gap, "joint")
        for method in ("DiCMoR", "ridge", "gaussian"):
            add("log_density", p, "", method, wins, "joint")
        for target in ("audio", "vision"):
            for method in tables.ESTIMATES:
                for measure in ("squared_error", "correlation", "spread", "law", "conditional_law"):
                    add(measure, p, target, method, 0.1 * (ratio if method == "joint draw" else 1.0))
                    if measure in tables.MAIN:
                        add(measure, p, target, method, -wins, tables.MAIN[measure][0])
            add("law", p, target, "real", 0.1)
    info = dict(synthetic=True, clips=[20000, 1000, 20000], state=4, seeds=[0, 1], draws=16, machine="a CPU")
    return Results({"oracle": info}, tuple(rows))


def said_of(results: Results, data: str) -> list[str]:
    return [line.strip("| ").rsplit("| ", 1)[1] for line in tables.verdict(results, data)[2:]]


def said(results: Results) -> list[str]:
    return said_of(results, "oracle")


def test_the_verdict_is_met_only_where_the_worst_pattern_meets_it():
    assert said(oracle_results()) == ["met"] * 8
    assert said(oracle_results(gap=0.06))[0] == "missed"
    assert said(oracle_results(ratio=2.1))[1] == "missed"
    assert said(oracle_results(cover=0.84))[3] == "missed"
    assert said(oracle_results(cover=0.76))[3] == "missed"
    assert said(oracle_results(wins=0.005))[4:] == ["missed"] * 4  # the intervals reach 0
    worse = oracle_results()
    rows = [
        dataclasses.replace(r, value=0.685)
        if (r.measure, r.pattern, r.method, r.against) == ("acc2", "av", "joint, class", "")
        else r
        for r in worse.found
    ]
    assert said(Results(worse.info, tuple(rows)))[2] == "missed"


def test_every_table_has_a_line_per_case_and_the_numbers():
    results = oracle_results()
    assert len(tables.density_table(results, "oracle")) == 2 + 6
    assert tables.density_table(results, "oracle")[2] == (
        "| l | -.600 [-.610, -.590] | .100 [.090, .110] | .100 [.090, .110] | .100 [.090, .110] | .020 [.010, .030] |"
    )
    assert len(tables.law_table(results, "oracle")) == 2 + 12
    assert tables.law_table(results, "oracle")[2].startswith("| l to audio | .1000 | 1.50 |")
    assert len(tables.prediction_table(results, "oracle")) == 2 + 7
    text = tables.to_markdown(results, "oracle")
    assert text.count("<details>") == text.count("</details>") == 5
    widths = {line.count("|") for line in tables.effects_table(results, "oracle")}
    assert widths == {7}


def test_the_readme_holds_these_tables():
    """If this fails: dicmor beyond --into README.md"""
    text = README.read_text(encoding="utf-8")
    results = read_results(RESULTS)
    for name in results.info:
        assert replace_section(text, name, tables.to_markdown(results, name), "beyond") == text
    assert said_of(results, "synthetic") == ["met"] * 8, "README says that every target is met"


def test_what_was_measured_for_the_course_is_complete():
    results = read_results(RESULTS)
    assert list(results.info) == ["synthetic", "ict_mmmo_aligned_20", "mosi_context_16"]
    for name, info in results.info.items():
        assert len(info["seeds"]) == 5 and info["synthetic"] == (name == "synthetic")
        tables.to_markdown(results, name)  # asks for every number there must be
    assert min(results.info["synthetic"]["clips"][::2]) >= 20_000 and results.info["synthetic"]["state"] <= 8
