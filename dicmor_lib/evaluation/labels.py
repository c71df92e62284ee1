"""Two reference predictors of the label that use no part of the model.

`Majority` says what a number is worth when nothing is looked at. `RidgeLastStep` says what a linear model
on one time step reaches: a network that does not beat it has not earned its parameters.
"""

from __future__ import annotations

import numpy as np

from dicmor_lib.data.dataset import FeatureArrays
from dicmor_lib.errors import ConfigError, DataError, PatternError
from dicmor_lib.modalities import PATTERNS, mask_pattern, pattern_mask

LABEL_RANGE = (-3.0, 3.0)
Features = FeatureArrays
Samples = tuple[Features, np.ndarray, np.ndarray, np.ndarray]
"""Features, lengths (N, 3), observed (N, 3) and labels (N,)."""


class Majority:
    """Predicts one constant, learned from the training labels: their median.

    The median has the smallest MAE of all constants, and its sign is the majority of the non-zero labels
    unless it is zero itself; then the sign of the majority is put on it with the size 1e-6, which changes
    no MAE that anybody prints. So one constant is the right "majority class" for Acc-2 and for MAE.

    The majority of the training labels can be the minority of the test labels (it is on
    `mosi_context_16.pkl`, where this predictor reaches an Acc-2 of .41); `majority_share` says what the
    better constant would have reached.
    """

    name = "majority"

    def fit(self, labels: np.ndarray) -> Majority:
        """Learn from training labels (N,); returns itself. Raises `DataError` if there are none."""
        labels = np.asarray(labels, dtype=np.float64)
        if not len(labels):
            raise DataError("there are no training labels to take the majority of")
        constant = float(np.median(labels))
        if constant == 0:
            constant = 1e-6 if (labels > 0).sum() >= (labels < 0).sum() else -1e-6
        self.constant = constant
        return self

    def predict(self, n: int) -> np.ndarray:
        """Return the constant n times: (n,)."""
        return np.full(n, self.constant)


def majority_share(labels: np.ndarray) -> float:
    """Return the larger sign's share of the non-zero labels (N,): the Acc-2 of the best constant, in hindsight.

    NaN if all labels are zero.
    """
    labels = np.asarray(labels)
    positive, negative = int((labels > 0).sum()), int((labels < 0).sum())
    return max(positive, negative) / (positive + negative) if positive + negative else float("nan")


class RidgeLastStep:
    """Ridge regression of the label on the last valid step of the available modalities' raw features.

    One model per pattern, fitted on the training samples that have all of its modalities: missing features
    are left out, nothing is imputed. Inputs are centred and scaled per channel with the training samples'
    statistics; the intercept is not penalised; predictions are clipped to the labels' range, or one outlier
    of raw features would decide the MAE. The penalty is fixed, or a list from which the value with the
    smallest MAE on validation is taken, per pattern.

    Args:
        penalty: alpha of |y - Xw|^2 + alpha |w|^2; 100 gives the known reference numbers on
            `mosi_context_16.pkl`.
    """

    name = "ridge on last step"

    def __init__(self, penalty: float | tuple[float, ...] = 100.0) -> None:
        self.penalties = tuple(np.atleast_1d(penalty).astype(float))
        if not self.penalties or min(self.penalties) <= 0:
            raise ConfigError(f"the ridge penalty is {penalty}; it must be above 0")

    def fit(
        self,
        features: Features,
        lengths: np.ndarray,
        observed: np.ndarray,
        labels: np.ndarray,
        validation: Samples | None = None,
    ) -> RidgeLastStep:
        """Learn one model per pattern; returns itself.

        Args:
            features: three arrays (N, T_m, d_m), sequences starting at step 0.
            lengths: (N, 3)
            observed: (N, 3) bool
            labels: (N,)
            validation: the same four of the validation split; needed only to choose among several penalties.
        """
        if not len(labels):
            raise DataError("there are no training samples to fit the ridge on the last step")
        if len(self.penalties) > 1 and (validation is None or not len(validation[3])):
            raise ConfigError("several ridge penalties were given; choosing one needs a validation split")
        self.label_mean = float(np.mean(labels, dtype=np.float64))
        self._models: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        for pattern in PATTERNS:
            self._fit_pattern(pattern, last_steps(features, lengths), observed, labels, validation)
        return self

    def predict(self, features: Features, lengths: np.ndarray, available: np.ndarray) -> np.ndarray:
        """Return predictions (N,). Only available modalities are read.

        Raises:
            PatternError: if a sample has no available modality.
        """
        available = np.asarray(available, dtype=bool)
        last = last_steps(features, np.where(available, lengths, 0))
        prediction = np.empty(len(available))
        for mask in np.unique(available, axis=0):
            if not mask.any():
                raise PatternError("a sample has no available modality: there is nothing to predict from")
            rows = np.all(available == mask, axis=1)
            prediction[rows] = self._predict_pattern(mask_pattern(tuple(mask)), last, rows)
        return prediction

    def _fit_pattern(
        self,
        pattern: str,
        last: Features,
        observed: np.ndarray,
        labels: np.ndarray,
        validation: Samples | None,
    ) -> None:
        used = np.flatnonzero(pattern_mask(pattern))
        rows = np.asarray(observed)[:, used].all(axis=1)
        if not rows.any():
            return  # never seen in training: predicted by the mean label
        x, y = np.concatenate([last[m][rows] for m in used], axis=1), np.asarray(labels, np.float64)[rows]
        mean, sd = x.mean(axis=0), x.std(axis=0)
        x = (x - mean) / np.where(sd > 1e-8, sd, 1.0)
        scores = []
        for alpha in self.penalties:
            w = np.linalg.solve(x.T @ x + alpha * np.eye(x.shape[1]), x.T @ (y - y.mean()))
            w = w / np.where(sd > 1e-8, sd, 1.0)
            self._models[pattern] = w, mean, np.array(y.mean())
            if len(self.penalties) == 1:
                return
            scores.append((self._validation_mae(pattern, used, validation), self._models[pattern]))
        self._models[pattern] = min(scores, key=lambda item: item[0])[1]

    def _validation_mae(self, pattern: str, used: np.ndarray, validation: Samples | None) -> float:
        assert validation is not None  # `fit` refuses several penalties without one
        features, lengths, observed, labels = validation
        rows = np.all(np.asarray(observed)[:, used], axis=1)
        if not rows.any():
            return 0.0
        guess = self._predict_pattern(pattern, last_steps(features, lengths), rows)
        return float(np.abs(guess - np.asarray(labels)[rows]).mean())

    def _predict_pattern(self, pattern: str, last: Features, rows: np.ndarray) -> np.ndarray:
        if pattern not in self._models:
            return np.full(int(rows.sum()), self.label_mean)
        w, mean, intercept = self._models[pattern]
        used = np.flatnonzero(pattern_mask(pattern))
        value = (np.concatenate([last[m][rows] for m in used], axis=1) - mean) @ w + intercept
        return np.clip(value, *LABEL_RANGE)


def last_steps(features: Features, lengths: np.ndarray) -> Features:
    """Return each modality's last valid step, three arrays (N, d_m) float64; zeros where the length is 0."""
    last = []
    for modality, array in enumerate(features):
        length = np.asarray(lengths)[:, modality]
        step = array[np.arange(len(array)), np.maximum(length - 1, 0)].astype(np.float64)
        last.append(np.where(length[:, None] > 0, step, 0.0))
    return tuple(last)  # type: ignore[return-value]
