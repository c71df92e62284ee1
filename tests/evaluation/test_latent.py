from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dicmor_lib.errors import ConfigError
from dicmor_lib.evaluation.baselines import MeanFill
from dicmor_lib.evaluation.bench import BenchRun
from dicmor_lib.evaluation.frame import comparable_steps, inside_steps
from dicmor_lib.evaluation.latent import LatentDistances, LatentFrame
from dicmor_lib.evaluation.passes import shallow_split
from dicmor_lib.modalities import pattern_mask


@pytest.fixture(scope="module")
def model(small_model):
    """Flows start as the identity; these do something, and something else for each modality."""
    built, generator = small_model(0), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in built.flow.layers.parameters():
            weight.normal_(0, 0.3, generator=generator)
    return built


@pytest.fixture(scope="module")
def bench(model, small_model, oracle_data):
    stage1 = small_model(1)
    stage1.shallow.load_state_dict(model.shallow.state_dict())
    return SimpleNamespace(stage1=stage1, tested=oracle_data.train)


def a_run(bench, **estimates: np.ndarray) -> BenchRun:
    real = shallow_split(bench.stage1, bench.tested)
    n = len(bench.tested)
    available = np.tile(pattern_mask("la"), (n, 1))
    filled = MeanFill().fit(real.features, real.lengths, real.observed)
    estimates["mean-fill"] = filled.fill(real.features, real.lengths, available)
    steps = comparable_steps(real.lengths, real.observed, available, real.features.shape[2])
    return BenchRun({}, np.arange(n), estimates, real, available, steps)


def test_real_training_latents_are_the_units(model, oracle_data):
    known = shallow_split(model, oracle_data.train)
    frame = LatentFrame.fit(model, known.features, known.lengths, known.observed)
    inside = inside_steps(known.lengths, known.observed, known.features.shape[2])
    for m in range(3):
        standardised = frame.standardise(known.features[m][inside[m]], m)
        np.testing.assert_allclose(standardised.mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(standardised.std(0), 1, atol=1e-4)


def test_each_modality_goes_through_its_own_flow(model):
    frame = LatentFrame(model, None)
    x = torch.randn(3, 5, 7, model.config.hidden, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        z = model.flow(x)[0]
    for m in range(3):
        steps = x[m].reshape(35, -1).numpy()
        expected = z[m].reshape(35, -1).numpy()
        np.testing.assert_allclose(frame.latents(steps, m), expected, rtol=1e-4, atol=1e-4)
        assert np.abs(frame.latents(steps, (m + 1) % 3) - expected).max() > 0.1


def test_every_estimate_is_measured_beside_the_floor(model, bench):
    latent = LatentDistances(model, bench.tested, permutations=39, statistics=("mmd", "classifier"))
    run = a_run(bench)
    run.estimates["perfect"] = run.real.features
    latent("la", bench, run)
    pooled = [row for row in latent.distances if row.group == "pooled" and row.statistic == "mmd"]
    assert {(row.space, row.pattern, row.target) for row in pooled} == {("latent", "la", "vision")}
    assert [row.method for row in pooled] == ["real", "mean-fill", "perfect"]
    floor, mean, perfect = pooled
    assert (floor.value, floor.p_value) == (perfect.value, perfect.p_value) and floor.p_value > 0.05
    assert mean.value > floor.value + 0.05 and mean.p_value == 2 / 40
    assert any(row.group != "pooled" for row in latent.distances)


def test_a_reference_of_another_shallow_space_is_refused(small_model, bench):
    latent = LatentDistances(small_model(7), bench.tested, permutations=9)
    with pytest.raises(ConfigError, match="not that of stage 1"):
        latent("la", bench, a_run(bench))
