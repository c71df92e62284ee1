"""The definitions of chapter 12 against the library: one step, paths over time, and responsibilities, in float64."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.testing import assert_close

from dicmor_lib.blocks import JointPrior
from dicmor_lib.modalities import PATTERNS, pattern_mask
from tests.random_models import perturb

CHANNELS, TIME, BATCH = 3, 5, 9
SIZE = 3 * CHANNELS
LABEL = torch.linspace(-3, 3, BATCH, dtype=torch.float64)
CLASS = LABEL.round().long() + 3


def library() -> JointPrior:
    return perturb(JointPrior(CHANNELS, log_sd_floor=None).double(), 0.6)


def seen(pattern: str, time: int) -> tuple[Tensor, Tensor]:
    """Which channels a pattern shows, (3 d,), and the library's mask, (3, batch, time)."""
    shows = torch.tensor(pattern_mask(pattern))
    return shows.repeat_interleave(CHANNELS), shows[:, None, None].expand(3, BATCH, time).double()


def latents(time: int) -> Tensor:
    return torch.randn(BATCH, time, SIZE, dtype=torch.float64, requires_grad=True)


def stack(z: Tensor) -> Tensor:
    """(batch, time, 3 d) to (3, batch, time, d)."""
    return z.unflatten(-1, (3, CHANNELS)).movedim(2, 0)


def one_step(chapter: dict) -> None:
    theirs, mine = library(), chapter["JointGaussian"](SIZE).double()
    with torch.no_grad():
        mine.mean.copy_(theirs.mean + theirs.start)  # a path begins at mu + nu
        mine.raw_log_diagonal.copy_(theirs.raw_log_diagonal)
        mine.below.copy_(theirs.below)
    assert_close(mine.covariance(), theirs.covariance)
    for pattern in PATTERNS:
        channels, mask = seen(pattern, 1)
        z = latents(1)
        own = z.detach()[:, 0].clone().requires_grad_()
        found, expected = (
            mine.log_normal(own - mine.mean[CLASS], channels),
            theirs.log_prob(stack(z), LABEL, mask).sum(0),
        )
        assert_close(found, expected)
        mine.zero_grad(set_to_none=True)
        theirs.zero_grad(set_to_none=True)
        (found.sin().sum() + expected.sin().sum()).backward()
        assert_close(own.grad, z.grad[:, 0])
        for name in ("mean", "raw_log_diagonal", "below"):
            assert_close(getattr(mine, name).grad, getattr(theirs, name).grad)
        assert_close(mine.mean.grad, theirs.start.grad)
        assert theirs.raw_correlation.grad == 0
        if pattern != "lav":
            gain, rest = mine.conditional(channels)
            mean = mine.mean[CLASS][:, ~channels] + (own - mine.mean[CLASS])[:, channels] @ gain.T
            path = theirs.mean_path(1)[CLASS]
            assert_close(
                mean, theirs.conditional(stack(z), mask, path).movedim(0, 2).flatten(1)[:, ~channels]
            )
            units = torch.eye(SIZE, dtype=torch.float64)[:, None, None].expand(-1, BATCH, 1, -1)
            drawn = torch.stack([theirs.conditional(stack(z), mask, path, e) for e in units])
            root = (
                (drawn - theirs.conditional(stack(z), mask, path)).movedim(1, 3).flatten(2)[:, 0, ~channels]
            )
            assert_close(rest, root.T @ root)


def paths(chapter: dict) -> None:
    theirs, mine = library(), chapter["JointPaths"](SIZE).double()
    mine.load_state_dict({name: getattr(theirs, name).detach().clone() for name in mine.state_dict()})
    for time in (1, TIME):
        assert_close(mine.mean_path(time), theirs.mean_path(time))
        for pattern in PATTERNS:
            channels, mask = seen(pattern, time)
            z = latents(time)
            own = z.detach().clone().requires_grad_()
            found = mine.log_prob(own, CLASS, channels)
            expected = theirs.log_prob(stack(z), LABEL, mask).sum(0)
            assert_close(found, expected)
            if pattern != "lav":
                mean = mine.expected(own, CLASS, channels)
                path = theirs.mean_path(time)[CLASS]
                other = theirs.conditional(stack(z), mask, path).movedim(0, 2).flatten(2)[..., ~channels]
                assert_close(mean, other)
                found, expected = found + mean.cos().sum((1, 2)), expected + other.cos().sum((1, 2))
            mine.zero_grad(set_to_none=True)
            theirs.zero_grad(set_to_none=True)
            (found.sin().sum() + expected.sin().sum()).backward()
            assert_close(own.grad, z.grad)
            for name, p in mine.named_parameters():
                assert_close(p.grad, getattr(theirs, name).grad)


def responsibilities(chapter: dict) -> None:
    theirs, mine = library(), chapter["JointPaths"](SIZE).double()
    mine.load_state_dict({name: getattr(theirs, name).detach().clone() for name in mine.state_dict()})
    for pattern in PATTERNS:
        channels, mask = seen(pattern, TIME)
        z = latents(TIME)
        found = chapter["responsibilities"](mine, theirs.class_logits.log_softmax(0), z, channels)
        assert_close(found, theirs.posterior(stack(z), mask))


EQUAL: dict[str, Callable[[dict], None]] = {
    "JointGaussian": one_step,
    "JointPaths": paths,
    "responsibilities": responsibilities,
}
