"""Random weights under the published implementation's names, for any published configuration."""

from __future__ import annotations

import torch
from torch import Tensor

from dicmor_lib import DiCMoRConfig

PRIORS = ("hn", "n", "wn", "neutral", "wp", "p", "hp")


def published_state(config: DiCMoRConfig, *, complete_data: bool = False, seed: int = 0) -> dict[str, Tensor]:
    """A state dict as the published code saves it; `complete_data=True` leaves the recovery's groups out."""
    c, shapes = config, {}
    for letter, d in zip("lav", c.feature_dims):
        shapes[f"proj_{letter}.weight"] = (c.hidden, d, c.kernel_size)
        for other in "lav".replace(letter, ""):
            shapes |= encoder_shapes(f"trans_{letter}_with_{other}", c.hidden, c.fusion_layers)
        shapes |= encoder_shapes(f"trans_{letter}_mem", 2 * c.hidden, c.fusion_layers)
        shapes |= affine(f"weight_{letter}", 1, c.hidden)  # stored, never used
    shapes |= affine("proj1", 6 * c.hidden, 6 * c.hidden) | affine("proj2", 6 * c.hidden, 6 * c.hidden)
    shapes |= affine("out_layer", 1, 6 * c.hidden)
    if not complete_data:
        for letter in "lav":
            for i in range(c.flow_layers):
                shapes |= flow_layer_shapes(f"flow_{letter}.blocks.0.flows.{i}.", c)
            shapes |= recovery_shapes(f"rec_{letter}.", c)
            shapes |= affine(f"cat_{letter}", c.hidden, 2 * c.hidden, 1)
        for name in PRIORS:
            shapes |= affine(f"prior_{name}.conv", 2 * c.hidden, c.hidden, 1, 1)
            shapes[f"prior_{name}.scale"] = (1, 2 * c.hidden, 1, 1)
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def affine(name: str, outputs: int, *inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, *inputs), f"{name}.bias": (outputs,)}


def encoder_shapes(name: str, width: int, layers: int) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for i in range(layers):
        at = f"{name}.layers.{i}."
        shapes |= {
            at + "self_attn.in_proj_weight": (3 * width, width),
            at + "self_attn.in_proj_bias": (3 * width,),
        }
        shapes |= affine(at + "self_attn.out_proj", width, width)
        shapes |= affine(at + "fc1", 4 * width, width) | affine(at + "fc2", width, 4 * width)
        shapes |= affine(at + "layer_norms.0", width) | affine(at + "layer_norms.1", width)
    return shapes | affine(f"{name}.layer_norm", width)


def flow_layer_shapes(at: str, c: DiCMoRConfig) -> dict[str, tuple[int, ...]]:
    half, net = c.hidden // 2, at + "coupling.net."
    shapes = affine(net + "0", c.flow_width, half, 1, 1) | affine(net + "2", c.flow_width, c.flow_width, 1, 1)
    shapes |= affine(net + "4.conv", c.hidden, c.flow_width, 1, 1) | {net + "4.scale": (1, c.hidden, 1, 1)}
    return shapes | {
        at + "actnorm.loc": (1, c.hidden, 1, 1),
        at + "invconv.weight": (c.hidden, c.hidden, 1, 1),
    }


def recovery_shapes(at: str, c: DiCMoRConfig) -> dict[str, tuple[int, ...]]:
    width = c.rcab_width
    squeezed = max(1, width // c.rcab_reduction)
    shapes = affine(at + "0", width, c.hidden, 1) | affine(at + "2", c.hidden, width, 1)
    for i in range(c.rcab_blocks):
        body = f"{at}1.body.{i}.body."
        shapes |= affine(body + "0", width, width, 3) | affine(body + "2", width, width, 3)
        shapes |= affine(body + "3.conv_du.0", squeezed, width, 1) | affine(
            body + "3.conv_du.2", width, squeezed, 1
        )
    return shapes | affine(f"{at}1.body.{c.rcab_blocks}", width, width, 3)
