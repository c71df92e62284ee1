"""metrics.csv and TensorBoard: one row per epoch, trimmed when a run goes back to an earlier checkpoint."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dicmor_lib.errors import CheckpointError
from dicmor_lib.training import COLUMNS
from dicmor_lib.training.history import Recorder, earlier_rows


def test_csv_holds_every_epoch_exactly(kit, data, tmp_path):
    _, history = kit.train(data, kit.settings(), out=tmp_path)
    with open(tmp_path / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS and len(rows) == 4
    for written, kept in zip(rows, history.rows):
        filled = {name: float(value) for name, value in written.items() if value}
        assert filled.keys() == kept.keys()
        assert all(filled[name] == value or math.isnan(value) for name, value in kept.items())
    assert rows[0]["nll_audio"] == "" and float(rows[-1]["nll_audio"]) == history.column("nll_audio")[-1]
    assert history.column("epoch") == [1, 2, 1, 2] and history.column("epoch", 2) == [1, 2]
    assert float(rows[-1]["samples_per_second"]) > 0


def test_tensorboard_holds_the_same(kit, data, tmp_path):
    _, history = kit.train(data, kit.settings(), out=tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"stage1/train/loss", "stage2/train/nll_audio", "stage2/valid/mae_av"} <= set(
        events.Tags()["scalars"]
    )
    found = [scalar.value for scalar in events.Scalars("stage2/train/loss")]
    assert [round(value, 5) for value in found] == [round(value, 5) for value in history.column("loss", 2)]


def test_rows_after_the_checkpoint_are_dropped_and_a_torn_line_too(tmp_path):
    recorder = Recorder(tmp_path, [])
    for stage, epoch in [(1, 1), (1, 2), (2, 1), (2, 2)]:
        recorder.add({"stage": stage, "epoch": epoch, "loss": epoch / 3, "is_best": 1})
    with open(tmp_path / "metrics.csv", "a") as file:
        file.write("2,3,0.00")
    assert len(earlier_rows(tmp_path, 2, 9)) == 4
    rows = earlier_rows(tmp_path, 2, 1)
    assert [(row["stage"], row["epoch"], row["loss"]) for row in rows] == [
        (1, 1, 1 / 3),
        (1, 2, 2 / 3),
        (2, 1, 1 / 3),
    ]
    Recorder(tmp_path, rows)
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 4
    assert earlier_rows(tmp_path / "nowhere", 2, 9) == []


def test_a_damaged_record_is_named(tmp_path):
    Recorder(tmp_path, []).add({"stage": 1, "epoch": 1, "is_best": 1, "loss": 0.5})
    path = tmp_path / "metrics.csv"
    good = path.read_text()
    for bad in (good.replace("0.5", "0.x"), good.replace("stage", "stag"), good.replace("stage", "")):
        path.write_text(bad)
        with pytest.raises(
            CheckpointError, match="metrics.csv is damaged .*remove it, the checkpoints do not"
        ):
            earlier_rows(tmp_path, 2, 9)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("file", ["metrics.csv", "tensorboard"])
def test_a_full_disk_is_an_error_at_once(tmp_path, capfd, file):
    """TensorBoard's own writer would print a traceback from a thread of its own, and go on."""
    recorder = Recorder(tmp_path, [])
    path = tmp_path / file if file == "metrics.csv" else next((tmp_path / file).iterdir())
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match=f"cannot write .*{file}: No space left on device; free some"):
        recorder.add({"stage": 1, "epoch": 1, "is_best": 1, "loss": 0.5})
    assert capfd.readouterr().err == ""


def test_a_resumed_run_voids_the_events_after_its_checkpoint(tmp_path):
    first = Recorder(tmp_path, [])
    rows = [{"stage": 1, "epoch": epoch, "is_best": 0, "loss": epoch / 4} for epoch in (1, 2, 3)]
    for row in rows:
        first.add(row)
    Recorder(tmp_path, rows[:1]).add({**rows[1], "loss": 9.0})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(s.step, s.value) for s in events.Scalars("stage1/train/loss")] == [(1, 0.25), (2, 9.0)]


def test_progress_speaks_only_when_asked(kit, data, capsys):
    from dicmor_lib.training import fit

    config = kit.settings(stage1_epochs=1, stage2_epochs=0)
    fit(kit.make_model(), data, config, progress=False)
    assert capsys.readouterr().err == ""
    fit(kit.make_model(), data, config)  # not a terminal: a line per epoch
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("stage 1 epoch 1/1: loss ") and "samples/s" in lines[0]
    assert "inverse error" not in lines[0]  # the flows are not trained yet
    fit(kit.make_model(), data, kit.settings(stage1_epochs=0, stage2_epochs=1))
    assert re.search(r"\(best\), inverse error \de-0\d, ", capsys.readouterr().err)
    fit(kit.make_model(), data, config, progress=True)
    shown = capsys.readouterr().err
    assert "48/48" in shown or "/48" in shown


def test_the_bar_shows_the_running_loss(kit, data, capsys, monkeypatch):
    from dicmor_lib.training import fit, progress

    monkeypatch.setattr(progress, "REFRESH", 0.0)
    fit(kit.make_model(), data, kit.settings(stage1_epochs=1, stage2_epochs=0), progress=True)
    assert "loss=" in capsys.readouterr().err
