"""Training, resuming and evaluating on a store is training, resuming and evaluating on its source."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from dicmor_lib.cli import main
from dicmor_lib.data.convert import convert
from dicmor_lib.data.mapped import MappedFeatures
from dicmor_lib.data.oracle import Oracle
from dicmor_lib.data.readers import read
from dicmor_lib.data.standardise import Standardiser
from dicmor_lib.evaluation.labels import RidgeLastStep

SMALL = [
    *("--set", "hidden=8", "--set", "flow_width=8", "--set", "flow_layers=2", "--set", "rcab_width=8"),
    *("--set", "rcab_blocks=1", "--set", "heads=2", "--set", "fusion_layers=1"),
    *(
        "--stage1-epochs",
        "1",
        "--stage2-epochs",
        "1",
        "--batch-size",
        "16",
        "--accelerator",
        "cpu",
        "--quiet",
    ),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: Any) -> Path:
    """The oracle's clips as an MMSA pickle, some without audio and padded at the front."""
    data = Oracle(dims=(4, 3, 3), time=6, mean_length=4, sizes=(32, 12, 12)).dataset(0)
    content = {}
    for name, split in data.splits.items():
        text, audio, vision = (x.copy() for x in split.features)
        audio[::5] = 0
        labels, ids = split.labels, list(split.ids)
        content[name] = dict(text=text[:, ::-1], audio=audio, vision=vision, regression_labels=labels, id=ids)
    path = tmp_path_factory.mktemp("data") / "clips.pkl"
    path.write_bytes(pickle.dumps(content))
    return path


def weights(run: Path) -> dict[str, np.ndarray]:
    return load_file(run / "best" / "model.safetensors")


def test_train_resume_and_evaluate(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    store = tmp_path / "clips.store"
    convert(source, store)
    for data in (source, store):
        run = tmp_path / f"run-{data.suffix[1:]}"
        assert main(["train", "--data", str(data), "--out", str(run), *SMALL]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(run), "--accelerator", "cpu", "--split", "valid"]) == 0
    said = capsys.readouterr()
    assert "note:" in said.err and "trained on other data" not in said.err  # found again, and recognised
    assert "zero-fill" in said.out
    about = [
        json.loads((tmp_path / name / "config.json").read_text())["data"] for name in ("run-pkl", "run-store")
    ]
    assert about[1]["path"] == str(store) and about[0]["sha256"] == about[1]["sha256"]
    assert about[0]["standardiser"] == about[1]["standardiser"]
    ours, theirs = (weights(tmp_path / name) for name in ("run-store", "run-pkl"))
    assert ours.keys() == theirs.keys() and all((ours[name] == theirs[name]).all() for name in ours)
    # The same run goes on with either, for they are the same data.
    resume = ["--resume", "--out", str(tmp_path / "run-store"), "--stage2-epochs", "2", "--quiet"]
    assert main(["train", "--data", str(source), *resume]) == 0


def test_the_label_baseline_reads_last_steps_only(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(source, tmp_path / "store")
    fitted = []
    for data in (read(source), read(tmp_path / "store")):
        data = Standardiser.fit(data).apply(data)
        train, test = data.train, data.test
        if isinstance(train.features[0], MappedFeatures):
            monkeypatch.setattr(MappedFeatures, "__array__", lambda *_, **__: pytest.fail("all was read"))
        ridge = RidgeLastStep().fit(train.features, train.lengths, train.observed, train.labels)
        fitted.append(ridge.predict(test.features, test.lengths, test.observed))
    np.testing.assert_array_equal(*fitted)
