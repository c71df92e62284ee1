"""What may stand in for a missing modality, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dicmor_lib.course.checks.asking import (
    Answer,
    close,
    expect_close,
    expect_shape,
    generator,
    left_alone,
    random_tensors,
)
from dicmor_lib.course.exercises import exercise
from dicmor_lib.data import Oracle


@exercise("1.5", "Four faults in six lines", level="core", minutes=15)
def check_mean_fill(mean_fill: Answer) -> str:
    for seed, (n, k, time, d) in enumerate(((6, 5, 4, 3), (9, 8, 7, 2))):
        train, test = random_tensors(seed, (n, time, d), (k, time, d))
        train, test = train + 2, test - 1
        some = generator(seed)
        train_lengths, lengths = (torch.randint(1, time, (m,), generator=some) for m in (n, k))
        train_lengths[0] = time
        available = torch.arange(k) % 2 == 0
        seen, inside = ((torch.arange(time) < v[:, None])[..., None] for v in (train_lengths, lengths))
        train, test = train * seen, test * inside
        true = train.sum((0, 1)) / train_lengths.sum()
        with left_alone(train, train_lengths, test, lengths, available):
            value = mean_fill(train, train_lengths, test, lengths, available)
        value = expect_shape(value, (k, time, d), "the filled test clips")
        assert close(value[available], test[available]), (
            "clips that are available were changed; fill the missing ones only"
        )
        used = value[~available][:, 0]  # step 0 is real in every clip
        for leak, message in (
            (test.sum((0, 1)) / lengths.sum(), "the mean over the test clips"),
            (test.mean((0, 1)), "the mean over the test clips, padding included"),
            (
                (train.sum((0, 1)) + test.sum((0, 1))) / (train_lengths.sum() + lengths.sum()),
                "a mean over training and test",
            ),
            (
                test[available].sum((0, 1)) / lengths[available].sum(),
                "the mean over the available test clips",
            ),
        ):
            assert not close(used, leak.expand_as(used)), (
                f"it fills in {message}: a leak. What is filled in may be learned from training clips only"
            )
        assert not close(used, train.mean((0, 1)).expand_as(used)), (
            "the training mean counts the padding: its zeros pull it towards 0; divide by the number of real steps"
        )
        per_clip = (train.sum(1) / train_lengths[:, None]).mean(0)
        assert not close(used, per_clip.expand_as(used)), (
            "it averages the clips' means, so a step of a short clip weighs more than one of a long clip; average "
            "over all real steps"
        )
        expect_close(used, true.expand_as(used), "the fill is not the mean of the training clips' real steps")
        assert not value[~available][~inside[~available].expand_as(value[~available])].any(), (
            "the padding of filled clips is no longer zero: a clip is filled up to its length and not beyond"
        )
        wanted = torch.where(available[:, None, None], test, true * inside)
        expect_close(value, wanted, "a missing clip must hold the training mean at each of its real steps")
    return "None of the four raises an error, and the first makes a paper's table look better: that is why leaks live long."


@exercise("1.6", "Five errors without a computer", level="core", minutes=15)
def check_expected_errors(expected_errors: Answer) -> str:
    for seed in range(3):
        rng = generator(seed)
        mean = 1 + torch.rand(4, generator=rng, dtype=torch.float64)
        variance = 0.3 + torch.rand(4, generator=rng, dtype=torch.float64)
        explained = 0.1 + 0.3 * torch.rand(4, generator=rng, dtype=torch.float64)
        with left_alone(mean, variance, explained):
            found = expected_errors(mean, variance, explained)
        assert found is not None, "the result is None; did you forget `return`?"
        assert isinstance(found, (tuple, list)) and len(found) == 5, (
            "return five tensors: zero-fill, mean-fill, another clip's value, conditional mean, draw"
        )
        zero, at_mean, other, conditional, draw = (expect_shape(x, (4,), "an error") for x in found)
        assert not close(zero, variance), (
            "zero-fill costs more than the variance where the mean is not 0: its distance to the mean is missing"
        )
        assert not close(zero, variance + mean), "zero-fill: the distance of 0 to the mean enters *squared*"
        expect_close(zero, variance + mean**2, "the error of zero-fill is not right: E[(x - 0)^2] = ?")
        assert not close(at_mean, variance.sqrt()), (
            "mean-fill: that is a deviation; the squared error is a variance"
        )
        expect_close(
            at_mean, variance, "the error of mean-fill is not right: E[(x - mean)^2] is by definition ..."
        )
        assert not close(other, variance), (
            "another clip's value: both are random, the hidden one and the one put in its place, so the variances add up"
        )
        expect_close(
            other,
            2 * variance,
            "another clip's value: x and x' are independent with equal means and variances",
        )
        assert not close(conditional, explained * variance), (
            "conditional mean: that is the variance that it explains; what is left over is the error"
        )
        expect_close(
            conditional, (1 - explained) * variance, "the error of the conditional mean is not right"
        )
        assert not close(draw, conditional), (
            "a draw: that is the error of its mean; the draw adds noise of its own, as large as the truth's around that mean"
        )
        assert not close(draw, variance + (1 - explained) * variance), (
            "a draw: its own noise has the *unexplained* variance, not the whole"
        )
        expect_close(
            draw, 2 * (1 - explained) * variance, "the error of a draw from the conditional law is not right"
        )
    return "So a draw beats mean-fill in squared error only if more than half of the variance is explained."


@exercise("1.8", "From a mean to a law", level="challenge", minutes=20)
def check_draw(draw: Answer) -> str:
    n = 40_000
    for seed, d in ((0, 2), (1, 3)):
        mean, root = random_tensors(seed, (n, d), (d, d))
        root = root.tril(-1) + torch.diag(torch.linspace(0.6, 1.9, d, dtype=torch.float64))
        covariance = root @ root.T
        with left_alone(mean, covariance):
            value = expect_shape(draw(mean, covariance, generator(seed)), (n, d), "the draw")
        noise = value - mean
        assert float(noise.abs().max()) > 1e-9, (
            "that is the mean itself: it has no noise, so its law is too narrow"
        )
        assert float(noise.std(0).max()) > 1e-6, "all clips get the same noise; draw for each clip anew"
        again = draw(mean, covariance, generator(seed))
        assert torch.equal(value, again), (
            "two generators with the same seed gave different draws: pass `generator=` to the random function"
        )
        assert not torch.equal(value, draw(mean, covariance, generator(99))), (
            "the generator has no effect on the draw"
        )
        expect_close(
            noise.mean(0), torch.zeros(d), "the draws are not centred on the mean you were given", atol=0.1
        )
        _right_spread(noise.T @ noise / n, covariance, root)
    return "Mean plus a Cholesky factor times standard normal noise: the smallest generative model, and the base of a flow's."


def _right_spread(found: Tensor, covariance: Tensor, root: Tensor) -> None:
    d = len(covariance)
    mistakes: tuple[tuple[Tensor, str], ...] = (
        (
            root.T @ root,
            "the factor is applied from the wrong side: with rows of noise it is noise @ L.T, for cov = L L^T",
        ),
        (
            covariance @ covariance,
            "the noise is multiplied by the covariance itself; take a root of it (Cholesky) first",
        ),
        (
            torch.diag(covariance.diagonal()),
            "the channels are drawn independently of each other; their covariance is lost",
        ),
        (
            torch.diag(covariance.diagonal() ** 2),
            "the channels are independent, and scaled by variances instead of deviations",
        ),
        (torch.eye(d, dtype=torch.float64), "the noise is standard normal whatever the covariance"),
    )
    size = float(covariance.abs().max())
    if float((found - covariance).abs().max()) > 0.05 * size:
        nearest, message = min(mistakes, key=lambda case: float((found - case[0]).abs().max()))
        if float((found - nearest).abs().max()) > 0.05 * float(nearest.abs().max()):
            message = "the covariance of the noise is not the one that was asked for"
        raise AssertionError(message)


@exercise("1.9", "A fill of your own", level="open-ended", minutes=30)
def check_own_fill(fill: Answer) -> str:
    train_sources, train_target, sources, truth = _steps()
    rows, size = len(sources), truth.shape[1]
    with left_alone(train_sources, train_target, sources):
        value = expect_shape(fill(train_sources, train_target, sources), (rows, size), "the fill")
    error = _error(value, truth, train_target)
    part = expect_shape(
        fill(train_sources, train_target, sources[: rows // 3]), (rows // 3, size), "the fill of a third"
    )
    if not close(part, value[: rows // 3], atol=1e-4, rtol=1e-4):
        again = fill(train_sources, train_target, sources)
        assert close(again, value, atol=1e-4, rtol=1e-4), (
            f"two calls gave different fills (error {error:.2f}): seed whatever is random in the training of yours; and "
            "if it is a draw from a law, its noise adds to the error, so return the mean"
        )
        raise AssertionError(
            "the fill of a step changes with the other test steps beside it: statistics such as mean and deviation "
            "must come from the training steps"
        )
    assert error < 1.15, (
        f"its error is {error:.2f}, worse than the training mean's 1: a neighbour's or another clip's value carries "
        "noise of its own, and so does a regression whose units do not fit"
    )
    assert error < 0.98, (
        f"its error is {error:.2f}; the training mean's is 1, so it does not use what is available"
    )
    assert error < 0.8, (
        f"its error is {error:.2f}; a plain regression from all channels of both sources gets below 0.8, so some of "
        "what is available goes unused"
    )
    linear, best = _references()
    return (
        f"Error {error:.2f} (training mean 1, least squares {linear:.2f}, and {best:.2f} for the oracle's conditional "
        "mean, which reads the whole clip)."
    )


def _error(value: Tensor, truth: Tensor, train: Tensor) -> float:
    return float((((value - truth) / train.std(0)) ** 2).mean())


@lru_cache(maxsize=1)
def _clips() -> tuple[Callable[[int], list[Tensor]], Any, Any]:
    oracle = Oracle()
    draws = oracle.draw(300, seed=11), oracle.draw(200, seed=12)

    def flat(which: int, features: tuple[np.ndarray, ...] | None = None) -> list[Tensor]:
        draw = draws[which]
        inside = np.arange(oracle.time) < draw.lengths[:, None]
        return [torch.from_numpy(x[inside].astype(np.float64)) for x in features or draw.features]

    return flat, oracle, draws[1]


@lru_cache(maxsize=1)
def _steps() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    flat, _, _ = _clips()
    parts = []
    for which in (0, 1):
        language, audio, vision = flat(which)
        parts += [torch.cat([language, audio], 1), vision]
    return tuple(parts)  # type: ignore[return-value]


@lru_cache(maxsize=1)
def _references() -> tuple[float, float]:
    """Errors of least squares and of the oracle's conditional mean on the same steps."""
    train_sources, train_target, sources, truth = _steps()
    ones = [torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1) for x in (train_sources, sources)]
    linear = ones[1] @ torch.linalg.lstsq(ones[0], train_target).solution
    flat, oracle, draw = _clips()
    available = np.tile((True, True, False), (len(draw.lengths), 1))
    best = flat(1, oracle.conditional_mean(draw.features, available, draw.lengths))[2]  # type: ignore[call-arg]
    return _error(linear, truth, train_target), _error(best, truth, train_target)
