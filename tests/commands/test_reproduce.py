"""`dicmor reproduce` and `dicmor results --ledger`: what they say, and one sentence for every mistake."""

from __future__ import annotations

import pickle

import pytest

from dicmor_lib.cli import main
from dicmor_lib.evaluation.ledger import Ledger
from tests.mmsa import mmsa

SMALL = [
    *("--set", "hidden=8", "--set", "flow_width=8", "--set", "flow_layers=2", "--set", "rcab_width=8"),
    *("--set", "rcab_blocks=1", "--set", "heads=2", "--set", "fusion_layers=1", "--set", "accelerator=cpu"),
    *("--set", "stage1_epochs=1", "--set", "stage2_epochs=1", "--permutations", "99", "--resamples", "20"),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A real file, as far as the reader can tell: MMSA layout."""
    path = tmp_path_factory.mktemp("data") / "small clips.pkl"
    path.write_bytes(pickle.dumps(mmsa(sizes=(40, 16, 20))))
    return path


@pytest.fixture(scope="module")
def out(file, tmp_path_factory):
    """A study of one seed and DiCMoR alone, on a file."""
    folder = tmp_path_factory.mktemp("study")
    command = ["reproduce", "--data", str(file), "--seeds", "3", "--variants", "DiCMoR", "--out", str(folder)]
    assert main([*command, "--quiet", *SMALL]) == 0
    return folder


def fails(capsys, *argv):
    capsys.readouterr()
    assert main([str(part) for part in argv]) == 2
    printed, said = capsys.readouterr()
    assert printed == "" and said.startswith("dicmor: ") and said.count("\n") == 1
    return said


def test_a_file_is_evaluated_without_an_oracle(out):
    ledger = Ledger.read(out / "ledger")
    runs = list(ledger.runs.values())
    assert {run.data for run in runs} == {"small clips.pkl"} and {run.synthetic for run in runs} == {"no"}
    assert {run.seeds for run in runs} == {"3"} and not any(run.kind == "bound" for run in runs)
    assert (out / "small-clips" / "seed-3" / "DiCMoR" / "best").is_dir()
    assert not any("share" in key[3] for key in ledger.measures)


def test_results_prints_the_ledger_and_writes_it_into_a_document(out, tmp_path, capsys):
    assert main(["results", "--ledger", str(out / "ledger")]) == 0
    text = capsys.readouterr().out
    assert "### `small clips.pkl`" in text and "| **DiCMoR** |" in text and "SYNTHETIC" not in text
    document = tmp_path / "paper.md"
    document.write_text("before\n<!-- results:all -->\nold\n<!-- /results:all -->\nafter\n")
    for _ in range(2):  # twice is the same as once
        assert main(["results", "--ledger", str(out / "ledger"), "--into", str(document)]) == 0
        written = f"before\n<!-- results:all -->\n{text.rstrip()}\n<!-- /results:all -->\nafter\n"
        assert document.read_text() == written


def test_results_go_into_another_ledger_too(out, file, tmp_path, capsys):
    command = ["reproduce", "--data", str(file), "--seeds", "3", "--variants", "DiCMoR", "--out", str(out)]
    elsewhere = tmp_path / "ledger"
    assert main([*command, *SMALL, "--ledger", str(elsewhere)]) == 0
    said = capsys.readouterr()
    assert said.err.count("done before") == 3 and f"dicmor results --ledger {elsewhere}" in said.out
    assert Ledger.read(elsewhere).runs == Ledger.read(out / "ledger").runs


def test_interrupting_says_how_to_go_on(file, tmp_path, capsys, monkeypatch):
    from dicmor_lib.training import stage

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, "validate", interrupt)
    command = ["reproduce", "--data", str(file), "--seeds", "0", "--out", str(tmp_path), "--quiet", *SMALL]
    assert main(command) == 130
    assert "the same command goes on from here" in capsys.readouterr().err


def test_mistakes_are_one_sentence(file, tmp_path, capsys):
    base = ("reproduce", "--out", tmp_path, "--data", file)
    assert "no variant 'all of them'" in fails(capsys, *base, "--variants", "all of them")
    assert "--seeds 'many' is no list" in fails(capsys, *base, "--seeds", "many")
    assert "there is no preset 'huge'" in fails(capsys, *base, "--preset", "huge")
    assert "--set nothing is not NAME=VALUE" in fails(capsys, *base, "--set", "nothing")
    assert "--jobs is 0" in fails(capsys, *base, "--jobs", "0")
    assert "data sets are small-clips, small-clips" in fails(capsys, *base, file)
    assert "no file" in fails(capsys, "reproduce", "--out", tmp_path, "--data", tmp_path / "absent.pkl")
    assert "configs.json is not part of a ledger" in fails(capsys, "results", "--ledger", tmp_path / "none")
    assert "give either --ledger DIR or the folders" in fails(capsys, "results")
    assert "give either" in fails(capsys, "results", "--ledger", tmp_path, tmp_path)
    assert "--into and --section belong together" in fails(capsys, "results", tmp_path, "--into", "x.md")


@pytest.mark.slow
def test_two_processes_side_by_side(file, tmp_path, capsys):
    command = ["reproduce", "--data", str(file), "--seeds", "0-1", "--variants", "DiCMoR", *SMALL, "--out"]
    assert main([*command, str(tmp_path / "two"), "--jobs", "2"]) == 0
    assert "[7/7]" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "one"), "--quiet"]) == 0
    one, two = (Ledger.read(tmp_path / name / "ledger") for name in ("one", "two"))
    assert list(map(str, one.measures.values())) == list(map(str, two.measures.values()))
