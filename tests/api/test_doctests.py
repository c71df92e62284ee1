"""The examples in the docstrings are true: each runs as it is printed."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "dicmor_lib"
MODULES = sorted(path for path in LIBRARY.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))
TAUGHT = (
    "dicmor_lib: DiCMoR DiCMoRConfig Term available_mask mask_pattern pattern_mask",
    "dicmor_lib.blocks: AffineCoupling ClassPrior Flow Recovery causal_mask sentiment_class",
    "dicmor_lib.data: Standardiser batches collate fixed_masks mask_hash missing_masks mix_in read",
    "dicmor_lib.data.missingness: missing_count_shares pattern_shares",
    "dicmor_lib.training: TrainConfig fit",
    "dicmor_lib.evaluation: evaluate resample_counts sentiment_metrics two_sample",
    "dicmor_lib.evaluation.protocols: defined_cases",
    "dicmor_lib.evaluation.verdict: OracleVerdict",
)
"""The names that a newcomer meets first: each has an example."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.fixture(autouse=True)
def print_plainly(monkeypatch, tmp_path):
    """An example neither depends on how this process prints arrays nor leaves files where the tests run."""
    monkeypatch.chdir(tmp_path)
    with np.printoptions(threshold=1000, precision=8, legacy=False):
        yield


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_examples_are_true(path):
    module = importlib.import_module(module_name(path))
    found = doctest.testmod(module)
    assert found.attempted, "the module has examples, but doctest sees none of them"
    assert not found.failed, "see the captured output"


@pytest.mark.parametrize("line", TAUGHT, ids=lambda line: line.split(":")[0])
def test_the_names_that_are_met_first_have_an_example(line):
    module, names = line.split(": ")
    documented = {name: getattr(importlib.import_module(module), name).__doc__ for name in names.split()}
    assert not [name for name, text in documented.items() if ">>> " not in text]


def test_no_example_is_skipped():
    texts = {module_name(path): path.read_text(encoding="utf-8") for path in MODULES}
    assert not [name for name, text in texts.items() if re.search(r"doctest:\s*\+SKIP", text)]


def test_a_false_example_would_be_found():
    def example():
        """
        >>> 1 + 1
        3
        """

    (test,) = doctest.DocTestFinder().find(example, "example")
    runner = doctest.DocTestRunner()
    runner.run(test, out=lambda text: None)
    assert runner.failures == 1
