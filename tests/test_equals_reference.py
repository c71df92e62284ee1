"""The grouped, packed and masked model equals the readable reference, gradients included."""

from __future__ import annotations

import pytest
import torch

from dicmor_lib import DiCMoRConfig
from tests.random_models import CONFIGS, gradients, random_batch, random_model
from tests.reference import reference

BOTH = ("ours", "published")
PAPER = {name: config for name, config in CONFIGS.items() if config.prior == "class"}
"""What the reference covers; that of the joint prior is the dense Gaussian of tests/blocks/test_joint_prior.py."""


@pytest.mark.parametrize(
    "config, dtype, tolerance",
    [(config, torch.float64, 1e-11) for config in PAPER.values()]
    + [(CONFIGS[n], torch.float32, 2e-5) for n in BOTH],
    ids=[f"{name}, float64" for name in PAPER] + [f"{name}, float32" for name in BOTH],
)
def test_outputs_losses_and_gradients_are_the_references(config, dtype, tolerance):
    model, batch = random_model(config, dtype=dtype), random_batch(config, batch=7, time=6, dtype=dtype)
    batch["observed"] = batch["available"] | (torch.arange(21).view(7, 3) % 4 > 0)
    out, plain = model(**batch), reference(model, **batch)
    close = dict(rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(out.prediction, plain.prediction, **close)
    for field in ("shallow", "latents", "transferred", "recovered"):
        sequences = getattr(plain, field)
        for m in range(3):
            for b in range(7):
                whole = getattr(out, field)[m, b]
                real = sequences.get((m, b), whole[:0])
                torch.testing.assert_close(whole[: len(real)], real, **close)
                assert not whole[len(real) :].any()  # zero on padding, and where there is nothing at all
    for (m, b), log_det in plain.log_det.items():
        torch.testing.assert_close(out.log_det[b, m], log_det, **close)
    for name, term in plain.losses.items():
        torch.testing.assert_close(out.losses[name].value, term.value, **close)
        assert out.losses[name].count == term.count
    ours, theirs = gradients(model, out.losses), gradients(model, plain.losses)
    scale = max(g.abs().max() for g in theirs.values())
    for name in theirs:
        torch.testing.assert_close(ours[name] / scale, theirs[name] / scale, **close)


@torch.no_grad()
def test_the_reference_is_the_default_model_at_full_depth():
    """The default sizes, T of real data, float32: 32 layers, 20 RCABs, four transformer layers."""
    config = DiCMoRConfig.mosi((12, 5, 20))
    model, batch = random_model(config), random_batch(config, batch=3, time=20)
    out, plain = model(**batch), reference(model, **batch)
    torch.testing.assert_close(out.prediction, plain.prediction, rtol=1e-4, atol=1e-4)
    for name, term in plain.losses.items():
        torch.testing.assert_close(out.losses[name].value, term.value, rtol=1e-4, atol=1e-4)
