"""A joint prior of the three modalities' latents: what one of them says about another stands in it (ours).

The paper's prior describes every modality alone, so nothing ties a transferred sample to this clip's content.
Here the latents of all modalities at step t, stacked to z_t (3 d channels), are one Gaussian process per class c:

    z_t = m_c(t) + e_t,   m_c(t) = mu_c + theta^t nu_c,   e_t = rho e_(t-1) + sqrt(1 - rho^2) u_t,   u_t ~ N(0, Sigma)

with e_0 = u_0. Sigma = C C' is full, positive definite by construction and shared by the classes; mu_c is where the
class settles and nu_c how it starts. The path is turned into independent steps u_t by one subtraction, and every
sequence starts at step 0; so marginals over modalities, conditioning and lengths that differ between modalities are all
exact and touch one step at a time: each step has the marginal of Sigma over the modalities that reach it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dicmor_lib.blocks.precision import full_precision
from dicmor_lib.blocks.prior import sentiment_class

PRESENT = torch.tensor([[bool(k & 4), bool(k & 2), bool(k & 1)] for k in range(8)])
"""Row k says which of (language, audio, vision) are present in pattern number k = 4 l + 2 a + v, (8, 3)."""


class JointPrior(nn.Module):
    """p(z_language, z_audio, z_vision given c), with p(c): tensors are (3, batch, time, channels).

    Args:
        channels: d of each modality's latent.
        classes: of the sentiment, each with a mean path of its own; 1: class-free.
        log_sd_floor: floor of the logarithms of C's diagonal, so that the density stays bounded; None: no floor.
    """

    def __init__(self, channels: int, classes: int = 7, log_sd_floor: float | None = -4.0) -> None:
        super().__init__()
        size = 3 * channels
        self.channels, self.classes, self.log_sd_floor = channels, classes, log_sd_floor
        self.mean = nn.Parameter(torch.zeros(classes, size))  # mu_c
        self.start = nn.Parameter(torch.zeros(classes, size))  # nu_c
        self.raw_decay = nn.Parameter(torch.ones(()))  # theta = sigmoid
        self.raw_correlation = nn.Parameter(torch.zeros(()))  # rho = tanh
        self.raw_log_diagonal = nn.Parameter(torch.zeros(size))  # of C
        self.below = nn.Parameter(torch.zeros(size, size))  # of C, its strictly lower triangle
        self.class_logits = nn.Parameter(torch.zeros(classes))

    # --- the parameters as the mathematics has them ------------------------------------------------------

    @property
    def correlation(self) -> Tensor:
        """rho in (-1, 1), between neighbouring steps."""
        return torch.tanh(self.raw_correlation)

    @property
    def covariance(self) -> Tensor:
        """Sigma = C C', (3 d, 3 d)."""
        log_diagonal: Tensor = self.raw_log_diagonal
        if self.log_sd_floor is not None:
            log_diagonal = self.log_sd_floor + F.softplus(log_diagonal - self.log_sd_floor)
        factor = self.below.tril(-1) + torch.diag(log_diagonal.exp())
        return factor @ factor.T  # Eq. (25)

    def mean_path(self, time: int) -> Tensor:
        """m_c(t) = mu_c + theta^t nu_c, (classes, time, 3 d)."""
        step = torch.arange(time, device=self.mean.device, dtype=self.mean.dtype)
        decay = torch.sigmoid(self.raw_decay) ** step
        return self.mean[:, None] + decay[:, None] * self.start[:, None]

    # --- time: correlated steps e to independent steps u and back ---------------------------------------------

    def independent_steps(self, e: Tensor) -> Tensor:
        """u_0 = e_0 and u_t = (e_t - rho e_(t-1)) / sqrt(1 - rho^2), over the axis before the last."""
        rho = self.correlation
        later = (e[..., 1:, :] - rho * e[..., :-1, :]) / (1 - rho.square()).sqrt()  # Eq. (27)
        return torch.cat([e[..., :1, :], later], dim=-2)

    def correlated_steps(self, u: Tensor) -> Tensor:
        """The inverse: e_t = rho^t u_0 + sqrt(1 - rho^2) sum_(s=1..t) rho^(t-s) u_s."""
        step = torch.arange(u.shape[-2], device=u.device)
        lag = step[:, None] - step
        weight = torch.where(lag >= 0, self.correlation ** lag.clamp(min=0), 0.0)  # rho^(t-s)
        weight = torch.where(step > 0, weight * (1 - self.correlation.square()).sqrt(), weight)
        return weight @ u

    # --- density ----------------------------------------------------------------------------------------------

    @full_precision
    def log_prob(self, z: Tensor, label: Tensor, mask: Tensor) -> Tensor:
        """Return log p(z given class of label) in nats by the chain rule, (3, batch).

        The rows are log p(z_l | c), log p(z_a | z_l, c) and log p(z_v | z_l, z_a, c); their sum is the joint density of
        the steps that `mask` (3, batch, time) marks, and what it leaves out is integrated out. `label` (batch,) holds
        sentiments in [-3, 3].
        """
        path = self.mean_path(z.shape[2])[sentiment_class(label, self.classes)]  # (batch, time, 3 d)
        whitener, log_diagonal = self._whiteners()
        pattern, seen = _pattern(mask)
        u = self.independent_steps(_stack(z) - path) * _per_channel(seen, self.channels)
        squared = _select(u @ whitener.mT[:, None], pattern).square().unflatten(-1, (3, -1)).sum(-1)
        return -0.5 * self._per_modality(squared, log_diagonal[pattern], seen)

    def log_class(self, label: Tensor, mask: Tensor) -> Tensor:
        """Return log p(c) in the row of the first modality that `mask` marks, 0 in the others, (3, batch)."""
        marked = mask.amax(2) > 0
        first = marked & (marked.cumsum(0) == 1)
        return first * self.class_logits.log_softmax(0)[sentiment_class(label, self.classes)]

    def _per_modality(self, squared: Tensor, log_diagonal: Tensor, seen: Tensor) -> Tensor:
        """-2 log N summed over time, per modality: (batch, time, 3) each to (3, batch)."""
        rho = self.correlation
        later = torch.arange(seen.shape[1], device=seen.device)[:, None] > 0
        volume = self.channels * (math.log(2 * math.pi) + later * torch.log1p(-rho.square()))
        return ((squared + 2 * log_diagonal + volume) * seen).sum(1).T

    @full_precision
    def log_joint(self, z: Tensor, mask: Tensor) -> Tensor:
        """Return log p(c) + log p(z given c) of every class, (batch, classes), over the steps that `mask` marks."""
        paths, (whitener, log_diagonal) = self.mean_path(z.shape[2]), self._whiteners()
        pattern, seen = _pattern(mask)
        channels = _per_channel(seen, self.channels)
        white = _select(self.independent_steps(_stack(z)) * channels @ whitener.mT[:, None], pattern)
        # the mean paths, whitened as each of the eight patterns would: (8, classes, time, 3 d)
        present = PRESENT.to(z.device).repeat_interleave(self.channels, 1)[:, None, None]
        centres = (self.independent_steps(paths) * present) @ whitener.mT[:, None]
        total = []
        for centre in centres.unbind(1):  # class by class: (8, time, 3 d)
            step = torch.arange(z.shape[2], device=z.device)
            squared = (white - centre[pattern, step]).square().unflatten(-1, (3, -1)).sum(-1)
            total.append(-0.5 * self._per_modality(squared, log_diagonal[pattern], seen).sum(0))
        return torch.stack(total, 1) + self.class_logits.log_softmax(0)

    def _whiteners(self) -> tuple[Tensor, Tensor]:
        """Per pattern: W with W Sigma W' = 1 on what is present, (8, 3 d, 3 d), and the sums of log C_ii, (8, 3).

        Rows and columns of what is absent are those of the unit matrix: they cost nothing and change nothing.
        """
        present = PRESENT.to(self.mean.device).repeat_interleave(self.channels, 1)  # (8, 3 d)
        unit = torch.eye(present.shape[1], device=self.mean.device, dtype=self.mean.dtype)
        marginal = torch.where(present[:, :, None] & present[:, None], self.covariance, unit)
        factor = torch.linalg.cholesky_ex(marginal).L
        whitener = torch.linalg.solve_triangular(factor, unit.expand_as(factor), upper=False)
        return whitener, factor.diagonal(dim1=1, dim2=2).log().unflatten(1, (3, -1)).sum(-1)

    # --- conditioning -------------------------------------------------------------------------------------------

    def posterior(self, z: Tensor, mask: Tensor) -> Tensor:
        """Return p(c | what `mask` marks), the responsibilities (batch, classes)."""
        return self.log_joint(z, mask).softmax(1)  # Eq. (28)

    def expected(self, z: Tensor, mask: Tensor, posterior: Tensor) -> Tensor:
        """Return E[z | seen] with the class unknown: its mean path is the mean under p(c | seen), (batch, classes)."""
        paths = self.mean_path(z.shape[2])
        return self.conditional(z, mask, torch.einsum("bc,ctk->btk", posterior, paths))

    @full_precision
    def conditional(self, z: Tensor, mask: Tensor, path: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return E[z | seen], or with standard normal `noise` a draw from p(z | seen), given the mean path.

        Args:
            z: latents (3, batch, time, channels); only what `mask` (3, batch, time) marks is read.
            path: m_c(t) of each clip's class, (batch, time, 3 * channels); the result is affine in it, so a mixture of
                paths gives the mean of the mixture.
            noise: (batch, time, 3 * channels).

        Returns:
            (3, batch, time, channels): as z where the mask is 1, the conditional law elsewhere.
        """
        gain, spread = self._conditionals()
        pattern, seen = _pattern(mask)
        u = self.independent_steps(_stack(z) - path) * _per_channel(seen, self.channels)
        u = _select(u @ gain.mT[:, None], pattern)  # E[u_t | seen] = Sigma_.s Sigma_ss^-1 u_s
        if noise is not None:
            u = u + _select(noise @ spread.mT[:, None], pattern)
        e = self.correlated_steps(u) + path
        return e.unflatten(-1, (3, -1)).movedim(2, 0)

    def _conditionals(self) -> tuple[Tensor, Tensor]:
        """Per pattern: the gain Sigma_.s Sigma_ss^-1 and a root of cov[u | u_s], (8, 3 d, 3 d) each."""
        present = PRESENT.to(self.mean.device).repeat_interleave(self.channels, 1)
        unit = torch.eye(present.shape[1], device=self.mean.device, dtype=self.mean.dtype)
        covariance, (whitener, _) = self.covariance, self._whiteners()
        precision = whitener.mT @ whitener  # Sigma_ss^-1, beside a unit matrix
        read = covariance * present[:, None]  # columns of what is present
        gain = (read @ precision) * present[:, None]  # Eq. (26)
        rest = covariance - gain @ read.mT  # Eq. (26)
        absent = ~present
        rest = torch.where(absent[:, :, None] & absent[:, None], rest, unit)
        return gain, torch.linalg.cholesky_ex(rest).L * absent[:, :, None]


def _stack(z: Tensor) -> Tensor:
    """(3, batch, time, d) to (batch, time, 3 d)."""
    return z.movedim(0, 2).flatten(2)


def _pattern(mask: Tensor) -> tuple[Tensor, Tensor]:
    """From a mask (3, batch, time): the pattern number of each step (batch, time), and the mask as (batch, time, 3)."""
    seen = mask.movedim(0, 2)
    weight = torch.tensor([4, 2, 1], device=mask.device)
    return (seen.bool() * weight).sum(-1), seen


def _per_channel(seen: Tensor, channels: int) -> Tensor:
    return seen.repeat_interleave(channels, -1)


def _select(of_patterns: Tensor, pattern: Tensor) -> Tensor:
    """Of (8, batch, time, n) keep, at each step, the row of its pattern (batch, time): (batch, time, n)."""
    batch, time = (torch.arange(n, device=pattern.device) for n in pattern.shape)
    return of_patterns[pattern, batch[:, None], time]
