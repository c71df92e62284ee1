"""The definitions of chapter 3 against the library: outputs, log-determinants, inverses and gradients in float64."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.testing import assert_close

from dicmor_lib.blocks import AffineCoupling
from dicmor_lib.blocks.flow import Flow, collapse
from dicmor_lib.blocks.mixing import InvertibleMixing
from dicmor_lib.blocks.prior import ClassPrior
from dicmor_lib.course import assert_same_gradients, copy_weights
from dicmor_lib.objective import nll_term
from tests.random_models import perturb

GROUPS, BATCH, TIME, CHANNELS = 3, 4, 5, 6
LABEL = torch.tensor([-3.0, -0.6, 1.2, 2.5])
MIXINGS = ("none", "alternate", "conv1x1")


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def own(x: torch.Tensor, *at) -> torch.Tensor:
    """A leaf with one group's values."""
    return x.detach()[at].clone().requires_grad_()


def coupling(chapter: dict) -> None:
    torch.manual_seed(0)
    library = perturb(AffineCoupling(3, 8, GROUPS).double(), 0.7)
    x_a, x_b = random(GROUPS, BATCH, TIME, 3), random(GROUPS, BATCH, TIME, 3)
    y_b, log_s = library(x_a, x_b)
    back = library.inverse(x_a, x_b)
    assert log_s.detach().abs().mean() > 0.05
    (y_b.square().sum() + (3 * log_s).sin().sum() + back.pow(3).sum()).backward()
    for group in range(GROUPS):
        mine = chapter["Coupling"](3, 8).double()
        copy_weights(mine, library, group)
        a, b = own(x_a, group), own(x_b, group)
        my_y_b, my_log_s = mine(a, b)
        my_back = mine.inverse(a, b)
        for value, true in ((my_y_b, y_b), (my_log_s, log_s), (my_back, back)):
            assert_close(value, true[group])
        (my_y_b.square().sum() + (3 * my_log_s).sin().sum() + my_back.pow(3).sum()).backward()
        assert_close(a.grad, x_a.grad[group])
        assert_close(b.grad, x_b.grad[group])
        assert_same_gradients(mine, library, group)


def mixing(chapter: dict) -> None:
    torch.manual_seed(1)
    library = perturb(InvertibleMixing(CHANNELS, GROUPS).double(), 0.5)
    x = random(GROUPS, BATCH, TIME, CHANNELS)
    y, log_volume = library(x)
    back = library.inverse(x)
    assert log_volume.detach().abs().max() > 0.05
    (y.pow(3).sum() + back.pow(3).sum() + (2 * log_volume).sin().sum()).backward()
    for group in range(GROUPS):
        mine = chapter["InvertibleMixing"](CHANNELS).double()
        copy_weights(mine, library, group)
        my_x = own(x, group)
        (my_y, my_log_volume), my_back = mine(my_x), mine.inverse(my_x)
        assert_close(my_y, y[group])
        assert_close(my_back, back[group])
        assert_close(my_log_volume, log_volume[group].squeeze())
        (my_y.pow(3).sum() + my_back.pow(3).sum() + (2 * my_log_volume).sin().sum()).backward()
        assert_close(my_x.grad, x.grad[group])
        assert_same_gradients(mine, library, group)


def prior(chapter: dict) -> None:
    torch.manual_seed(2)
    for classes in (7, 1):
        library = perturb(ClassPrior(CHANNELS, classes).double(), 3.0)  # some log sd near the floor
        z = random(BATCH, TIME, CHANNELS)
        density = library.log_prob(z, LABEL)
        (density.tanh() + density / 50).sum().backward()
        mine = chapter["ClassPrior"](CHANNELS, classes).double()
        copy_weights(mine, library)
        my_z = own(z)
        my_density = mine.log_prob(my_z, LABEL)
        assert_close(my_density, density)
        (my_density.tanh() + my_density / 50).sum().backward()
        assert_close(my_z.grad, z.grad)
        assert_same_gradients(mine, library)
        draws = [
            p.sample(LABEL, TIME, torch.Generator().manual_seed(3)) for p in (mine.float(), library.float())
        ]
        assert_close(*draws)


