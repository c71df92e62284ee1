"""The field's metrics for sentiment in [-3, 3]: Acc-2, weighted F1, Acc-7, MAE and Pearson's r.

`sentiment_metrics` takes the values from scikit-learn and SciPy. `weighted_metrics` computes the same
numbers for many weightings of the samples at once (one matrix product), which is what the bootstrap needs.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error

from dicmor_lib.errors import DataError, ShapeError

METRICS: tuple[str, ...] = ("acc2", "f1", "acc2_nonneg", "f1_nonneg", "acc7", "mae", "pearson")
"""Names in the order in which tables have them."""

METRIC_TITLES: dict[str, str] = {
    "acc2": "Acc-2",
    "f1": "F1",
    "acc2_nonneg": "Acc-2 (>= 0)",
    "f1_nonneg": "F1 (>= 0)",
    "acc7": "Acc-7",
    "mae": "MAE",
    "pearson": "Pearson r",
}
LOWER_IS_BETTER: frozenset[str] = frozenset({"mae"})


def sentiment_metrics(prediction: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Return every metric of `METRICS` for predictions (N,) against labels (N,) in [-3, 3].

    - ``acc2``, ``f1``: positive (> 0) against negative, on the samples whose label is not zero; F1 is the
      mean of the two classes' F1 weighted by their support. NaN if every label is zero.
    - ``acc2_nonneg``, ``f1_nonneg``: non-negative (>= 0) against negative, on all samples.
    - ``acc7``: equal classes after clipping to [-3, 3] and rounding (a half goes to the even class).
    - ``mae``: mean absolute error, in units of the label.
    - ``pearson``: Pearson's r; NaN if prediction or label is constant, because a correlation with a
      constant does not exist (the majority class, for example, has none).

    >>> metrics = sentiment_metrics(np.array([2.0, -1.0, 0.4]), np.array([1.0, -2.0, 0.0]))
    >>> metrics["acc2"], metrics["acc2_nonneg"], round(metrics["mae"], 3)
    (1.0, 1.0, 0.8)

    Raises:
        ShapeError: if the two are not one-dimensional and equally long.
        DataError: if there is no sample, or a value is not finite.
    """
    prediction, label = check_scored(prediction, label)
    signed = label != 0
    values = dict.fromkeys(METRICS, float("nan"))
    if signed.any():
        values["acc2"], values["f1"] = _two_class(label[signed] > 0, prediction[signed] > 0)
    values["acc2_nonneg"], values["f1_nonneg"] = _two_class(label >= 0, prediction >= 0)
    values["acc7"] = float(accuracy_score(sentiment_class(label), sentiment_class(prediction)))
    values["mae"] = float(mean_absolute_error(label, prediction))
    if np.ptp(prediction) > 0 and np.ptp(label) > 0:
        values["pearson"] = float(pearsonr(prediction, label).statistic)
    return values


def sentiment_class(value: np.ndarray) -> np.ndarray:
    """Return the class -3..3 of each value: clip to [-3, 3], round, a half to the even class (2.5 -> 2)."""
    return np.rint(np.clip(value, -3, 3)).astype(np.int64)


