"""What a model accepts: shapes, masks and values are checked once, with one clear sentence for each mistake."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dicmor_lib.config import DiCMoRConfig
from dicmor_lib.errors import DataError, PatternError, ShapeError
from dicmor_lib.modalities import MODALITIES, PATTERNS

Features = Sequence[Tensor]
"""Raw language, audio and vision features, each (batch, time, d_m)."""


@dataclass
class Inputs:
    """Checked inputs; whatever must not be read is already zero in `features`."""

    features: tuple[Tensor, Tensor, Tensor]
    available: Tensor  # (batch, 3) bool
    lengths: Tensor  # (batch, 3) int64
    label: Tensor | None  # (batch,)
    observed: Tensor  # (batch, 3) bool

    def to(self, device: torch.device) -> Inputs:
        """Move the masks to the features' device."""
        masks = {k: getattr(self, k) for k in ("available", "lengths", "label", "observed")}
        moved: dict[str, Any] = {
            k: v if v is None else v.to(device, non_blocking=True) for k, v in masks.items()
        }
        return dataclasses.replace(self, **moved)


def check_inputs(
    config: DiCMoRConfig,
    features: Features,
    available: Tensor,
    lengths: Tensor | None,
    label: Tensor | None,
    observed: Tensor | None,
    dtype: torch.dtype | None = None,
) -> Inputs:
    """Check everything that a model is called with, fill in the defaults, and blank what must not be read.

    `dtype` is what the model computes in, if the features must have it. Values on a GPU are not inspected,
    because that would make the processor wait for it.
    """
    batch, time = _check_features(config, features, dtype)
    available = _check_mask("available", available, batch)
    if available.device.type == "cpu" and not available.any(1).all():
        row = int((~available.any(1)).nonzero()[0])
        raise PatternError(
            f"sample {row} of the batch has no available modality; give every sample one of {', '.join(PATTERNS)}"
        )
    if observed is None:
        observed = available if label is None else torch.ones_like(available)
    observed = _check_mask("observed", observed, batch).to(available.device) | available
    if lengths is None:
        lengths = torch.full((batch, 3), time, device=available.device)
    else:
        _check_lengths(lengths, batch, time)
    _check_available_lengths(available, lengths)
    if label is not None:
        _check_label(label, batch)
    device = features[0].device
    read = observed.to(device, non_blocking=True)[..., None].expand(-1, -1, time)  # (batch, 3, time)
    if config.honour_lengths:
        read = read & (torch.arange(time, device=device) < lengths.to(device, non_blocking=True)[..., None])
    # torch.where, not a product: NaN times zero would still be NaN
    blanked = tuple(torch.where(read[:, m, :, None], x, 0.0) for m, x in enumerate(features))
    _check_finite(blanked)
    return Inputs(blanked, available, lengths, label, observed)  # type: ignore[arg-type]


def _check_features(config: DiCMoRConfig, features: Features, dtype: torch.dtype | None) -> tuple[int, int]:
    if len(features) != 3:
        raise ShapeError(f"features must be three tensors (language, audio, vision), not {len(features)}")
    for name, x in zip(MODALITIES, features):
        if not isinstance(x, Tensor) or not x.is_floating_point():
            kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise ShapeError(f"the {name} features must be a tensor of floats, not {kind}")
        if dtype is not None and x.dtype != dtype and not torch.is_autocast_enabled(x.device.type):
            raise ShapeError(
                f"the {name} features are {x.dtype}, the model computes in {dtype}; convert one of them"
            )
    batch, time = features[0].shape[:2] if features[0].dim() == 3 else (-1, -1)
    for name, x, d in zip(MODALITIES, features, config.feature_dims):
        if tuple(x.shape) != (batch, time, d):
            raise ShapeError(
                f"the {name} features have shape {tuple(x.shape)}; this model takes (batch, time, {d}), "
                "with the batch and time of the other modalities"
            )
    if batch < 1 or time < 1:
        raise ShapeError(f"features of {batch} samples and {time} steps are empty; give at least one of each")
    if not config.honour_lengths and time < config.kernel_size:
        raise ShapeError(
            f"{time} steps are too few: without padding the convolution needs at least {config.kernel_size}"
        )
    return batch, time


def _check_mask(name: str, mask: Tensor, batch: int) -> Tensor:
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or tuple(mask.shape) != (batch, 3):
        found = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        raise ShapeError(
            f"{name} must be a bool tensor of shape ({batch}, 3) (language, audio, vision), not {found}"
        )
    return mask


def _check_lengths(lengths: Tensor, batch: int, time: int) -> None:
    whole = isinstance(lengths, Tensor) and lengths.dtype in (torch.int16, torch.int32, torch.int64)
    if not whole or tuple(lengths.shape) != (batch, 3):
        found = (
            f"{lengths.dtype} {tuple(lengths.shape)}"
            if isinstance(lengths, Tensor)
            else type(lengths).__name__
        )
        raise ShapeError(f"lengths must be whole numbers of shape ({batch}, 3), not {found}")
    if lengths.device.type == "cpu" and not bool(((lengths >= 0) & (lengths <= time)).all()):
        raise ShapeError(
            f"lengths must lie between 0 and the {time} steps of the features; check the batch's padding"
        )


def _check_available_lengths(available: Tensor, lengths: Tensor) -> None:
    if available.device.type != "cpu" or lengths.device.type != "cpu":
        return
    empty = available & (lengths == 0)
    if empty.any():
        row, m = (int(i) for i in empty.nonzero()[0])
        raise PatternError(
            f"the {MODALITIES[m]} of sample {row} is available, yet its length is 0; mark it as not available"
        )


def _check_label(label: Tensor, batch: int) -> None:
    if not isinstance(label, Tensor) or tuple(label.shape) != (batch,):
        found = tuple(label.shape) if isinstance(label, Tensor) else f"a {type(label).__name__}"
        raise ShapeError(f"label must be a tensor of shape ({batch},), not {found}")
    if label.device.type == "cpu" and not bool((label.abs() <= 3).all()):
        raise DataError(
            "a label is not a number in [-3, 3]; scale the labels to it, as those of MOSI and MOSEI are"
        )


def _check_finite(features: tuple[Tensor, ...]) -> None:
    for name, x in zip(MODALITIES, features):
        if x.device.type == "cpu" and not bool(torch.isfinite(x.sum())):
            raise DataError(
                f"the {name} features hold NaN, infinity or values too large to add up where they are read; "
                "clean them (dicmor_lib.data does) or mark the modality as not available"
            )
