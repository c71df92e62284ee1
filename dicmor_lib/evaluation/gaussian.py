"""The class-free joint Gaussian of the three modalities: what a linear law of second moments can recover."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from sklearn.covariance import OAS

from dicmor_lib.evaluation.baselines import Imputer
from dicmor_lib.evaluation.frame import check_shallow, effective_lengths, valid_steps

Modalities = tuple[int, ...]


class GaussianConditional(Imputer):
    """The standardised features of the modalities at one step, x = (x_l, x_a, x_v), are one Gaussian N(mu, S).

    It is learned from the training steps at which all three exist; S is shrunk by OAS (Chen, Wiesel, Eldar
    and Hero 2010), which needs no validation data. With m missing and a available the fill is the conditional
    mean E[x_m | x_a] = mu_m + S_ma S_aa^-1 (x_a - mu_a), and `sample` draws from N of that mean and the
    covariance S_mm - S_ma S_aa^-1 S_am. Where one of two sources has ended, only the other is conditioned on.

    The mean has the smallest squared error that such a law allows, but not the law of real features: it is
    less spread. A draw has the right spread and about twice the error. So distances are read off draws and
    predictions come from means. A draw's steps are independent given the sources.

    If training data never have all three at one step, the training mean is the estimate, and a draw has the
    training variance. At most `most_steps` training steps are used, drawn with the seed.
    """

    name = "gaussian"

    def __init__(self, most_steps: int = 200_000, seed: int = 0) -> None:
        self.most_steps, self.seed = most_steps, seed

    def _learn(self, shallow: np.ndarray, inside: np.ndarray) -> None:
        d = self.channels
        clip, step = np.nonzero(inside.all(axis=0))
        if len(clip) > self.most_steps:
            kept = np.random.default_rng(self.seed).choice(len(clip), self.most_steps, replace=False)
            clip, step = clip[np.sort(kept)], step[np.sort(kept)]
        self.mean, self.covariance = np.zeros(3 * d), np.eye(3 * d)
        if len(clip) > 1:
            joint = [self.frame.standardise(shallow[m, clip, step], m) for m in range(3)]
            law = OAS().fit(np.concatenate(joint, axis=1))  # (n, 3 d)
            self.mean, self.covariance = law.location_, law.covariance_
        # every split of modalities into missing and given: (regression weights, root of the covariance)
        self._laws: dict[tuple[Modalities, Modalities], tuple[np.ndarray, np.ndarray]] = {}
        for size in (1, 2):
            for given in combinations(range(3), size):
                others = tuple(m for m in range(3) if m not in given)
                for missing in {others, *((m,) for m in others)}:
                    self._laws[missing, given] = self._law(missing, given)

    def _law(self, missing: Modalities, given: Modalities) -> tuple[np.ndarray, np.ndarray]:
        """Return W (|a| d, |m| d) with E[x_m | x_a] = mu_m + (x_a - mu_a) W, and the root of cov[x_m | x_a]."""
        m, a, s = self._channels_of(missing), self._channels_of(given), self.covariance
        weight = np.linalg.solve(s[np.ix_(a, a)], s[np.ix_(a, m)])  # S_aa^-1 S_am
        conditional = s[np.ix_(m, m)] - s[np.ix_(m, a)] @ weight  # S_mm - S_ma S_aa^-1 S_am
        value, basis = np.linalg.eigh(conditional)  # not Cholesky: features may determine each other exactly
        return weight, basis * np.sqrt(np.clip(value, 0.0, None))

    def _channels_of(self, modalities: Modalities) -> np.ndarray:
        """Where these modalities stand in the joint vector."""
        return (np.array(modalities)[:, None] * self.channels + np.arange(self.channels)).ravel()

    def _estimate(
        self, target: int, sources: tuple[int, ...], features: np.ndarray, seen: np.ndarray
    ) -> np.ndarray:
        mean = np.zeros((*seen.shape[1:], self.channels))  # (n, T, d)
        for given, steps in _running(sources, seen):
            weight, _ = self._laws[(target,), given]
            rows = [sources.index(m) for m in given]
            x = self._standardised(given, features[rows], seen[rows])[steps]
            centred = x - self.mean[self._channels_of(given)]
            mean[steps] = self.mean[self._channels_of((target,))] + centred @ weight
        return self.frame.mean[target] + self.frame.sd[target] * mean

    def sample(
        self, shallow: np.ndarray, lengths: np.ndarray, available: np.ndarray, seed: int = 0
    ) -> np.ndarray:
        """Return `fill` with a draw from the conditional Gaussian in place of its mean, (3, N, T, d).

        Two missing modalities of one sample are drawn jointly. The same seed gives the same draw.
        """
        filled = self.fill(shallow, lengths, available)
        shallow, lengths, available = check_shallow(shallow, lengths, available, "available")
        steps, d = shallow.shape[2], self.channels
        noise = np.random.default_rng(seed).standard_normal((3, *shallow.shape[1:]), dtype=np.float32)
        own = valid_steps(lengths, steps)  # (N, 3, T)
        wanted = valid_steps(effective_lengths(lengths, available).max(axis=1), steps)  # (N, T)
        for pattern in np.unique(available, axis=0):
            missing = tuple(int(m) for m in np.flatnonzero(~pattern))
            if not missing:
                continue
            rows = np.flatnonzero((available == pattern).all(axis=1))
            sources = tuple(int(m) for m in np.flatnonzero(pattern))
            for given, where in _running(sources, own[rows][:, sources].transpose(1, 0, 2)):
                clip, step = np.nonzero(where & wanted[rows])
                raw = noise[np.array(missing)[:, None], rows[clip], step]  # (|m|, k, d)
                root = self._laws[missing, given][1]
                drawn = raw.transpose(1, 0, 2).reshape(len(clip), -1) @ root.T  # (k, |m| d)
                for i, target in enumerate(missing):
                    own_part = drawn[:, i * d : (i + 1) * d] * self.frame.sd[target]
                    filled[target, rows[clip], step] += own_part.astype(filled.dtype)
        return filled

    def other_estimates(
        self, shallow: np.ndarray, lengths: np.ndarray, available: np.ndarray
    ) -> dict[str, np.ndarray]:
        return {f"{self.name} sample": self.sample(shallow, lengths, available, self.seed)}


def _running(sources: Modalities, seen: np.ndarray) -> list[tuple[Modalities, np.ndarray]]:
    """Return the non-empty sets of sources and the steps (n, T) at which exactly these have not ended."""
    found = []
    for size in range(1, len(sources) + 1):
        for given in combinations(range(len(sources)), size):
            pattern = np.isin(np.arange(len(sources)), given)
            steps = (seen == pattern[:, None, None]).all(axis=0)
            if steps.any():
                found.append((tuple(sources[i] for i in given), steps))
    return found
