"""The oracle's law of the latent paths, and everything that follows from it in closed form.

Given the class c, the stacked latent path of the three modalities (T steps, D = d_l + d_a + d_v channels) is

    w_t = a(t) mu_c + e_t,   Cov(e_t, e_s) = K(t, s) Sigma,   K(t, s) = rho^|t - s|,

where Sigma holds factors that all modalities share and parts private to each. Class means and Sigma are the
same for every seed, and so is all that can be known; the seed draws the maps to the features (`oracle_warp`).
Two facts keep what follows short: the covariance is a product K x Sigma, so conditioning one modality on
others never mixes time steps; and K's Cholesky factor is lower triangular, so the factor of a shorter clip is
a corner of the longest clip's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dicmor_lib.data.oracle_labels import CLASS_SHARES, CLASSES
from dicmor_lib.data.oracle_warp import Warp

STRENGTHS = ((0.95, 0.45), (0.36, 0.40), (0.38, 0.25))
"""How far the class moves (valence, intensity) in each modality, in units of a channel's noise: language says
most, and audio tells strong from weak better than good from bad."""
LOADINGS = ((0.6, 0.5), (-0.5, 0.5), (-0.4, 0.5))
"""How each modality's (valence, intensity) noise follows a factor they share. The signs differ in valence: a
speaker who words it too kindly gives that away by tone and face, so the modalities know more together than
each alone."""
CONTENT_CHANNELS = 3
"""Channels per modality that say nothing about the class but read three shared factors: what this clip is
about."""


@dataclass(frozen=True)
class Law:
    """The latent law's parameters, float64; columns of D are language, audio, vision.

    Attributes:
        slices: where each modality lies in D.
        means: mu_c, (7, D).
        covariance: Sigma, (D, D), of unit diagonal.
        course: a(t), (T,).
        time_factor: the lower Cholesky factor of K, (T, T).
        time_whitening: its inverse, (T, T).
        warps: the maps g from latent to features, one per modality.
    """

    slices: tuple[slice, slice, slice]
    means: np.ndarray
    covariance: np.ndarray
    course: np.ndarray
    time_factor: np.ndarray
    time_whitening: np.ndarray
    warps: tuple[Warp, Warp, Warp]

    def columns(self, mask: np.ndarray) -> np.ndarray:
        """The latent channels of the modalities that `mask` (3,) names."""
        return np.concatenate([np.arange(s.start, s.stop) for s, on in zip(self.slices, mask) if on])


def make_law(
    dims: tuple[int, int, int],
    time: int,
    seed: int,
    shared: float,
    correlation: float,
    separation: float,
    nonlinearity: float,
) -> Law:
    """The law with these settings of `Oracle`."""
    edges = np.cumsum([0, *dims])
    first, second, third = (slice(int(lo), int(hi)) for lo, hi in zip(edges, edges[1:]))
    slices = (first, second, third)
    language, audio, vision = (
        Warp.draw(d, nonlinearity, np.random.default_rng([seed, m])) for m, d in enumerate(dims)
    )
    steps = np.arange(time)
    factor = np.linalg.cholesky(correlation ** np.abs(steps[:, None] - steps))
    return Law(
        slices=slices,
        means=separation * _means(slices),
        covariance=_covariance(slices, shared),
        course=1 - 0.5 * np.exp(-steps / 3),  # sentiment builds up over the first steps of a clip
        time_factor=factor,
        time_whitening=np.linalg.inv(factor),
        warps=(language, audio, vision),
    )


def _covariance(slices: tuple[slice, ...], shared: float) -> np.ndarray:
    """Sigma = Lambda Lambda' + Psi, (D, D), of unit diagonal.

    Each modality's channels are, in this order: valence, intensity, content (squared loading `shared`), and
    private ones without loading. Channel k loads on factor k only: the form canonical correlation analysis
    brings any two Gaussian vectors into. That the features do not show it is the work of the warps, which
    begin with a rotation.
    """
    loading = np.zeros((slices[-1].stop, 2 + CONTENT_CHANNELS))
    for part, first_two in zip(slices, LOADINGS):
        diagonal = np.array([*first_two, *[np.sqrt(shared)] * CONTENT_CHANNELS])
        loading[part] = np.eye(part.stop - part.start, len(diagonal)) * diagonal
    return loading @ loading.T + np.diag(1 - np.square(loading).sum(1))


def _means(slices: tuple[slice, ...]) -> np.ndarray:
    """mu_c, (7, D): a bent curve of the class: valence saturates, intensity is even in c."""
    curve = np.stack([np.tanh(0.6 * CLASSES), np.abs(CLASSES) / 1.5 - 1], axis=1)
    curve = curve - CLASS_SHARES @ curve
    means = np.zeros((7, slices[-1].stop))
    for part, strength in zip(slices, STRENGTHS):
        means[:, part.start : part.start + 2] = curve * strength
    return means


@dataclass(frozen=True)
class Conditional:
    """p(w_target | w_available, c) = N(gain w_available + a(t) offset_c, covariance) at every step.

    `gain` (Dt, Da), `offsets` (7, Dt), `covariance` (Dt, Dt); over time the covariance is K x `covariance`.
    """

    gain: np.ndarray
    offsets: np.ndarray
    covariance: np.ndarray


def condition(law: Law, available: np.ndarray, target: np.ndarray) -> Conditional:
    """Gaussian conditioning of the `target` modalities on the `available` ones, both masks (3,).

    gain = Sigma_ta Sigma_aa^-1,  offset_c = mu_t - gain mu_a,  covariance = Sigma_tt - gain Sigma_at.
    """
    a, t = law.columns(available), law.columns(target)
    sigma = law.covariance
    gain = np.linalg.solve(sigma[np.ix_(a, a)], sigma[np.ix_(a, t)]).T
    covariance = sigma[np.ix_(t, t)] - gain @ sigma[np.ix_(a, t)]
    return Conditional(gain, law.means[:, t] - law.means[:, a] @ gain.T, (covariance + covariance.T) / 2)


def class_log_densities(
    law: Law, path: np.ndarray, means: np.ndarray, covariance: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """log N(path; a(t) means_c, K x covariance) in nats for each class, over the first `lengths` steps.

    Shapes: path (B, T, D), means (7, D), covariance (D, D), lengths (B,) -> (B, 7).
    """
    steps, size = path.shape[1:]
    channel_factor = np.linalg.cholesky(covariance)
    white_means = np.linalg.solve(channel_factor, means.T).T  # (7, D)
    white_course = law.time_whitening[:steps, :steps] @ law.course[:steps]  # (T,)
    valid = np.arange(steps) < lengths[:, None]  # (B, T)
    # Whitening over channels and time; the triangle keeps padding steps out of the valid ones before them.
    white = law.time_whitening[:steps, :steps] @ (path @ np.linalg.inv(channel_factor).T)
    white *= valid[..., None]
    # |white - a'(t) m_c|^2 summed over valid steps, expanded: the class enters through one vector per clip
    seen = valid * white_course  # (B, T)
    projected = np.einsum("bt,btd->bd", seen, white) @ white_means.T  # (B, 7)
    squares = np.square(white).sum((1, 2))[:, None] - 2 * projected
    squares += np.outer(np.square(seen).sum(1), np.square(white_means).sum(1))
    # log det of (time factor x channel factor): the first counts once per channel, the second once per step
    log_det = size * (valid @ np.log(np.diag(law.time_factor)[:steps]))
    log_det += lengths * np.log(np.diag(channel_factor)).sum()
    return -0.5 * squares - (log_det + 0.5 * np.log(2 * np.pi) * size * lengths)[:, None]
