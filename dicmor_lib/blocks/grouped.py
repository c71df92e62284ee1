"""The same layer for several modalities at once: a leading axis instead of a Python loop.

A learner meets `y = x W + b`. The library stacks the W of every modality (or of every pair of
modalities) along a leading axis of "groups" and computes all products in one batched call:

    y[g] = x[g] W[g] + b[g]          for g = 0 .. groups-1, in one `torch.baddbmm`

Nothing else changes, so each class below with `groups=1` is the plain layer.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dicmor_lib.blocks.precision import computes_on_cpu
from dicmor_lib.blocks.sliding import SlidingProduct

MANY_ROWS = 512
"""From this many steps on, all samples together, a `SlidingProduct` is faster than copying the windows."""


class GroupedLinear(nn.Module):
    """One affine map per group: (groups, ..., inputs) to (groups, ..., outputs).

    `weight` is (groups, inputs, outputs): the transpose of `nn.Linear`'s, so that the code reads x W + b.
    `zero=True` starts at the zero map, which makes a new coupling layer the identity.
    """

    def __init__(self, groups: int, inputs: int, outputs: int, *, zero: bool = False) -> None:
        super().__init__()
        bound = 0.0 if zero else 1 / math.sqrt(inputs)  # nn.Linear's default
        self.weight = nn.Parameter(torch.empty(groups, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(groups, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        """Return x W + b, or with `relu` what is positive of it."""
        rows = x.reshape(x.shape[0], -1, x.shape[-1])  # (groups, rows, inputs)
        y = torch.baddbmm(self.bias, rows, self.weight)  # y[g] = x[g] W[g] + b[g]
        if relu:
            y.relu_()  # in place while y is no view: nothing else needs what was there
        return y.view(*x.shape[:-1], y.shape[-1])


class GroupedConv1d(nn.Module):
    """A convolution over time per group, "same" padding: (groups, batch, time, inputs) to (..., outputs).

    A convolution of kernel K is one affine map of K neighbouring steps laid side by side:
    y_t = [x_(t-r) .. x_t .. x_(t+r)] W + b with r = (K - 1) / 2.
    """

    def __init__(self, groups: int, inputs: int, outputs: int, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.taps = GroupedLinear(groups, kernel_size * inputs, outputs)

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        if computes_on_cpu(x) and x.shape[1] * x.shape[2] >= MANY_ROWS:
            weight = self.taps.weight.unflatten(1, (self.kernel_size, -1))  # (groups, taps, inputs, outputs)
            y = SlidingProduct.apply(x, weight, self.taps.bias)
            return y.relu_() if relu else y
        time, reach = x.shape[2], (self.kernel_size - 1) // 2
        padded = F.pad(x, (0, 0, reach, reach))  # zeros before the first and after the last step
        windows = torch.cat([padded[:, :, k : k + time] for k in range(self.kernel_size)], dim=-1)
        return self.taps(windows, relu)


class GroupedLayerNorm(nn.Module):
    """Layer normalisation with one gain and offset per group: (groups, batch, time, channels)."""

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(groups, 1, 1, channels))
        self.bias = nn.Parameter(torch.zeros(groups, 1, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, F.layer_norm(x, x.shape[-1:]), self.weight)
