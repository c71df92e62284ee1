"""Which loss trains which part, and an exact list of what never trains."""

from __future__ import annotations

import pytest
import torch

from dicmor_lib import DiCMoR, DiCMoRConfig
from dicmor_lib.objective import objective
from tests.random_models import published_small_config, random_batch, random_model, small_config

NEGLIGIBLE = (
    1e-13  # in float64, relative to the largest gradient: rounding of what is zero in exact arithmetic
)


def slices(name: str, gradient: torch.Tensor) -> dict[str, torch.Tensor]:
    """A parameter's gradient by modality, encoder or class, keys and values apart, so that none can hide."""
    if name.startswith(("fusion.hidden", "fusion.output", "shallow.")):
        return {name: gradient}
    if "to_key_value" in name:
        key, value = gradient.chunk(2, dim=-1)
        return {
            f"{name}[{g}, {part}]": t[g]
            for g in range(len(key))
            for part, t in (("key", key), ("value", value))
        }
    return {f"{name}[{g}]": part for g, part in enumerate(gradient)}


def never_trained(model: DiCMoR, batch: dict) -> list[str]:
    """Slices of parameters that the whole objective gives no gradient, in training mode, over several draws."""
    largest: dict[str, float] = {}
    for seed in range(3):
        torch.manual_seed(seed)
        model.zero_grad(set_to_none=False)
        objective(model.train()(**batch).losses, model.config).backward()
        for name, parameter in model.named_parameters():
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            for part, g in slices(name, gradient).items():
                largest[part] = max(largest.get(part, 0.0), g.abs().max().item())
    threshold = NEGLIGIBLE * max(largest.values())
    return sorted(part for part, value in largest.items() if value <= threshold)


def key_biases(model: DiCMoR) -> list[str]:
    """A key's bias adds the same number to every score of a row, and softmax is blind to that."""
    at = "fusion.{}.layers.{}.attention.to_key_value.bias[{}, key]"
    encoders = (("cross", 6), ("memory", 3))
    layers = range(model.config.fusion_layers)
    return sorted(at.format(name, i, g) for name, groups in encoders for i in layers for g in range(groups))


def random_case(config: DiCMoRConfig):
    """A perturbed model and a batch with mixed patterns and labels of all classes."""
    model = random_model(config, dtype=torch.float64)
    with torch.no_grad():
        for (
            block
        ) in model.recovery.blocks:  # two to four ReLUs each: keep random draws from silencing them all
            block.attention.squeeze.bias += 1
    return model, random_batch(config, batch=14, time=6, dtype=torch.float64)


def test_every_parameter_of_the_default_model_trains():
    """Sizes and dropout of the preset."""
    model, batch = random_case(DiCMoRConfig.mosi((6, 5, 7)))
    assert never_trained(model, batch) == key_biases(model)


def test_the_published_model_never_trains_its_shallow_features():
    model, batch = random_case(DiCMoRConfig.mosi((6, 5, 7), published=True))
    shallow = [f"shallow.weights.{m}" for m in range(3)]
    assert never_trained(model, batch) == sorted(key_biases(model) + shallow)


@pytest.mark.parametrize("mixing", ("conv1x1", "none"))
def test_nor_does_any_other_mixing_leave_a_parameter_behind(mixing):
    model, batch = random_case(small_config(mixing=mixing))
    assert never_trained(model, batch) == key_biases(model)


PARTS = ("shallow", "flow.layers", "flow.prior", "transfer", "recovery", "fusion")
REACH = {  # which parts each loss trains
    "ours": (
        small_config(),
        {"task": "shallow fusion", "nll": "flow.layers flow.prior", "recovery": "flow.layers recovery"},
    ),
    "task trains recovery": (
        small_config(task_trains_recovery=True),
        {
            "task": "shallow flow.layers recovery fusion",
            "nll": "flow.layers flow.prior",
            "recovery": "flow.layers recovery",
        },
    ),
    "no gradient through the transfer": (
        small_config(transfer_gradient=False, task_trains_recovery=True),
        {"task": "shallow recovery fusion", "nll": "flow.layers flow.prior", "recovery": "recovery"},
    ),
    "frozen shallow features": (
        small_config(shallow_gradient=False),
        {"task": "fusion", "nll": "flow.layers flow.prior", "recovery": "flow.layers recovery"},
    ),
    "published": (
        published_small_config(clamp_nll=False),
        {
            "task": "transfer recovery fusion",
            "nll": "flow.layers flow.prior",
            "recovery": "transfer recovery",
        },
    ),
}


@pytest.mark.parametrize("case", REACH)
def test_which_loss_trains_which_part(case):
    config, expected = REACH[case]
    model, batch = random_model(config), random_batch(config, batch=14)
    for kind, parts in expected.items():
        losses = model(**batch).losses
        total = sum(term.value for name, term in losses.items() if name.startswith(kind))
        model.zero_grad()
        total.backward()
        reached = {
            part
            for name, p in model.named_parameters()
            for part in PARTS
            if name.startswith(part) and p.grad is not None and p.grad.any()
        }
        assert reached == set(parts.split()), kind


def test_stage_one_can_train_the_published_shallow_features():
    config = published_small_config()
    model, batch = random_model(config), random_batch(config)
    model.shallow_gradient = True
    model(**batch).losses["task"].value.backward()
    assert all(weight.grad.any() for weight in model.shallow.weights)


@pytest.mark.parametrize("clamp", (True, False))
def test_under_the_published_clamp_a_good_density_stops_learning(clamp):
    """SCIENCE.md, item 3: below 0 bits per dimension the gradient of flows and priors is exactly zero."""
    config = published_small_config(clamp_nll=clamp)
    model, batch = random_model(config), random_batch(config)
    with torch.no_grad():
        for weight in model.shallow.weights:
            weight *= 1e-3  # features of small variance ...
        for layer in model.flow.layers:
            layer.network.last.weight[:], layer.network.last.bias[:] = 0, 0
        model.flow.prior.mean[:], model.flow.prior.raw_log_sd[:] = 0, -4  # ... that a narrow prior knows well
    losses = model(**batch).losses
    nll = sum(term.value for name, term in losses.items() if name.startswith("nll"))
    nll.backward()
    learns = [bool(p.grad.any()) for p in model.flow.parameters()]
    assert (nll == 0) == clamp
    assert any(learns) != clamp
