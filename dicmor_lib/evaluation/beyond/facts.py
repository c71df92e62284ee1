"""What a reader must know about the numbers of one data set of the study."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path
from typing import Any

import torch

from dicmor_lib.evaluation.beyond.setting import Setting


def facts(setting: Setting, seeds: tuple[int, ...]) -> dict[str, Any]:
    """Sizes, settings, hash and machine, for `Results.info`."""
    data = setting.source.load()
    complete = int(data.test.observed.all(axis=1).sum())
    joint = setting.config("joint", data.feature_dims)
    return {
        "data": data.source if data.synthetic else Path(setting.source.path).name,
        "sha256": data.sha256,
        "synthetic": data.synthetic,
        "clips": [len(data.train), len(data.valid), complete],
        "dims": list(data.feature_dims),
        "state": joint.hidden,
        "model": joint.to_dict(),
        "training": dataclasses.asdict(setting.train) | {"seed": "each of seeds"},
        "density": {
            "steps": setting.density_steps,
            "batch": setting.density_batch,
            "rate": setting.density_rate,
        },
        "draws": setting.draws,
        "seeds": list(seeds),
        "machine": f"{platform.machine()} CPU, Python {platform.python_version()}, torch {torch.__version__}",
    }
