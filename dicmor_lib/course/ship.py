"""Make the weights that ship with the library: `python -m dicmor_lib.course.ship` (`make weights`), about four minutes.

A learner's command trains them, nothing else: COMMAND. What the resume of a run needs stays behind; `record.json` says how
the weights were made, the SHA-256 of every file, and what they score beside all baselines.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from dicmor_lib import PATTERNS, cli
from dicmor_lib.bench.machine import describe_machine
from dicmor_lib.config import DiCMoRConfig
from dicmor_lib.course.trained import WEIGHTS
from dicmor_lib.data import MultimodalData, Oracle
from dicmor_lib.errors import CheckpointError, TrainingError
from dicmor_lib.evaluation import Evaluation, evaluate, run_pass, sentiment_metrics, shallow_split
from dicmor_lib.evaluation.frame import ShallowFrame
from dicmor_lib.evaluation.recovery import errors_by_target
from dicmor_lib.modalities import MODALITIES, available_mask
from dicmor_lib.model import DiCMoR
from dicmor_lib.training import TrainConfig, load_checkpoint
from dicmor_lib.training.atomic import sha256, write_file, write_folder
from dicmor_lib.training.checkpoint import BEST, STAGE1, read_config

SEED, DATA_SEED = 0, 0
COMMAND = f"dicmor train --data synthetic --preset tiny --seed {SEED} --out runs/course"
METRICS = ("acc2", "mae", "pearson")
FOLDERS = (BEST, STAGE1)
PACKAGES = ("dicmor", "torch", "numpy", "scipy", "scikit-learn", "lightning-fabric", "safetensors")
ESTIMATES = ("DiCMoR recovered", "DiCMoR transferred", "mean-fill", "ridge")
"""What the record compares in features: both of the model's, and two simple ways to fill in."""


def ship(run: str | Path, weights: Path = WEIGHTS) -> dict[str, Any]:
    """Copy a run of COMMAND into the library with its record, and return the record.

    Everything is measured before the first file is written, and the record is written last: whatever moment this dies
    at, hashes that do not match say so.

    Raises:
        CheckpointError: if the folder holds no run, one made otherwise, or a damaged one.
    """
    run = Path(run)
    model_config, train_config, about = read_config(run)
    raw = Oracle().dataset(DATA_SEED)
    made = (model_config, train_config, about.get("sha256"))
    if made != (DiCMoRConfig.tiny(raw.feature_dims), TrainConfig.preset("tiny", seed=SEED), raw.sha256):
        raise CheckpointError(f"{run} was not made by the command {COMMAND!r}; ship a run that was")
    model, info = load_checkpoint(run)
    stage1, _ = load_checkpoint(run, STAGE1)
    data = raw if info.standardiser is None else info.standardiser.apply(raw)
    result = evaluate(model, data, stage1=stage1, resamples=2)
    record = _how() | {"data": raw.source, "data_sha256": raw.sha256} | _scores(result)

    files = {name: {f.name: f.read_bytes() for f in sorted((run / name).iterdir())} for name in FOLDERS}
    config = (run / "config.json").read_bytes()
    record["sha256"] = {"config.json": sha256(config)} | {
        f"{name}/{file}": sha256(content) for name in FOLDERS for file, content in files[name].items()
    }
    write_file(weights / "config.json", config)
    for name in FOLDERS:
        write_folder(weights / name, files[name])
    write_file(weights / "record.json", (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())
    return record


def model_scores(model: DiCMoR, data: MultimodalData) -> dict[str, Any]:
    """Return what the record says of the model alone, in the record's form, without fitting any baseline.

    Args:
        data: standardised as the model wants it.
    """
    frame = ShallowFrame.fit(*_shallow(model, data.train))
    features, lengths, observed = _shallow(model, data.test)
    metrics, recovery = {}, {}
    for pattern in PATTERNS:
        mask = available_mask(pattern, len(data.test)).numpy()
        out = run_pass(model, data.test, mask)
        found = sentiment_metrics(out.prediction, data.test.labels)
        metrics[pattern] = {"DiCMoR": {name: found[name] for name in METRICS}}
        both = {"DiCMoR recovered": out.recovered, "DiCMoR transferred": out.transferred}
        errors = errors_by_target(both, features, lengths, observed, mask, frame)
        for target in MODALITIES:
            if (target, "DiCMoR recovered") in errors:
                means = {name: float(errors[target, name].mean()) for name in both}
                recovery[f"{target} from {pattern}"] = means
    return {"metrics": metrics, "recovery": recovery}


def _shallow(model: DiCMoR, split: Any) -> tuple[Any, Any, Any]:
    found = shallow_split(model, split)
    return found.features, found.lengths, found.observed


def _scores(result: Evaluation) -> dict[str, Any]:
    table, errors = result.table, result.recovery

    def number(value: float) -> float | None:
        return None if math.isnan(value) else value

    return {
        "scored_on": "the test clips of the synthetic oracle",
        "metrics": {
            p: {m: {name: number(table.value(p, m, name)) for name in METRICS} for m in table.methods}
            for p in table.patterns
        },
        "recovery": {
            f"{target} from {p}": {name: float(errors.errors[p, target, name].mean()) for name in ESTIMATES}
            for p, target in errors.cases
        },
    }


def _how() -> dict[str, Any]:
    machine = describe_machine(torch.get_num_threads())
    return {
        "command": COMMAND,
        "seed": SEED,
        "data_seed": DATA_SEED,
        "commit": _commit(),
        "versions": {"python": machine["python"]} | {name: version(name) for name in PACKAGES},
        "measured_on": {name: machine[name] for name in ("processor", "system", "threads", "date")},
    }


def _commit() -> str:
    """The commit of the code, with "+" if a file of the library that it holds was changed since."""
    git = ["git", "-C", str(Path(__file__).parents[2])]
    options: dict[str, Any] = dict(capture_output=True, text=True, check=True, timeout=20)
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], **options).stdout.strip()
        status = [*git, "status", "--porcelain", "--untracked-files=no", "--", "dicmor_lib"]
        return head + "+" * bool(subprocess.run(status, **options).stdout.strip())
    except (OSError, subprocess.SubprocessError):
        return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, or take the run that was named, and ship it."""
    parser = argparse.ArgumentParser(prog="python -m dicmor_lib.course.ship")
    parser.description = "Train the weights that ship with the library, and record how and what they score."
    parser.add_argument("--run", metavar="DIR", help="ship this finished run of the same command instead")
    run = parser.parse_args(arguments).run
    if run:
        return _say(ship(run))
    with tempfile.TemporaryDirectory(prefix="dicmor-") as folder:
        command = shlex.split(COMMAND)[1:]
        command[command.index("--out") + 1] = folder + "/run"
        if cli.main(command):
            raise TrainingError(
                f"{COMMAND!r} failed, so the shipped weights stay as they are; run it by hand to see why"
            )
        return _say(ship(folder + "/run"))


def _say(record: dict[str, Any]) -> int:
    print(f"{WEIGHTS.name}: commit {record['commit'][:12]}, data {record['data']}")
    for pattern, methods in record["metrics"].items():
        ours, majority = methods["DiCMoR"], methods["majority"]
        print(
            f"{pattern:4} Acc-2 {ours['acc2']:.3f} (majority {majority['acc2']:.3f})  MAE {ours['mae']:.3f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
