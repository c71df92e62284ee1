"""Data that is hard on the numbers: training stays finite, or stops with a sentence that names what went bad."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from dicmor_lib.data.dataset import MultimodalData, Split
from dicmor_lib.errors import DicmorError
from dicmor_lib.modalities import MODALITIES

AUDIO = 1


def map_features(split: Split, function) -> Split:
    """Apply function(modality, x) to the valid steps of each modality; padding stays 0."""
    features = []
    for m, x in enumerate(split.features):
        inside = np.arange(x.shape[1]) < split.lengths[:, m, None]
        features.append((np.asarray(function(m, x)) * inside[..., None]).astype(np.float32))
    return dataclasses.replace(split, features=tuple(features))


def scaled(factor: float, only: int | None = None):
    return lambda s: map_features(s, lambda m, x: x * np.float32(factor) if only in (None, m) else x)


def constant(split: Split) -> Split:
    return map_features(split, lambda m, x: np.full_like(x, 7))


def one_hot(split: Split) -> Split:
    rng = np.random.default_rng(0)
    return map_features(split, lambda m, x: np.eye(x.shape[2])[rng.integers(x.shape[2], size=x.shape[:2])])


def nothing_but_padding(split: Split) -> Split:
    """Every fifth sample has no valid step in any modality, every third none of audio."""
    number = np.arange(len(split))
    gone = np.stack([number % 5 == 0, (number % 5 == 0) | (number % 3 == 0), number % 5 == 0], axis=1)
    features = tuple(np.where(gone[:, m, None, None], 0, x) for m, x in enumerate(split.features))
    lengths, observed = np.where(gone, 0, split.lengths), split.observed & ~gone
    return dataclasses.replace(split, features=features, lengths=lengths, observed=observed)


def outlier(split: Split) -> Split:
    """One value of one sample is beyond everything."""
    features = [x.copy() for x in split.features]
    features[AUDIO][3, 0, 0] = 1e30
    return dataclasses.replace(split, features=tuple(features))


def labels(function):
    return lambda s: dataclasses.replace(s, labels=function(s.labels).astype(np.float32))


HARD = {
    "constant": constant,
    "one-hot": one_hot,
    "times 1e30": scaled(1e30),
    "audio times 1e30": scaled(1e30, AUDIO),
    "times 1e6": scaled(1e6),
    "times 1e-30": scaled(1e-30),
    "times 1e-40": scaled(1e-40),  # subnormal
    "nothing but padding": nothing_but_padding,
    "an outlier": outlier,
    "classes absent": labels(lambda y: np.where(np.abs(y) < 1.5, 3.0, y)),
    "one label": labels(lambda y: np.full_like(y, -3.0)),
}
STOPS = {
    ("times 1e30", False): "'task' stopped being finite in stage 1, .* the largest feature .*e.30",
    ("audio times 1e30", False): "'task' stopped being finite in stage 1, .* the largest .*e.30, audio of",
    (
        "an outlier",
        False,
    ): "'task' stopped being finite in stage 1, .* 1.0e.30, audio of 'synthetic-train-00003'",
}
"""Where training stops: raw features that float32 cannot square."""


def made(data: MultimodalData, case: str) -> MultimodalData:
    return data.replace_splits({name: HARD[case](split) for name, split in data.splits.items()})


def assert_finite_or_named(kit, data: MultimodalData, case: str, config, **model) -> None:
    stops = STOPS.get((case, config.standardise))
    if stops is not None:
        with pytest.raises(DicmorError, match=stops) as error:
            kit.train(made(data, case), config)
        assert "\n" not in str(error.value)
        return
    model, history = kit.train(made(data, case), config)
    for row in history.rows:
        assert all(np.isfinite(value) for name, value in row.items() if "pearson" not in name)
    worst = max(max(history.column(f"inverse_error_{name}")) for name in MODALITIES)
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
    assert worst < 1e-3 and not any("inverse" in notice for notice in history.notices)
    print(f"{case}, standardise={config.standardise}: inverse error at most {worst:.1e}")


STANDARDISED = (
    "constant",
    "times 1e30",
    "an outlier",
    "nothing but padding",
)  # the long version has them all


@pytest.mark.parametrize(
    ("case", "standardise"), [*((case, False) for case in HARD), *((case, True) for case in STANDARDISED)]
)
def test_hard_data(kit, data, case, standardise):
    config = kit.settings(stage1_epochs=1, stage2_epochs=1, standardise=standardise)
    assert_finite_or_named(kit, data, case, config)


@pytest.mark.slow
@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("case", HARD)
def test_long_training_on_hard_data(kit, data, case, standardise):
    """150 steps, at a high learning rate."""
    config = kit.settings(
        stage1_epochs=20, stage2_epochs=30, patience=0, learning_rate=0.03, standardise=standardise
    )
    assert_finite_or_named(kit, data, case, config)


@pytest.mark.parametrize("case", ["constant", "audio times 1e30", "one label"])
def test_batches_of_one(kit, data, case):
    few = data.replace_splits({name: split.select(np.arange(9)) for name, split in data.splits.items()})
    assert_finite_or_named(kit, few, case, kit.settings(batch_size=1, stage1_epochs=1, stage2_epochs=1))


def test_an_overflow_of_the_gradient_names_the_largest_term(kit, data):
    """Squares of 1e15 are finite, the gradient's norm is not."""
    hard = data.replace_splits({name: scaled(1e15)(split) for name, split in data.splits.items()})
    with pytest.raises(
        DicmorError, match=r"'gradient_norm' .* largest term is 'recovery_\w+', .*stage 2, epoch 1"
    ):
        kit.train(hard, kit.settings(standardise=False))


def test_a_sample_of_padding_that_claims_to_be_observed_is_refused(kit, data):
    lengths = data.train.lengths.copy()
    lengths[4, AUDIO] = 0
    wrong = dataclasses.replace(data, train=dataclasses.replace(data.train, lengths=lengths))
    with pytest.raises(DicmorError, match="the audio of sample .* is available, yet its length is 0"):
        kit.train(wrong, kit.settings())
