"""The two kinds of lines of a ledger: a run says who measured what and how, a measure is one number of it."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

KINDS: tuple[str, ...] = ("model", "imputer", "reference", "floor", "bound")
"""Of a method: "floor" is real against real, "bound" what is best possible on the oracle."""


@dataclass(frozen=True)
class Run:
    """One method on one data set, for one training seed or a mean over several.

    Attributes:
        data, data_sha256, synthetic: name and hash of the data; synthetic is "yes" for the oracle, else "no".
        split, clips: where it was scored and on how many clips; masks_sha256: of all patterns' masks together.
        method, kind: such as "ridge", "imputer" (`KINDS`).
        preset, config: size of the model, and the hash of all settings of model and training ("" for a baseline).
        seeds: training seeds, such as "0" or "0 1 2"; a baseline has them through the C^m that it fills in.
        selected_on: the split that chose the weights; nothing but "valid" is accepted.
        seconds: training time, both stages; 0 for a baseline.
        hardware, versions, commit, date: of the evaluation; a commit with "+" had uncommitted changes.
    """

    data: str
    data_sha256: str
    synthetic: str
    split: str
    clips: int
    masks_sha256: str
    method: str
    kind: str
    preset: str
    config: str
    seeds: str
    seconds: float
    hardware: str
    versions: str
    commit: str
    date: str
    selected_on: str = "valid"

    @property
    def id(self) -> str:
        """Eight hexadecimal digits that tell the runs of a ledger apart: same data, method, settings, seeds."""
        key = (self.data_sha256, self.split, self.method, self.config, self.seeds)
        return hashlib.sha256("\n".join(key).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Measure:
    """One number; NaN where it does not exist.

    Attributes:
        run: of the ledger.
        pattern: available modalities ("la"), "incomplete" for the mean over the six patterns that lack something,
            or a protocol and its rate ("gcnet 0.5").
        target: missing modality, "all" for the mean over every case, "" for a prediction.
        measure: such as "acc2", "mse recovered", "mmd transferred".
        against: name of another method: the value is this run's minus that one's, paired.
        low, high: of a 95 % interval. p: of the test that the measure belongs to.
    """

    run: str
    pattern: str
    target: str
    measure: str
    value: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    against: str = ""

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What tells the measures of a ledger apart."""
        return self.run, self.pattern, self.target, self.measure, self.against


def config_hash(config: dict[str, Any]) -> str:
    """Return twelve hexadecimal digits of the SHA-256 sum of a configuration."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]
