"""What a model accepts: shapes, masks and values are checked once, with one clear sentence for each mistake."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

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
        moved = {k: v if v is None else v.to(device, non_blocking=True) for k, v in masks.items()}
        return dataclasses.replace(self, **moved)


def check_inputs(
    config: DiCMoRConfig,
    features: Features,
    available: Tensor,
    lengths: Tensor | None,
    label: Tensor | None,
    observed: Tensor | None,
) -> Inputs:
    """Check everything that a model is called with, fill in the defaults, and blank what must not be read.

    Values on a GPU are not inspected, because that would make the processor wait for it.
    """
    batch, time = _check_features(config, features)
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
    elif tuple(lengths.shape) != (batch, 3) or lengths.is_floating_point():
        raise ShapeError(f"lengths must be whole numbers of shape ({batch}, 3), not {lengths.dtype} {tuple(lengths.shape)}")
    if lengths.device.type == "cpu" and not bool(((lengths >= 0) & (lengths <= time)).all()):
        raise ShapeError(f"lengths must lie between 0 and the {time} steps of the features; check the batch's padding")
    if label is not None:
        _check_label(label, batch)
    # torch.where, not a product: NaN times zero would still be NaN
    read = observed.to(features[0].device)
    blanked = tuple(torch.where(read[:, m, None, None], x, 0.0) for m, x in enumerate(features))
    _check_finite(blanked)
    return Inputs(blanked, available, lengths, label, observed)  # type: ignore[arg-type]


def _check_features(config: DiCMoRConfig, features: Features) -> tuple[int, int]:
    if len(features) != 3:
        raise ShapeError(f"features must be three tensors (language, audio, vision), not {len(features)}")
    batch, time = features[0].shape[0], features[0].shape[1] if features[0].dim() == 3 else -1
    for name, x, d in zip(MODALITIES, features, config.feature_dims):
        if tuple(x.shape) != (batch, time, d):
            raise ShapeError(
                f"the {name} features have shape {tuple(x.shape)}; this model takes (batch, time, {d}), "
                "with the batch and time of the other modalities"
            )
    if batch < 1 or time < 1:
        raise ShapeError(f"features of {batch} samples and {time} steps are empty; give at least one of each")
    if not config.honour_lengths and time < config.kernel_size:
        raise ShapeError(f"{time} steps are too few: without padding the convolution needs at least {config.kernel_size}")
    return batch, time


def _check_mask(name: str, mask: Tensor, batch: int) -> Tensor:
    if mask.dtype != torch.bool or tuple(mask.shape) != (batch, 3):
        raise ShapeError(
            f"{name} must be a bool tensor of shape ({batch}, 3) (language, audio, vision), "
            f"not {mask.dtype} {tuple(mask.shape)}"
        )
    return mask


def _check_label(label: Tensor, batch: int) -> None:
    if tuple(label.shape) != (batch,):
        raise ShapeError(f"label must have shape ({batch},), not {tuple(label.shape)}")
    if label.device.type == "cpu" and not bool((label.abs() <= 3).all()):
        raise DataError("a label is not a number in [-3, 3]; sentiment labels of MOSI and MOSEI are")


def _check_finite(features: tuple[Tensor, ...]) -> None:
    for name, x in zip(MODALITIES, features):
        if x.device.type == "cpu" and not bool(torch.isfinite(x.sum())):
            raise DataError(
                f"the {name} features hold NaN or infinity where they are read; "
                "clean them (dicmor_lib.data does) or mark the modality as not available"
            )
