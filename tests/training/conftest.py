"""A data set and a model so small that a training run takes a fraction of a second."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dicmor_lib import DiCMoR, DiCMoRConfig
from dicmor_lib.data.dataset import MultimodalData
from dicmor_lib.data.oracle import Oracle
from dicmor_lib.training import History, TrainConfig, atomic, fit

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


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """What this file defines."""
    functions = (make_model, settings, train, identical, stop_at, Killed)
    return SimpleNamespace(**{function.__name__: function for function in functions})
