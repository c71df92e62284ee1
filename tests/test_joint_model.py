"""DiCMoR with the joint prior: what it recovers, predicts and learns, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dicmor_lib import DiCMoR, DiCMoRConfig, available_mask
from dicmor_lib.errors import ConfigError
from dicmor_lib.objective import objective
from tests.random_models import random_batch, random_model, small_config

JOINT = small_config(prior="joint", draws=6, mixing="conv1x1")


@torch.no_grad()
def test_draws_go_through_the_fusion_and_their_mean_is_the_recovery():
    model, batch = random_model(JOINT, dtype=torch.float64), random_batch(JOINT, dtype=torch.float64)
    label = batch.pop("label")
    out = model(**batch)
    missing = ~batch["available"].T[:, :, None, None]
    valid = model.step_mask(out.lengths, 7).double()[..., None]
    for what in (out.recovered, out.transferred):
        assert torch.equal(what, what * missing * valid) and what.abs().sum() > 0
    assert not torch.allclose(out.recovered, out.transferred)  # E[x] is not F^-1(E[z])
    torch.testing.assert_close(out.class_posterior.sum(1), torch.ones_like(label))
    # one clip alone, and the same clip in a batch with longer ones, get the same answer
    alone = {
        k: [x[3:4, :4] for x in v] if k == "features" else v[3:4].clamp(max=4) if k == "lengths" else v[3:4]
        for k, v in batch.items()
    }
    together = {**batch, "lengths": torch.cat([batch["lengths"][:3], alone["lengths"], batch["lengths"][4:]])}
    together["features"] = [x.clone() for x in batch["features"]]
    for x in together["features"]:
        x[3, 4:] = 0
    torch.testing.assert_close(model(**together).prediction[3:4], model(**alone).prediction)


@torch.no_grad()
def test_with_everything_available_nothing_is_drawn():
    model, batch = random_model(JOINT), random_batch(JOINT)
    batch["available"] = available_mask("lav", 9)
    out = model(**batch)
    assert not out.recovered.any() and not out.transferred.any()
    direct = model.predict_from_shallow(out.shallow, batch["lengths"])
    torch.testing.assert_close(out.prediction, direct)


def test_only_the_likelihood_trains_the_flows_and_the_prior():
    model, batch = random_model(JOINT, dtype=torch.float64).train(), random_batch(JOINT, dtype=torch.float64)
    losses = model(**batch).losses
    losses["task"].value.backward(retain_graph=True)
    assert all(p.grad is None for p in model.flow.parameters())
    assert all(p.grad is not None for p in model.shallow.parameters())
    objective(losses, model.config).backward()
    silent = [name for name, p in model.flow.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@torch.no_grad()
def test_the_nll_terms_add_up_to_the_joint_density():
    model, batch = random_model(JOINT, dtype=torch.float64), random_batch(JOINT, dtype=torch.float64)
    batch["available"] = available_mask("lav", 9)
    out = model(**batch)
    nats = sum(-out.losses[f"nll_{name}"].total * np.log(2) for name in ("language", "audio", "vision"))
    mask = model.step_mask(batch["lengths"], 7).double()
    joint = model.flow.prior.log_joint(out.latents, mask)
    chosen = joint[torch.arange(9), batch["label"].round().long() + 3]
    torch.testing.assert_close(nats, chosen.sum() + out.log_det.sum())


def test_the_identity_keeps_the_features():
    config = small_config(feature_dims=(8, 8, 8), shallow="identity", prior="joint")
    model, batch = random_model(config), random_batch(config)
    out = model(**batch)
    mask = model.step_mask(batch["lengths"] * batch["available"], 7)[..., None]
    assert torch.equal(out.shallow * mask, torch.stack(batch["features"]) * mask)
    assert not list(model.shallow.parameters())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(recovery="draws"), "prior is 'class' and recovery 'draws'"),
        (dict(prior="joint", recovery="none"), "recovers by drawing"),
        (dict(prior="joint", transfer="copy"), "transfer='flow'"),
        (dict(prior="joint", honour_lengths=False), "honour_lengths=True"),
        (dict(prior="joint", draws=0), "draws is 0"),
        (dict(prior="both"), "'class', 'joint'"),
        (dict(shallow="identity"), "must each equal hidden"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, says):
    with pytest.raises(ConfigError, match=says):
        small_config(**changes)


def test_the_configuration_survives_json():
    config = DiCMoRConfig.tiny((8, 5, 6), prior="joint")
    assert config.recovery == "draws" and DiCMoRConfig.from_dict(config.to_dict()) == config
    assert not hasattr(DiCMoR(config), "recovery")  # there is no D^m
