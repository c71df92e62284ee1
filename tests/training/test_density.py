"""Maximum likelihood alone: it learns the oracle's conditional law, uses incomplete clips, and leaves the rest as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dicmor_lib import DiCMoR, DiCMoRConfig
from dicmor_lib.data import Oracle, Standardiser
from dicmor_lib.errors import ConfigError, TrainingError
from dicmor_lib.evaluation.conditional import run_conditional
from dicmor_lib.modalities import pattern_mask
from dicmor_lib.training.density import fit_density, mean_negative_log_density, negative_log_density


def joint_model(**changes) -> DiCMoR:
    torch.manual_seed(0)
    sizes = dict(hidden=4, heads=2, flow_layers=4, flow_width=24, fusion_layers=1, mixing="conv1x1")
    switches = dict(prior="joint", shallow="identity")
    return DiCMoR(DiCMoRConfig.tiny((4, 4, 4), **{**sizes, **switches, **changes}))


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    """Gaussian features per class, so that a few hundred steps are enough to come close to the true law."""
    return Oracle(dims=(4, 4, 4), time=8, mean_length=5.0, sizes=(3000, 10, 400), nonlinearity=0.0)


def test_the_conditional_density_comes_close_to_the_true_one(oracle):
    data = oracle.dataset()
    standardiser = Standardiser.fit(data, limit=None)
    standard, model = standardiser.apply(data), joint_model()
    points = fit_density(model, standard.train, steps=300, batch_size=64, learning_rate=0.01)
    assert points[-1].loss < points[0].loss - 0.1
    available = np.tile(pattern_mask("l"), (400, 1))
    found = run_conditional(model, standard.test, available, draws=1)
    log_sd = np.array([np.log(sd).sum() for sd in standardiser.sd])  # densities in the units of the features
    mine = found.log_density - data.test.lengths[:, 1:] @ log_sd[1:]
    true = oracle.log_conditional(data.test.features, data.test.features, available, data.test.lengths)
    untied = oracle.log_density(data.test.features, np.tile(pattern_mask("av"), (400, 1)), data.test.lengths)
    gap, worth = (true - mine).sum() / found.values.sum(), (true - untied).sum() / found.values.sum()
    assert -0.02 < gap < 0.12  # nats per value
    assert gap < 0.5 * worth  # far closer than a law that does not know what is available


def test_a_clip_that_lacks_a_modality_counts_with_the_rest(oracle):
    data = oracle.dataset(sizes=(40, 5, 5), unobserved_share=0.5)
    model, index = joint_model(), np.arange(40)
    value = negative_log_density(model, data.train, index)
    for m in range(3):
        lacking = ~data.train.observed[:, m]
        assert lacking.any()
        data.train.features[m][lacking] = 1e6
    assert torch.equal(value, negative_log_density(model, data.train, index))
    data.train.features[0][data.train.observed[:, 0]] += 1.0
    assert not torch.equal(value, negative_log_density(model, data.train, index))


def test_only_flows_and_prior_move_and_the_seed_decides(oracle):
    data = oracle.dataset(sizes=(60, 5, 5))
    runs = []
    for seed in (1, 1, 2):
        model = joint_model()
        before = {name: p.clone() for name, p in model.state_dict().items()}
        fit_density(model, data.train, steps=5, batch_size=16, seed=seed)
        runs.append(model.state_dict())
        moved = {name for name, p in model.state_dict().items() if not torch.equal(p, before[name])}
        assert moved and all(name.startswith("flow.") for name in moved)
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])
    assert any(not torch.equal(runs[0][name], runs[2][name]) for name in runs[0])


def test_what_cannot_be_trained_is_refused(oracle):
    data = oracle.dataset(sizes=(20, 5, 5))
    with pytest.raises(ConfigError, match="make the model with prior='joint'"):
        fit_density(joint_model(prior="class"), data.train)
    with pytest.raises(ConfigError, match=r"steps \(0\)"):
        fit_density(joint_model(), data.train, steps=0)
    model = joint_model()
    with torch.no_grad():
        model.flow.prior.mean.fill_(torch.nan)
    with pytest.raises(TrainingError, match="by step 3: lower the learning rate"):
        fit_density(model, data.train, steps=3, batch_size=8)


def test_few_clips_overfit_and_the_weights_of_the_best_look_are_kept(oracle):
    data = oracle.dataset(sizes=(24, 60, 5))
    standard = Standardiser.fit(data).apply(data)
    kept, last = joint_model(), joint_model()
    settings = dict(steps=300, batch_size=24, learning_rate=0.02)
    points = fit_density(kept, standard.train, valid=standard.valid, **settings)
    fit_density(last, standard.train, **settings)
    least = min(point.valid for point in points)
    assert least < points[-1].valid - 0.05  # it went too far, or this test says nothing
    assert mean_negative_log_density(kept, standard.valid) == pytest.approx(least, abs=1e-5)
    assert mean_negative_log_density(last, standard.valid) == pytest.approx(points[-1].valid, abs=1e-5)
    whole = float(negative_log_density(kept, standard.valid, np.arange(60)).detach())
    assert mean_negative_log_density(kept, standard.valid, batch_size=7) == pytest.approx(whole, abs=1e-5)
