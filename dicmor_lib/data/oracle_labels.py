"""The oracle's labels, on a grid of 0.2, and what a posterior of the classes -3..3 says about them.

A clip has a class c; its label is y = c + u with u in {-.4, -.2, 0, .2, .4} (towards zero only at c = -3 and
3), drawn independently of the features. So round(y) = c, y lies in [-3, 3], and y is exactly zero only inside
c = 0, as for neutral clips of CMU-MOSI. Because u cannot be known from the features, the class posterior
holds all that can be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLASSES = np.arange(-3, 4)
CLASS_SHARES = np.array([0.04, 0.15, 0.19, 0.12, 0.19, 0.25, 0.06])
"""p(c): like CMU-MOSI's, few extremes, slightly more positive than negative."""

GRID = np.arange(-15, 16) / 5
"""The 31 values a label can take."""
_OFFSET_SHARES = np.array([0.15, 0.22, 0.26, 0.22, 0.15])  # of u = -.4, -.2, 0, .2, .4


def _label_table() -> np.ndarray:
    table = np.zeros((7, 31))
    for row, c in enumerate(CLASSES):
        cells = 5 * (c + 3) + np.arange(-2, 3)  # of c - .4 ... c + .4 in GRID
        inside = (cells >= 0) & (cells <= 30)
        table[row, cells[inside]] = _OFFSET_SHARES[inside]
    return table / table.sum(1, keepdims=True)


LABEL_GIVEN_CLASS = _label_table()
"""p(y | c), (7, 31): rows are CLASSES, columns GRID."""
LABEL_SHARES = CLASS_SHARES @ LABEL_GIVEN_CLASS
"""p(y), (31,)."""
NONZERO_SHARE = float(1 - LABEL_SHARES[15])
"""P(y != 0): the clips that Acc-2 counts."""


def draw_labels(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw `n` clips' (class index 0..6, label): int64 and float32, both (n,)."""
    labels = rng.choice(31, size=n, p=LABEL_SHARES)
    return (labels + 2) // 5, GRID[labels].astype(np.float32)  # cells 0..2 are class -3, 3..7 are -2, ...


@dataclass(frozen=True)
class BayesPrediction:
    """The best prediction for each score; the scores disagree about what is best. Arrays are (batch,).

    Attributes:
        posterior: p(c | what is available), (batch, 7).
        median: of y's posterior: minimises the mean absolute error.
        mean: of y's posterior: maximises Pearson's correlation (and minimises the squared error).
        sign: +1 or -1, whichever of y > 0 and y < 0 is more probable: maximises Acc-2 on non-zero labels.
        sentiment: the most probable class -3..3: maximises Acc-7.
    """

    posterior: np.ndarray
    median: np.ndarray
    mean: np.ndarray
    sign: np.ndarray
    sentiment: np.ndarray


def predict_from_posterior(posterior: np.ndarray) -> BayesPrediction:
    """Turn class posteriors (batch, 7) into the Bayes-optimal predictions."""
    law = posterior @ LABEL_GIVEN_CLASS  # (batch, 31)
    positive, negative = law[:, 16:].sum(1), law[:, :15].sum(1)
    return BayesPrediction(
        posterior=posterior,
        median=GRID[np.argmax(law.cumsum(1) >= 0.5 - 1e-12, axis=1)],
        mean=law @ GRID,
        sign=np.where(positive >= negative, 1, -1),
        sentiment=CLASSES[posterior.argmax(1)],
    )


@dataclass(frozen=True)
class BayesScores:
    """What the best possible predictor reaches on average, each beside its Monte-Carlo standard error.

    `accuracy` is Acc-2 on non-zero labels, `accuracy7` Acc-7, `mae` in label units, `pearson` in [0, 1];
    every score is of the prediction that is best for it, so no single predictor needs to reach all four.
    """

    accuracy: float
    accuracy_error: float
    accuracy7: float
    accuracy7_error: float
    mae: float
    mae_error: float
    pearson: float
    pearson_error: float


def bayes_scores(posterior: np.ndarray) -> BayesScores:
    """Average what each posterior (n, 7) promises: free of label noise, so small errors."""
    best = predict_from_posterior(posterior)
    law, root_n = posterior @ LABEL_GIVEN_CLASS, len(posterior) ** 0.5
    hit = np.maximum(law[:, 16:].sum(1), law[:, :15].sum(1)) / NONZERO_SHARE
    hit7 = posterior.max(1)
    miss = (law * np.abs(GRID - best.median[:, None])).sum(1)
    # corr(E[y|x], y) = sd(E[y|x]) / sd(y), because cov(E[y|x], y) = var E[y|x]
    centre = GRID @ LABEL_SHARES
    label_sd = np.sqrt(LABEL_SHARES @ (GRID - centre) ** 2)
    squares = (best.mean - centre) ** 2
    sd = max(np.sqrt(squares.mean()), 1e-12)
    return BayesScores(
        float(hit.mean()), float(hit.std() / root_n),
        float(hit7.mean()), float(hit7.std() / root_n),
        float(miss.mean()), float(miss.std() / root_n),
        float(sd / label_sd), float(squares.std() / root_n / (2 * sd * label_sd)),  # delta method
    )  # fmt: skip
