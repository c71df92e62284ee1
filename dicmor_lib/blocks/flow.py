"""The normalizing flow of a modality: F^m = f_1 o ... o f_N, with N = 32 in the paper (supplement 2)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dicmor_lib.blocks.coupling import AffineCoupling
from dicmor_lib.blocks.coupling_chain import can_chain, to_data, to_latent
from dicmor_lib.blocks.mixing import InvertibleMixing
from dicmor_lib.blocks.precision import full_precision
from dicmor_lib.blocks.prior import ClassPrior
from dicmor_lib.errors import ConfigError, ShapeError


class Flow(nn.Module):
    """Flows of `groups` modalities side by side, with one class-conditional prior that they share.

    Direction: `forward` goes from data to latent, `inverse` from latent to data. Every time step is
    transformed alone. Tensors are (groups, batch, time, channels) with masks (groups, batch, time);
    with groups=1 the leading axis may be left out everywhere.

    >>> flow = Flow(channels=4, width=8, layers=2)
    >>> x = torch.randn(5, 10, 4)
    >>> z, log_det = flow(x)
    >>> z.shape, log_det.shape, torch.allclose(flow.inverse(z), x, atol=1e-6)
    (torch.Size([5, 10, 4]), torch.Size([5]), True)

    Args:
        mixing: what happens to the halves between layers. "alternate": they change roles; "conv1x1": an
            invertible 1x1 convolution mixes all channels; "none": the first half is never transformed, and
            all layers together are one affine coupling (the published code).
        scale_map, shift_first, log_scale_bound: see `AffineCoupling`.
        prior_classes, log_sd_floor: see `ClassPrior`.
        prior: takes the place of the `ClassPrior`, a `JointPrior` say; `log_prob` needs the former.

    Source: supplement 2 of the paper; change of variables as in Real NVP.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        layers: int,
        groups: int = 1,
        *,
        mixing: str = "alternate",
        scale_map: str = "bounded_exp",
        shift_first: bool = False,
        log_scale_bound: float = 0.5,
        prior_classes: int = 7,
        log_sd_floor: float | None = -4.0,
        prior: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.channels, self.groups, self.mixing = channels, groups, mixing
        options: dict[str, Any] = dict(
            scale_map=scale_map, shift_first=shift_first, log_scale_bound=log_scale_bound
        )
        self.layers: Any = nn.ModuleList(
            AffineCoupling(channels // 2, width, groups, **options) for _ in range(layers)
        )
        if mixing == "conv1x1":
            self.mixers: Any = nn.ModuleList(InvertibleMixing(channels, groups) for _ in range(layers))
        self.prior: Any = ClassPrior(channels, prior_classes, log_sd_floor) if prior is None else prior

    @full_precision
    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to latent: return z, shaped like x and zero on padding, and log_det (groups, batch) in nats.

        log_det is log abs det dz/dx summed over the valid steps.
        """
        x, mask, plain = self._with_groups(x, mask)
        a, b = x.chunk(2, dim=-1)
        if self.mixing == "alternate" and can_chain(x, self.layers[0]):
            b, a, log_det = to_latent(self.layers, b, a)  # the loop below, faster
        else:
            a, b, log_det = self.layer_by_layer(a, b)
        z = torch.cat(self._in_place(a, b), dim=-1)
        if mask is not None:
            z, log_det = z * mask[..., None], log_det * mask
        log_det = log_det.sum(-1)
        return (z[0], log_det[0]) if plain else (z, log_det)

    def layer_by_layer(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return both halves after all layers, and log abs det of each step (groups, batch, time): `forward`, plainly."""
        log_det = a.new_zeros(a.shape[:-1])
        for number, layer in enumerate(self.layers):
            if self.mixing == "conv1x1":
                mixed, log_volume = self.mixers[number](torch.cat([a, b], dim=-1))
                a, b = mixed.chunk(2, dim=-1)
                log_det = log_det + log_volume
            b, log_s = layer(a, b)  # Eq. (1)
            log_det = log_det + log_s.sum(-1)  # Eq. (5)
            if self.mixing == "alternate":
                a, b = b, a
        return a, b, log_det

    @full_precision
    def inverse(self, z: Tensor, mask: Tensor | None = None) -> Tensor:
        """Latent to data: the layers run backwards; the result is zero on padding."""
        z, mask, plain = self._with_groups(z, mask)
        a, b = self._in_place(*z.chunk(2, dim=-1))
        if self.mixing == "alternate" and can_chain(z, self.layers[0]):
            b, a = to_data(self.layers, b, a)  # the loop below, faster
        else:
            a, b = self.layer_by_layer_back(a, b)
        x = torch.cat([a, b], dim=-1)
        if mask is not None:
            x = x * mask[..., None]
        return x[0] if plain else x

    def layer_by_layer_back(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Return both halves before all layers: `inverse`, plainly."""
        for number in reversed(range(len(self.layers))):
            if self.mixing == "alternate":
                a, b = b, a
            b = self.layers[number].inverse(a, b)  # Eq. (2)
            if self.mixing == "conv1x1":
                a, b = self.mixers[number].inverse(torch.cat([a, b], dim=-1)).chunk(2, dim=-1)
        return a, b

    def log_prob(self, x: Tensor, label: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return log p(x given class of label), (groups, batch) in nats, summed over the valid steps.

        log p(x given c) = log N(F(x); mu_c, Sigma_c) + log abs det dF/dx (change of variables).
        """
        z, log_det = self(x, mask)
        log_prior = self.prior.log_prob(z, label)  # (groups, batch, time)
        if mask is not None:
            log_prior = log_prior * mask
        return log_prior.sum(-1) + log_det  # Eq. (7)

    def _in_place(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """After an odd number of alternations the halves stand swapped: put them back."""
        return (b, a) if self.mixing == "alternate" and len(self.layers) % 2 else (a, b)

    def _with_groups(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None, bool]:
        plain = x.dim() == 3 and self.groups == 1
        if plain:
            x, mask = x[None], None if mask is None else mask[None]
        if x.dim() != 4 or x.shape[0] != self.groups or x.shape[-1] != self.channels:
            raise ShapeError(
                f"this flow takes ({self.groups}, batch, time, {self.channels}) tensors "
                f"(modalities, batch, time, channels), not {tuple(x.shape)}"
            )
        return x, mask, plain


def collapse(flow: Flow, x_a: Tensor) -> tuple[Tensor, Tensor]:
    """Return the one affine coupling that an unmixed flow of any depth is: log scale and shift as functions of x_a.

    Without mixing x_a is the same at every layer, so the layers compose on x_b as affine maps do:
    (S, T) followed by (s, t) is (s S, s T + t). Shapes (groups, batch, time, half).

    Raises:
        ConfigError: if the flow mixes its halves.
    """
    if flow.mixing != "none":
        raise ConfigError(f"a flow with mixing={flow.mixing!r} transforms both halves and does not collapse")
    log_scale = torch.zeros_like(x_a)
    shift = torch.zeros_like(x_a)
    for layer in flow.layers:
        log_s, t = layer.log_scale_and_shift(x_a)
        s = log_s.exp()
        shift = (shift + t) * s if layer.shift_first else s * shift + t
        log_scale = log_scale + log_s  # Eq. (9), with the line above
    return log_scale, shift
