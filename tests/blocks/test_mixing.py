"""The invertible 1x1 convolution."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dicmor_lib.blocks import InvertibleMixing
from tests.random_models import perturb


def test_it_starts_as_a_rotation_per_group():
    mixing = InvertibleMixing(6, groups=3)
    for w in mixing.weight:
        torch.testing.assert_close(w @ w.t(), torch.eye(6), atol=1e-5, rtol=0)
    assert (mixing.weight[0] - mixing.weight[1]).abs().max() > 0.1
    _, log_volume = mixing(torch.randn(3, 2, 4, 6))
    torch.testing.assert_close(log_volume, torch.zeros(3, 1, 1), atol=1e-5, rtol=0)


@settings(max_examples=25)
@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
@torch.no_grad()
def test_it_multiplies_and_solves(groups, channels, batch, time, seed):
    torch.manual_seed(seed)
    mixing = perturb(InvertibleMixing(channels, groups).double(), 0.3, seed)
    x = torch.randn(groups, batch, time, channels, dtype=torch.float64)
    y, log_volume = mixing(x)
    for g in range(groups):
        torch.testing.assert_close(y[g], x[g] @ mixing.weight[g])
        torch.testing.assert_close(log_volume[g].squeeze(), mixing.weight[g].det().abs().log())
    worst = torch.linalg.cond(mixing.weight).max().item()
    torch.testing.assert_close(mixing.inverse(y), x, rtol=0, atol=1e-13 * worst)


def test_no_rows_at_all():
    """A batch in which nothing is missing inverts nothing."""
    mixing = InvertibleMixing(4, groups=3)
    empty = torch.zeros(3, 0, 5, 4)
    assert mixing.inverse(empty).shape == mixing(empty)[0].shape == empty.shape
