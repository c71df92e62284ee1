"""Ridge regression from the available modalities to the missing one, step by step in time."""

from __future__ import annotations

import numpy as np

from dicmor_lib.evaluation.baselines import Imputer, target_source_pairs

PENALTIES: tuple[float, ...] = tuple(10.0**power for power in range(-3, 7))


class RidgeImpute(Imputer):
    """The missing features at step t are a linear function of the available ones at step t.

    One closed-form ridge per target and set of sources: with centred, standardised sources X (n steps) and
    centred targets Y, W = (X'X + alpha I)^-1 X'Y. Alpha is chosen from `penalties` by generalised
    cross-validation, GCV(alpha) = (RSS / n) / (1 - df / n)^2 with df = sum_i e_i / (e_i + alpha) over the
    eigenvalues e of X'X (Golub, Heath and Wahba 1979), so no validation data are needed.

    Where a source has ended before the others, its features count as their training mean. If training data
    never have the sources and the target together, the training mean is the estimate. At most `most_steps`
    training steps are used, drawn with the seed.
    """

    name = "ridge"

    def __init__(
        self, penalties: tuple[float, ...] = PENALTIES, most_steps: int = 200_000, seed: int = 0
    ) -> None:
        self.penalties, self.most_steps, self.seed = penalties, most_steps, seed
        self.chosen: dict[tuple[int, tuple[int, ...]], float] = {}

    def _learn(self, shallow: np.ndarray, inside: np.ndarray) -> None:
        self._weights: dict[tuple[int, tuple[int, ...]], tuple[np.ndarray, np.ndarray]] = {}
        self.chosen = {}
        rng = np.random.default_rng(self.seed)
        for target, sources in target_source_pairs():
            x, y = self._training_pairs(shallow, inside, target, sources, self.most_steps, rng)
            if len(x):
                weight, intercept, alpha = ridge_gcv(x, y, self.penalties)
                self._weights[target, sources] = weight, intercept
                self.chosen[target, sources] = alpha

    def _estimate(
        self, target: int, sources: tuple[int, ...], features: np.ndarray, seen: np.ndarray
    ) -> np.ndarray:
        if (target, sources) not in self._weights:
            return self.frame.mean[target]
        weight, intercept = self._weights[target, sources]
        return self._standardised(sources, features, seen) @ weight + intercept


def ridge_gcv(
    x: np.ndarray, y: np.ndarray, penalties: tuple[float, ...] = PENALTIES
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return weights (p, q), intercept (q,) and the penalty chosen by GCV, for x (n, p) and y (n, q).

    The residuals of the targets are summed in units of each target's standard deviation, so that no channel
    decides alone. Everything comes from X'X and X'Y; the n rows are passed over once.
    """
    n = len(x)
    x_mean, y_mean = x.mean(axis=0, dtype=np.float64), y.mean(axis=0, dtype=np.float64)
    x, y = x - x_mean, y - y_mean
    y_sd = y.std(axis=0)
    y_sd = np.where(y_sd > 1e-8, y_sd, 1.0)
    eigenvalue, basis = np.linalg.eigh(x.T @ x)
    eigenvalue = np.clip(eigenvalue, 0.0, None)
    along = basis.T @ (x.T @ y)  # X'Y in the eigenbasis, (p, q)
    target_power = (y**2).sum(axis=0)
    scores = []
    for alpha in penalties:
        shrunk = along / (eigenvalue + alpha)[:, None]
        # RSS = Y'Y - 2 W'X'Y + W'X'X W, per target
        rss = target_power - 2 * (shrunk * along).sum(axis=0) + (eigenvalue[:, None] * shrunk**2).sum(axis=0)
        free = (
            1 - (eigenvalue / (eigenvalue + alpha)).sum() / n
        )  # 1 - df / n; 0 if every row is fitted exactly
        scores.append(np.sum(rss / y_sd**2) / n / max(free, 1e-12) ** 2)
    alpha = penalties[int(np.argmin(scores))]
    weight = basis @ (along / (eigenvalue + alpha)[:, None])
    return weight, y_mean - x_mean @ weight, alpha