def random_flow(kind: str, layers: int = 5) -> Flow:
    torch.manual_seed(4)
    return perturb(Flow(CHANNELS, 8, layers, GROUPS, mixing=kind).double(), 0.3)


def chain(chapter: dict) -> None:
    """Latents and log-determinants; the library's chain comes with a prior, whose weights are left out."""
    for kind in MIXINGS:
        library, x = random_flow(kind), random(GROUPS, BATCH, TIME, CHANNELS)
        z, log_det = library(x)
        assert log_det.detach().abs().mean() > 0.1
        (z.pow(3).sum() + (log_det / 10).sin().sum()).backward()
        for group in range(GROUPS):
            mine = chapter["Chain"](CHANNELS, 8, 5, kind).double()
            pairs = [(mine.layers, library.layers)]
            if kind == "conv1x1":
                pairs.append((mine.mixers, library.mixers))
            for ours, theirs in pairs:
                copy_weights(ours, theirs, group)
            my_x = own(x, group)
            my_z, my_log_det = mine(my_x)
            assert my_log_det.shape == (BATCH, TIME)
            assert_close(my_z, z[group])
            assert_close(my_log_det.sum(-1), log_det[group])
            (my_z.pow(3).sum() + (my_log_det.sum(-1) / 10).sin().sum()).backward()
            assert_close(my_x.grad, x.grad[group])
            for ours, theirs in pairs:
                assert_same_gradients(ours, theirs, group)


def flow(chapter: dict) -> None:
    mask = (torch.arange(TIME) < torch.tensor([5, 3, 1, 4])[:, None]).double()
    for kind in MIXINGS:
        for layers in (4, 5):  # alternation leaves the halves exchanged after an odd number
            library, x = random_flow(kind, layers), random(GROUPS, BATCH, TIME, CHANNELS)
            given = [library.log_prob(x, LABEL), library.log_prob(x, LABEL, mask.expand(GROUPS, BATCH, TIME))]
            back = library.inverse(x)
            for group in range(GROUPS):
                library.zero_grad()
                x.grad = None
                _loss(given[0][group], given[1][group], back[group]).backward(retain_graph=True)
                mine = chapter["Flow"](CHANNELS, 8, layers, kind).double()
                copy_weights(mine, library, group)
                my_x = own(x, group)
                mine_given = [mine.log_prob(my_x, LABEL), mine.log_prob(my_x, LABEL, mask)]
                my_back = mine.inverse(my_x)
                for value, true in (*zip(mine_given, given), (my_back, back)):
                    assert_close(value, true[group])
                _loss(*mine_given, my_back).backward()
                assert_close(my_x.grad, x.grad[group])
                assert_same_gradients(mine, library, group)


def _loss(one: torch.Tensor, other: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
    """No part of which can cancel another."""
    return (one / 100).sin().sum() + 2 * (other / 100).cos().sum() + back.tanh().sum()


def collapsed(chapter: dict) -> None:
    library = random_flow("none", 32)
    mine = chapter["Flow"](CHANNELS, 8, 32, "none").double()
    x_a = torch.randn(GROUPS, BATCH, TIME, CHANNELS // 2, dtype=torch.float64)
    for group in range(GROUPS):
        copy_weights(mine, library, group)
        for value, true in zip(chapter["collapse"](mine, x_a[group]), collapse(library, x_a)):
            assert true[group].detach().abs().mean() > 0.01
            assert_close(value, true[group])


def bits(chapter: dict) -> None:
    log_prob, steps = torch.randn(6, dtype=torch.float64), torch.arange(6)
    assert_close(chapter["bits_per_dim"](log_prob, steps.sum() * 16), nll_term(log_prob, steps, 16).value)


EQUAL: dict[str, Callable[[dict], None]] = {
    "Coupling": coupling,
    "InvertibleMixing": mixing,
    "ClassPrior": prior,
    "Chain": chain,
    "Flow": flow,
    "collapse": collapsed,
    "bits_per_dim": bits,
}
