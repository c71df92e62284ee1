"""k nearest neighbours: what is missing looks as it did at training steps that look alike otherwise."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

from dicmor_lib.errors import ConfigError
from dicmor_lib.evaluation.baselines import Imputer, target_source_pairs


class NearestNeighbours(Imputer):
    """The missing features at step t are the mean over the k training steps nearest in the available ones.

    Distance is Euclidean in standardised features; a source that has ended counts as its training mean. The
    search is exact over at most `most_steps` training steps, drawn without replacement from the seed
    when there are more, which bounds time and memory on MOSEI. If training data never have the sources and
    the target together, the training mean is the estimate.
    """

    name = "k nearest"

    def __init__(self, k: int = 10, most_steps: int = 20_000, seed: int = 0) -> None:
        if k < 1 or most_steps < k:
            raise ConfigError(
                f"k is {k} and most_steps {most_steps}; k must be at least 1 and at most most_steps"
            )
        self.k, self.most_steps, self.seed = k, most_steps, seed

    def _learn(self, shallow: np.ndarray, inside: np.ndarray) -> None:
        rng = np.random.default_rng(self.seed)
        self._references: dict[tuple[int, tuple[int, ...]], tuple[NearestNeighbors, np.ndarray]] = {}
        for target, sources in target_source_pairs():
            x, y = self._training_pairs(shallow, inside, target, sources, self.most_steps, rng)
            if len(x):
                search = NearestNeighbors(n_neighbors=min(self.k, len(x)), algorithm="brute").fit(x)
                self._references[target, sources] = search, y

    def _estimate(
        self, target: int, sources: tuple[int, ...], features: np.ndarray, seen: np.ndarray
    ) -> np.ndarray:
        if (target, sources) not in self._references:
            return self.frame.mean[target]
        search, candidates = self._references[target, sources]
        estimate = np.zeros((*seen.shape[1:], self.channels))  # (n, T, d)
        running = seen.any(axis=0)  # steps on which at least one source goes on
        x = self._standardised(sources, features, seen)[running]
        if len(x):
            estimate[running] = candidates[search.kneighbors(x, return_distance=False)].mean(axis=1)
        return estimate
