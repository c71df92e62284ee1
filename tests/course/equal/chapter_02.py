"""The definitions of chapter 2 against the library: outputs, log-determinants, inverses and gradients in float64."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.testing import assert_close

from dicmor_lib.blocks import AffineCoupling
from dicmor_lib.course import assert_same_gradients, copy_weights
from tests.random_models import perturb


def random_layer(scale_map: str = "bounded_exp", groups: int = 3) -> AffineCoupling:
    torch.manual_seed(1)
    return perturb(AffineCoupling(4, 10, groups, scale_map=scale_map).double(), 0.7)


def loss(y_b, log_s):
    """No part of which can cancel another."""
    return y_b.square().sum() + (3 * log_s).sin().sum()


def coupling_layer(chapter: dict) -> None:
    for scale_map, log_scale in (("bounded_exp", chapter["bounded"]), ("sigmoid", chapter["published"])):
        library = random_layer(scale_map)
        x = torch.randn(
            2, 3, 5, 6, 4, dtype=torch.float64, requires_grad=True
        )  # halves, groups, batch, time, half
        y_b, log_s = library(*x)
        assert log_s.detach().abs().mean() > 0.05 and (y_b - x[1]).detach().abs().mean() > 0.1
        loss(y_b, log_s).backward()
        for group in range(3):
            mine = chapter["AffineCoupling"](4, 10, log_scale).double()
            copy_weights(mine, library, group)
            own = x.detach()[:, group].clone().requires_grad_()
            my_y_b, my_log_s = mine(*own)
            assert_close(my_y_b, y_b[group])
            assert_close(my_log_s.sum(-1), log_s[group].sum(-1))
            loss(my_y_b, my_log_s).backward()
            assert_close(own.grad, x.grad[:, group])
            assert_same_gradients(mine, library, group)
        inverse_and_its_gradients(chapter, library, log_scale)
    a_new_layer_is_the_identity(chapter)


def inverse_and_its_gradients(chapter: dict, library: AffineCoupling, log_scale: Callable) -> None:
    library.zero_grad()
    y = torch.randn(2, 3, 5, 6, 4, dtype=torch.float64, requires_grad=True)
    x_b = library.inverse(*y)
    x_b.pow(3).sum().backward()
    for group in range(3):
        mine = chapter["AffineCoupling"](4, 10, log_scale).double()
        copy_weights(mine, library, group)
        own = y.detach()[:, group].clone().requires_grad_()
        my_x_b = mine.inverse(*own)
        assert_close(my_x_b, x_b[group])
        my_x_b.pow(3).sum().backward()
        assert_close(own.grad, y.grad[:, group])
        assert_same_gradients(mine, library, group)


def a_new_layer_is_the_identity(chapter: dict) -> None:
    x_a, x_b = torch.randn(2, 3, 5, 4)
    y_b, log_s = chapter["AffineCoupling"](4, 10)(x_a, x_b)
    assert torch.equal(y_b, x_b) and not log_s.any()
    library = AffineCoupling(4, 10)
    assert torch.equal(library(x_a[None], x_b[None])[0][0], x_b)


def forward_line(chapter: dict) -> None:
    """couple, with the library's own network inside."""
    library = random_layer(groups=1)
    x = torch.randn(2, 1, 5, 6, 4, dtype=torch.float64, requires_grad=True)
    y_a, y_b = chapter["couple"](*x, library.log_scale_and_shift)
    assert torch.equal(y_a, x[0])
    assert_close(y_b, library(*x)[0])
    same_gradients(y_b, library(*x)[0], x, library)


def inverse_line(chapter: dict) -> None:
    """uncouple, with the library's own network inside."""
    library = random_layer(groups=1)
    y = torch.randn(2, 1, 5, 6, 4, dtype=torch.float64, requires_grad=True)
    x_a, x_b = chapter["uncouple"](*y, library.log_scale_and_shift)
    assert torch.equal(x_a, y[0])
    assert_close(x_b, library.inverse(*y))
    same_gradients(x_b, library.inverse(*y), y, library)


def same_gradients(mine, theirs, x, library: AffineCoupling) -> None:
    wanted = (x, *library.parameters())
    for a, b in zip(*(torch.autograd.grad(out.pow(3).sum(), wanted) for out in (mine, theirs))):
        assert_close(a, b)


def scale_map(name: str, of_library: str) -> Callable[[dict], None]:
    """The chapter's scale map against the layer's, whose network is made to output given numbers."""

    def compare(chapter: dict) -> None:
        library = AffineCoupling(3, 4, scale_map=of_library).double()
        raw = torch.tensor([-4.0, 0.3, 5.0], dtype=torch.float64, requires_grad=True)
        with torch.no_grad():
            library.network.last.bias[0, 0, :3] = raw
        found, _ = library.log_scale_and_shift(torch.zeros(1, 1, 1, 3, dtype=torch.float64))
        assert_close(chapter[name](raw), found[0, 0, 0])
        (mine,) = torch.autograd.grad(chapter[name](raw).pow(3).sum(), raw)
        (theirs,) = torch.autograd.grad(found.pow(3).sum(), library.network.last.bias)
        assert_close(mine, theirs[0, 0, :3])
        assert chapter[name] in chapter["MAPS"].values()

    return compare


EQUAL: dict[str, Callable[[dict], None]] = {
    "AffineCoupling": coupling_layer,
    "couple": forward_line,
    "uncouple": inverse_line,
    "bounded": scale_map("bounded", "bounded_exp"),
    "published": scale_map("published", "sigmoid"),
}
