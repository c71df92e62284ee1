"""Checks of chapter 10: paper versus code."""

from __future__ import annotations

import math
import re

import numpy as np
import torch

from dicmor_lib.course.checks.asking import (
    Answer,
    close,
    expect_close,
    expect_no_mistake,
    expect_number,
    expect_shape,
    left_alone,
)
from dicmor_lib.course.exercises import exercise
from dicmor_lib.data.missingness import PROTOCOLS


@exercise("10.1", "Thirty-two times less than one", level="warm-up", minutes=5)
def gains(gain: Answer) -> str:
    for raw, layers in ((2.0, 32), (2.0, 8), (0.5, 3)):
        answer = gain(raw, layers)
        assert isinstance(answer, tuple) and len(answer) == 2, "return two numbers: (forward, inverse)"
        forward, inverse = (
            expect_number(v, what) for v, what in zip(answer, ("the forward gain", "the inverse's gain"))
        )
        s = 1 / (1 + math.exp(-raw))
        assert not close(forward, s * layers), (
            "layers follow each other, so their scales multiply; they do not add up"
        )
        assert not close(forward, s), "that is the scale of one layer"
        assert not close(forward, math.exp(raw) ** layers), "s = sigmoid(raw), not exp(raw)"
        expect_close(forward, s**layers, "the forward gain is sigmoid(raw) ** layers", 1e-12)
        assert not close(inverse, forward), "the inverse divides by every scale; its gain is 1 / forward"
        expect_close(inverse, s**-layers, "the inverse's gain is 1 / forward", 1e-6)
    return "58 times at the start of 32 layers: an error in the latent is 58 times as large in the recovered feature."


@exercise("10.2", "A table that refuses", level="core", minutes=10)
def schedule_lookup(look_up: Answer) -> str:
    table = {0.1: (0.1, 0.1), 0.3: (0.3, 0.3), 0.5: (0.7, 0.1), 0.7: (1.0, 0.0)}
    for rate, shares in table.items():
        assert look_up(dict(table), rate) == shares, f"rate {rate} is in the table and must give {shares}"
    try:
        near = look_up(dict(table), 0.1 + 0.2)
    except (KeyError, ValueError):
        near = None
    assert near == (0.3, 0.3), (
        "0.1 + 0.2 is 0.30000000000000004: compare rates with a small tolerance, not for equality"
    )
    for rate in (0.0, 0.4, 0.69, -0.1, 1.7):
        try:
            found = look_up(dict(table), rate)
        except ValueError as refusal:
            assert str(rate) in str(refusal), (
                f"the message for rate {rate} does not say which rate was asked for"
            )
            continue
        except (KeyError, IndexError) as bare:
            raise AssertionError(
                f"a bare {type(bare).__name__} for rate {rate}; raise a ValueError that says what is wrong and what to do"
            ) from None
        assert found != (1.0, 0.0) or rate > 0, (
            "rate 0.0 runs the last entry, as the published code does: refuse it"
        )
        raise AssertionError(
            f"rate {rate} is not in the table and gave {found}; it must be refused, not rounded"
        )
    return "A setting that is silently replaced by another costs more than a crash: nobody looks for it."


@exercise("10.3", "A floor that lets gradients through", level="core", minutes=15)
def soft_floor(floored: Answer) -> str:
    for floor in (0.0, -2.0, 1.0):
        x = torch.linspace(floor - 6, floor + 30, 400, dtype=torch.float64, requires_grad=True)
        with left_alone(x):
            y = expect_shape(floored(x, floor), (400,), "the floored NLL")
        (slope,) = torch.autograd.grad(y.sum(), x)
        assert (y >= floor).all(), f"values fall below the floor: {float(y.detach().min()):.2f} < {floor}"
        assert (slope > 0).all(), (
            "the gradient is 0 (or negative) somewhere: below a hard clamp the flow learns nothing"
        )
        assert (slope <= 1 + 1e-9).all(), "the slope exceeds 1: the floor must not make any gradient larger"
        assert (y - x).detach()[-40:].abs().max() < 1e-3, (
            "far above the floor the value must be left as it is"
        )
    return "`ClassPrior.log_sd` has such a floor: softplus, so that a deviation at its floor can still come back."


