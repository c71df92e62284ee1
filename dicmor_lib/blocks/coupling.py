"""The affine coupling layer: Eq. (1), its inverse Eq. (2), its log-determinant Eq. (3), the bounded scale Eq. (4).

Dinh et al., "Density estimation using Real NVP" (ICLR 2017); supplement 2 of the DiCMoR paper.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dicmor_lib.blocks.grouped import GroupedLinear


class CouplingNetwork(nn.Module):
    """The network inside a coupling layer: any function of x_a will do, invertibility does not depend on it.

    Three affine maps with ReLU between them, applied to every time step alone:
    (groups, batch, time, half) to (groups, batch, time, 2 * half). The last map starts at zero.
    """

    def __init__(self, half: int, width: int, groups: int = 1) -> None:
        super().__init__()
        self.first = GroupedLinear(groups, half, width)
        self.second = GroupedLinear(groups, width, width)
        self.last = GroupedLinear(groups, width, 2 * half, zero=True)

    def forward(self, x_a: Tensor) -> Tensor:
        return self.last(self.second(self.first(x_a, relu=True), relu=True))


class AffineCoupling(nn.Module):
    """One affine coupling layer on the two halves (x_a, x_b) of the channels.

    y_a = x_a is left to the caller; the layer returns y_b. Shapes are (groups, batch, time, half).

    >>> layer = AffineCoupling(half=2, width=8)
    >>> x_a, x_b = torch.randn(2, 1, 4, 10, 2)  # two halves, each of 1 group, 4 clips, 10 steps, 2 channels
    >>> y_b, log_s = layer(x_a, x_b)
    >>> torch.allclose(layer.inverse(x_a, y_b), x_b)
    True

    Args:
        half: channels of each half.
        width: hidden channels of the coupling network.
        groups: modalities computed side by side, each with weights of its own.
        scale_map: how the network's output r becomes the scale. "bounded_exp": log s = b tanh(r / b), which
            can shrink and stretch; "sigmoid": s = sigmoid(r + 2) < 1, which can only shrink (published code).
        shift_first: y_b = (x_b + t) * s as in the published code, instead of Eq. (1).
        log_scale_bound: b above.
    """

    def __init__(
        self,
        half: int,
        width: int,
        groups: int = 1,
        *,
        scale_map: str = "bounded_exp",
        shift_first: bool = False,
        log_scale_bound: float = 0.5,
    ) -> None:
        super().__init__()
        self.network = CouplingNetwork(half, width, groups)
        self.scale_map = scale_map
        self.shift_first = shift_first
        self.log_scale_bound = log_scale_bound

    def log_scale_and_shift(self, x_a: Tensor) -> tuple[Tensor, Tensor]:
        """Return log s(x_a) and t(x_a), each (groups, batch, time, half)."""
        raw, t = self.network(x_a).chunk(2, dim=-1)
        if self.scale_map == "sigmoid":
            return F.logsigmoid(raw + 2), t
        return self.log_scale_bound * torch.tanh(raw / self.log_scale_bound), t  # Eq. (4)

    def forward(self, x_a: Tensor, x_b: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent: return y_b and log s, whose sum over channels is log abs det dy/dx of one step."""
        log_s, t = self.log_scale_and_shift(x_a)
        s = log_s.exp()
        y_b = (x_b + t) * s if self.shift_first else torch.addcmul(t, s, x_b)  # Eq. (1): s * x_b + t
        return y_b, log_s  # Eq. (3): their sum

    def inverse(self, y_a: Tensor, y_b: Tensor) -> Tensor:
        """Latent to data: return x_b; x_a = y_a needs no computing, which is why the network may be anything."""
        log_s, t = self.log_scale_and_shift(y_a)
        inverse_s = (-log_s).exp()
        return y_b * inverse_s - t if self.shift_first else (y_b - t) * inverse_s  # Eq. (2)
