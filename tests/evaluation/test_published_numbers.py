"""What other papers print: read, checked as groups, and shown beside our own scores."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dicmor_lib.errors import ConfigError, DataError
from dicmor_lib.evaluation.protocols import ProtocolScore, score_protocols
from dicmor_lib.evaluation.published_checks import (
    check_published,
    count_kinds,
    duplicates,
    f1_bounds,
    impossible,
    mean_gap,
    repeated,
    swapped,
)
from dicmor_lib.evaluation.published_numbers import QUOTABLE, by_group, published_rows, select
from dicmor_lib.evaluation.published_tables import published_beside, published_to_text
from dicmor_lib.evaluation.table import score
from tests.evaluation.test_protocols import predictions

COMP = "ComP (AAAI 2026) Table 2"
MMSA_MOSI = "d3994fd2" + "0" * 56


@pytest.fixture(scope="module")
def rows():
    return published_rows()


@pytest.fixture(scope="module")
def ours():
    return score_protocols(predictions(), rates=(0.1, 0.35, 0.7), resamples=20)


def group(rows, dataset, method, source=COMP):
    return [
        r for r in rows if (r.dataset, r.method, r.source, r.protocol) == (dataset, method, source, "random")
    ]


def exchanged(group):
    return [
        dataclasses.replace(r, values=r.values | {"acc2": r.values["f1"], "f1": r.values["acc2"]})
        for r in group
    ]


def flagged(doubts, kind="swapped"):
    return {(d.rows[0].dataset, d.rows[0].method) for d in doubts if d.kind == kind}


# --- the table ---------------------------------------------------------------------------------------


def test_the_table_holds_the_two_quotable_kinds_with_sources(rows):
    assert len(rows) == 261 and {row.kind for row in rows} == set(QUOTABLE)
    assert all(row.source and row.values for row in rows)
    # SCIENCE.md's own list of ComP's DiCMoR rows
    printed = {
        "mosi": "83.9/83.9 82.0/82.1 80.2/80.4 77.7/77.9 76.4/76.7 73.0/73.3 70.8/71.1",
        "mosei": "83.5/83.7 81.5/81.8 79.3/79.8 77.4/78.7 75.8/77.7 73.7/76.7 72.2/75.4",
    }
    for dataset, text in printed.items():
        found = " ".join(
            f"{r.values['acc2']:.1f}/{r.values['f1']:.1f}" for r in group(rows, dataset, "DiCMoR")
        )
        assert found == text
    (rerun,) = [r for r in rows if r.f1_std is not None]
    assert (rerun.method, rerun.where, rerun.values["f1"], rerun.f1_std) == ("IMDer", "0.7", 65.1, 1.5)


def test_the_package_agrees_with_the_shared_table(rows, shared_data):
    shared = published_rows(shared_data / "published_numbers.csv")
    assert len(published_rows(shared_data / "published_numbers.csv", kinds=None)) > len(shared) == len(rows)
    assert sorted(
        (r.dataset, r.protocol, r.where, r.method, sorted(r.values.items())) for r in shared
    ) == sorted((r.dataset, r.protocol, r.where, r.method, sorted(r.values.items())) for r in rows)


def test_a_file_that_is_no_such_table_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "other.csv"
    for text, word in (
        ("a,b\n1,2\n", "lacks the columns"),
        (
            "dataset,protocol,where,method,source,kind,acc2,f1,acc7,mae,corr\nmosi,random,0.1,x,s,k,8o,,,,\n",
            "line 2",
        ),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=word):
            published_rows(path)
    with pytest.raises(DataError, match="no_such.csv cannot be read"):
        published_rows(tmp_path / "no_such.csv")


# --- exchanged columns -------------------------------------------------------------------------------


def test_comps_dicmor_and_mctn_look_exchanged_and_imder_does_not(rows):
    doubts = check_published(rows)
    assert {("mosei", "DiCMoR"), ("mosei", "MCTN")} <= flagged(doubts)
    assert {("mosei", "DiCMoR"), ("mosei", "MCTN"), ("mosi", "MCTN")} == flagged(doubts)
    assert flagged(doubts, "possibly swapped") == {("mosi", "DiCMoR")}
    assert not any("IMDer" in d.about for d in doubts)
    evidence = next(d.evidence for d in doubts if "mosei random, DiCMoR" in d.about)
    assert "is +2.35 points" in evidence and "not flagged: -2.00 to +0.32" in evidence


def test_a_second_source_is_evidence_of_its_own(rows, shared_data):
    second = published_rows(shared_data / "published_numbers.csv", kinds=None)
    doubts = swapped(rows, second)
    found = {d.about: d.evidence for d in doubts if d.kind == "swapped"}
    assert "the other way round in 7 of 7 rows and the same way in 0" in found[f"{COMP}, mosei random, MCTN"]
    assert "plot script B" in found[f"{COMP}, mosei random, DiCMoR"]
    assert not any("IMDer" in about for about in found)
    # and where the sign says nothing, the second source still does: IMDer's MOSI columns exchanged by hand
    turned = [r for r in rows if r not in group(rows, "mosi", "IMDer")] + exchanged(
        group(rows, "mosi", "IMDer")
    )
    assert ("mosi", "IMDer") not in flagged(swapped(turned))
    assert ("mosi", "IMDer") in flagged(swapped(turned, second))


def test_columns_of_a_healthy_group_exchanged_by_hand_are_flagged_and_exchanged_back_are_not(rows):
    for method in ("IMDer", "MMIN"):
        held = group(rows, "mosei", method)
        assert not flagged(swapped(held)) and flagged(swapped(exchanged(held))) == {("mosei", method)}
    for method in ("DiCMoR", "MCTN"):
        held = group(rows, "mosei", method)
        assert flagged(swapped(held)) and not flagged(swapped(exchanged(held)))


def test_the_group_decides_and_not_a_single_row(rows):
    held = group(rows, "mosei", "IMDer")
    held[5] = exchanged(held[5:6])[0]
    assert held[5].values["f1"] > held[5].values["acc2"] + 2 and not swapped(held)
    low = [r for r in group(rows, "mosei", "DiCMoR") if r.rate < 0.35]
    assert np.isnan(mean_gap(low)) and not swapped(low)  # below .4 nothing can be told


# --- impossible, duplicate, repeated -----------------------------------------------------------------


def test_nothing_in_the_table_is_impossible_or_doubled(rows):
    assert impossible(rows) == [] and duplicates(rows) == []


@pytest.mark.parametrize(
    ("changes", "values", "word"),
    [
        ({}, {"acc2": 101.0}, r"acc2 is 101, outside \[0, 100\]"),
        ({}, {"f1": -1.0}, "f1 is -1"),
        ({}, {"mae": 6.5}, "mae is 6.5"),
        ({}, {"corr": -1.2}, "corr is -1.2"),
        ({}, {"acc7": float("nan")}, "acc7 is nan"),
        (
            {},
            {"acc2": 70.0, "f1": 57.0},
            "no two-class prediction with an accuracy of 70 has a weighted F1 of 57",
        ),
        ({}, {"acc2": 70.0, "f1": 83.0}, "lies between 57.6 and 82.4"),
        ({"f1_std": -0.1}, {}, "standard deviation of F1 is -0.1"),
        ({"dataset": "sims"}, {}, "'sims' is none of mosi, mosei"),
        ({"protocol": "frames"}, {}, "'frames' is neither random nor fixed"),
        ({"where": "1.5"}, {}, "'1.5' is no missing rate"),
        ({"where": "la"}, {}, "'la' is no missing rate"),
        ({"protocol": "fixed", "where": "al"}, {}, "'al' is no pattern"),
        ({"kind": "unattributed transcription"}, {}, "may not be quoted"),
        ({"source": ""}, {}, "no source"),
    ],
)
def test_impossible_rows_are_found(rows, changes, values, word):
    row = group(rows, "mosi", "IMDer")[3]
    bad = dataclasses.replace(row, **changes, values=row.values | values)
    (doubt,) = impossible([row, bad])
    import re

    assert re.search(word, doubt.evidence) and doubt.rows == (bad,) and f"line {row.line}" in doubt.evidence


def test_bounds_of_f1_hold_for_every_confusion_matrix_and_are_reached():
    cells = np.random.default_rng(0).dirichlet([0.3] * 4, 20_000)
    tp, tn, fp, fn = cells.T
    accuracy, wrong = tp + tn, fp + fn
    f1 = (tp + fn) * 2 * tp / (2 * tp + wrong) + (tn + fp) * 2 * tn / (2 * tn + wrong)
    low, high = f1_bounds(100 * accuracy)
    assert (100 * f1 >= low - 1e-9).all() and (100 * f1 <= high + 1e-9).all()
    assert f1_bounds(70) == pytest.approx((100 * 0.7 * (1.4 / 1.7), 100 * 1.4 / 1.7))  # majority; one class


def test_doubled_and_copied_rows_are_found(rows):
    held = group(rows, "mosi", "ComP")
    (double,) = duplicates([*held, dataclasses.replace(held[2], line=999)])
    assert double.evidence == f"0.3 stands in lines {held[2].line}, 999"
    copied = [*held[:4], dataclasses.replace(held[4], values=dict(held[3].values)), *held[5:]]
    assert not repeated(held)
    (doubt,) = repeated(copied)
    assert doubt.evidence.startswith("0.4, 0.5 have the same acc2 81.1, f1 81.18")
    assert {d.rows[0].method for d in repeated(rows)} == {"MCTN"}  # CyIN's re-run: one row for l, la and lv
    assert count_kinds([double, doubt, doubt]) == "1 duplicate, 2 repeated" and count_kinds([]) == "no doubt"


# --- beside ours -------------------------------------------------------------------------------------


def info(**changes):
    return {"data": "clips.pkl", "sha256": "f" * 64, "synthetic": False} | changes


def table_lines(text):
    return [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]


def cells_of(text, start):
    return next(
        [c.strip() for c in cells] for cells in table_lines(text) if cells[0].strip().startswith(start)
    )


def test_our_rows_stand_above_the_published_ones_on_the_same_rates(ours):
    text = published_beside(ours.scores, info(), "gcnet")
    head = [cell.strip() for cell in table_lines(text)[0]]
    assert head == ["method", "where from", "features", ".1", ".7"]  # .35 is no published rate
    value = [ours.value("gcnet", 0.1, "DiCMoR", m) for m in ("acc2", "f1")]
    assert cells_of(text, "DiCMoR")[3] == f"{100 * value[0]:.1f}/{100 * value[1]:.1f}"
    assert cells_of(text, "IMDer")[1:] == [
        f"{COMP} (peer paper table)",
        "features differ",
        "84.9/84.8",
        "71.9/71.2",
    ]
    assert "-/65.1±1.5" in text and "Acc-2 / F1 (ours: mixed)" in text
    assert {len(cells) for cells in table_lines(text)} == {5}
    assert ours.of("gcnet", 0.7)[0].mask_hash in text
    assert "was no result" not in text and "a difference between two rows is no result" in text


def test_doubts_stand_below_the_table_they_belong_to(ours):
    text = published_beside(ours.scores, info(data="mosei.pkl"))
    assert any(cells[0].strip() == "DiCMoR [2]" for cells in table_lines(text))
    assert "\\[2] swapped: ComP (AAAI 2026) Table 2, mosei random, DiCMoR" in text
    assert "mosi random" not in text
    mosi = published_beside(ours.scores, info())
    assert "possibly swapped" in mosi and "mosei random, DiCMoR:" not in mosi


def test_features_differ_unless_the_hash_is_a_known_file(ours):
    def features(text):
        return {cells[2].strip() for cells in table_lines(text)[3:]} - {"ours", ""}

    differ = published_beside(ours.scores, info(data="mosi_context_16.pkl"))
    assert features(differ) == {"features differ"} and "our features differ from all of theirs" in differ
    oracle = published_beside(ours.scores, info(synthetic=True, data="synthetic oracle"))
    assert features(oracle) == {"features differ"} and "SYNTHETIC DATA" in oracle
    known = published_beside(ours.scores, info(sha256=MMSA_MOSI))
    assert features(known) == {"features differ", "the same dimensions", "features not known to be the same"}
    published = [line for line in known.splitlines() if "DiCMoR [" in line]
    assert len(published) == 1 and "the same dimensions" in published[0] and "CMU-MOSI, aligned" in known


def test_fixed_patterns_take_rows_of_the_seven_pattern_table():
    held = predictions()
    held.info.update(split="test")
    table = score(held, resamples=20)
    text = published_beside(table.rows, info(), "fixed", metrics=("f1", "mae"))
    assert [c.strip() for c in table_lines(text)[0][3:]] == ["l", "a", "v", "la", "lv", "av", "lav"]
    assert "mixed" not in text and "Masks of our rows" not in text
    assert cells_of(text, "DiCMoR")[3] == (
        f"{100 * table.value('l', 'DiCMoR', 'f1'):.1f}/{table.value('l', 'DiCMoR', 'mae'):.3f}"
    )
    assert "| 85.1/0.717 |" in text  # CyIN's IMDer with language alone


def test_a_result_without_its_baselines_is_not_printed(ours):
    kept = [s for s in ours.scores if s.method != "ridge"]
    with pytest.raises(DataError, match="dicmor 0.1 lack the baselines ridge"):
        published_beside(kept, info())


def test_bad_requests_are_one_clear_sentence(ours):
    with pytest.raises(ConfigError, match="no score under the protocol 'frames'"):
        published_beside(ours.scores, info(), "frames")
    with pytest.raises(ConfigError, match="no published metric"):
        published_beside(ours.scores, info(), metrics=("acc5",))
    with pytest.raises(ConfigError, match="no published numbers of 'sims'"):
        published_beside(ours.scores, info(), dataset="sims")


def test_scores_may_hold_plain_numbers(ours):
    plain = [dataclasses.replace(s, metrics={k: v.value for k, v in s.metrics.items()}) for s in ours.scores]
    assert isinstance(plain[0], ProtocolScore)
    assert published_beside(plain, info()) == published_beside(ours.scores, info())


def test_text_shows_every_number_with_source_and_doubt(rows):
    shown = select(rows, "mosei", "random")
    text = published_to_text(shown, check_published(rows), ("acc2",))
    lines = [line for line in text.splitlines() if line.endswith("72.2") and COMP in line]
    assert len(lines) == 1 and lines[0].startswith("DiCMoR [2]")
    body = [line for line in text.splitlines() if COMP in line and not line.startswith("[")]
    assert len(body) == len([g for g in by_group(shown).values() if "acc2" in g[0].values])
    assert "[2] swapped" in text and "mosi random" not in text
