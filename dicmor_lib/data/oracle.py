"""The synthetic oracle: trimodal sequences of a known law; what can be known is computed, not guessed.

A clip's class moves a Gaussian latent path that the three modalities share in part (`oracle_law`); fixed
invertible maps turn each modality's latent steps into features (`oracle_warp`). Sizes, lengths, padding and
labels look like CMU-MOSI's. Everything measured on it must be called synthetic where it is printed.

>>> oracle = Oracle(sizes=(8, 2, 2))
>>> data = oracle.dataset(seed=0)
>>> test = data.test
>>> available = np.tile([True, False, True], (len(test), 1))
>>> posterior = oracle.class_posterior(test.features, available, test.lengths)
>>> posterior.shape
(2, 7)
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dicmor_lib.data import oracle_conditional as exact
from dicmor_lib.data.dataset import MultimodalData
from dicmor_lib.data.oracle_conditional import Features
from dicmor_lib.data.oracle_draw import SHORTEST, Draw, draw_clips, make_split, to_features, to_latent
from dicmor_lib.data.oracle_labels import BayesPrediction, BayesScores, bayes_scores, predict_from_posterior
from dicmor_lib.data.oracle_law import Law, make_law
from dicmor_lib.errors import ConfigError
from dicmor_lib.modalities import pattern_mask

LAW_VERSION = 1
"""Raised when the same settings give other numbers than before; part of a data set's hash."""
MOSI_SIZES = (1284, 229, 686)


