"""The joint prior against the dense Gaussian it stands for, all modalities and steps in one covariance matrix."""

from __future__ import annotations

import pytest
import torch

from dicmor_lib.blocks import JointPrior, sentiment_class
from dicmor_lib.modalities import PATTERNS, pattern_mask
from tests.random_models import perturb

BATCH, TIME, CHANNELS = 5, 6, 4
LABELS = torch.tensor([-3.0, -1.2, 0.4, 1.6, 3.0], dtype=torch.float64)


@pytest.fixture
def prior() -> JointPrior:
    """Perturbed, so that no part is zero; in float64."""
    found = perturb(JointPrior(CHANNELS).double(), 0.6)
    assert abs(found.correlation) > 0.01
    return found


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn(3, BATCH, TIME, CHANNELS, dtype=torch.float64)


def ragged_mask(pattern: str = "lav") -> torch.Tensor:
    """Steps of sequences whose lengths differ between clips and modalities, (3, batch, time)."""
    lengths = torch.tensor([[6, 6, 6], [1, 4, 2], [5, 2, 6], [3, 3, 1], [2, 6, 4]])
    lengths = lengths * torch.tensor(pattern_mask(pattern))
    return (torch.arange(TIME) < lengths.T[..., None]).double()


def dense(prior: JointPrior, clip: int, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of one clip: z as one vector (time, modality, channel), and the covariance K x Sigma of all of it."""
    step = torch.arange(TIME)
    kernel = prior.correlation ** (step[:, None] - step).abs()  # rho^|t - s|
    return z[:, clip].transpose(0, 1).reshape(-1), torch.kron(kernel, prior.covariance)


def as_vector(mask: torch.Tensor, clip: int) -> torch.Tensor:
    return mask[:, clip].T.repeat_interleave(CHANNELS, 1).flatten().bool()


@torch.no_grad()
def test_log_prob_is_the_dense_marginal_whatever_the_lengths(prior, latents):
    mask = ragged_mask()
    rows = prior.log_prob(latents, LABELS, mask)
    assert rows.shape == (3, BATCH)
    centres = prior.mean_path(TIME)[sentiment_class(LABELS)]
    for clip in range(BATCH):
        z, covariance = dense(prior, clip, latents)
        keep = as_vector(mask, clip)
        law = torch.distributions.MultivariateNormal(centres[clip].flatten()[keep], covariance[keep][:, keep])
        torch.testing.assert_close(rows[:, clip].sum(), law.log_prob(z[keep]))


@torch.no_grad()
def test_the_rows_are_those_of_the_chain_rule(prior, latents):
    """log p(z_l) stands in the first row alone, log p(z_l, z_a) in the first two."""
    rows = prior.log_prob(latents, LABELS, ragged_mask())
    for pattern, count in (("l", 1), ("la", 2)):
        marginal = prior.log_prob(latents, LABELS, ragged_mask(pattern))
        torch.testing.assert_close(rows[:count], marginal[:count])
        assert (marginal[count:] == 0).all()


@torch.no_grad()
def test_log_joint_adds_the_class_and_log_class_counts_it_once(prior, latents):
    for pattern in PATTERNS:
        mask = ragged_mask(pattern)
        joint = prior.log_joint(latents, mask)
        assert joint.shape == (BATCH, 7)
        for c in range(7):
            label = torch.full((BATCH,), float(c - 3), dtype=torch.float64)
            rows = prior.log_prob(latents, label, mask) + prior.log_class(label, mask)
            torch.testing.assert_close(joint[:, c], rows.sum(0))
        torch.testing.assert_close(prior.posterior(latents, mask), joint.softmax(1))


@torch.no_grad()
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_conditional_mean_is_the_dense_one(prior, latents, pattern):
    mask = ragged_mask(pattern)
    path = prior.mean_path(TIME)[sentiment_class(LABELS)]
    found = prior.conditional(latents, mask, path)
    for clip in range(BATCH):
        z, covariance = dense(prior, clip, latents)
        seen = as_vector(mask, clip)
        centre = path[clip].flatten()
        gain = torch.linalg.solve(covariance[seen][:, seen], (z - centre)[seen])
        expected = centre + covariance[:, seen] @ gain
        torch.testing.assert_close(found[:, clip].transpose(0, 1).reshape(-1), expected)


@torch.no_grad()
def test_draws_have_the_dense_conditional_covariance(prior, latents):
    """The map from noise to draw is linear, so its matrix gives the covariance without a single random number."""
    mask = ragged_mask("lv")
    path = prior.mean_path(TIME)[sentiment_class(LABELS)]
    size, clip = 3 * CHANNELS * TIME, 2
    unit = torch.eye(size, dtype=torch.float64).view(size, TIME, 3 * CHANNELS)
    centre = prior.conditional(latents, mask, path)[:, clip]
    one = [latents[:, clip : clip + 1], mask[:, clip : clip + 1], path[clip : clip + 1]]
    root = torch.stack(
        [(prior.conditional(*one, e[None])[:, 0] - centre).transpose(0, 1).flatten() for e in unit], 1
    )
    _, covariance = dense(prior, clip, latents)
    seen = as_vector(mask, clip)
    assert 0 < seen.sum() < size
    gain = covariance[:, seen] @ torch.linalg.inv(covariance[seen][:, seen])
    torch.testing.assert_close(root @ root.T, covariance - gain @ covariance[seen])


@torch.no_grad()
def test_what_is_not_seen_is_never_read(prior, latents):
    mask = ragged_mask("av")
    poisoned = torch.where(mask[..., None] > 0, latents, torch.full_like(latents, 1e30))
    path = prior.mean_path(TIME)[sentiment_class(LABELS)]
    assert torch.equal(prior.log_joint(latents, mask), prior.log_joint(poisoned, mask))
    assert torch.equal(prior.conditional(latents, mask, path), prior.conditional(poisoned, mask, path))


@torch.no_grad()
def test_expected_is_the_mixture_of_the_classes_means(prior, latents):
    mask = ragged_mask("a")
    posterior = prior.posterior(latents, mask)
    paths = prior.mean_path(TIME)
    each = torch.stack([prior.conditional(latents, mask, paths[c].expand(BATCH, -1, -1)) for c in range(7)])
    mixed = (posterior.T[:, None, :, None, None] * each).sum(0)
    torch.testing.assert_close(prior.expected(latents, mask, posterior), mixed)


@torch.no_grad()
def test_steps_become_independent_and_correlated_again(prior):
    e = torch.randn(2, TIME, 3, dtype=torch.float64)
    torch.testing.assert_close(prior.correlated_steps(prior.independent_steps(e)), e)
    root = prior.correlated_steps(torch.eye(TIME, dtype=torch.float64))
    step = torch.arange(TIME)
    torch.testing.assert_close(root @ root.T, prior.correlation ** (step[:, None] - step).abs())


def test_every_parameter_gets_a_gradient(prior, latents):
    mask = ragged_mask()
    (prior.log_prob(latents, LABELS, mask) + prior.log_class(LABELS, mask)).sum().backward()
    for name, parameter in prior.named_parameters():
        if name == "below":  # the strictly lower triangle
            assert (parameter.grad.tril(-1) != 0).sum() == parameter.shape[0] * (parameter.shape[0] - 1) / 2
        else:
            assert (parameter.grad != 0).any(), name
    assert torch.linalg.eigvalsh(prior.covariance).min() > 0


def test_maximum_likelihood_finds_the_law_that_data_was_drawn_from():
    """A prior fitted to draws of another one comes to its correlations between modalities and between steps."""
    with torch.no_grad():
        true = perturb(JointPrior(1, classes=1).double(), 0.8, seed=3)
        u = torch.randn(4000, TIME, 3, dtype=torch.float64) @ torch.linalg.cholesky(true.covariance).T
        z = (true.correlated_steps(u) + true.mean_path(TIME)[0]).movedim(2, 0)[..., None]
    found, label = JointPrior(1, classes=1).double(), torch.zeros(4000, dtype=torch.float64)
    optimiser = torch.optim.LBFGS(found.parameters(), max_iter=100, line_search_fn="strong_wolfe")
    mask = torch.ones(3, 4000, TIME, dtype=torch.float64)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = -found.log_prob(z, label, mask).mean()
        value.backward()
        return value

    optimiser.step(loss)
    with torch.no_grad():
        torch.testing.assert_close(found.covariance, true.covariance, atol=0.05, rtol=0.05)
        torch.testing.assert_close(found.correlation, true.correlation, atol=0.02, rtol=0)
        torch.testing.assert_close(found.mean_path(TIME), true.mean_path(TIME), atol=0.08, rtol=0)
