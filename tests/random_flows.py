"""Flows of every variant with random parameters, for tests."""

from __future__ import annotations

import itertools

import pytest
import torch

from dicmor_lib.blocks import Flow
from tests.random_models import perturb

VARIANTS = [
    dict(mixing=mixing, scale_map=scale_map, shift_first=shift_first)
    for mixing, scale_map, shift_first in itertools.product(
        ("alternate", "conv1x1", "none"), ("bounded_exp", "sigmoid"), (False, True)
    )
]
DEFAULT, PUBLISHED = VARIANTS[0], VARIANTS[-1]


def name(variant) -> str:
    """What pytest calls a variant."""
    order = "shift first" if variant["shift_first"] else "scale first"
    return f"{variant['mixing']}-{variant['scale_map']}-{order}"


every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=name)


def random_flow(variant, channels=8, layers=32, groups=1, width=16, seed=0, scale=0.3) -> Flow:
    """A float64 flow far from its initial identity: every parameter is perturbed."""
    torch.manual_seed(seed)
    flow = Flow(channels, width, layers, groups, **variant).double()
    return perturb(flow, scale, seed)


def jacobian(function, x):
    """d function / d x of one sample, as a square matrix over (time, channels)."""
    return torch.autograd.functional.jacobian(function, x, vectorize=True).reshape(x.numel(), x.numel())