@dataclass(frozen=True)
class Oracle:
    """A law of trimodal clips, fixed by these settings, and the exact answers about it.

    Attributes:
        dims: feature channels of (language, audio, vision), each at least 2.
        time: steps of the arrays; clips are 3 to `time` steps long.
        seed: of the maps from latent to features; clips are drawn with seeds of their own.
        sizes: default clips in (train, valid, test): CMU-MOSI's.
        mean_length: of the clips before they are cut to `time`; about 12 words in CMU-MOSI.
        shared: correlation between the modalities' readings of the same content, in [0, 1).
        correlation: of a latent channel between neighbouring steps, in [0, 1).
        separation: scale of the class means; 0 makes features and label independent.
        nonlinearity: of the maps from latent to features, in [0, 1]; 0: Gaussian features per class.

    Raises:
        ConfigError: if a setting is out of range.
    """

    dims: tuple[int, int, int] = (8, 6, 6)
    time: int = 50
    seed: int = 0
    sizes: tuple[int, int, int] = MOSI_SIZES
    mean_length: float = 12.0
    shared: float = 0.92
    correlation: float = 0.6
    separation: float = 1.0
    nonlinearity: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("dims", 2), ("sizes", 0)):
            values = tuple(int(v) for v in getattr(self, name))
            if len(values) != 3 or min(values) < least:
                raise ConfigError(
                    f"{name} must be three whole numbers of at least {least}, not {getattr(self, name)}"
                )
            object.__setattr__(self, name, values)
        if self.time < SHORTEST or not SHORTEST <= self.mean_length <= self.time:
            raise ConfigError(
                f"mean_length ({self.mean_length}) must be between {SHORTEST} and time ({self.time}) steps"
            )
        if not (0 <= self.shared < 1 and 0 <= self.correlation < 1 and 0 <= self.nonlinearity <= 1):
            raise ConfigError("shared and correlation must be in [0, 1) and nonlinearity in [0, 1]")
        if self.separation < 0 or self.seed < 0:
            raise ConfigError(f"separation ({self.separation}) and seed ({self.seed}) must be at least 0")

    @cached_property
    def law(self) -> Law:
        """The fixed parameters of the latent law and the maps to features."""
        return make_law(
            self.dims, self.time, self.seed, self.shared, self.correlation, self.separation, self.nonlinearity
        )

    # --- drawing clips ---------------------------------------------------------------------------

    def draw(self, n: int, seed: int = 0) -> Draw:
        """Draw `n` independent complete clips, with their latent paths and classes."""
        return draw_clips(self.law, self.mean_length, n, np.random.default_rng([seed, 2]))

    def dataset(
        self, seed: int = 0, sizes: tuple[int, int, int] | None = None, unobserved_share: float = 0.0
    ) -> MultimodalData:
        """Draw a data set with splits; each split depends on `seed` and its own size only.

        Args:
            seed: of the clips, at least 0.
            sizes: clips in (train, valid, test); default: the oracle's `sizes`.
            unobserved_share: share of the training clips in which one modality (each as often) is absent.
        """
        sizes = self.sizes if sizes is None else dataclasses.replace(self, sizes=sizes).sizes
        if not 0 <= unobserved_share <= 1 or seed < 0:
            raise ConfigError(
                f"unobserved_share ({unobserved_share}) must be in [0, 1] and the seed ({seed}) at least 0"
            )
        splits: dict[str, Any] = {}
        for stream, (name, size) in enumerate(zip(("train", "valid", "test"), sizes), start=4):
            rng = np.random.default_rng([seed, stream])
            draw = draw_clips(self.law, self.mean_length, size, rng)
            splits[name] = make_split(draw, name, unobserved_share if name == "train" else 0.0, rng)
        settings = dataclasses.asdict(self) | {"sizes": sizes, "data_seed": seed}
        settings |= {"unobserved_share": unobserved_share, "law_version": LAW_VERSION}
        dims = "/".join(map(str, self.dims))
        return MultimodalData(
            **splits,
            source=f"synthetic oracle (dims {dims}, law seed {self.seed}, data seed {seed})",
            sha256=hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
            synthetic=True,
        )

    def to_features(self, latents: Features, lengths: np.ndarray) -> tuple[np.ndarray, ...]:
        """x = g(w) at valid steps and 0 elsewhere: three arrays (B, T, d_m) to float32 of the same shapes."""
        return to_features(self.law, latents, lengths)

    def to_latent(self, features: Features, lengths: np.ndarray) -> tuple[np.ndarray, ...]:
        """w = g^-1(x) at valid steps and 0 elsewhere, float64; `lengths` is (B,) or (B, 3)."""
        return to_latent(self.law, features, lengths)

    # --- exact answers: available (B, 3) bool, lengths (B,) or (B, 3); the unavailable is never read ----

    def class_posterior(self, features: Features, available: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """p(c | available features) of the classes -3..3, (B, 7)."""
        return exact.class_posterior(self.law, exact.check_clips(self.law, features, available, lengths))

    def bayes_prediction(
        self, features: Features, available: np.ndarray, lengths: np.ndarray
    ) -> BayesPrediction:
        """The best prediction for each score, from the available modalities."""
        return predict_from_posterior(self.class_posterior(features, available, lengths))

    def bayes_scores(self, pattern: str, n: int = 20_000, seed: int = 0) -> BayesScores:
        """What the best predictor reaches with `pattern` available ("l", "av", ...), from `n` fresh clips."""
        draw = self.draw(n, seed)
        available = np.tile(pattern_mask(pattern), (n, 1))
        return bayes_scores(self.class_posterior(draw.features, available, draw.lengths))

    def bayes_accuracy(self, pattern: str, n: int = 20_000, seed: int = 0) -> tuple[float, float]:
        """The best Acc-2 on non-zero labels with `pattern` available, and its Monte-Carlo standard error."""
        scores = self.bayes_scores(pattern, n, seed)
        return scores.accuracy, scores.accuracy_error

    def conditional_sample(
        self,
        features: Features,
        available: np.ndarray,
        lengths: np.ndarray,
        n: int = 1,
        seed: int = 0,
        target: np.ndarray | None = None,
        sentiment: np.ndarray | None = None,
    ) -> tuple[np.ndarray, ...]:
        """`n` draws from p(missing | available): three float32 arrays (n, B, T, d_m), zero elsewhere.

        `target` (B, 3) names the modalities to draw (default: all that are unavailable; they are drawn
        jointly); `sentiment` (B,) gives the class -3..3 (default: unknown, so the draws come from the mixture
        over classes).
        """
        if n < 1 or seed < 0:
            raise ConfigError(f"n is {n} and seed {seed}; draw at least 1 sample with a seed of at least 0")
        clips = exact.check_clips(self.law, features, available, lengths, target, sentiment)
        return exact.conditional_sample(self.law, clips, n, seed)

    def conditional_mean(
        self,
        features: Features,
        available: np.ndarray,
        lengths: np.ndarray,
        target: np.ndarray | None = None,
        sentiment: np.ndarray | None = None,
    ) -> tuple[np.ndarray, ...]:
        """E[missing | available], the recovery of least squared error; exact, arrays as in `Draw.features`.

        A linear map of features (such as C^m, a convolution) has the mapped mean as its own conditional mean.
        """
        return exact.conditional_mean(
            self.law, exact.check_clips(self.law, features, available, lengths, target, sentiment)
        )

    def log_conditional(
        self,
        missing: Features,
        features: Features,
        available: np.ndarray,
        lengths: np.ndarray,
        target: np.ndarray | None = None,
        sentiment: np.ndarray | None = None,
    ) -> np.ndarray:
        """log p(missing | available) in nats, (B,), summed over valid steps and channels; exact.

        `missing` holds three arrays (B, T, d_m) of which only the `target` modalities are read.
        """
        clips = exact.check_clips(self.law, features, available, lengths, target, sentiment)
        return exact.log_conditional(self.law, clips, missing)

    def log_density(
        self,
        features: Features,
        available: np.ndarray,
        lengths: np.ndarray,
        sentiment: np.ndarray | None = None,
    ) -> np.ndarray:
        """log p(available features) in nats, (B,): what is unavailable is integrated out."""
        clips = exact.check_clips(self.law, features, available, lengths, sentiment=sentiment)
        return exact.log_density(self.law, clips)
