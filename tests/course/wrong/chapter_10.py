"""Wrong answers to the exercises of chapter 10."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from tests.course.wrong.wrong import Wrong

RATES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
CARD = {
    "data_sha256": "0" * 64,
    "seeds": [0, 1, 2],
    "selected_on": "valid",
    "tested_on": "test",
    "protocol": "gcnet",
    "mask_hash": "0123456789ab",
    "metric": "Acc-2, non-negative",
    "versions": {"python": "3.11", "torch": "2.6"},
    "command": "dicmor train --data synthetic",
}


def _sigmoid(raw):
    return 1 / (1 + math.exp(-raw))


def _indexed(table, rate):
    return (
        list(table.values())[round(rate * 10) // 2 - 1 if rate else -1] if rate not in table else table[rate]
    )


def _nearest(table, rate):
    return table[min(table, key=lambda known: abs(known - rate))]


def _exactly(table, rate):
    if rate not in table:
        raise ValueError(f"no rate {rate}")
    return table[rate]


def _bare(table, rate):
    for known, shares in table.items():
        if abs(known - rate) < 1e-9:
            return shares
    raise KeyError(rate)


def _speechless(table, rate):
    for known, shares in table.items():
        if abs(known - rate) < 1e-9:
            return shares
    raise ValueError("unknown rate")


def _score(zeros=False, everything=False, zeroed=False):
    def score(predictions, row, labels):
        picked, kept = predictions[row, np.arange(len(labels))], labels != 0
        if everything:
            return np.mean((predictions > 0)[:, kept] == (labels > 0)[kept])
        if zeroed:
            return np.mean((picked > 0) * kept == (labels > 0))
        kept = np.ones_like(kept) if zeros else kept
        return np.mean((picked > 0)[kept] == (labels > 0)[kept])

    return score


def _batch_sums(hit, batch):
    return hit.reshape(7, hit.shape[1] // batch, batch).sum(2)


WRONG: dict[str, list[Wrong]] = {
    "10.1": [
        Wrong(
            "scales added up", (lambda raw, n: (_sigmoid(raw) * n, 1 / (_sigmoid(raw) * n)),), says="multiply"
        ),
        Wrong("one layer", (lambda raw, n: (_sigmoid(raw), 1 / _sigmoid(raw)),), says="one layer"),
        Wrong("exp", (lambda raw, n: (math.exp(raw) ** n, math.exp(-raw) ** n),), says="not exp"),
        Wrong(
            "the inverse as the forward",
            (lambda raw, n: (_sigmoid(raw) ** n, _sigmoid(raw) ** n),),
            says="1 / forward",
        ),
    ],
    "10.2": [
        Wrong("an index", (_indexed,), says="0.1 \\+ 0.2|last entry"),
        Wrong("the nearest rate", (_nearest,), says="not rounded"),
        Wrong("exact equality", (_exactly,), says="tolerance"),
        Wrong("a bare KeyError", (_bare,), says="bare KeyError"),
        Wrong("a message that says nothing", (_speechless,), says="which rate"),
    ],
    "10.3": [
        Wrong("a hard clamp", (lambda x, floor: x.clamp(min=floor),), says="hard clamp"),
        Wrong("a leak below", (lambda x, floor: floor + F.leaky_relu(x - floor),), says="below the floor"),
        Wrong("the absolute value", (lambda x, floor: floor + (x - floor).abs(),), says="gradient is 0"),
        Wrong("no floor", (lambda x, floor: x,), says="below the floor"),
        Wrong(
            "an exponential",
            (lambda x, floor: floor + torch.exp((x - floor) / 10),),
            says="exceeds 1|left as it is",
        ),
    ],
    "10.4": [
        Wrong("zeros scored", (_score(zeros=True),), says="label 0"),
        Wrong("all patterns averaged", (_score(everything=True),), says="seven patterns of each clip"),
        Wrong("zeroed, not masked", (_score(zeroed=True),), says="do not zero"),
        Wrong("per cent", (lambda p, r, y: 100 * _score()(p, r, y),), says="per cent"),
    ],
    "10.5": [
        Wrong(
            "each clip for itself",
            (lambda h, b: np.sqrt(h.var(0).sum()) / h.shape[1],),
            says="share one draw",
        ),
        Wrong(
            "the variance",
            (lambda h, b: _batch_sums(h, b).var(0).sum() / h.shape[1] ** 2,),
            says="square root",
        ),
        Wrong("of the hits", (lambda h, b: np.sqrt(_batch_sums(h, b).var(0).sum()),), says="number of hits"),
        Wrong(
            "a sample's deviation",
            (lambda h, b: np.sqrt(_batch_sums(h, b).var(0, ddof=1).sum()) / h.shape[1],),
            says="by 7, not by 6",
        ),
        Wrong("one batch", (lambda h, b: h.mean(1).std(),), says="one draw for the whole split"),
    ],
    "10.6": [
        Wrong("one seed", (lambda: CARD | {"seeds": [0]},), says="one seed"),
        Wrong("selected on test", (lambda: CARD | {"selected_on": "test"},), says="leak"),
        Wrong("no protocol", (lambda: CARD | {"protocol": "random missing"},), says="five meanings"),
        Wrong("no masks", (lambda: CARD | {"mask_hash": ""},), says="masks that were scored"),
        Wrong("an unnamed Acc-2", (lambda: CARD | {"metric": "Acc-2"},), says="which Acc-2"),
    ],
}