@exercise("10.4", "Score a drawn mask", level="core", minutes=10)
def score_a_mask(score: Answer) -> str:
    rng = np.random.default_rng(104)
    for n in (53, 211):
        labels, row = np.round(rng.normal(0, 1.5, n) * 3) / 3, rng.integers(0, 7, n)
        labels[: n // 5] = 0
        predictions = labels + rng.normal(0, 1.5, (7, n))
        value = expect_number(score(predictions.copy(), row.copy(), labels.copy()), "the accuracy")
        picked, kept = predictions[row, np.arange(n)], labels != 0
        true = np.mean((picked > 0)[kept] == (labels > 0)[kept])
        hits, everything = (picked > 0) == (labels > 0), (predictions > 0) == (labels > 0)
        mistakes = {
            "clips with label 0 are scored as well; this Acc-2 leaves them out": np.mean(hits),
            "all seven patterns of each clip are averaged; take the one that the mask gives it": np.mean(
                everything[:, kept]
            ),
            "mask the clips out, do not zero them": np.mean((picked > 0) * kept == (labels > 0)),
            "that is in per cent; return a share": 100 * true,
            "that is the share of errors": 1 - true,
        }
        expect_no_mistake(value, mistakes, true)
        expect_close(value, true, "pick predictions[row[i], i], leave labels of 0 out, compare signs", 1e-12)
    return "A row of this score over many masks is the histogram above; its mean needs no mask at all (chapter 08)."


@exercise("10.5", "Predict the spread", level="challenge", minutes=25)
def predict_the_spread(spread: Answer) -> str:
    rng = np.random.default_rng(105)
    for n, batch in ((96, 1), (96, 8), (90, 30)):
        hit = (rng.random((7, n)) < np.linspace(0.5, 0.9, 7)[:, None]).astype(float)
        value = expect_number(spread(hit.copy(), batch), "the standard deviation")
        sums = hit.reshape(7, n // batch, batch).sum(2)
        true = math.sqrt(sums.var(0).sum()) / n
        per_clip = math.sqrt(hit.var(0).sum()) / n
        assert close(true, per_clip) or not close(value, per_clip), (
            "that is the spread when every clip draws for itself; the clips of a batch share one draw, so add them up first"
        )
        assert not close(value, true**2), "that is the variance; take its square root"
        assert not close(value, true * n), (
            "that is the spread of the number of hits; the score divides it by the clips"
        )
        assert not close(value, math.sqrt(sums.var(0, ddof=1).sum()) / n), (
            "seven equally likely patterns are the whole law, no sample of it: divide by 7, not by 6"
        )
        assert not close(value, float(hit.mean(1).std())), (
            "that is one draw for the whole split, as if it were one batch"
        )
        expect_close(
            value,
            true,
            "sum the hits of a batch under each pattern, take the variance over patterns, add over batches",
        )
    return "With batches of B clips the spread is about sqrt(B) times as large, if a pattern helps or hurts them alike."


@exercise("10.6", "A reproduction card", level="open-ended", minutes=20)
def reproduction_card(card: Answer) -> str:
    found = card() if callable(card) else card
    assert isinstance(found, dict), "return a dictionary: one entry for each fact"
    needed = {
        "data_sha256": "which data was used",
        "seeds": "which training seeds were run",
        "selected_on": "the split that chose the epoch",
        "tested_on": "the split that was scored",
        "protocol": "the law of missing modalities",
        "mask_hash": "the masks that were scored",
        "metric": "which Acc-2 this is",
        "versions": "of Python and torch at least",
        "command": "how to run it again",
    }
    for name, what in needed.items():
        assert found.get(name) not in (None, "", [], {}), (
            f"the card does not say {what}: the entry {name!r} is missing"
        )
    assert re.fullmatch(r"[0-9a-f]{64}", str(found["data_sha256"])), (
        "data_sha256 is no SHA-256 sum (64 hexadecimal digits)"
    )
    seeds = found["seeds"]
    assert isinstance(seeds, (list, tuple)) and len(set(seeds)) >= 3, (
        "one seed is one draw: list at least three different ones"
    )
    assert found["selected_on"] != found["tested_on"], (
        "the epoch was chosen on the split that was scored: that is a leak"
    )
    assert found["selected_on"] == "valid", "the epoch must be chosen on the split 'valid'"
    assert found["protocol"] in PROTOCOLS, (
        f"'missing rate' has five meanings; name the protocol, one of {', '.join(PROTOCOLS)}"
    )
    assert re.fullmatch(r"[0-9a-f]{12}", str(found["mask_hash"])), (
        "mask_hash is not the 12 digits that every table prints"
    )
    assert re.search(r"non-?zero|non-?negative", str(found["metric"]), re.I), (
        "say which Acc-2: 'non-zero labels' or 'non-negative'"
    )
    assert isinstance(found["versions"], dict) and {"python", "torch"} <= set(found["versions"]), (
        "versions lacks python or torch"
    )
    assert str(found["command"]).startswith("dicmor "), (
        "the command must be one that a shell can run: dicmor ..."
    )
    return (
        "The ledger keeps such a card for every run: one line each in dicmor_lib/evaluation/results/runs.csv."
    )
