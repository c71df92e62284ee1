"""No leak, end to end through `fit` and the command: what is unavailable, and the test split, change no bit.

"Unavailable" is what a clip does not have (never observed) and what a mask hides. Its place is filled with NaN where
the interface allows that, and with contents made to do harm: huge values, values that give the label away.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dicmor_lib import DiCMoR, DiCMoRConfig
from dicmor_lib.cli import main
from dicmor_lib.data.dataset import MultimodalData, Split
from dicmor_lib.data.oracle import Oracle
from dicmor_lib.modalities import LETTERS, PATTERNS, pattern_mask
from dicmor_lib.training import History, TrainConfig, fit, load_checkpoint
from tests.mmsa import mmsa

SIZES = dict(hidden=8, flow_width=8, flow_layers=2, rcab_width=8, rcab_blocks=1, heads=2, fusion_layers=1)
QUICK = dict(stage1_epochs=2, stage2_epochs=2, batch_size=12, learning_rate=3e-3, accelerator="cpu")
FILLS: dict[str, Callable[[Split, np.ndarray], Any]] = {
    "NaN": lambda split, x: np.float32(np.nan),
    "infinite": lambda split, x: np.float32(-np.inf),
    "huge": lambda split, x: np.float32(1e30),
    "the label": lambda split, x: np.broadcast_to(split.labels[:, None, None], x.shape),
    "of another clip": lambda split, x: np.roll(x, 1, axis=0) + np.float32(3),
}


def filled(split: Split, where: Callable[[int, np.ndarray], np.ndarray], fill: str) -> Split:
    """The split with its features replaced where `where(m, steps)`, broadcast over (N, T, d), says so."""
    features = []
    for m, x in enumerate(split.features):
        steps = np.arange(x.shape[1])[None, :, None]
        place = np.broadcast_to(where(m, steps), x.shape)
        features.append(np.where(place, FILLS[fill](split, x), x).astype(np.float32))
    return dataclasses.replace(split, features=tuple(features))


@pytest.fixture(scope="module")
def data() -> MultimodalData:
    """The oracle's clips; in every split some lack language, others audio, others both; with contents there."""
    data = Oracle(dims=(4, 3, 3), time=6, mean_length=4, sizes=(24, 12, 12)).dataset(0)
    splits = {}
    for name, split in data.splits.items():
        observed, row = split.observed.copy(), np.arange(len(split))
        observed[row % 4 == 1, 0] = observed[row % 5 == 2, 1] = False
        splits[name] = dataclasses.replace(split, observed=observed, lengths=split.lengths * observed)
    return data.replace_splits(splits)


def train(data: MultimodalData, out: Path | None = None, **changes: Any) -> tuple[DiCMoR, History]:
    torch.manual_seed(0)
    model = DiCMoR(DiCMoRConfig.tiny((4, 3, 3), **SIZES))
    return model, fit(model, data, TrainConfig(**{**QUICK, **changes}), out=out, progress=False)


def written(run: Path) -> dict[str, Any]:
    """All that a run leaves, byte for byte; without the times in metrics.csv and the TensorBoard copy of it."""
    found: dict[str, Any] = {}
    for path in sorted(run.rglob("*")):
        if path.is_file() and path.parent.name != "tensorboard" and path.name != "metrics.csv":
            found[path.relative_to(run).as_posix()] = path.read_bytes()
    head, *rows = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    found["metrics"] = [[c for name, c in zip(head, row) if "second" not in name] for row in rows]
    return found


