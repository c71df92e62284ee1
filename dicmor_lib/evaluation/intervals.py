"""Prediction intervals from draws of the missing modality, and how often they hold.

With everything available the fusion errs by a residual r = y - f(x), whose law depends on f(x): near the ends of the
scale it leans inwards. If the missing part is drawn from its law given the rest, (f(available, draw), y) has the law
that (f(x), y) has on complete clips. So an interval is read off sums of a draw's prediction and the residuals of those
complete validation clips whose predictions lie nearest to it; they are not used for training:

    [q_lo, q_hi] of { f(available, draw_k) + r_j },   k = 1..K draws,  j in the J neighbours of f(available, draw_k)

It is wide where the missing modality matters and narrow where it does not; a band of fixed width cannot be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dicmor_lib.errors import ShapeError

NEIGHBOURS = 0.1
"""Share of the validation clips that count as near."""
LEAST_NEIGHBOURS = 20
_CHUNK = 2_000_000
"""Sums held at a time."""


@dataclass(frozen=True)
class Residuals:
    """y - f(x) of complete validation clips, in the order of their predictions f(x); both (N,).

    >>> known = Residuals.of(np.array([1.0, -1.0]), np.array([1.5, -2.0]))
    >>> known.near(np.array([0.9]), count=1).tolist()  # the clip that was predicted to be 1
    [[0.5]]
    """

    predictions: np.ndarray
    residuals: np.ndarray

    @classmethod
    def of(cls, predictions: np.ndarray, labels: np.ndarray) -> Residuals:
        """Of predictions and labels, (N,) each.

        Raises:
            ShapeError: if the two do not fit together or hold nothing.
        """
        predictions, labels = np.asarray(predictions, np.float64), np.asarray(labels, np.float64)
        if predictions.shape != labels.shape or labels.ndim != 1 or not len(labels):
            raise ShapeError(
                f"predictions {predictions.shape} and labels {labels.shape} must be two equally long lists of at least "
                "one clip"
            )
        order = np.argsort(predictions, kind="stable")
        return cls(predictions[order], (labels - predictions)[order])

    def near(self, predictions: np.ndarray, count: int | None = None) -> np.ndarray:
        """Return the residuals of the `count` clips around each prediction (...): (..., count).

        The neighbours are as many above as below, fewer at an end. By default a tenth of the clips, at least 20.
        """
        n = len(self.predictions)
        count = min(n, max(LEAST_NEIGHBOURS, round(NEIGHBOURS * n)) if count is None else count)
        first = np.searchsorted(self.predictions, predictions) - count // 2
        first = np.clip(first, 0, n - count)
        return self.residuals[first[..., None] + np.arange(count)]


def prediction_interval(draws: np.ndarray, residuals: Residuals, level: float) -> np.ndarray:
    """Return the central interval of share `level` in (0, 1), (N, 2), from predictions (K, N) of K draws.

    >>> rng = np.random.default_rng(0)
    >>> known = Residuals.of(np.zeros(999), rng.normal(size=999))
    >>> draws = np.array([[0.0, -2.0], [0.0, 2.0]])  # two draws of two clips; they agree about the first
    >>> prediction_interval(draws, known, 0.8).round(0).tolist()
    [[-1.0, 1.0], [-3.0, 3.0]]
    """
    draws = np.asarray(draws, np.float64)
    tail = (1 - level) / 2
    per_clip = len(draws) * residuals.near(draws[:1, :1]).shape[-1]
    parts = []
    for few in np.array_split(draws, max(1, -(-draws.shape[1] * per_clip // _CHUNK)), axis=1):
        sums = few[..., None] + residuals.near(few)  # Eq. (29), (K, n, J)
        parts.append(np.quantile(sums.transpose(1, 0, 2).reshape(few.shape[1], -1), [tail, 1 - tail], axis=1))
    return np.concatenate(parts, axis=1).T


def covered(interval: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which labels (N,) lie in their interval (N, 2), its ends included."""
    return (interval[:, 0] <= labels) & (labels <= interval[:, 1])
