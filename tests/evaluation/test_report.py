"""The README's results section is what the committed ledger generates, byte for byte."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from dicmor_lib.commands.results import replace_section
from dicmor_lib.evaluation.ledger import Ledger
from dicmor_lib.evaluation.ledger_view import views
from dicmor_lib.evaluation.report import report
from dicmor_lib.evaluation.variants import VARIANTS

README = Path(__file__).resolve().parents[2] / "README.md"
RESULTS = Path(str(files("dicmor_lib") / "evaluation" / "results"))


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return Ledger.read(RESULTS)


def test_the_readme_shows_the_committed_ledger(ledger):
    """If this fails: dicmor results --ledger dicmor_lib/evaluation/results --into README.md"""
    text = README.read_text(encoding="utf-8")
    assert replace_section(text, "all", report(ledger)) == text


ABLATIONS = {
    name for name in VARIANTS if name != "zeros, fusion retrained"
}  # the control was not run for the README


def test_the_committed_ledger_holds_the_oracle_with_its_ablations_and_the_real_files(ledger):
    found = views(ledger)
    assert [view.synthetic for view in found] == [True] + [False] * (len(found) - 1) and len(found) >= 3
    for view in found:
        assert (ABLATIONS if view.synthetic else {"DiCMoR", "published"}) <= set(view.runs)
        assert len(view.run.seeds.split()) >= (5 if view.synthetic else 3)
        assert len(view.patterns) == 7 and len(view.cases) == 9
        assert view.run.hardware and view.run.versions and view.run.selected_on == "valid"


def test_the_committed_ledger_is_small():
    assert sum(path.stat().st_size for path in RESULTS.iterdir()) < 1.5e6
