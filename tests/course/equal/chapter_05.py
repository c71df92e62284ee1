"""The definitions of chapter 5 against the library: outputs and gradients of inputs and parameters, in float64."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.testing import assert_close

from dicmor_lib import objective
from dicmor_lib.blocks import recovery as library
from dicmor_lib.course import assert_same_gradients, copy_weights
from dicmor_lib.modalities import MODALITIES
from tests.random_models import perturb

LENGTHS = torch.tensor([[9, 4, 1, 7, 0], [9, 9, 3, 0, 2], [1, 5, 6, 8, 9]])


def compare(theirs: nn.Module, build: Callable[[], nn.Module]) -> None:
    """Padding of the input is not zero: nothing of it may reach the result or get a gradient by another way."""
    torch.manual_seed(2)
    theirs = perturb(theirs.double(), 0.3)
    mask = (torch.arange(9) < LENGTHS[..., None]).double()  # (groups, batch, time)
    x = torch.randn(3, 5, 9, 8, dtype=torch.float64, requires_grad=True)
    out = theirs(x, mask)
    assert (out - x).detach().abs().mean() > 0.05
    (out.pow(3).sum() + out.sin().sum()).backward()
    for group in range(3):
        mine = build().double()
        copy_weights(mine, theirs, group)
        own = x.detach()[group].clone().requires_grad_()
        y = mine(own, mask[group])
        assert_close(y, out[group])
        (y.pow(3).sum() + y.sin().sum()).backward()
        assert_close(own.grad, x.grad[group])
        assert_same_gradients(mine, theirs, group)


def channel_attention(chapter: dict) -> None:
    for reduction in (4, 16):
        compare(
            library.ChannelAttention(8, reduction, groups=3),
            lambda r=reduction: chapter["ChannelAttention"](8, r),
        )


def rcab(chapter: dict) -> None:
    compare(library.RCAB(8, 4, groups=3), lambda: chapter["RCAB"](8, 4))


def recovery(chapter: dict) -> None:
    for blocks in (0, 2):
        compare(
            library.Recovery(8, 12, blocks, 4, groups=3), lambda b=blocks: chapter["Recovery"](8, 12, b, 4)
        )


def losses_and_gradients(loss: Callable, other: Callable) -> None:
    torch.manual_seed(3)
    real = torch.randn(3, 5, 9, 4, dtype=torch.float64)
    steps = (torch.arange(9) < LENGTHS[..., None]).double() * torch.tensor([1.0, 0.0, 1.0])[:, None, None]
    values, gradients = [], []
    for compute in (loss, other):
        recovered = (real * 0.5 + 0.3).requires_grad_()
        value = compute(recovered, real, steps)
        value.backward()
        values.append(value.detach())
        gradients.append(recovered.grad)
    assert values[0] > 0.1
    assert_close(*values)
    assert_close(*gradients)


def squared_error(chapter: dict) -> None:
    losses_and_gradients(
        lambda x, y, s: chapter["squared_error"](x[0], y[0], s[0]),
        lambda x, y, s: objective.recovery_term(x[0], y[0], s[0]).value,
    )


def rec_loss(chapter: dict) -> None:
    def library_loss(x, y, s):
        terms = {f"recovery_{m}": objective.recovery_term(*one) for m, *one in zip(MODALITIES, x, y, s)}
        return objective.recovery_loss(terms)

    losses_and_gradients(chapter["rec_loss"], library_loss)


EQUAL: dict[str, Callable[[dict], None]] = {
    "ChannelAttention": channel_attention,
    "RCAB": rcab,
    "Recovery": recovery,
    "squared_error": squared_error,
    "rec_loss": rec_loss,
}
