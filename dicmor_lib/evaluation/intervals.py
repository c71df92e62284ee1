"""Prediction intervals from draws of the missing modality, and how often they hold.

With everything available the fusion errs by a residual r = y - f(x). If the missing part is drawn from its law given
the rest, then y given what is available is distributed as f(available, draw) + r. So an interval is read off all sums
of a draw's prediction and a residual of the validation clips, which are not used for training:

    [q_lo, q_hi] of { f(available, draw_k) + r_j },   k = 1..K draws, j = 1..J residuals

It is wide where the missing modality matters and narrow where it does not; a band of fixed width cannot be.
"""

from __future__ import annotations

import numpy as np

from dicmor_lib.errors import ShapeError

RESIDUALS = 99
"""Quantiles of the residuals that stand for all of them."""


def residual_quantiles(predictions: np.ndarray, labels: np.ndarray, count: int = RESIDUALS) -> np.ndarray:
    """Return `count` quantiles of y - f(x) on complete validation clips, (N,) each to (count,).

    Raises:
        ShapeError: if the two do not fit together or hold nothing.
    """
    if np.shape(predictions) != np.shape(labels) or np.ndim(labels) != 1 or not len(labels):
        raise ShapeError(
            f"predictions {np.shape(predictions)} and labels {np.shape(labels)} must be two equally long lists of at "
            "least one clip"
        )
    return np.quantile(np.asarray(labels) - predictions, (np.arange(count) + 0.5) / count)


def prediction_interval(draws: np.ndarray, residuals: np.ndarray, level: float) -> np.ndarray:
    """Return the central interval of share `level` in (0, 1), (N, 2), from predictions (K, N) and residuals (J,).

    >>> draws = np.array([[0.0, 1.0], [0.0, 3.0]])  # two draws of two clips; they agree about the first
    >>> prediction_interval(draws, np.array([-0.5, 0.0, 0.5]), 0.5).round(2).tolist()
    [[-0.38, 0.38], [1.12, 2.88]]
    """
    sums = np.asarray(draws)[:, None] + np.asarray(residuals)[None, :, None]  # (K, J, N)
    tail = (1 - level) / 2
    return np.quantile(sums.reshape(-1, sums.shape[-1]), [tail, 1 - tail], axis=0).T


def covered(interval: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which labels (N,) lie in their interval (N, 2), its ends included."""
    return (interval[:, 0] <= labels) & (labels <= interval[:, 1])
