"""Solutions to the exercises of chapter 10. Read them after you have tried: `check` says what is wrong with yours."""

from __future__ import annotations

import math

import numpy as np
import torch.nn.functional as F
from torch import Tensor


# Exercise 10.1. Layers follow each other, so scales multiply; the inverse divides by each of them.
def gain(raw: float, layers: int) -> tuple[float, float]:
    forward = (1 / (1 + math.exp(-raw))) ** layers
    return forward, 1 / forward


# Exercise 10.2. A tolerance for rounding, and a refusal for the rest that names the rates there are.
def look_up(table: dict[float, tuple[float, float]], rate: float) -> tuple[float, float]:
    for known, shares in table.items():
        if abs(known - rate) < 1e-9:
            return shares
    raise ValueError(
        f"there is no schedule for missing rate {rate}; choose one of {', '.join(map(str, table))}"
    )


# Exercise 10.3. Softplus lies above 0 and above x, its slope is a sigmoid: between 0 and 1, and never exactly either.
def floored(x: Tensor, floor: float) -> Tensor:
    return floor + F.softplus(x - floor)


# Exercise 10.4. One prediction for each clip: that of the pattern the mask gives it.
def score(predictions: np.ndarray, row: np.ndarray, labels: np.ndarray) -> float:
    picked = predictions[row, np.arange(len(labels))]
    scored = labels != 0
    return float(np.mean((picked > 0)[scored] == (labels > 0)[scored]))


# Exercise 10.5. Within a batch the clips share their draw, so their hits add up before the variance is taken. Batches draw
# independently, so their variances add up. The score divides the number of hits by n, its variance by n^2.
def spread(hit: np.ndarray, batch: int) -> float:
    n = hit.shape[1]
    hits_of_batch = hit.reshape(7, n // batch, batch).sum(axis=2)  # (patterns, batches)
    return float(np.sqrt(hits_of_batch.var(axis=0).sum()) / n)


# Exercise 10.6. Facts, not adjectives: each entry is something that a stranger can compare with their own.
def card() -> dict:
    return {
        "data_sha256": "62ad364e0faf6ed7f45a4f534ad51629d299bc167aac5b7ab5e8e98b6d95572b",
        "seeds": [0, 1, 2, 3, 4],
        "selected_on": "valid",
        "tested_on": "test",
        "protocol": "dicmor",
        "mask_hash": "1d35216cc74a",
        "metric": "Acc-2 on non-zero labels, negative against positive",
        "versions": {"python": "3.11.7", "torch": "2.13.0"},
        "command": "dicmor reproduce --data synthetic --preset tiny --seeds 0-4 --out runs/study",
    }


ANSWERS: dict[str, tuple] = {
    "10.1": (gain,),
    "10.2": (look_up,),
    "10.3": (floored,),
    "10.4": (score,),
    "10.5": (spread,),
    "10.6": (card,),
}