@pytest.fixture(scope="module")
def run(data: MultimodalData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the data as it is: what every other run here must equal."""
    train(data, tmp_path_factory.mktemp("leaks") / "run")
    return tmp_path_factory.getbasetemp() / "leaks0" / "run"


# --- what no clip has ------------------------------------------------------------------------------------


def everywhere(data: MultimodalData, where: Callable[[Split], Any], fill: str) -> MultimodalData:
    return data.replace_splits({name: filled(s, where(s), fill) for name, s in data.splits.items()})


@pytest.mark.parametrize("fill", ["NaN", "huge", "the label"])
def test_what_is_not_observed_reaches_no_file_of_a_run(
    data: MultimodalData, run: Path, fill: str, tmp_path: Path
) -> None:
    """Neither the statistics in config.json, nor a weight, nor a validation number, nor the choice of an epoch."""
    train(everywhere(data, lambda s: lambda m, steps: ~s.observed[:, m, None, None], fill), tmp_path / "run")
    assert written(tmp_path / "run") == written(run)
    assert {"config.json", "best/model.safetensors", "stage1/model.safetensors"} <= set(written(run))


@pytest.mark.parametrize("fill", ["NaN", "huge", "the label"])
def test_what_lies_behind_the_end_of_a_sequence_reaches_no_file_of_a_run(
    data: MultimodalData, run: Path, fill: str, tmp_path: Path
) -> None:
    train(
        everywhere(data, lambda s: lambda m, steps: steps >= s.lengths[:, m, None, None], fill),
        tmp_path / "run",
    )
    assert written(tmp_path / "run") == written(run)


# --- what a mask hides -----------------------------------------------------------------------------------


CONSTANT = dict(stage1_epochs=1, patience=0, plateau_patience=1000)
"""No choice in stage 1 and one learning rate: the weights of stage 2 do not depend on validation."""


@pytest.fixture(scope="module")
def validated(data: MultimodalData) -> list[dict[str, float]]:
    """The epochs of a run on the data as it is."""
    return train(data, **CONSTANT)[1].rows


@pytest.mark.parametrize("changed", range(3), ids=["language", "audio", "vision"])
@pytest.mark.parametrize("fill", ["huge", "the label"])
def test_validation_under_a_pattern_reads_that_pattern_only(
    data: MultimodalData, validated: list[dict[str, float]], changed: int, fill: str
) -> None:
    """The numbers of a pattern do not depend on what it hides, and do depend on what it shows."""
    valid = filled(
        data.valid,
        lambda m, steps: data.valid.observed[:, m, None, None] if m == changed else steps < 0,
        fill,
    )
    changed_rows = train(dataclasses.replace(data, valid=valid), **CONSTANT)[1].rows
    assert [row["stage"] for row in validated] == [row["stage"] for row in changed_rows] == [1, 2, 2]
    for one, two in zip(validated, changed_rows):
        assert one["loss"] == two["loss"]
        for pattern in PATTERNS if one["stage"] == 2 else ():
            same = [one[f"valid_{x}_{pattern}"] == two[f"valid_{x}_{pattern}"] for x in ("mae", "pearson")]
            assert all(same) if LETTERS[changed] not in pattern else not all(same), pattern


def batch_of(split: Split) -> tuple[list[torch.Tensor], torch.Tensor]:
    return [torch.from_numpy(x.copy()) for x in split.features], torch.from_numpy(split.lengths)


def masks(split: Split) -> Iterator[torch.Tensor]:
    """Each pattern for all clips, and a different one for each clip."""
    for pattern in PATTERNS:
        yield torch.from_numpy(np.array(pattern_mask(pattern)) & split.observed)
    mixed = np.array([pattern_mask(PATTERNS[row % 7]) for row in range(len(split))])
    yield torch.from_numpy(mixed & split.observed)


@torch.no_grad()
def test_a_trained_models_prediction_and_latents_do_not_see_what_is_hidden(
    data: MultimodalData, run: Path
) -> None:
    model, info = load_checkpoint(run)
    test = info.standardiser.apply_split(data.test)
    for mask in masks(test):
        kept = mask.any(1).numpy()
        part, seen = test.select(kept), mask[kept]
        features, lengths = batch_of(part)
        clean = model(features, seen, lengths)
        for fill in FILLS:
            hidden = ~seen.numpy()
            features, _ = batch_of(filled(part, lambda m, _, hidden=hidden: hidden[:, m, None, None], fill))
            dirty = model(features, seen, lengths)
            for field in ("prediction", "transferred", "recovered", "lengths"):
                assert torch.equal(getattr(clean, field), getattr(dirty, field)), (field, fill)


def test_no_gradient_leads_from_a_prediction_to_what_is_hidden(data: MultimodalData, run: Path) -> None:
    model, info = load_checkpoint(run)
    test = info.standardiser.apply_split(data.test)
    for mask in masks(test):
        kept = mask.any(1).numpy()
        features, lengths = batch_of(test.select(kept))
        features = [x.requires_grad_() for x in features]
        out = model(features, mask[kept], lengths)
        (out.prediction.sum() + out.transferred.square().sum() + out.recovered.square().sum()).backward()
        for m, x in enumerate(features):
            hidden = ~mask[kept][:, m]
            assert x.grad is not None and not x.grad[hidden].any()
            assert x.grad[~hidden].abs().sum() > 0 or hidden.all()


# --- the test split --------------------------------------------------------------------------------------


def permuted(split: Split) -> Split:
    rng = np.random.default_rng(1)
    features = tuple(x[rng.permutation(len(x))] for x in split.features)
    return dataclasses.replace(split, features=features, labels=-rng.permutation(split.labels))


TESTS: dict[str, Callable[[MultimodalData], Split]] = {
    "permuted": lambda data: permuted(data.test),
    "NaN": lambda data: filled(data.test, lambda m, steps: steps >= 0, "NaN"),
    "the label": lambda data: filled(data.test, lambda m, steps: steps >= 0, "the label"),
    "nothing observed": lambda data: dataclasses.replace(
        data.test, observed=data.test.observed & False, lengths=data.test.lengths * 0
    ),
    "the training split": lambda data: data.train,
    "empty": lambda data: data.test.select([]),
}


@pytest.mark.parametrize("held_out", [False, True], ids=["own validation", "validation held out"])
def test_no_test_sample_influences_training(
    data: MultimodalData, run: Path, held_out: bool, tmp_path: Path
) -> None:
    """Whatever the test split is: every checkpoint, number and statistic is the same, bit for bit."""
    if (
        held_out
    ):  # the file has no validation split; one is taken from the training clips, not from the test clips
        data = dataclasses.replace(data, valid=data.valid.select([]))
        train(data, tmp_path / "run")
    expected = written(tmp_path / "run" if held_out else run)
    for number, name in enumerate(["permuted", "NaN", "empty"] if held_out else TESTS):
        train(dataclasses.replace(data, test=TESTS[name](data)), tmp_path / str(number))
        assert written(tmp_path / str(number)) == expected, name


# --- through files and the command -----------------------------------------------------------------------


def options() -> list[str]:
    sizes = [part for name, value in SIZES.items() for part in ("--set", f"{name}={value}")]
    return [*sizes, "--stage1-epochs", "1", "--stage2-epochs", "1", "--accelerator", "cpu", "--quiet"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A file, and a run of the command on it."""
    folder = tmp_path_factory.mktemp("command")
    (folder / "a.pkl").write_bytes(pickle.dumps(mmsa()))
    assert main(["train", "--data", str(folder / "a.pkl"), "--out", str(folder / "a"), *options()]) == 0
    return folder / "a.pkl", folder / "a"


def test_a_file_with_another_test_split_trains_the_same_model(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    content = mmsa()
    test, rng = content["test"], np.random.default_rng(0)
    for key in ("text", "audio", "vision"):
        test[key] = 50 * rng.permuted(test[key], axis=0)
    test["regression_labels"] = rng.permutation(test["regression_labels"])
    (tmp_path / "b.pkl").write_bytes(pickle.dumps(content))
    assert main(["train", "--data", str(tmp_path / "b.pkl"), "--out", str(tmp_path / "b"), *options()]) == 0
    ours, theirs = written(trained[1]), written(tmp_path / "b")
    for found in (ours, theirs):
        config = json.loads(found.pop("config.json"))
        for name in ("path", "source", "sha256"):  # the file is another one, and that is said
            config["data"].pop(name)
        found["config"] = config
    assert ours == theirs and ours["config"]["data"]["standardiser"]["mean"]


def test_recover_does_not_read_what_the_pattern_hides(trained: tuple[Path, Path], tmp_path: Path) -> None:
    file, run = trained
    found = {}
    for fill in ("as it is", "huge", "the label", "absent"):
        content = mmsa()
        for split in content.values():
            for key in ("audio", "vision") if fill != "as it is" else ():
                x, label = split[key], split["regression_labels"][:, None, None]
                split[key] = {"huge": x * 1e20, "the label": np.where(x != 0, label + 9, 0), "absent": x * 0}[
                    fill
                ]
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(content))
        command = ["recover", str(run), "--data", str(tmp_path / "x.pkl"), "--out", str(tmp_path / "x.npz")]
        assert main([*command, "--pattern", "l", "--quiet", "--accelerator", "cpu"]) == 0
        found[fill] = dict(np.load(tmp_path / "x.npz"))
    for fill, arrays in found.items():
        for name in (
            "recovered",
            "transferred",
            "prediction",
            "lengths",
            "was_recovered",
            "available",
            "ids",
        ):
            assert np.array_equal(arrays[name], found["as it is"][name]), (fill, name)