def weighted_metrics(prediction: np.ndarray, label: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return every metric under each of R weightings of the samples.

    Args:
        prediction: (N,)
        label: (N,) in [-3, 3]
        weights: (R, N), at least 0, each row with a positive sum. A row of ones gives `sentiment_metrics`;
            a row of counts gives the metrics of the sample in which each item stands that often.

    Returns:
        name -> (R,); NaN where a metric does not exist for that weighting.

    Raises:
        ShapeError, DataError: as `sentiment_metrics`, and if the weights do not fit.
    """
    prediction, label = check_scored(prediction, label)
    weights = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    if weights.ndim != 2 or weights.shape[1] != len(label):
        raise ShapeError(
            f"weights must have shape (R, {len(label)}), one column per sample, not {weights.shape}"
        )
    total = weights.sum(axis=1)
    if (weights < 0).any() or not (total > 0).all():
        raise DataError("weights must be at least 0 and each row must have a positive sum")
    return metrics_of_sums(weights @ sample_terms(prediction, label, moment_frame(prediction, label)))


def sample_terms(
    prediction: np.ndarray, label: np.ndarray, frame: tuple[float, float, float, float]
) -> np.ndarray:
    """Return (N, 16): what each sample adds to the sums that all metrics are functions of.

    The sums may run over samples, over weighted samples, or over several sets of samples mixed with any
    weights: `metrics_of_sums` turns them into metrics. Columns: true positive, true negative, false positive,
    false negative among non-zero labels (0-3) and among all (4-7); equal class, absolute error, one (8-10);
    x, y, xx, yy, xy (11-15), where x and y are prediction and label in the units of `frame`.
    """
    mean_x, sd_x, mean_y, sd_y = frame
    signed = (label != 0)[:, None]
    cells = [signed * _cells(label > 0, prediction > 0), _cells(label >= 0, prediction >= 0)]
    sums = [
        sentiment_class(label) == sentiment_class(prediction),
        np.abs(prediction - label),
        np.ones(len(label)),
    ]
    x, y = (prediction - mean_x) / sd_x, (label - mean_y) / sd_y
    return np.column_stack([*cells, *sums, x, y, x * x, y * y, x * y]).astype(np.float64)


def moment_frame(prediction: np.ndarray, label: np.ndarray) -> tuple[float, float, float, float]:
    """Return mean and sd of predictions and labels, in whose units moments do not cancel.

    Pearson's r is the same in any units. A constant has an infinite sd: its moments vanish, and so does its r.
    """
    return tuple(
        float(f) for x in (prediction, label) for f in (x.mean(), x.std() if np.ptp(x) > 0 else np.inf)
    )  # type: ignore[return-value]


def metrics_of_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return every metric from sums (R, 16) of `sample_terms`: name -> (R,), NaN where there is none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        acc2, f1 = _accuracy_and_f1(sums[:, 0:4])
        acc2_nonneg, f1_nonneg = _accuracy_and_f1(sums[:, 4:8])
        total = sums[:, 10]
        values = [acc2, f1, acc2_nonneg, f1_nonneg, sums[:, 8] / total, sums[:, 9] / total]
        values.append(_pearson(sums[:, 11:16] / total[:, None]))
    return dict(zip(METRICS, values, strict=True))


def check_scored(prediction: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float64 (N,); raise what `sentiment_metrics` promises."""
    prediction, label = np.asarray(prediction, dtype=np.float64), np.asarray(label, dtype=np.float64)
    if prediction.ndim != 1 or prediction.shape != label.shape:
        raise ShapeError(
            "metrics need one prediction per label, both of shape (N,); "
            f"these are {prediction.shape} and {label.shape}"
        )
    if not len(label):
        raise DataError("there is no sample to score: the predictions and labels are empty")
    for name, values in (("prediction", prediction), ("label", label)):
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise DataError(
                f"{len(bad)} of {len(values)} {name}s are not finite, the first at index {bad[0]}"
            )
    return prediction, label


def _two_class(truth: np.ndarray, guess: np.ndarray) -> tuple[float, float]:
    return (
        float(accuracy_score(truth, guess)),
        float(f1_score(truth, guess, average="weighted", zero_division=0)),
    )


def _cells(truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """(N, 4) bool: true positive, true negative, false positive, false negative."""
    return np.stack([truth & guess, ~truth & ~guess, ~truth & guess, truth & ~guess], axis=1)


def _accuracy_and_f1(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy and weighted F1 from confusion counts (R, 4): (R,) each."""
    true_pos, true_neg, false_pos, false_neg = cells.T
    positive, negative = true_pos + false_neg, true_neg + false_pos
    # F1 = 2 TP / (2 TP + FP + FN) of each class; one that is neither there nor guessed has F1 0, weight 0.
    wrong = false_pos + false_neg
    f1_positive = np.nan_to_num(2 * true_pos / (2 * true_pos + wrong))
    f1_negative = np.nan_to_num(2 * true_neg / (2 * true_neg + wrong))
    total = positive + negative
    return (true_pos + true_neg) / total, (positive * f1_positive + negative * f1_negative) / total


def _pearson(moments: np.ndarray) -> np.ndarray:
    """Pearson's r from the means (R, 5) of x, y, xx, yy, xy."""
    mean_x, mean_y, xx, yy, xy = moments.T
    variance_x, variance_y = xx - mean_x**2, yy - mean_y**2
    tiny = 1e-12  # a resample of one repeated value: its variance is rounding only
    exists = (variance_x > tiny) & (variance_y > tiny)
    r = (xy - mean_x * mean_y) / np.sqrt(np.where(exists, variance_x * variance_y, 1.0))
    return np.where(exists, np.clip(r, -1.0, 1.0), np.nan)
