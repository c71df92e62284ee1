"""The toys of the chapters: the stated density is that of the samples, and classes lie where they are said to."""

from __future__ import annotations

import math

import numpy as np
import torch

from dicmor_lib.course.toys import TwoSpirals, waves, wheel

CLASSES = np.arange(-3, 4)


def test_the_density_of_the_spirals_integrates_to_one_and_is_that_of_the_samples():
    toy = TwoSpirals()
    axis = torch.linspace(-3, 3, 241, dtype=torch.float64)
    log_p = toy.log_density(torch.cartesian_prod(axis, axis))
    cell = float(axis[1] - axis[0]) ** 2
    assert abs(float(log_p.exp().sum()) * cell - 1) < 1e-4
    points, arm = toy.sample(20_000, np.random.default_rng(0))
    entropy = -float((log_p.exp() * log_p).sum()) * cell
    assert abs(-float(toy.log_density(points).mean()) - entropy) < 0.03  # of a wrong law it would be larger
    assert points.shape == (20_000, 2) and points.dtype == torch.float32 and 0.48 < arm.mean() < 0.52
    np.testing.assert_allclose(points[arm == 0].mean(0), -points[arm == 1].mean(0), atol=0.05)


def test_classes_have_places_of_their_own():
    label, rng = np.repeat(CLASSES, 500), np.random.default_rng(0)
    around, above = wheel(label, rng), waves(label, rng)
    turned = [np.arctan2(*around[label == c].mean(0).numpy()[::-1]) for c in CLASSES]
    steps = np.diff(np.unwrap(turned))
    np.testing.assert_allclose(steps, -0.75, atol=0.05)
    heights = [float(above[label == c, 1].mean()) for c in CLASSES]
    np.testing.assert_allclose(np.diff(heights), 0.5, atol=0.1)
    assert math.isclose(float(above[:, 0].abs().max()), 1.7, abs_tol=0.5)


def test_the_same_seed_gives_the_same_points():
    for draw in (wheel, waves):
        assert torch.equal(*[draw(CLASSES, np.random.default_rng(1)) for _ in range(2)])
