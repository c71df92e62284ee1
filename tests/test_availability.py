"""What is not available cannot matter: not to the output, not to a gradient, not by a bit."""

from __future__ import annotations

import pytest
import torch

from dicmor_lib import MODALITIES, PATTERNS, available_mask
from tests.random_models import CONFIGS, FIELDS, gradients, random_batch, random_model

every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
BOTH = ("ours", "published")
every_pattern = pytest.mark.parametrize(
    "config, pattern",
    [(CONFIGS[name], p) for name in BOTH for p in PATTERNS]
    + [(config, "mixed") for config in CONFIGS.values()],
    ids=[f"{name}-{p}" for name in BOTH for p in PATTERNS] + [f"{name}-mixed" for name in CONFIGS],
)


def poisoned(features, mask):
    return [torch.where(mask[:, m, None, None], x, torch.nan) for m, x in enumerate(features)]


@every_pattern
@torch.no_grad()
def test_nan_where_nothing_is_available_changes_no_bit(config, pattern):
    model, batch = random_model(config), random_batch(config, batch=7)
    if pattern != "mixed":
        batch["available"] = available_mask(pattern, 7)
    label = batch.pop("label")
    clean = model(**batch)
    dirty = model(**{**batch, "features": poisoned(batch["features"], batch["available"])})
    for field in FIELDS:
        assert torch.equal(getattr(clean, field), getattr(dirty, field)), field
    batch |= dict(label=label, observed=batch["available"])
    clean = model(**batch)
    dirty = model(**{**batch, "features": poisoned(batch["features"], batch["available"])})
    for field in FIELDS:
        assert torch.equal(getattr(clean, field), getattr(dirty, field)), field
    for name, term in clean.losses.items():
        assert torch.equal(term.total, dirty.losses[name].total) and torch.isfinite(term.value)


@every_pattern
def test_nan_that_is_not_observed_reaches_no_gradient(config, pattern):
    model, batch = random_model(config).train(), random_batch(config, batch=7)
    if pattern != "mixed":
        batch["available"] = available_mask(pattern, 7)
    batch["observed"] = batch["available"]
    torch.manual_seed(0)  # in training the joint prior draws what is missing
    clean = gradients(model, model(**batch).losses)
    torch.manual_seed(0)
    dirty = gradients(
        model, model(**{**batch, "features": poisoned(batch["features"], batch["available"])}).losses
    )
    for name, gradient in clean.items():
        assert torch.isfinite(gradient).all() and torch.equal(gradient, dirty[name]), name


@every_config
@torch.no_grad()
def test_what_is_hidden_but_observed_reaches_losses_and_not_the_prediction(config):
    model, batch = random_model(config), random_batch(config, batch=7)
    changed = [
        torch.where(batch["available"][:, m, None, None], x, 2 * x + 1)
        for m, x in enumerate(batch["features"])
    ]
    before, after = model(**batch), model(**{**batch, "features": changed})
    for field in ("prediction", "transferred", "recovered", "lengths"):
        assert torch.equal(getattr(before, field), getattr(after, field)), field
    for name in MODALITIES:
        assert not torch.equal(before.losses[f"nll_{name}"].total, after.losses[f"nll_{name}"].total)
        assert not torch.equal(
            before.losses[f"recovery_{name}"].total, after.losses[f"recovery_{name}"].total
        )


@every_config
@torch.no_grad()
def test_the_label_cannot_reach_the_prediction(config):
    model, batch = random_model(config), random_batch(config)
    label = batch.pop("label")
    bare, labelled, other = model(**batch), model(**batch, label=label), model(**batch, label=-label)
    assert not bare.losses and labelled.losses
    for field in ("prediction", "transferred", "recovered", "lengths"):
        assert torch.equal(getattr(bare, field), getattr(labelled, field)), field
        assert torch.equal(getattr(other, field), getattr(labelled, field)), field
    assert not torch.equal(labelled.losses["task"].total, other.losses["task"].total)
