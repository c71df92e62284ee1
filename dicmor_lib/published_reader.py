"""The parameters of a published checkpoint: read safely, taken by name, laid out for the grouped layers."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dicmor_lib.blocks.grouped import GroupedConv1d, GroupedLayerNorm, GroupedLinear
from dicmor_lib.data.files import show
from dicmor_lib.errors import CheckpointError

OPTIONAL_GROUPS = ("flow", "prior", "rec", "cat")
"""Groups that a checkpoint trained on complete data does not have."""


def read_published(source: Mapping[str, Any] | str | Path) -> dict[str, Tensor]:
    """Return the parameters by published name, without prefixes, of a state dict or the path of a .pth file.

    Raises:
        CheckpointError: if the file cannot be read with weights only, or a value is not a tensor.
    """
    if not isinstance(source, Mapping):
        source = _read_file(Path(source))
    if "state_dict" in source and isinstance(source["state_dict"], Mapping):
        source = source["state_dict"]
    state = {}
    for name, value in source.items():
        try:
            state[str(name).removeprefix("module.").removeprefix("Model.")] = torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            raise CheckpointError(
                f"{show(name)} of the published checkpoint is a {type(value).__name__}, not a tensor; give a state dict"
            ) from None
    return state


def _read_file(path: Path) -> Mapping[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # torch wonders about the protocol of a pickle that it then refuses
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(
            f"there is no published checkpoint at {path}; give the path of its .pth file"
        ) from None
    except Exception as error:  # noqa: BLE001  the unpickler raises a dozen kinds on bytes that make no sense
        raise CheckpointError(
            f"{path} is not a file of weights only, nothing of it was run ({_reason(error)}); give the .pth file of "
            "a published DiCMoR checkpoint"
        ) from None
    if not isinstance(loaded, Mapping):
        raise CheckpointError(
            f"{path} holds a {type(loaded).__name__}, not a dictionary of parameters by name"
        )
    return loaded


def _reason(error: Exception) -> str:
    """What was wrong with a file, without torch's advice on how to read it all the same."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    asked = re.search(r"GLOBAL (\S{1,80})", str(error))
    return f"it asks for {show(asked[1])}" if asked else "it holds something else"


class PublishedReader:
    """Takes parameters by name, remembers which were used, and words what does not fit."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state
        self.used: set[str] = set()
        self.initialised: list[str] = []

    def take(self, name: str, dims: tuple[int, ...] = ()) -> Tensor:
        """Return a parameter, which must have one of these numbers of dimensions if any are given."""
        if name not in self.state:
            raise CheckpointError(
                f"the published checkpoint lacks {name}; it must hold every parameter of a group "
                f"or, for {', '.join(OPTIONAL_GROUPS)}, none of them"
            )
        self.used.add(name)
        value = self.state[name]
        if dims and value.dim() not in dims:
            raise CheckpointError(
                f"{name} has shape {tuple(value.shape)} in the published checkpoint, it should have "
                f"{' or '.join(map(str, dims))} dimensions; this is no published DiCMoR checkpoint"
            )
        return value

    def zero_conv_factor(self, name: str, outputs: int) -> Tensor:
        """Return exp(3 * scale), the factor of each of the `outputs` channels of a "zero" convolution."""
        scale = self.take(name).double().flatten()
        if len(scale) != outputs:
            raise CheckpointError(
                f"{name} has {len(scale)} values in the published checkpoint, its convolution has {outputs} "
                "outputs; this is no published DiCMoR checkpoint"
            )
        return torch.exp(3 * scale)

    def copy(self, target: Tensor, value: Tensor, name: str) -> None:
        """Fill a parameter with the published one called `name`."""
        if target.shape != value.shape:
            raise CheckpointError(
                f"{name} has shape {tuple(value.shape)} in the published checkpoint, this configuration needs "
                f"{tuple(target.shape)}; check feature_dims and the preset"
            )
        target.copy_(value)

    def holds(self, group: str) -> bool:
        """Whether there is any parameter of a group such as "flow"."""
        return any(name.startswith(f"{group}_") for name in self.state)

    def linear(
        self,
        layer: GroupedLinear,
        names: Iterable[str],
        *,
        separator: str = ".",
        rows: slice = slice(None),
        scales: list[str] | None = None,
    ) -> None:
        """Fill group g from the matrix names[g]: (outputs, inputs), maybe with axes of size 1 behind."""
        for g, name in enumerate(names):
            weight = self.take(f"{name}{separator}weight", (2, 3, 4)).double().flatten(1)[rows]
            bias = self.take(f"{name}{separator}bias", (1,)).double()[rows]
            if scales:
                factor = self.zero_conv_factor(scales[g], len(weight))
                weight, bias = weight * factor[:, None], bias * factor
            self.copy(layer.weight[g], weight.t(), f"{name}{separator}weight")
            self.copy(layer.bias[g, 0], bias, f"{name}{separator}bias")

    def conv(self, layer: GroupedConv1d, names: Iterable[str]) -> None:
        """Fill group g from names[g]: (outputs, inputs, kernel) there, (kernel * inputs, outputs) here."""
        for g, name in enumerate(names):
            weight = self.take(f"{name}.weight", (3,))
            self.copy(layer.taps.weight[g], weight.permute(2, 1, 0).flatten(0, 1), f"{name}.weight")
            self.copy(layer.taps.bias[g, 0], self.take(f"{name}.bias"), f"{name}.bias")

    def norm(self, layer: GroupedLayerNorm, names: Iterable[str]) -> None:
        """Fill group g of a layer normalisation."""
        for g, name in enumerate(names):
            self.copy(layer.weight[g, 0, 0], self.take(f"{name}.weight"), f"{name}.weight")
            self.copy(layer.bias[g, 0, 0], self.take(f"{name}.bias"), f"{name}.bias")
