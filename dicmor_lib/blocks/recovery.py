"""Recovery D^m: residual channel attention blocks (RCAB) in one dimension (supplement 3).

Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks" (ECCV 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dicmor_lib.blocks.grouped import GroupedConv1d, GroupedLinear


class ChannelAttention(nn.Module):
    """Scale every channel by a gate in (0, 1) that sees the channel means over the valid steps.

    Eq. (13), CA(u) = u * sigmoid(W2 ReLU(W1 mean_t(u))). Shapes (groups, batch, time, channels).
    """

    def __init__(self, channels: int, reduction: int, groups: int = 1) -> None:
        super().__init__()
        squeezed = max(1, channels // reduction)
        self.squeeze = GroupedLinear(groups, channels, squeezed)
        self.excite = GroupedLinear(groups, squeezed, channels)

    def gate(self, u: Tensor, mask: Tensor) -> Tensor:
        """Return the gate (groups, batch, channels); `mask` is (groups, batch, time)."""
        steps = mask.sum(-1, keepdim=True).clamp(min=1)
        mean = (u * mask[..., None]).sum(2) / steps
        return torch.sigmoid(self.excite(self.squeeze(mean, relu=True)))  # of Eq. (13)

    def forward(self, u: Tensor, mask: Tensor) -> Tensor:
        return u * self.gate(u, mask)[:, :, None]  # Eq. (13)


class RCAB(nn.Module):
    """Residual channel attention block, Eq. (14): x + CA(conv3(ReLU(conv3(x)))), zero on padding."""

    def __init__(self, channels: int, reduction: int = 16, groups: int = 1) -> None:
        super().__init__()
        self.conv1 = GroupedConv1d(groups, channels, channels, kernel_size=3)
        self.conv2 = GroupedConv1d(groups, channels, channels, kernel_size=3)
        self.attention = ChannelAttention(channels, reduction, groups)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        steps = mask[..., None]
        # padding is set to zero before each convolution, as if the sequence ended there
        u = self.conv2(self.conv1(x, relu=True) * steps) * steps
        return torch.addcmul(x, u, self.attention.gate(u, mask)[:, :, None])  # Eq. (14)


class Recovery(nn.Module):
    """D^m for `groups` target modalities: 1x1 convolution up, RCABs, one more convolution, skip, 1x1 down, Eq. (15).

    (groups, batch, time, channels) with mask (groups, batch, time) to the same shape, zero on padding.

    >>> recovery = Recovery(channels=4, width=8, blocks=2, reduction=4, groups=3)
    >>> recovery(torch.randn(3, 5, 10, 4), torch.ones(3, 5, 10)).shape
    torch.Size([3, 5, 10, 4])
    """

    def __init__(self, channels: int, width: int, blocks: int, reduction: int = 16, groups: int = 1) -> None:
        super().__init__()
        self.up = GroupedLinear(groups, channels, width)
        self.blocks = nn.ModuleList(RCAB(width, reduction, groups) for _ in range(blocks))
        self.tail = GroupedConv1d(groups, width, width, kernel_size=3)
        self.down = GroupedLinear(groups, width, channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        mask = mask.to(x.dtype)
        steps = mask[..., None]
        h = start = self.up(x) * steps
        for block in self.blocks:
            h = block(h, mask)
        h = start + self.tail(h)  # the skip around the whole group of blocks
        return self.down(h) * steps  # Eq. (15)
