"""What README.md says by hand agrees with what was measured, and its examples run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from dicmor_lib import MODALITIES
from dicmor_lib.cli import main
from dicmor_lib.data import read
from dicmor_lib.data.known_files import KNOWN_FILES
from tests.project.test_environment import PROJECT
from tests.test_table1 import PARAMETERS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMPARISON = README.split("\n## How it compares\n")[1].split("\n## ")[0]
MEASURED = json.loads((ROOT / "dicmor_lib" / "bench" / "measured.json").read_text(encoding="utf-8"))


def compared(topic: str) -> list[str]:
    """The cells of a row of the comparison: published code, this library, where it was measured."""
    (row,) = [line for line in COMPARISON.splitlines() if line.startswith(f"| {topic} ")]
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


def results_row(table: str, method: str) -> list[str]:
    """The numbers of a method in the first table of the oracle whose header holds `table`."""
    oracle = README.split("### The oracle (synthetic)")[1]
    part = oracle[oracle.index(table) :]
    row = next(line for line in part.splitlines() if line.replace("*", "").startswith(f"| {method} |"))
    return [cell.strip().replace("*", "") for cell in row.strip("|").split("|")][1:]


def test_the_comparison_repeats_the_ledgers_numbers():
    table = "| Acc-2 | MAE | r | error, transferred | error, recovered |"
    published, ours = results_row(table, "published"), results_row(table, "DiCMoR")
    assert compared("recovery error, oracle")[:2] == [published[4], ours[4]]
    assert compared("distance to the real law, oracle")[:2] == [published[6], ours[6]]
    assert compared("Acc-2 / MAE / r, oracle")[:2] == [" / ".join(published[:3]), " / ".join(ours[:3])]


def test_the_comparison_repeats_pinned_parameters_and_the_measured_step():
    assert compared("parameters, MOSI")[:2] == [
        f"{PARAMETERS['mosi published']:,}",
        f"{PARAMETERS['mosi']:,}",
    ]
    case = dict(preset="mosi", task="train", batch=32, device="cpu", precision="32-true", compiled=False)
    (step,) = [c for c in MEASURED["cases"] if case.items() <= c.items()]
    assert compared("optimiser step on 32 MOSI clips, 2 cores")[1] == f"{step['ratio']:.3g} matrix products"


def test_files_that_the_readme_names_exist():
    named = re.findall(r"`((?:dicmor_lib|tests|notebooks)/[\w/.]*)`", README)
    linked = re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", README)
    assert len(named) > 5 and len(linked) > 12
    assert not [path for path in (*named, *linked) if not (ROOT / path).exists()]


def test_known_files_are_listed_with_their_sizes_and_hashes():
    for known in KNOWN_FILES:
        name = known.name.removesuffix(" (MMSA)")
        assert f"| {name} | {' / '.join(map(str, known.sizes))} | `{known.prefix}` |" in README


def test_the_citation_names_this_version():
    (entry,) = re.findall(r"@software\{.*?^\}", README, re.M | re.S)
    assert f"version = {{{PROJECT['version']}}}" in entry
    assert re.search(r"pages\s+= \{22025--22034\}", README)


def python_block(holding: str) -> str:
    (found,) = [b for b in re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S) if holding in b]
    return found


def test_arrays_of_ones_own_become_a_file_that_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(python_block("savez"), {})
    data = read("mine.npz")
    assert (len(data.train), len(data.valid), len(data.test)) == (40, 10, 10)
    assert all(data.train.observed.all(axis=0)) and len(data.feature_dims) == len(MODALITIES)
    assert np.abs(data.train.labels).max() <= 3


def test_the_example_of_the_import_runs():
    found: dict = {}
    exec(python_block("available_mask"), found)
    assert found["out"].prediction.shape == (4,) and found["out"].recovered.shape == (3, 4, 50, 32)


@pytest.mark.parametrize(
    "line",
    [
        x
        for b in re.findall(r"^```bash\n(.*?)^```$", README, re.M | re.S)
        for x in b.replace("\\\n", " ").splitlines()
        if "dicmor " in x
    ],
)
def test_commands_of_the_readme_have_these_options(line, capsys):
    """`--help` behind the command: the parser refuses unknown subcommands, and every option is in its help."""
    words = line.split("#")[0].split()
    with pytest.raises(SystemExit) as stop:
        main([*words[1 : 3 if words[1] == "data" else 2], "--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0
    asked = [word for word in words if word.startswith("--")]
    assert not [option for option in asked if not re.search(rf"{option}(?![\w-])", said)]
