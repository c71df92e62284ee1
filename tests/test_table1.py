"""Table 1 of the supplement, in one place, against what the built modules really are."""

from __future__ import annotations

import functools

import pytest
import torch

from dicmor_lib import DiCMoR, DiCMoRConfig

TABLE_1 = {  # hyperparameter: (CMU-MOSI, CMU-MOSEI)
    "kernel size of C^m": (5, 5),
    "hidden dimension of C^m": (32, 64),
    "hidden dimension of F^m": (64, 128),
    "invertible layers in F^m": (32, 32),
    "hidden dimension of D^m": (64, 128),
    "RCABs in D^m": (20, 20),
    "hidden dimension of T^m": (32, 64),
    "attention heads in T^m": (8, 8),
    "layers of T^m": (4, 6),
}
PUBLISHED_CODE_DIFFERS = {"hidden dimension of F^m": (64, 64)}
"""For MOSEI the published code has 64 where Table 1 says 128."""

PARAMETERS = {  # of the built models, feature dimensions as in `DiCMoRConfig`
    "tiny": 251_299,
    "mosi": 3_377_265,
    "mosei": 14_972_897,
    "mosi published": 3_383_505,
    "mosei published": 13_215_905,
}


@functools.cache
def build(name: str) -> DiCMoR:
    preset, _, published = name.partition(" ")
    changes = {"published": True} if published else {}
    return DiCMoR(DiCMoRConfig.preset(preset, **changes))


def measured(model: DiCMoR) -> dict[str, set[int]]:
    """Every value of the table as read off the modules: a set, because all its places must agree."""
    convolutions = list(model.shallow.weights)
    networks = [layer.network for layer in model.flow.layers]
    rcabs = model.recovery.blocks
    encoders = {1: model.fusion.cross, 2: model.fusion.memory}  # the self encoders are twice as wide
    layers = [(k, layer) for k, encoder in encoders.items() for layer in encoder.layers]
    return {
        "kernel size of C^m": {w.shape[2] for w in convolutions},
        "hidden dimension of C^m": {w.shape[0] for w in convolutions},
        "hidden dimension of F^m": {
            n for net in networks for n in (*net.second.weight.shape[1:], net.first.weight.shape[2])
        },
        "invertible layers in F^m": {len(networks)},
        "hidden dimension of D^m": {
            n for b in rcabs for c in (b.conv1, b.conv2) for n in c.taps.bias.shape[2:]
        }
        | {model.recovery.up.weight.shape[2], model.recovery.down.weight.shape[1]},
        "RCABs in D^m": {len(rcabs)},
        "hidden dimension of T^m": {
            n // k for k, layer in layers for n in layer.attention.to_query.weight.shape[1:]
        },
        "attention heads in T^m": {heads_of(layer.attention) for _, layer in layers},
        "layers of T^m": {len(encoder.layers) for encoder in encoders.values()},
    }


def heads_of(attention) -> int:
    """How many softmaxes a query step has, counted in the attention weights themselves."""
    groups, width = attention.to_query.weight.shape[:2]
    x = torch.randn(groups, 1, 3, width)
    q, k, _ = attention.project(x, x)
    return attention.weights(q, k, torch.ones(groups, 1, 3, 3, dtype=torch.bool)).shape[2]


@pytest.mark.parametrize("published", (False, True), ids=("ours", "published"))
@pytest.mark.parametrize("column, preset", [(0, "mosi"), (1, "mosei")])
def test_every_value_of_table_1(preset, column, published):
    table = {**TABLE_1, **(PUBLISHED_CODE_DIFFERS if published else {})}
    found = measured(build(preset + " published" * published))
    assert found == {name: {values[column]} for name, values in table.items()}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts(name):
    assert sum(p.numel() for p in build(name).parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", ("mosi", "mosei"))
def test_three_modalities_everywhere(name):
    model = build(name)
    assert len(model.shallow.weights) == model.flow.groups == 3
    assert [w.shape[1] for w in model.shallow.weights] == list(model.config.feature_dims)
    assert model.flow.layers[0].network.first.weight.shape[0] == model.recovery.up.weight.shape[0] == 3
    assert model.fusion.cross.layers[0].widen.weight.shape[0] == 6
    assert model.fusion.memory.layers[0].widen.weight.shape[0] == 3
    # one prior per class, shared by the modalities
    assert model.flow.prior.mean.shape == (7, model.config.hidden)
