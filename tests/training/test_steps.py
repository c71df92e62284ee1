"""Micro-batches, accumulated gradients and clipping."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dicmor_lib import available_mask
from dicmor_lib.data.dataset import collate
from dicmor_lib.errors import TrainingError
from dicmor_lib.objective import objective
from dicmor_lib.training.engine import launch
from dicmor_lib.training.steps import Stepper, micro_batches


def test_micro_batches_cover_an_epoch_once(kit):
    order = np.random.default_rng(0).permutation(50)
    steps = micro_batches(order, kit.settings(batch_size=8, accumulate=2))
    assert [[len(part) for part in step] for step in steps] == [[8, 8], [8, 8], [8, 8], [2]]
    assert np.array_equal(np.concatenate([part for step in steps for part in step]), order)
    dropped = micro_batches(order, kit.settings(batch_size=8, accumulate=2, drop_remainder=True))
    assert sum(len(part) for step in dropped for part in step) == 48


def gradients(kit, data, config, stage=1, index=range(24)):
    """The model, the gradient that the optimiser sees for one step over `index`, and the log."""
    model = kit.make_model(output_dropout=0.0)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.0)
    stepper = Stepper(model, optimiser, launch(config), config, stage, data.train, data.train.observed)
    steps = micro_batches(np.array(index), config)
    assert len(steps) == 1
    list(stepper.run(steps))
    return model, torch.cat([p.grad.flatten() for p in model.parameters()]), stepper.log


def reference(kit, data, index):
    model = kit.make_model(output_dropout=0.0)
    batch = collate(data.train, np.array(index))
    out = model.train()(batch.features, available_mask("lav", len(batch)), batch.lengths, batch.label)
    return model, out.losses


def flat(model):
    return torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in model.parameters()]
    )


@pytest.mark.parametrize("batch_size", [24, 8, 10])
def test_mean_accumulation_equals_one_large_batch(kit, data, batch_size):
    """Also where the last micro-batch is smaller: samples count equally."""
    config = kit.settings(batch_size=batch_size, accumulate=-(-24 // batch_size), clip="none")
    _, found, log = gradients(kit, data, config)
    model, losses = reference(kit, data, range(24))
    losses["task"].value.backward()
    torch.testing.assert_close(found, flat(model), rtol=1e-4, atol=1e-6)
    assert log.means()["task"] == pytest.approx(losses["task"].value.item(), rel=1e-5)
    assert log.means()["gradient_norm"] == pytest.approx(float(found.norm()), rel=1e-5)


def test_sum_accumulation_adds(kit, data):
    config = kit.settings(batch_size=8, accumulate=3, accumulate_reduction="sum", clip="none")
    _, found, _ = gradients(kit, data, config)
    model, losses = reference(kit, data, range(24))
    (3 * losses["task"].value).backward()
    torch.testing.assert_close(found, flat(model), rtol=1e-4, atol=1e-6)


def test_stage_2_follows_the_full_objective(kit, data):
    config = kit.settings(batch_size=24, clip="none")
    _, found, log = gradients(kit, data, config, stage=2)
    model, losses = reference(kit, data, range(24))
    loss = objective(losses, model.config)
    loss.backward()
    torch.testing.assert_close(found, flat(model), rtol=1e-4, atol=1e-6)
    assert log.means()["loss"] == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("clip_each", ["step", "micro-batch"])
def test_clipping(kit, data, clip_each):
    base = dict(batch_size=8, accumulate=3, accumulate_reduction="sum", clip_each=clip_each)
    _, plain, _ = gradients(kit, data, kit.settings(**base, clip="none"))
    _, norm, log = gradients(kit, data, kit.settings(**base, clip="norm", clip_amount=0.01))
    _, value, _ = gradients(kit, data, kit.settings(**base, clip="value", clip_amount=1e-3))
    assert plain.norm() > 0.1 and norm.norm() <= 0.0101 and value.abs().max() <= 1.0001e-3
    assert log.means()["gradient_norm"] > 0.0101  # reported from before clipping


@pytest.mark.parametrize("clip", ["norm", "value", "none"])
@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_no_clipping_hides_a_gradient_that_is_not_finite(kit, data, monkeypatch, clip, bad):
    """Also in the first of several micro-batches, where clipping by value would make a harmless 0.6 of infinity."""
    config = kit.settings(batch_size=8, accumulate=3, clip=clip, clip_amount=0.6, clip_each="micro-batch")
    backward = Stepper._backward

    def once(self, index, share):
        seen = backward(self, index, share)
        if index[0] == 0:
            self.parameters[0].grad[0] = bad
        return seen

    monkeypatch.setattr(Stepper, "_backward", once)
    model, _, log = gradients(kit, data, config)
    with pytest.raises(TrainingError, match="'gradient_norm' stopped being finite .*largest term is 'task'"):
        log.check_finite(1, 1)
    if clip == "value" and bad == float("inf"):  # nothing else would have shown it
        assert torch.isfinite(log.values[0][:-1]).all()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
