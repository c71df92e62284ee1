"""The terms of the objective against numbers worked out by hand, and sums over shards of a batch."""

from __future__ import annotations

import math

import pytest
import torch

from dicmor_lib import MODALITIES, DiCMoRConfig, Term
from dicmor_lib.objective import nll_term, objective, recovery_loss, recovery_term, task_term


def term(value: float, count: float = 1.0, floor: float | None = None) -> Term:
    return Term(torch.tensor(value * count), torch.tensor(count), floor)


def all_terms(
    task=1.0, nll=(0.0, 0.0, 0.0), recovery=((0.0, 0), (0.0, 0), (0.0, 0)), floor=None
) -> dict[str, Term]:
    terms = {"task": term(task)}
    for name, bits, (error, count) in zip(MODALITIES, nll, recovery):
        terms[f"nll_{name}"] = term(bits, floor=floor)
        terms[f"recovery_{name}"] = term(error, float(count))
    return terms


def test_task_is_the_mean_absolute_error():
    loss = task_term(torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.0, -3.0, 0.0]))
    assert (loss.total.item(), loss.count.item(), loss.value.item()) == (2.5, 3.0, pytest.approx(2.5 / 3))


def test_nll_is_in_bits_per_dimension():
    """A standard normal value at 0 costs log2 sqrt(2 pi) = 1.3257 bits, whatever the numbers of steps."""
    steps = torch.tensor([3.0, 1.0])
    log_prob = -steps * 4 * 0.5 * math.log(2 * math.pi)  # 4 channels
    assert nll_term(log_prob, steps, channels=4).value.item() == pytest.approx(
        math.log2(math.sqrt(2 * math.pi))
    )


def test_nll_of_nothing_is_zero():
    assert nll_term(torch.zeros(2), torch.zeros(2), channels=4).value.item() == 0


def test_the_clamp_bounds_the_mean_not_the_samples():
    """One sample above 0 bits and one below: the published code averages first."""
    log_prob, steps = torch.tensor([-4.0, 1.0]) * math.log(2), torch.ones(2)
    assert nll_term(log_prob, steps, 1, floor=0.0).value.item() == pytest.approx(1.5)
    log_prob = -log_prob
    assert nll_term(log_prob, steps, 1).value.item() == pytest.approx(-1.5)
    assert nll_term(log_prob, steps, 1, floor=0.0).value.item() == 0


def test_a_clamped_nll_has_exactly_no_gradient():
    """SCIENCE.md, item 3: why ours is not clamped."""
    for floor, slope in ((0.0, 0.0), (None, -1 / math.log(2) / 6)):
        log_prob = torch.tensor([2.0, 1.0], requires_grad=True)
        nll_term(log_prob, torch.tensor([1.0, 2.0]), 2, floor).value.backward()
        assert log_prob.grad.tolist() == pytest.approx([slope, slope])


def test_recovery_is_the_mean_squared_error_over_the_recovered_steps():
    recovered = torch.tensor([[[1.0, 2.0], [5.0, 5.0]], [[0.0, 0.0], [7.0, 7.0]]])  # (2, 2, 2)
    steps = torch.tensor([[1.0, 1.0], [1.0, 0.0]])  # the second sample has one step to compare
    loss = recovery_term(recovered, torch.ones(2, 2, 2), steps)
    # (0 + 1) / 2, (16 + 16) / 2, (1 + 1) / 2
    assert (loss.total.item(), loss.count.item()) == (0.5 + 16 + 1, 3)
    assert loss.value.item() == pytest.approx(17.5 / 3)


def test_recovery_loss_averages_over_the_modalities_that_were_recovered():
    assert recovery_loss(all_terms()).item() == 0
    assert recovery_loss(all_terms(recovery=((0, 0), (3.0, 10), (0, 0)))).item() == pytest.approx(3)
    assert recovery_loss(all_terms(recovery=((1.0, 2), (3.0, 10), (0, 0)))).item() == pytest.approx(2)
    assert recovery_loss(all_terms(recovery=((1.0, 2), (3.0, 1), (5.0, 7)))).item() == pytest.approx(3)


def test_objective_by_hand():
    published = DiCMoRConfig.mosi(published=True)
    losses = all_terms(task=2.0, nll=(1.0, -3.0, 0.5), recovery=((4.0, 5), (0, 0), (2.0, 3)))
    assert objective(losses, published).item() == pytest.approx(2 + 0.1 * (1 - 3 + 0.5 + 3))
    clamped = all_terms(task=2.0, nll=(1.0, -3.0, 0.5), recovery=((4.0, 5), (0, 0), (2.0, 3)), floor=0.0)
    assert objective(clamped, published).item() == pytest.approx(2 + 0.1 * (1 + 0 + 0.5 + 3))
    weighted = DiCMoRConfig.tiny(nll_weight=0.25, recovery_weight=7.0)
    assert objective(losses, weighted).item() == pytest.approx(2 + 0.25 * -1.5 + 7 * 3)
    assert objective(losses, DiCMoRConfig.tiny(nll_weight=0, recovery_weight=0)).item() == 2


@pytest.mark.parametrize("floor", (None, 0.0))
def test_sums_and_counts_over_shards_are_those_of_the_whole(floor):
    """What several processes do: add totals and counts, divide once; a mean of means would differ here."""
    log_prob, steps = torch.tensor([-9.0, 2, -3, 0, -20, 4]), torch.tensor([1.0, 5, 2, 0, 7, 3])
    whole = nll_term(log_prob, steps, 4, floor)
    shards = [nll_term(log_prob[s], steps[s], 4, floor) for s in (slice(0, 1), slice(1, 4), slice(4, 6))]
    added = Term(sum(s.total for s in shards), sum(s.count for s in shards), floor)
    torch.testing.assert_close(added.value, whole.value)
    torch.testing.assert_close(added.count, whole.count)
    assert (torch.stack([s.value for s in shards]).mean() - whole.value).abs() > 0.01
