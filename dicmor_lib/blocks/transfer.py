"""Cross-modal distribution transfer: X~^miss = (F^miss)^-1 (F^k(X^k)) (supplement 3).

The available modalities' latents, merged where there are two, run backwards through the flow of the
missing modality. Only (sample, modality) pairs that are missing are computed: `Packing` lays them
side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dicmor_lib.blocks.flow import Flow
from dicmor_lib.blocks.grouped import GroupedLinear

OTHERS: tuple[tuple[int, int], ...] = ((1, 2), (0, 2), (0, 1))
"""The two possible sources of each target modality (0 language, 1 audio, 2 vision)."""


@dataclass
class Packing:
    """Which samples lack which modality, as a rectangle: slot s of modality m holds sample `rows[m, s]`.

    There are as many slots as the modality that is missing most often needs; spare slots hold samples
    that lack nothing and are never unpacked.
    """

    rows: Tensor  # (3, slots): the sample in each slot
    slot: Tensor  # (3, batch): where a sample stands, or `slots` (a row of zeros) if it lacks nothing

    @classmethod
    def of(cls, available: Tensor, device: torch.device) -> Packing:
        """Plan the packing of an available mask (batch, 3)."""
        missing = ~available.t()  # (3, batch)
        slots = int(missing.sum(1).max())
        order = available.t().to(torch.int8).argsort(dim=1, stable=True)  # the missing ones come first
        place = order.argsort(dim=1)  # inverse permutation: the place of each sample in that order
        slot = torch.where(missing, place, slots)
        # contiguous: what is gathered with a strided index is strided as well, which torch.compile does not expect
        rows, slot = order[:, :slots].contiguous(), slot.contiguous()
        return cls(rows.to(device, non_blocking=True), slot.to(device, non_blocking=True))

    def pack(self, x: Tensor) -> Tensor:
        """(3, batch, ...) to (3, slots, ...): the rows of the missing pairs."""
        return x[torch.arange(3, device=x.device)[:, None], self.rows]

    def pack_from(self, x: Tensor, modality: Tensor) -> Tensor:
        """(3, batch, ...) to (3, slots, ...), reading target m's rows from modality `modality[m]`."""
        return x[modality[:, None], self.rows]

    def unpack(self, packed: Tensor) -> Tensor:
        """(3, slots, ...) to (3, batch, ...), zero for the pairs that are not missing."""
        with_zero = torch.cat(
            [packed, torch.zeros_like(packed[:, :1]) if packed.shape[1] else _zero_row(packed)], 1
        )
        return with_zero[torch.arange(3, device=packed.device)[:, None], self.slot]


def _zero_row(packed: Tensor) -> Tensor:
    return packed.new_zeros(packed.shape[0], 1, *packed.shape[2:])


class Transfer(nn.Module):
    """From latents to transferred features of the missing modalities, packed (3, slots, time, channels).

    Args:
        merge: with two sources, "latent_mean" averages their latents at each step where both are valid and
            inverts once (figure 2 of the paper); "data_conv" inverts each, lays the two results side by side
            along the channels and applies a 1x1 convolution (published code).
        gradient: whether the losses behind the transfer reach the flows; the published code detaches.
    """

    def __init__(self, channels: int, merge: str = "latent_mean", gradient: bool = True) -> None:
        super().__init__()
        self.merge, self.gradient = merge, gradient
        if merge == "data_conv":
            self.join = GroupedLinear(3, 2 * channels, channels)

    def forward(
        self, flow: Flow, z: Tensor, mask: Tensor, seen_lengths: Tensor, available: Tensor, packing: Packing
    ) -> Tensor:
        """Run the transfer.

        Args:
            z: latents (3, batch, time, channels).
            mask: steps that the result has, (3, batch, time).
            seen_lengths: valid steps of the available modalities (batch, 3), 0 for the others.
            available: (batch, 3) bool.
        """
        if self.merge == "data_conv":
            return self._join_in_data_space(flow, z, mask, available, packing)
        merged = self.merge_latents(z, seen_lengths)
        target_mask = packing.pack(mask)
        return self._invert(flow, merged[packing.rows], target_mask)

    def _invert(self, flow: Flow, z: Tensor, mask: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.gradient):
            return flow.inverse(z, mask)  # Eq. (11)

    @staticmethod
    def merge_latents(z: Tensor, seen_lengths: Tensor) -> Tensor:
        """Return the mean of the available latents at each step, (batch, time, channels).

        A step counts only for the sources that reach that far.
        """
        step = torch.arange(z.shape[2], device=z.device)
        reaches = step < seen_lengths.t()[..., None]  # (3, batch, time)
        chosen = torch.where(reaches[..., None], z, 0.0)
        return chosen.sum(0) / reaches.sum(0).clamp(min=1)[..., None]  # Eq. (12)

    def _join_in_data_space(
        self, flow: Flow, z: Tensor, mask: Tensor, available: Tensor, packing: Packing
    ) -> Tensor:
        target_mask = packing.pack(mask)
        seen = available.t()
        sources = torch.tensor(OTHERS, device=z.device)  # (3, 2)
        usable = torch.stack([packing.pack_from(seen, sources[:, k]) for k in range(2)])[..., None, None]
        latents = [torch.where(u, packing.pack_from(z, sources[:, k]), 0.0) for k, u in enumerate(usable)]
        # both candidate sources in one inverse pass, side by side along the batch
        both = self._invert(flow, torch.cat(latents, dim=1), target_mask.repeat(1, 2, 1))
        first, second = both.chunk(2, dim=1)
        joined = self.join(torch.cat([first, second], dim=-1)) * target_mask[..., None]
        return torch.where(usable.all(0), joined, torch.where(usable[0], first, second))
