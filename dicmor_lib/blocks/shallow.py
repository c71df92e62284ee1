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
        return torch.stack([convolve(x, w, self.same) for x, w in zip(features, self.weights)])


class ShallowIdentity(nn.Module):
    """X = raw: three (batch, time, hidden) to (3, batch, time, hidden), for data with `hidden` channels per modality.

    Densities of features can be compared with the oracle's true ones only where C^m changes nothing.
    """

    def forward(self, features: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        return torch.stack(features)


def convolve(x: Tensor, weight: Tensor, same: bool) -> Tensor:
    """Convolve x (batch, time, d) with weight (hidden, d, taps) over time: y_t = sum_k W_k x_(t + k), Eq. (10).

    With many channels d this is one matrix product, of all steps with all taps, whose small results are then
    shifted and added; nothing as wide as x is copied.
    """
    hidden, _, taps = weight.shape
    products = x @ weight.permute(1, 2, 0).flatten(
        1
    )  # (batch, time, taps * hidden): W_k x_t for every k and t
    reach = (taps - 1) // 2 if same else 0
    products = F.pad(products, (0, 0, reach, reach))  # zeros before the first and after the last step
    batch, time, row = products.shape
    # the view [b, t, k] = W_k x_(t + k): one step on in t is one row, one on in k is a row and a tap
    shifted = products.as_strided((batch, time - taps + 1, taps, hidden), (time * row, row, row + hidden, 1))
    return shifted.sum(2)  # Eq. (10)
