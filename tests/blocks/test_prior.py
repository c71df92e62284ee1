"""Class-conditional priors and the classes of sentiment."""

from __future__ import annotations

import pytest
import torch

from dicmor_lib.blocks import ClassPrior, sentiment_class
from tests.random_models import perturb


def test_classes_are_rounded_half_to_even():
    labels = [-3, -2.5, -1.5, -0.5, -0.4, 0, 0.5, 1.49, 1.5, 2.5, 2.51, 3]
    expected = [0, 1, 1, 3, 3, 3, 3, 4, 5, 5, 6, 6]
    assert sentiment_class(torch.tensor(labels)).tolist() == expected == [round(y) + 3 for y in labels]


def test_one_class_takes_every_label():
    assert sentiment_class(torch.tensor([-3.0, 0.2, 3.0]), classes=1).tolist() == [0, 0, 0]


@pytest.mark.parametrize("floor", (-4.0, None))
@pytest.mark.parametrize("classes", (7, 1))
@torch.no_grad()
def test_log_prob_is_a_diagonal_gaussians(classes, floor):
    prior = perturb(ClassPrior(5, classes, floor).double(), 0.5)
    label = torch.tensor([-3.0, -1.2, 0.4, 3.0])
    z = torch.randn(3, 4, 6, 5, dtype=torch.float64)  # three modalities share the prior
    log_prob = prior.log_prob(z, label)
    assert log_prob.shape == (3, 4, 6)
    for b, c in enumerate(sentiment_class(label, classes)):
        normal = torch.distributions.MultivariateNormal(prior.mean[c], torch.diag(prior.log_sd[c].exp() ** 2))
        torch.testing.assert_close(log_prob[:, b], normal.log_prob(z[:, b]))


def test_classes_do_not_share_their_parameters():
    prior = ClassPrior(5)
    prior.log_prob(torch.randn(2, 3, 5), torch.tensor([-2.0, 1.0])).sum().backward()
    for gradient in (prior.mean.grad, prior.raw_log_sd.grad):
        assert gradient.abs().sum(1).nonzero().flatten().tolist() == [1, 4]


def test_the_floor_bounds_the_deviation_and_keeps_its_gradient():
    prior = ClassPrior(1, log_sd_floor=-4.0)
    with torch.no_grad():
        prior.raw_log_sd[:, 0] = torch.tensor([-1000.0, -20.0, -8.0, -4.0, -1.0, 0.0, 5.0])
    prior.log_sd[1:].sum().backward()
    assert prior.log_sd.min() >= -4 and prior.log_sd[0, 0] == -4
    assert (prior.raw_log_sd.grad[1:] > 0).all()
    assert prior.log_sd[5, 0].item() == pytest.approx(0, abs=0.02)  # where it is not needed it hardly matters
    torch.testing.assert_close(ClassPrior(2, log_sd_floor=None).log_sd, torch.zeros(7, 2))


@torch.no_grad()
def test_samples_have_the_class_mean_and_deviation():
    prior = perturb(ClassPrior(4).double(), 0.7)
    label = torch.full((3000,), -1.0)
    z = prior.sample(label, 5, torch.Generator().manual_seed(1))
    assert z.shape == (3000, 5, 4)
    torch.testing.assert_close(z.mean((0, 1)), prior.mean[2], atol=0.05, rtol=0)
    torch.testing.assert_close(z.std((0, 1)).log(), prior.log_sd[2], atol=0.03, rtol=0)
    again = prior.sample(label, 5, torch.Generator().manual_seed(1))
    assert torch.equal(z, again)
