"""Shallow features X^m = C^m(raw^m): a temporal convolution per modality (supplement 3)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ShallowConv(nn.Module):
    """One 1-D convolution without bias per modality: three (batch, time, d_m) to (3, batch, time', hidden).

    With `same=True` zeros are put around the sequence and time' = time; otherwise time' = time - kernel_size + 1.
    """

    def __init__(
        self, feature_dims: tuple[int, int, int], hidden: int, kernel_size: int, same: bool = True
    ) -> None:
        super().__init__()
        self.same = same
        self.weights = nn.ParameterList(
            torch.empty(hidden, d, kernel_size).uniform_(-1, 1) / math.sqrt(d * kernel_size)
            for d in feature_dims
        )

    def forward(self, features: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        convolved = [
            F.conv1d(x.transpose(1, 2), weight, padding="same" if self.same else "valid").transpose(1, 2)
            for x, weight in zip(features, self.weights)
        ]
        return torch.stack(convolved)
