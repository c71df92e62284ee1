"""The ablation switches: what is taken out is really out, and what is left is what the full model has."""

from __future__ import annotations

import pytest
import torch

from dicmor_lib import DiCMoR, available_mask
from dicmor_lib.errors import ConfigError
from dicmor_lib.objective import objective, recovery_loss
from tests.random_models import perturb, random_batch, random_model, small_config


def test_without_rcabs_what_is_recovered_is_what_was_transferred():
    config = small_config(recovery="none")
    model, batch = random_model(config), random_batch(config, batch=7)
    out = model(**batch)
    assert not any(name.startswith("recovery.") for name in model.state_dict())
    assert out.recovered.abs().max() > 0
    torch.testing.assert_close(out.recovered, out.transferred, rtol=0, atol=0)
    recovery_loss(out.losses).backward()  # the reconstruction error then trains the flows themselves
    assert all(p.grad.abs().max() > 0 for name, p in model.flow.named_parameters() if "prior" not in name)


def test_without_recovery_the_fusion_sees_zeros():
    config = small_config(recovery="zero")
    model, batch = random_model(config).eval(), random_batch(config, batch=7)
    out = model(**batch)
    assert out.recovered.abs().max() == 0
    assert out.transferred.abs().max() > 0
    zero_filled = model.predict_from_shallow(
        out.shallow * batch["available"].t()[:, :, None, None], out.lengths
    )
    torch.testing.assert_close(out.prediction, zero_filled)
    objective(out.losses, config).backward()
    assert model.fusion.output.weight.grad.abs().max() > 0


@pytest.mark.parametrize("pattern", ["l", "la", "av"])
def test_without_transfer_the_recovery_reads_the_mean_of_the_available_features(pattern):
    config = small_config(transfer="copy")
    model, batch = random_model(config), random_batch(config, batch=4)
    batch["available"] = available_mask(pattern, 4)
    batch["lengths"] = torch.full((4, 3), batch["features"][0].shape[1])
    seen = batch["available"][0]
    out = model(**batch)
    mean = out.shallow[seen].mean(0)
    for target in torch.nonzero(~seen).flatten():
        torch.testing.assert_close(out.transferred[target], mean)
    perturb(model.flow, seed=3)  # other flows change the densities, and nothing of the recovery
    again = model(**batch)
    torch.testing.assert_close(again.recovered, out.recovered, rtol=0, atol=0)
    assert not torch.equal(again.latents, out.latents)


@pytest.mark.parametrize("switch", ["transfer", "recovery"])
def test_an_unknown_ablation_is_refused(switch):
    with pytest.raises(ConfigError, match=switch):
        small_config(**{switch: "magic"})


def test_an_ablation_starts_from_the_same_weights_where_it_has_them():
    """One stage 1 serves all: the shallow features and the fusion have the same names and shapes everywhere."""
    full = DiCMoR(small_config()).state_dict()
    for changes in ({"transfer": "copy"}, {"recovery": "none"}, {"recovery": "zero"}, {"prior_classes": 1}):
        other = DiCMoR(small_config(**changes)).state_dict()
        for name in full:
            if name.startswith(("shallow.", "fusion.")):
                assert other[name].shape == full[name].shape
