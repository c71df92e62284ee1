"""The state of a run: counting epochs, and the optimiser and schedule put back exactly."""

from __future__ import annotations

import json

import pytest
import torch

from dicmor_lib.training.state import (
    RunState,
    make_optimiser,
    make_scheduler,
    optimiser_tensors,
    restore_optimiser,
)


def test_record_and_is_over(kit):
    state, config = RunState(), kit.settings(stage1_epochs=5, patience=2)
    assert [state.record(error) for error in (2.0, 1.0, 1.0, 1.5)] == [True, True, False, False]
    assert (state.best, state.best_epoch, state.stale, state.epoch) == (1.0, 2, 2, 4)
    assert state.is_over(config) and not state.is_over(config.replace(patience=3))
    assert not state.is_over(config.replace(patience=0))
    assert state.is_over(config.replace(stage1_epochs=4, patience=0))


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_an_optimiser_and_its_schedule_go_on_exactly(kit, kind):
    config = kit.settings(optimiser=kind, plateau_patience=1, learning_rate=0.1, weight_decay=0.1)
    target = torch.tensor([1.0, -2.0, 3.0])

    def go_on(weights, optimiser, scheduler, epochs):
        for _ in range(epochs):
            optimiser.zero_grad()
            (weights - target).square().sum().backward()
            optimiser.step()
            scheduler.step(1.0)  # no progress: the rate falls every second epoch

    def begin(start):
        weights = torch.nn.Parameter(start.clone())
        optimiser = make_optimiser([weights], config)
        return weights, optimiser, make_scheduler(optimiser, config)

    whole = begin(torch.zeros(3))
    go_on(*whole, 9)
    first = begin(torch.zeros(3))
    go_on(*first, 4)
    state = RunState(epoch=4)
    state.keep_schedule(first[2])
    stored = json.loads(json.dumps(state.to_dict()))
    moments = {name: value.clone() for name, value in optimiser_tensors(first[1]).items()}

    second = begin(first[0].detach())
    restore_optimiser(second[1], moments)
    restored = RunState.from_dict(stored)
    restored.restore_schedule(second[2])
    assert restored == state and second[1].param_groups[0]["lr"] < 0.1
    go_on(*second, 5)
    assert torch.equal(second[0], whole[0])
    assert second[1].param_groups[0]["lr"] == whole[1].param_groups[0]["lr"]
