"""The class-conditional prior of the latents: one diagonal Gaussian per sentiment class, shared by the modalities.

p(Z given c) = N(mu_c, Sigma_c), figure 2 of the paper.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sentiment_class(label: Tensor, classes: int = 7) -> Tensor:
    """Return the class index 0..6 of labels in [-3, 3]: round(y) + 3, halves to even; all 0 if there is one class.

    >>> sentiment_class(torch.tensor([-3.0, 0.5, 1.5]))
    tensor([0, 3, 5])
    """
    if classes == 1:
        return torch.zeros_like(label, dtype=torch.long)
    return label.round().long() + classes // 2


class ClassPrior(nn.Module):
    """N(mu_c, diag(sigma_c^2)) for each of `classes` classes over `channels` channels, the same at every step.

    >>> prior = ClassPrior(channels=4)
    >>> z = prior.sample(torch.tensor([-3.0, 2.0]), time=6)
    >>> prior.log_prob(z, torch.tensor([-3.0, 2.0])).shape  # one number per step
    torch.Size([2, 6])

    Args:
        log_sd_floor: log sigma never falls below it, so that the density stays bounded; None: no floor.
    """

    def __init__(self, channels: int, classes: int = 7, log_sd_floor: float | None = -4.0) -> None:
        super().__init__()
        self.classes = classes
        self.log_sd_floor = log_sd_floor
        self.mean = nn.Parameter(torch.zeros(classes, channels))
        self.raw_log_sd = nn.Parameter(torch.zeros(classes, channels))

    @property
    def log_sd(self) -> Tensor:
        """log sigma, (classes, channels); the floor is soft, so its gradient never dies."""
        if self.log_sd_floor is None:
            return self.raw_log_sd
        return self.log_sd_floor + F.softplus(self.raw_log_sd - self.log_sd_floor)

    def log_prob(self, z: Tensor, label: Tensor) -> Tensor:
        """Return log N(z; mu_c, Sigma_c) per step in nats: z (..., batch, time, channels) to (..., batch, time).

        `label` (batch,) holds sentiments in [-3, 3].
        """
        c = sentiment_class(label, self.classes)
        mean, log_sd = self.mean[c, None], self.log_sd[c, None]  # (batch, 1, channels)
        standard = (z - mean) * (-log_sd).exp()
        return -0.5 * (standard.square() + math.log(2 * math.pi)).sum(-1) - log_sd.sum(-1)  # Eq. (6)

    def sample(self, label: Tensor, time: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw z (batch, time, channels) given labels (batch,)."""
        c = sentiment_class(label, self.classes)
        noise = torch.randn(
            len(label),
            time,
            self.mean.shape[1],
            generator=generator,
            device=self.mean.device,
            dtype=self.mean.dtype,
        )
        return self.mean[c, None] + self.log_sd[c, None].exp() * noise
