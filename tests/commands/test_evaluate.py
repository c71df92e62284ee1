"""`dicmor evaluate --protocols`: one trained model, every meaning of a missing rate."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path

import pytest

from dicmor_lib.cli import main
from dicmor_lib.data.missingness import load_masks, mask_hash
from dicmor_lib.data.oracle import Oracle
from dicmor_lib.evaluation.table_files import read_json, read_protocols_json

SIZES = "hidden=8 flow_width=8 flow_layers=2 rcab_width=8 rcab_blocks=1 heads=2 fusion_layers=1".split()


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A model trained for one epoch each stage on a few clips."""
    folder = tmp_path_factory.mktemp("protocols")
    data = Oracle(dims=(4, 3, 3), time=6, mean_length=4, sizes=(30, 12, 12)).dataset(0)
    names = ("text", "audio", "vision")
    splits = {
        name: dict(zip(names, split.features)) | {"regression_labels": split.labels, "id": list(split.ids)}
        for name, split in data.splits.items()
    }
    (folder / "clips.pkl").write_bytes(pickle.dumps(splits))
    short = ["--stage1-epochs", "1", "--stage2-epochs", "1", "--accelerator", "cpu", "--quiet"]
    sets = [part for size in SIZES for part in ("--set", size)]
    argv = ["train", "--data", str(folder / "clips.pkl"), "--out", str(folder / "run"), *short, *sets]
    assert main(argv) == 0
    return folder / "run"


def test_all_protocols_are_printed_and_saved_beside_the_table(run, capsys):
    capsys.readouterr()
    argv = ["evaluate", str(run), "--protocols", "all", "--rates", ".5", ".8", "--mask-seed", "7", "--quiet"]
    assert main([*argv, "--accelerator", "cpu"]) == 0
    out = capsys.readouterr().out
    folder = run / "evaluation-test"
    table, scores = read_json(folder / "evaluation.json"), read_protocols_json(folder / "protocols.json")
    assert scores.cases == [
        *(("dicmor", 0.5), ("imder", 0.5), ("gcnet", 0.5), ("gcnet", 0.8), ("independent", 0.5)),
        *(("independent", 0.8), ("mplmm", 0.5), ("mplmm", 0.8), ("frames", 0.5), ("frames", 0.8)),
    ]
    fixed = [table.value(p, "DiCMoR", "mae") for p in ("l", "a", "v", "la", "lv", "av", "lav")]
    expected = 0.5 * sum(fixed[:6]) / 6 + 0.5 * fixed[6]
    assert scores.value("mplmm", 0.5, "DiCMoR", "mae") == pytest.approx(expected, abs=1e-9)
    masks, about = load_masks(folder / "masks-frames-0.5.npz")
    assert about["seed"] == 7 and masks.shape == (12, 6, 3)
    assert "Left out: dicmor at 0.8" in out and "F1 (mixed; plain for frames)" in out
    markdown = (folder / "protocols.md").read_text()
    with open(folder / "protocols.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(scores.scores) == 10 * len(table.methods)
    for line in lines:
        assert line["mask_hash"] in out and line["mask_hash"] in markdown
    assert mask_hash(masks) in {line["mask_hash"] for line in lines if line["protocol"] == "frames"}
    for mask in table.info["masks"].values():  # the fixed patterns' masks too, with every digit
        assert mask["hash"] in out and mask["hash"] in (folder / "evaluation.md").read_text()
    for name in ("evaluation.csv", "recovery.csv"):
        with open(folder / name, newline="") as file:
            assert all(len(line["mask_hash"]) == 12 for line in csv.DictReader(file))


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["--protocols", "lnln"], "there is no protocol 'lnln'"),
        (["--protocols", "dicmor,imder", "--rates", "0.8"], "no rate of 0.8 exists"),
        (["--protocols", "frames", "--rates", "1"], "below 1, where nothing is left"),
        (["--protocols", "gcnet", "--rates", "1.5"], "it must be in [0, 1]"),
        (["--rates", "0.5"], "--rates and --mask-seed belong to --protocols"),
        (["--protocols", "frames", "--mask-seed", "-1"], "--mask-seed is -1"),
    ],
)
def test_mistakes_are_one_sentence_before_anything_is_computed(argv, word, tmp_path, capsys):
    assert main(["evaluate", str(tmp_path / "no run is looked for"), *argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("dicmor: ") and err.count("\n") == 1 and word in err
