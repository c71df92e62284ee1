"""The terms of the objective against numbers worked out by hand, and sums over shards of a batch."""

from __future__ import annotations

import math

import pytest
import torch

from dicmor_lib import MODALITIES, DiCMoRConfig, Term
from dicmor_lib.objective import (
    Moments,
    distance_loss,
    distance_term,
    nll_term,
    objective,
    recovery_loss,
    recovery_term,
    task_term,
)


def term(value: float, count: float = 1.0, floor: float | None = None) -> Term:
    return Term(torch.tensor(value * count), torch.tensor(count), floor)


def all_terms(
    task=1.0,
    nll=(0.0, 0.0, 0.0),
    recovery=((0.0, 0), (0.0, 0), (0.0, 0)),
    floor=None,
    distance=((0.0, 0), (0.0, 0), (0.0, 0)),
) -> dict[str, Term]:
    terms = {"task": term(task)}
    for name, bits, (error, count), (far, steps) in zip(MODALITIES, nll, recovery, distance):
        terms[f"nll_{name}"] = term(bits, floor=floor)
        terms[f"recovery_{name}"] = term(error, float(count))
        terms[f"distance_{name}"] = term(far, float(steps))
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


def gaussian_batch(mean, sd, n=4000, seed=0):
    noise = torch.randn(n, 1, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    noise = (noise - noise.mean(0)) / noise.std(0, unbiased=False)  # moments exactly 0 and 1
    return torch.tensor(mean) + torch.tensor(sd) * noise


def test_distance_is_the_wasserstein_distance_of_two_gaussians():
    """Per channel (m^ - m)^2 + (s^ - s)^2: here 1 + 0 and 0 + 0.25, so 0.625 on average."""
    recovered = gaussian_batch([1.0, 2.0], [1.0, 0.5])
    real = gaussian_batch([0.0, 2.0], [1.0, 1.0], seed=1)
    loss = distance_term(recovered, real, torch.ones(4000, 1))
    assert loss.value.item() == pytest.approx(0.625, abs=1e-4)
    assert loss.count == 4000
    assert distance_term(real, real, torch.ones(4000, 1)).value.item() == 0


def test_distance_reads_only_the_steps_that_count():
    recovered, real = (
        gaussian_batch([0.3, 0.0], [1.0, 2.0], n=6),
        gaussian_batch([0.0, 0.0], [1.0, 1.0], n=6, seed=1),
    )
    steps = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])[:, None]
    alone = distance_term(recovered[:4], real[:4], steps[:4]).value
    spoilt = recovered.clone()
    spoilt[4:] = 1e6
    torch.testing.assert_close(distance_term(spoilt, real, steps).value, alone)
    assert distance_term(recovered, real, 0 * steps).value.item() == 0


def test_distance_widens_what_squared_error_narrowed():
    """Its gradient pushes features away from their mean when they vary too little, and pulls when too much."""
    for width, sign in ((0.5, -1), (2.0, 1)):
        recovered = gaussian_batch([0.0, 0.0], [width, width], n=50).requires_grad_()
        distance_term(
            recovered, gaussian_batch([0.0, 0.0], [1.0, 1.0], n=50, seed=1), torch.ones(50, 1)
        ).value.backward()
        assert (torch.sign(recovered.grad) == sign * torch.sign(recovered.detach())).double().mean() > 0.99


def test_distance_of_a_constant_has_a_finite_gradient():
    recovered = torch.zeros(5, 1, 2, requires_grad=True)
    distance_term(recovered, gaussian_batch([1.0, 0.0], [1.0, 1.0], n=5), torch.ones(5, 1)).value.backward()
    assert torch.isfinite(recovered.grad).all()


def test_moments_of_shards_add_up_to_those_of_the_batch():
    """Not so their distances: what several processes must add is the moments."""
    recovered, real = (
        gaussian_batch([1.0, 0.0], [0.5, 1.0], n=10),
        gaussian_batch([0.0, 0.0], [1.0, 1.0], n=10, seed=1),
    )
    whole = distance_term(recovered, real, torch.ones(10, 1))
    shards = [distance_term(recovered[i::3], real[i::3], torch.ones(len(real[i::3]), 1)) for i in range(3)]
    added = Moments(sum(s.total for s in shards), sum(s.count for s in shards))
    torch.testing.assert_close(added.value, whole.value)
    assert not torch.isclose(sum(s.sum for s in shards) / added.count, whole.value)
    torch.testing.assert_close(whole.sum, whole.value * 10)


def test_the_objective_weighs_the_distance_of_what_was_recovered():
    terms = all_terms(distance=((2.0, 4), (0.0, 0), (1.0, 9)))
    assert distance_loss(terms).item() == pytest.approx(1.5)
    config = DiCMoRConfig.tiny(distance_weight=0.4)
    plain = objective(all_terms(), config).item()
    assert objective(terms, config).item() == pytest.approx(plain + 0.4 * 1.5)
    assert objective(terms, config.replace(distance_weight=0.0)).item() == pytest.approx(plain)
