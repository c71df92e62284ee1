from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.commands.results import replace_section
from dicmor_lib.errors import DataError
from dicmor_lib.evaluation.bootstrap import Estimate
from dicmor_lib.evaluation.metrics import METRICS
from dicmor_lib.evaluation.seeds import SeedSummary
from dicmor_lib.evaluation.table import REQUIRED_BASELINES, EvaluationTable, Row
from dicmor_lib.modalities import PATTERNS


def table(seed: int, value: float, **info: object) -> EvaluationTable:
    """Every number of the model is `value`, every number of a baseline .25."""
    rows = [
        Row(
            pattern,
            method,
            "model" if method == "DiCMoR" else "imputer",
            40,
            {m: Estimate(number, number, number) for m in METRICS},
        )
        for pattern in PATTERNS
        for method, number in [("DiCMoR", value), *((name, 0.25) for name in REQUIRED_BASELINES)]
    ]
    facts = {"data": "clips.pkl", "sha256": "ab" * 32, "synthetic": False, "split": "test", "masks": {}}
    return EvaluationTable(tuple(rows), facts | {"training_seed": seed} | info)


def test_mean_and_spread_over_seeds():
    summary = SeedSummary.of([table(2, 0.9), table(0, 0.6), table(1, 0.6)])
    assert summary.seeds == [0, 1, 2]
    np.testing.assert_array_equal(summary.values("av", "DiCMoR", "mae"), [0.6, 0.6, 0.9])
    text = summary.to_markdown()
    assert "| DiCMoR |" in text and ".700 (.173)" in text  # mean .7, standard deviation sqrt(.06 / 2)
    assert text.count("| mean-fill |") == 5 and "| mean-fill | .250 |" in text  # no spread, no brackets
    assert "training seeds 0, 1, 2" in text and "SYNTHETIC" not in text


def test_synthetic_data_is_called_so():
    assert "SYNTHETIC" in SeedSummary.of([table(0, 0.5, synthetic=True)]).to_markdown()


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([], "no evaluated run"),
        ([table(0, 0.5), table(0, 0.6)], "seeds that differ"),
        ([table(0, 0.5), table(1, 0.6, sha256="cd" * 32)], "differ in sha256"),
        ([table(0, 0.5), table(1, 0.6, masks={"l": {"hash": "x"}})], "differ in masks"),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(tables, message):
    with pytest.raises(DataError, match=message):
        SeedSummary.of(tables)


def test_a_section_is_replaced_between_its_marks_and_nothing_else_changes():
    text = "top\n<!-- results:a -->\nold\n<!-- /results:a -->\nend <!-- results:b -->\n<!-- /results:b -->"
    assert replace_section(text, "a", "new") == text.replace("old", "new")
    for name in ("c", "A"):
        with pytest.raises(DataError, match="once each"):
            replace_section(text, name, "new")
    with pytest.raises(DataError, match="once each"):
        replace_section(text + text, "a", "new")
