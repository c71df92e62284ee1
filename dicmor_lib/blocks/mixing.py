"""An invertible 1x1 convolution: every channel of a step becomes a mixture of all of them.

Kingma and Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions" (NeurIPS 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class InvertibleMixing(nn.Module):
    """y = x W at every time step, W (channels, channels) per group, starting as a random rotation.

    log abs det dy/dx of one step is log abs det W. Shapes are (groups, batch, time, channels).
    """

    def __init__(self, channels: int, groups: int = 1) -> None:
        super().__init__()
        rotations = [torch.linalg.qr(torch.randn(channels, channels))[0] for _ in range(groups)]
        self.weight = nn.Parameter(torch.stack(rotations))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return y and log abs det W of each group, (groups, 1, 1)."""
        y = torch.bmm(x.flatten(1, 2), self.weight).view_as(x)
        return y, torch.linalg.slogdet(self.weight).logabsdet[:, None, None]  # Eq. (8), one step

    def inverse(self, y: Tensor) -> Tensor:
        """Solve x W = y for x, which is steadier than multiplying with the inverse of W."""
        rows = y.flatten(1, 2)
        return torch.linalg.solve(self.weight, rows, left=False).view_as(y)
