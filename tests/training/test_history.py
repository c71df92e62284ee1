"""metrics.csv and TensorBoard: one row per epoch, trimmed when a run goes back to an earlier checkpoint."""

from __future__ import annotations

import csv
import math

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

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
    recorder.close()
    with open(tmp_path / "metrics.csv", "a") as file:
        file.write("2,3,0.00")
    assert len(earlier_rows(tmp_path, 2, 9)) == 4
    rows = earlier_rows(tmp_path, 2, 1)
    assert [(row["stage"], row["epoch"], row["loss"]) for row in rows] == [
        (1, 1, 1 / 3),
        (1, 2, 2 / 3),
        (2, 1, 1 / 3),
    ]
    Recorder(tmp_path, rows).close()
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 4
    assert earlier_rows(tmp_path / "nowhere", 2, 9) == []


def test_progress_speaks_only_when_asked(kit, data, capsys):
    from dicmor_lib.training import fit

    config = kit.settings(stage1_epochs=1, stage2_epochs=0)
    fit(kit.make_model(), data, config, progress=False)
    assert capsys.readouterr().err == ""
    fit(kit.make_model(), data, config)  # not a terminal: a line per epoch
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("stage 1 epoch 1/1: loss ") and "samples/s" in lines[0]
    fit(kit.make_model(), data, config, progress=True)
    shown = capsys.readouterr().err
    assert "48/48" in shown or "/48" in shown


def test_the_bar_shows_the_running_loss(kit, data, capsys, monkeypatch):
    from dicmor_lib.training import fit, progress

    monkeypatch.setattr(progress, "REFRESH", 0.0)
    fit(kit.make_model(), data, kit.settings(stage1_epochs=1, stage2_epochs=0), progress=True)
    assert "loss=" in capsys.readouterr().err
