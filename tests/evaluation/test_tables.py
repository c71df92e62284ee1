"""Tables and their files: text, Markdown, CSV, JSON, saved predictions."""

from __future__ import annotations

import csv
import dataclasses
import json
import math

import numpy as np
import pytest

from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.evaluation import render, table_files
from dicmor_lib.evaluation.bootstrap import Estimate, metric_estimates, resample_counts
from dicmor_lib.evaluation.metrics import METRICS
from dicmor_lib.evaluation.predictions import PatternPredictions
from dicmor_lib.evaluation.table import REQUIRED_BASELINES, EvaluationTable, score, score_differences


def test_a_models_row_needs_every_baseline_beside_it(evaluation):
    rows, info = evaluation.table.rows, evaluation.table.info
    for dropped in REQUIRED_BASELINES:
        kept = tuple(row for row in rows if row.method != dropped)
        with pytest.raises(DataError, match=f"lack the baselines {dropped};"):
            EvaluationTable(kept, info)
    EvaluationTable(tuple(row for row in rows if row.method != "DiCMoR"), info)  # baselines may stand alone


def test_rows_of_one_pattern_must_have_the_same_samples(evaluation):
    rows = list(evaluation.table.rows)
    rows[0] = dataclasses.replace(rows[0], n=rows[0].n - 1)
    with pytest.raises(DataError, match="different numbers of samples"):
        EvaluationTable(tuple(rows), evaluation.table.info)


def test_text_says_that_the_data_are_synthetic_and_names_masks_and_patterns(evaluation):
    for text in (evaluation.to_text(), evaluation.to_markdown()):
        assert text.startswith("SYNTHETIC DATA")
        assert "95% percentile bootstrap over samples, 50 resamples, seed 0" in text
        assert evaluation.table.info["masks"]["la"]["hash"][:8] in text
        assert "l language, a audio, v vision" in text
    real = EvaluationTable(evaluation.table.rows, evaluation.table.info | {"synthetic": False})
    assert "SYNTHETIC" not in render.to_text(real)


def test_text_is_aligned_and_shows_every_row_once(evaluation):
    lines = render.to_text(evaluation.table).splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("pattern"))
    body = [line for line in lines[head + 1 :] if "[" in line and not line.startswith("Pattern")]
    assert len(body) == len(evaluation.table.rows)
    assert len({len(line) for line in body}) == 1
    assert body[0].split()[:2] == ["l", "DiCMoR"]


def test_markdown_has_one_cell_per_column(evaluation):
    lines = [line for line in evaluation.to_markdown().splitlines() if line.startswith("|")]
    assert len(lines) == len(evaluation.table.rows) + 2
    assert {line.count("|") for line in lines} == {3 + len(render.SHOWN) + 1}


def test_numbers_are_short_and_what_does_not_exist_is_a_dash():
    assert render.format_estimate(Estimate(0.7834, 0.7489, 0.8161)) == ".783 [.75, .82]"
    assert render.format_estimate(Estimate(-0.05, -0.123, 1.0)) == "-.050 [-.12, 1.00]"
    assert render.format_estimate(Estimate(*[math.nan] * 3)) == "-"


def test_files_hold_every_number_unrounded(evaluation, tmp_path):
    paths = {path.name: path for path in evaluation.save(tmp_path / "new")}
    assert set(paths) == {
        "evaluation.csv",
        "evaluation.json",
        "evaluation.md",
        "recovery.csv",
        "predictions.npz",
    }
    with open(paths["evaluation.csv"], newline="") as file:
        lines = list(csv.DictReader(file))
    for line, row in zip(lines, evaluation.table.rows, strict=True):
        assert (line["pattern"], line["method"], line["synthetic"]) == (row.pattern, row.method, "True")
        for metric in METRICS:
            e = row.metrics[metric]
            for column, value in ((metric, e.value), (f"{metric}_low", e.low), (f"{metric}_high", e.high)):
                assert line[column] == "" if math.isnan(value) else float(line[column]) == value
    with open(paths["recovery.csv"], newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(evaluation.recovery.errors)
    first = evaluation.recovery.estimate(lines[0]["pattern"], lines[0]["missing"], lines[0]["method"])
    assert float(lines[0]["mse"]) == first.value and float(lines[0]["mse_high"]) == first.high


def test_json_is_strict_and_gives_the_table_back(evaluation, tmp_path):
    path = tmp_path / "table.json"
    table_files.write_json(evaluation.table, path)
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    again = table_files.read_json(path)
    assert render.to_text(again) == render.to_text(evaluation.table)
    assert again.value("av", "ridge", "mae") == evaluation.table.value("av", "ridge", "mae")


def test_a_saved_table_whose_baselines_were_removed_is_refused(evaluation, tmp_path):
    path = tmp_path / "table.json"
    table_files.write_json(evaluation.table, path)
    content = json.loads(path.read_text())
    content["rows"] = [row for row in content["rows"] if row["method"] != "ridge"]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="lack the baselines ridge"):
        table_files.read_json(path)
    path.write_text("{}")
    with pytest.raises(DataError, match="not a saved table"):
        table_files.read_json(path)


def test_saved_predictions_give_the_same_table(evaluation, tmp_path):
    path = tmp_path / "predictions.npz"
    evaluation.predictions.save(path)
    again = PatternPredictions.load(path)
    assert render.to_text(score(again, resamples=50)) == render.to_text(evaluation.table)
    assert again.ids == evaluation.predictions.ids
    path.write_bytes(b"something else")
    with pytest.raises(DataError, match="not a file of saved predictions"):
        PatternPredictions.load(path)


def test_predictions_must_be_of_the_same_samples():
    available = np.ones((1, 3, 3), dtype=bool)
    available[0, 2] = False
    good = {"one": np.array([[1.0, 2.0, np.nan]])}
    PatternPredictions(("l",), np.ones(3), available, good, {"one": "model"})
    with pytest.raises(DataError, match="two was not scored on the same samples"):
        PatternPredictions(("l",), np.ones(3), available, good | {"two": np.ones((1, 3))}, {})
    with pytest.raises(ShapeError, match="shape"):
        PatternPredictions(("l",), np.ones(3), available, {"two": np.ones((2, 3))}, {})


def test_differences_are_paired_and_cover_every_other_method(evaluation):
    differences = score_differences(evaluation.predictions, "DiCMoR", resamples=50)
    assert len(differences) == 7 * (len(REQUIRED_BASELINES) + 1)  # and the ridge on the last step
    chosen = next(d for d in differences if (d.pattern, d.second) == ("a", "ridge"))
    table = evaluation.table
    assert chosen.metrics["mae"].value == pytest.approx(
        table.value("a", "DiCMoR", "mae") - table.value("a", "ridge", "mae")
    )
    with pytest.raises(DataError, match="no predictions of 'another'"):
        score_differences(evaluation.predictions, "another")


def test_a_tables_interval_is_the_bootstraps(evaluation):
    guess, label = evaluation.predictions.of("ridge", "la")
    expected = metric_estimates(guess, label, resample_counts(len(label), 50, 0))
    assert evaluation.table.row("la", "ridge").metrics == expected


def test_unknown_rows_are_named(evaluation):
    with pytest.raises(DataError, match="no row 'l', 'GAN'"):
        evaluation.table.value("l", "GAN", "mae")
    with pytest.raises(DataError, match="no recovery error of 'GAN'"):
        evaluation.recovery.estimate("l", "audio", "GAN")
