"""Hold a plain module, as a chapter builds it, against the library's grouped one: same weights, same gradients.

The library stacks the weights of several modalities along a leading axis (`dicmor_lib.blocks.grouped`). A chapter's
`nn.Linear` holds one of them, transposed. Parameters are paired in the order in which the modules were registered.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dicmor_lib.blocks.grouped import GroupedConv1d, GroupedLayerNorm, GroupedLinear
from dicmor_lib.blocks.mixing import InvertibleMixing
from dicmor_lib.errors import ShapeError

Pair = tuple[str, Tensor, Tensor]


@torch.no_grad()
def copy_weights(plain: nn.Module, library: nn.Module, group: int = 0) -> None:
    """Give a plain module the weights of group `group` of the library's module.

    Raises:
        ShapeError: if the two do not have the same parameters in the same order.
    """
    for _, mine, theirs in pairs(plain, library, group):
        mine.copy_(theirs)


def assert_same_gradients(plain: nn.Module, library: nn.Module, group: int = 0, **tolerances: Any) -> int:
    """Assert that every parameter of both got the same gradient, and return the number of values compared.

    Args:
        tolerances: rtol and atol of `torch.testing.assert_close`; the default is that of the dtype.

    Raises:
        AssertionError: naming the parameter, if a gradient is missing or differs.
        ShapeError: if the two do not have the same parameters in the same order.
    """
    compared = 0
    for name, mine, theirs in pairs(plain, library, group, gradients=True):
        torch.testing.assert_close(mine, theirs, msg=partial("gradient of {}: {}".format, name), **tolerances)
        compared += mine.numel()
    return compared


def pairs(plain: nn.Module, library: nn.Module, group: int = 0, gradients: bool = False) -> list[Pair]:
    """Return (name in the plain module, its tensor, the library's view of that shape) for every parameter."""
    mine, theirs = list(_views(plain, group, gradients)), list(_views(library, group, gradients))
    shapes = [[tuple(tensor.shape) for _, tensor in side] for side in (mine, theirs)]
    if shapes[0] != shapes[1]:
        at = next((i for i, (a, b) in enumerate(zip(*shapes)) if a != b), min(map(len, shapes)))
        described = [
            f"{side[at][0]} {shape[at]}" if at < len(side) else "nothing"
            for side, shape in zip((mine, theirs), shapes)
        ]
        raise ShapeError(
            f"the modules have different parameters: number {at} is {described[0]} in {type(plain).__name__} and "
            f"{described[1]} in {type(library).__name__}; register the same layers in the same order"
        )
    return [(name, a, b) for (name, a), (_, b) in zip(mine, theirs)]


def _views(module: nn.Module, group: int, gradients: bool) -> Iterator[tuple[str, Tensor]]:
    done: set[nn.Module] = set()
    for path, part in module.named_modules():
        if part in done:
            continue
        if isinstance(part, GroupedConv1d):
            done.add(part.taps)  # its weights are shown as those of nn.Conv1d
        for name, tensor in _own(part, path, gradients):
            yield name, _plain_view(part, name.rpartition(".")[2], tensor, group)


def _own(part: nn.Module, path: str, gradients: bool) -> Iterator[tuple[str, Tensor]]:
    holder = part.taps if isinstance(part, GroupedConv1d) else part
    for name, parameter in holder.named_parameters(recurse=False):
        full = f"{path}.{name}" if path else name
        if not gradients:
            yield full, parameter
        elif parameter.grad is None:
            raise AssertionError(f"{full} of {type(part).__name__} got no gradient")
        else:
            yield full, parameter.grad


def _plain_view(part: nn.Module, name: str, tensor: Tensor, group: int) -> Tensor:
    """One group of a grouped layer's parameter in the layout that torch.nn uses."""
    if isinstance(part, GroupedConv1d):
        if name == "bias":
            return tensor[group, 0]
        # (taps * inputs, outputs) to nn.Conv1d's (outputs, inputs, taps)
        return tensor[group].unflatten(0, (part.kernel_size, -1)).permute(2, 1, 0)
    if isinstance(part, GroupedLinear):
        return tensor[group, 0] if name == "bias" else tensor[group].t()
    if isinstance(part, GroupedLayerNorm):
        return tensor[group, 0, 0]
    return tensor[group] if isinstance(part, InvertibleMixing) else tensor
