"""`dicmor beyond`: it measures, keeps, joins and writes; mistakes are one sentence."""

from __future__ import annotations

import pytest

from dicmor_lib.cli import main
from dicmor_lib.evaluation.beyond.results import read_results, write_results
from dicmor_lib.evaluation.beyond.setting import Setting


@pytest.fixture
def small(monkeypatch) -> Setting:
    setting = Setting.of_oracle((120, 40, 60), density_steps=10, density_batch=32, draws=2)
    setting.model.update(flow_layers=2, flow_width=8, rcab_blocks=1, fusion_layers=1)
    train = setting.train.replace(stage1_epochs=1, stage2_epochs=1, batch_size=32)
    setting = Setting(setting.source, setting.model, train, 10, 32, draws=2)
    monkeypatch.setattr(Setting, "of_oracle", classmethod(lambda cls: setting))
    return setting


def test_measured_once_joined_and_written_into_a_document(small, tmp_path, capsys):
    results, document = tmp_path / "results.json", tmp_path / "text.md"
    document.write_text("before\n<!-- beyond:synthetic -->\nold\n<!-- /beyond:synthetic -->\nafter\n")
    study = ["beyond", "--data", "synthetic", "--seeds", "0,1", "--out", str(tmp_path / "runs")]
    study += ["--results", str(results)]
    assert main([*study, "--only", "measure"]) == 0 and not results.exists()
    assert capsys.readouterr().err.count("measured") == 14  # two seeds, seven patterns
    assert main([*study, "--into", str(document)]) == 0
    said = capsys.readouterr()
    assert "measured" not in said.err and "section 'synthetic' written" in said.out
    text = document.read_text()
    assert "120 training, 40 validation and 60 complete test clips" in text and "old" not in text
    assert text.startswith("before\n") and text.endswith("after\n") and "| lav |" in text
    first = read_results(results)
    assert first.info["synthetic"]["seeds"] == [0, 1] and first.info["synthetic"]["state"] == 4
    assert main([*study, "--quiet"]) == 0  # the same numbers once more, and no line twice
    write_results(first, tmp_path / "again.json")
    assert results.read_text() == (tmp_path / "again.json").read_text()
    assert capsys.readouterr().out == ""
    assert main(["beyond", "--results", str(results)]) == 0
    assert "# synthetic" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--data", "synthetic"], "--data and --out belong together"),
        (["--out", "runs"], "--data and --out belong together"),
        (["--data", "nothing.pkl", "--out", "runs"], "nothing.pkl"),
        (["--data", "synthetic", "--out", "runs", "--seeds", "x"], "seeds"),
        (["--results", "nothing.json"], "write them with 'dicmor beyond"),
    ],
)
def test_mistakes_are_named_and_leave_nothing(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["beyond", *arguments]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert not list(tmp_path.rglob("*.npz")) and not list(tmp_path.rglob("*.json"))
