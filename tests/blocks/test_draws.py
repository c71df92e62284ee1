"""Classes and noise for the draws of the joint prior."""

from __future__ import annotations

import torch

from dicmor_lib.blocks.draws import draw_classes, draw_noise

POSTERIOR = torch.tensor([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0], [0.05, 0.9, 0.05]], dtype=torch.float64)


def test_fixed_classes_are_the_quantiles():
    classes = draw_classes(POSTERIOR, 4, fixed=True)  # levels 1/8, 3/8, 5/8, 7/8
    assert classes.tolist() == [[0, 2, 1], [0, 2, 1], [1, 2, 1], [2, 2, 1]]


def test_random_classes_come_as_often_as_their_probability():
    drawn = draw_classes(POSTERIOR, 20_000, generator=torch.Generator().manual_seed(0))
    share = torch.stack([(drawn == c).double().mean(0) for c in range(3)], 1)
    torch.testing.assert_close(share, POSTERIOR, atol=0.015, rtol=0)


def test_fixed_noise_depends_neither_on_the_batch_nor_on_the_padding():
    short, long = torch.zeros(3, 2, 5, 4), torch.zeros(3, 7, 9, 4)
    few, many = draw_noise(6, short, fixed=True), draw_noise(6, long, fixed=True)
    assert few.shape == (6, 2, 5, 12) and torch.equal(few[:, 0], many[:, 3, :5])
    assert torch.equal(many[0], -many[1]) and not torch.equal(many[0], many[2])


def test_random_noise_is_standard_normal_and_seeded():
    like = torch.zeros(3, 50, 20, 4)
    one, two = (draw_noise(4, like, generator=torch.Generator().manual_seed(s)) for s in (0, 0))
    assert torch.equal(one, two) and not torch.equal(one[0], one[1])
    assert abs(one.mean()) < 0.02 and abs(one.std() - 1) < 0.02
