"""A data set and a model so small that a training run takes a fraction of a second."""

from __future__ import annotations

import csv
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dicmor_lib import DiCMoR, DiCMoRConfig
from dicmor_lib.data.dataset import MultimodalData
from dicmor_lib.data.oracle import Oracle
from dicmor_lib.training import History, TrainConfig, atomic, fit
from tests.mmsa import mmsa

ROOT = Path(__file__).resolve().parents[2]

SMALL = dict(hidden=8, flow_width=8, flow_layers=2, rcab_width=8, rcab_blocks=1, heads=2, fusion_layers=1)
NO_DROPOUT = dict(
    language_dropout=0.0, attention_dropout=(0.0, 0.0, 0.0), embedding_dropout=0.0, output_dropout=0.0
)


@pytest.fixture(scope="session")
def data() -> MultimodalData:
    """48 training, 16 validation and 16 test clips of the oracle."""
    return Oracle(dims=(4, 3, 3), time=6, mean_length=4, sizes=(48, 16, 16)).dataset(0)


def make_model(seed: int = 0, dims: tuple[int, int, int] = (4, 3, 3), **changes: Any) -> DiCMoR:
    """A small model with dropout, so that its random stream matters."""
    torch.manual_seed(seed)
    return DiCMoR(DiCMoRConfig.tiny(dims, **{**SMALL, **NO_DROPOUT, "output_dropout": 0.2, **changes}))


def settings(**changes: Any) -> TrainConfig:
    """Two epochs a stage, three steps each, on the CPU."""
    quick = dict(stage1_epochs=2, stage2_epochs=2, batch_size=16, learning_rate=3e-3, accelerator="cpu")
    return TrainConfig(**{**quick, **changes})


def train(
    data: MultimodalData, config: TrainConfig, out: Path | None = None, resume: bool = False, **rest: Any
) -> tuple[DiCMoR, History]:
    """Train a new small model; the seed of its weights is that of the configuration."""
    model = make_model(config.seed)
    return model, fit(model, data, config, out=out, resume=resume, progress=False, **rest)


def identical(first: DiCMoR | dict, second: DiCMoR | dict) -> bool:
    """Whether two models (or state dictionaries) have the same weights, bit for bit."""
    one, two = (m if isinstance(m, dict) else m.state_dict() for m in (first, second))
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def stop_at(monkeypatch, operation: int) -> list[int]:
    """Let the process die before its n-th operation on the file system."""
    done = [0]

    def counted(function):
        def wrapper(*args, **kwargs):
            done[0] += 1
            if done[0] == operation:
                raise Killed
            return function(*args, **kwargs)

        return wrapper

    for name in ("rename", "replace", "fsync"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    monkeypatch.setattr(atomic.shutil, "rmtree", counted(atomic.shutil.rmtree))
    return done


SMALL_RUN = [
    *("--set", "hidden=8", "--set", "flow_width=8", "--set", "flow_layers=2", "--set", "rcab_width=8"),
    *("--set", "rcab_blocks=1", "--set", "heads=2", "--set", "fusion_layers=1", "--batch-size", "16"),
    *("--accelerator", "cpu", "--stage1-epochs", "4", "--stage2-epochs", "6", "--patience", "0"),
    *(
        "--learning-rate",
        "0.05",
        "--set",
        "plateau_patience=0",
    ),  # so that the rate falls, and must be resumed
]


class Victims:
    """Runs `dicmor` commands in processes that may be killed; see victim.py for what a job can say."""

    def __init__(self, folder: Path) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        self.env = env | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        self.clips = folder / "clips.pkl"
        self.clips.write_bytes(pickle.dumps(mmsa()))
        self._errors = folder / "errors"
        self._server = self.fresh(stdin=subprocess.PIPE)
        assert self._answer() == "ready", self._errors.read_text()

    def fresh(self, *arguments: str, **more: Any) -> subprocess.Popen:
        """A Python process of its own."""
        program = [sys.executable, str(Path(__file__).parent / "victim.py"), *arguments]
        with open(self._errors, "a") as errors:
            return subprocess.Popen(
                program, stdout=subprocess.PIPE, stderr=errors, text=True, env=self.env, cwd=ROOT, **more
            )

    def job(self, out: Path, *options: str, **job: Any) -> dict[str, Any]:
        """Train the small model, or go on with it where there is a folder."""
        resume = ["--resume"] if out.is_dir() else []
        argv = [
            "train",
            "--data",
            str(self.clips),
            "--out",
            str(out),
            "--quiet",
            *SMALL_RUN,
            *resume,
            *options,
        ]
        return {"argv": argv, "stdout": os.devnull, **job}

    def start(self, job: dict[str, Any]) -> int:
        """Begin a job in a forked process; return its id."""
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        return int(self._answer())

    def wait(self) -> int:
        """The exit status of what `start` began; negative: the signal that ended it."""
        return int(self._answer())

    def run(self, job: dict[str, Any]) -> int:
        """Both."""
        self.start(job)
        return self.wait()

    def close(self) -> None:
        self._server.stdin.close()
        self._server.wait(60)
        self._server.stdout.close()

    def _answer(self) -> str:
        return self._server.stdout.readline().strip()


@pytest.fixture(scope="session")
def victims(tmp_path_factory) -> Iterator[Victims]:
    """Processes to kill."""
    made = Victims(tmp_path_factory.mktemp("victims"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def whole_run(victims, tmp_path_factory) -> Path:
    """The run that nothing disturbed: a folder, and beside it its journal."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert victims.run(victims.job(folder, journal=str(folder.with_suffix(".journal")))) == 0
    return folder


CLOCK = ("seconds", "samples_per_second")


def record(folder: Path) -> list[dict[str, str]]:
    """What metrics.csv holds, but for the clock."""
    with open(folder / "metrics.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(file)]


def assert_same_folder(first: Path, second: Path) -> None:
    """Every file of two runs is the same to the byte, but for the clock; and neither left anything half done."""
    content = []
    for folder in (first, second):
        files = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
        assert not [name for name in files if "/." in f"/{name}"]
        names = [name for name in files if not name.startswith("tensorboard/") and name != "metrics.csv"]
        content.append({name: files[name].read_bytes() for name in sorted(names)})
    assert list(content[0]) == list(content[1])
    assert len(content[0]) == 11  # config.json, and 2 files of best and stage1, 3 of last and previous
    assert [name for name in content[0] if content[0][name] != content[1][name]] == []
    assert record(first) == record(second)


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """What this file defines."""
    functions = (make_model, settings, train, identical, stop_at, Killed, record, assert_same_folder)
    return SimpleNamespace(**{function.__name__: function for function in functions})
