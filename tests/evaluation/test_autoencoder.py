"""The conditional auto-encoder learns, from context in time too, and draws nothing from outside."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dicmor_lib.errors import ConfigError
from dicmor_lib.evaluation.autoencoder import AutoEncoder
from dicmor_lib.evaluation.baselines import MeanFill
from dicmor_lib.evaluation.frame import valid_steps
from dicmor_lib.evaluation.ridge import RidgeImpute
from dicmor_lib.modalities import PATTERNS, pattern_mask

T, D = 8, 4


def clips(seed: int, n: int, delay: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Audio and vision are linear in language, `delay` steps earlier, with a little noise."""
    law, rng = np.random.default_rng(99), np.random.default_rng(seed)
    maps = law.normal(size=(3, D, D)) / 2
    language = rng.normal(size=(n, T, D))
    late = np.roll(language, delay, axis=1)
    shallow = np.stack([language, late @ maps[1], 5 + 3 * late @ maps[2]])
    shallow += 0.1 * rng.normal(size=shallow.shape)
    lengths = np.repeat(rng.integers(4, T + 1, n)[:, None], 3, axis=1)
    shallow *= valid_steps(lengths, T).transpose(1, 0, 2)[..., None]
    return shallow.astype(np.float32), lengths, np.ones((n, 3), dtype=bool)


def error(imputer, pattern: str, target: int, unseen) -> float:
    """Mean squared error in training standard deviations."""
    shallow, lengths, _ = unseen
    filled = imputer.fill(shallow, lengths, np.tile(pattern_mask(pattern), (len(lengths), 1)))
    valid = valid_steps(lengths[:, target], T)
    return float((((filled[target] - shallow[target])[valid] / imputer.frame.sd[target]) ** 2).mean())


@pytest.fixture(scope="module")
def trained() -> AutoEncoder:
    return AutoEncoder(width=32, epochs=25).fit(*clips(0, 400))


def test_it_beats_the_mean_clearly_in_all_nine_cases(trained):
    mean, unseen = MeanFill().fit(*clips(0, 400)), clips(1, 100)
    for pattern in PATTERNS[:-1]:
        for target in np.flatnonzero(~np.array(pattern_mask(pattern))):
            assert error(trained, pattern, target, unseen) < 0.35 * error(mean, pattern, target, unseen)


def test_it_sees_context_in_time_where_a_ridge_on_one_step_does_not():
    training, unseen = clips(2, 400, delay=1), clips(3, 100, delay=1)
    context = AutoEncoder(width=32, epochs=25).fit(*training)
    assert error(context, "l", 1, unseen) < 0.5 * error(RidgeImpute().fit(*training), "l", 1, unseen)


def test_the_same_seed_gives_the_same_bits_and_pytorchs_random_state_stays(trained):
    training, (shallow, lengths, _) = clips(4, 80), clips(5, 20)
    available = np.tile(pattern_mask("la"), (20, 1))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fills = []
    for seed, outside in ((0, 11), (0, 12), (1, 11)):
        torch.manual_seed(outside)
        with torch.no_grad():  # whoever evaluates may have switched gradients off
            fills.append(
                AutoEncoder(width=8, epochs=2, seed=seed).fit(*training).fill(shallow, lengths, available)
            )
    assert np.array_equal(fills[0], fills[1]) and not np.array_equal(fills[0], fills[2])
    torch.manual_seed(3)
    AutoEncoder(width=8, epochs=1).fit(*training)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_lies_behind_the_end_of_a_clip_changes_nothing(trained):
    shallow, lengths, _ = clips(6, 30)
    available = np.tile(pattern_mask("l"), (30, 1))
    longer = np.concatenate([shallow, np.full((3, 30, 5, D), 9.0, np.float32)], axis=2)
    filled = trained.fill(longer, lengths, available)
    np.testing.assert_allclose(filled[:, :, :T], trained.fill(shallow, lengths, available), atol=1e-5)
    assert not filled[1:, :, T:].any()


def test_the_best_epoch_on_held_out_clips_is_kept_and_training_is_bounded():
    training = clips(7, 100)
    patient = AutoEncoder(width=8, epochs=30, patience=2, updates=60).fit(*training)
    assert len(patient.held_out_errors) <= 20  # 90 clips are 3 updates an epoch
    assert min(patient.held_out_errors) < patient.held_out_errors[0]


def test_training_that_stops_helping_stops_and_goes_back_to_its_best_epoch():
    noise = np.random.default_rng(0).normal(size=(3, 60, T, D))
    training = noise, np.full((60, 3), T), np.ones((60, 3), dtype=bool)  # there is nothing to learn
    stopped = AutoEncoder(width=32, epochs=30, patience=2).fit(*training)
    best = int(np.argmin(stopped.held_out_errors))
    assert len(stopped.held_out_errors) == best + 3 < 30
    until_best = AutoEncoder(width=32, epochs=best + 1).fit(*training)
    available = np.tile(pattern_mask("v"), (60, 1))
    fills = [fitted.fill(noise, training[1], available) for fitted in (stopped, until_best)]
    assert np.array_equal(*fills)


def test_one_training_clip_and_bad_settings():
    shallow, lengths, observed = clips(8, 1)
    filled = AutoEncoder(width=8, epochs=2).fit(shallow, lengths, observed).fill(shallow, lengths, observed)
    assert np.array_equal(filled, shallow)
    with pytest.raises(ConfigError, match="each must be at least 1"):
        AutoEncoder(epochs=0)
