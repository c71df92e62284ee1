"""Plausible wrong answers to the exercises of chapter 12."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tests.course.wrong.wrong import Wrong

LOG_2_PI = math.log(2 * math.pi)


def white(z: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    factor = torch.linalg.cholesky(covariance)
    return torch.linalg.solve_triangular(factor, z.T, upper=False).T, factor.diagonal()


def chain(
    z: Tensor, covariance: Tensor, sign: float = -1.0, times: float = 1.0, two_pi: float = 1.0
) -> Tensor:
    w, diagonal = white(z, covariance)
    return -0.5 * (w**2 + two_pi * LOG_2_PI) + sign * times * diagonal.log()


def marginals(z: Tensor, covariance: Tensor) -> Tensor:
    sd = covariance.diagonal().sqrt()
    return -0.5 * ((z / sd) ** 2 + LOG_2_PI) - sd.log()


def given_all_others(z: Tensor, covariance: Tensor) -> Tensor:
    precision = torch.linalg.inv(covariance)
    own = precision.diagonal()
    return -0.5 * ((z @ precision) ** 2 / own + LOG_2_PI - own.log())


def chain_in_place(z: Tensor, covariance: Tensor) -> Tensor:
    z -= z.mean(0)
    return chain(z, covariance)


Draw = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def draws(
    centred: bool = True, add: bool = True, root: str = "right", use: bool = True, select: bool = True
) -> Draw:
    def draw(z: Tensor, mean: Tensor, covariance: Tensor, seen: Tensor, noise: Tensor) -> Tensor:
        gain = torch.linalg.solve(covariance[seen][:, seen], covariance[seen][:, ~seen]).T
        rest = covariance[~seen][:, ~seen] - gain @ covariance[seen][:, ~seen]
        away = z - mean if centred else z
        if not select:
            wide = torch.zeros(len(rest), z.shape[1], dtype=z.dtype)
            wide[:, seen] = gain
            moved = away @ wide.T  # multiplies what is missing with 0
        else:
            moved = away[:, seen] @ gain.T
        centre = moved + mean[~seen] if add else moved
        own = {
            "right": torch.linalg.cholesky(rest).T,
            "left": torch.linalg.cholesky(rest),
            "none": rest,
            "diagonal": torch.diag(rest.diagonal().sqrt()),
            "wide": torch.linalg.cholesky(covariance[~seen][:, ~seen]).T,
            "unit": torch.eye(len(rest), dtype=z.dtype),
        }[root]
        return centre + noise @ own if use else centre

    return draw


def from_the_prior(z: Tensor, mean: Tensor, covariance: Tensor, seen: Tensor, noise: Tensor) -> Tensor:
    return mean[~seen] + noise @ torch.linalg.cholesky(covariance[~seen][:, ~seen]).T


def own_noise(z: Tensor, mean: Tensor, covariance: Tensor, seen: Tensor, noise: Tensor) -> Tensor:
    return draws()(z, mean, covariance, seen, torch.randn_like(noise))


def log_normal(z: Tensor, covariance: Tensor) -> Tensor:
    return chain(z[None], covariance).sum()


def as_given(z: Tensor, covariance: Tensor, there: Tensor) -> Tensor:
    return chain(z * there, covariance).sum(1)


def counts_only(z: Tensor, covariance: Tensor, there: Tensor) -> Tensor:
    return as_given(z, covariance, there) + 0.5 * (~there).sum(1) * LOG_2_PI


def part_of_the_inverse(z: Tensor, covariance: Tensor, there: Tensor) -> Tensor:
    precision = torch.linalg.inv(covariance)
    return torch.stack([log_normal(x[t], torch.linalg.inv(precision[t][:, t])) for x, t in zip(z, there)])


def zeros_only(z: Tensor, covariance: Tensor, there: Tensor) -> Tensor:
    right = torch.stack([log_normal(x[t], covariance[t][:, t]) for x, t in zip(z, there)])
    return right - 0.5 * (~there).sum(1) * LOG_2_PI


def first_pattern(z: Tensor, covariance: Tensor, there: Tensor) -> Tensor:
    t = there[0]
    return torch.stack([log_normal(x[t], covariance[t][:, t]) for x in z])


def unit_rows(z: Tensor, covariance: Tensor, there: Tensor) -> Tensor:
    found = []
    for x, t in zip(z, there):
        both = t[:, None] & t
        masked = torch.where(both, covariance, torch.eye(len(t), dtype=z.dtype))
        found.append(log_normal(x * t, masked) + 0.5 * (~t).sum() * LOG_2_PI)
    return torch.stack(found)


def plain_exponentials(log_density: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
    joint = log_density.exp() * prior
    return joint / joint.sum(1, keepdim=True), joint.sum(1).log()


def largest_lost(log_density: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
    joint = log_density + prior.log()
    joint = joint - joint.amax(1, keepdim=True)
    return joint.softmax(1), joint.exp().sum(1).log()


def classes(
    use_prior: bool = True, axis: int = 1, log: bool = True, evidence: str = "right"
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    def which(log_density: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
        right = log_density + prior.log()
        joint = log_density + (prior.log() if log else prior) if use_prior else log_density
        found = {
            "right": right.logsumexp(1),
            "no prior": log_density.logsumexp(1),
            "largest": right.amax(1),
            "sum of logs": right.sum(1),
        }[evidence]
        return joint.softmax(axis), found

    return which


Coverage = Callable[[np.ndarray, np.ndarray, float], tuple[float, float, float]]


def coverages(
    strict: bool = False,
    outside: bool = False,
    own: bool = False,
    sd: float = 1.96,
    root: bool = True,
    n: float = 1.0,
) -> Coverage:
    def coverage(interval: np.ndarray, labels: np.ndarray, level: float) -> tuple[float, float, float]:
        low, high = interval.T
        inside = (low < labels) & (labels < high) if strict else (low <= labels) & (labels <= high)
        share = float((~inside if outside else inside).mean())
        centre = share if own else level
        variance = centre * (1 - centre) / len(labels) ** n
        noise = sd * (math.sqrt(variance) if root else variance)
        return share, centre - noise, centre + noise

    return coverage


def clipped_in_place(interval: np.ndarray, labels: np.ndarray, level: float) -> tuple[float, float, float]:
    np.clip(labels, -3, 3, out=labels)
    interval -= 1e-3
    return coverages()(interval, labels, level)


def severals(
    v_of: float = 0.5, error: str = "right", spread: str = "right", r: str = "right"
) -> Callable[[float, int], tuple[float, float, float]]:
    def several(one: float, k: int) -> tuple[float, float, float]:
        v = v_of * one
        variance = 1 - v + v / k
        errors = {"right": v + v / k, "to zero": one / k, "limit": v, "own": v / k}
        spreads = {
            "right": math.sqrt(variance),
            "variance": variance,
            "within": math.sqrt(v / k),
            "one": 1.0,
            "independent": 1 / math.sqrt(k),
        }
        rs = {
            "right": (1 - v) / math.sqrt(variance),
            "covariance": 1 - v,
            "variance": (1 - v) / variance,
            "limit": math.sqrt(max(0.0, 1 - v)),
        }
        return errors[error], spreads[spread], rs[r]

    return several


def sorted_in_place(predictions: np.ndarray) -> np.ndarray:
    predictions.sort(axis=0)
    return predictions[len(predictions) // 2]


def towards_zero(predictions: np.ndarray) -> np.ndarray:
    return 0.8 * np.median(predictions, axis=0)


def weighted_by_place(predictions: np.ndarray) -> np.ndarray:
    weight = np.arange(1, len(predictions) + 1) / (len(predictions) * (len(predictions) + 1) / 2)
    return weight @ predictions


WRONG: dict[str, list[Wrong]] = {
    "12.1": [
        Wrong("correlation for gain", (lambda s, m, r: (r, m * math.sqrt(1 - r * r)),), "carries units"),
        Wrong("ratio upside down", (lambda s, m, r: (r * s / m, m * math.sqrt(1 - r * r)),), "upside down"),
        Wrong(
            "covariance for gain",
            (lambda s, m, r: (r * s * m, m * math.sqrt(1 - r * r)),),
            "is the covariance",
        ),
        Wrong(
            "variance of the rest",
            (lambda s, m, r: (r * m / s, m * m * (1 - r * r)),),
            "variance of the rest",
        ),
        Wrong("root forgotten", (lambda s, m, r: (r * m / s, m * (1 - r * r)),), "shrinks by its root"),
        Wrong("1 - r", (lambda s, m, r: (r * m / s, m * (1 - abs(r))),), "variances subtract"),
        Wrong(
            "rest of the seen", (lambda s, m, r: (r * m / s, s * math.sqrt(1 - r * r)),), "rest of the seen"
        ),
        Wrong("other order", (lambda s, m, r: (m * math.sqrt(1 - r * r), r * m / s),), "wrong way round"),
    ],
    "12.2": [
        Wrong("marginals", (marginals,), "marginals"),
        Wrong("given all others", (given_all_others,), "given ALL others"),
        Wrong("other order", (lambda z, c: chain(z.flip(1), c.flip(0, 1)).flip(1),), "other order"),
        Wrong("no log-determinant", (lambda z, c: chain(z, c, times=0.0),), "log-determinant is missing"),
        Wrong("sign of the log-determinant", (lambda z, c: chain(z, c, sign=1.0),), "turned round"),
        Wrong("log of the variance", (lambda z, c: chain(z, c, times=2.0),), "deviations already"),
        Wrong("log 2 pi forgotten", (lambda z, c: chain(z, c, two_pi=0.0),), "log 2 pi"),
        Wrong("only the total", (lambda z, c: chain(z, c).sum(1),), "one number per clip"),
        Wrong("changes z", (chain_in_place,), "in place"),
    ],
    "12.3": [
        Wrong("marginal mean and spread", (from_the_prior,), "before anything was seen"),
        Wrong("seen not centred", (draws(centred=False),), "how far the seen is from its mean"),
        Wrong("mean not added", (draws(add=False),), "mean of what is missing is not added"),
        Wrong("no means at all", (draws(centred=False, add=False),), "the means are missing"),
        Wrong("covariance for root", (draws(root="none"),), "covariance itself"),
        Wrong("independent", (draws(root="diagonal"),), "independently"),
        Wrong("marginal spread", (draws(root="wide"),), "covariance before anything was seen"),
        Wrong("noise as it is", (draws(root="unit"),), "added as it is"),
        Wrong("factor not transposed", (draws(root="left"),), "wrong side"),
        Wrong("mean only", (draws(use=False),), "noise is not used"),
        Wrong("its own noise", (own_noise,), "do not draw your own"),
        Wrong("0 times NaN", (draws(select=False),), "reads what is missing"),
    ],
    "12.4": [
        Wrong("nothing mended", (as_given,), "nothing is mended"),
        Wrong("only the count", (counts_only,), "zeros still stand"),
        Wrong("part of the inverse", (part_of_the_inverse,), "cut the covariance, then invert"),
        Wrong("only the zeros", (zeros_only,), "log 2 pi is still counted"),
        Wrong("each alone", (lambda z, c, t: (marginals(z, c) * t).sum(1),), "each number counts alone"),
        Wrong("one pattern for all", (first_pattern,), "first clip"),
        Wrong("multiplies with the mask", (unit_rows,), "0 times NaN"),
    ],
    "12.5": [
        Wrong("exponentials", (plain_exponentials,), "log-sum-exp"),
        Wrong("no prior", (classes(use_prior=False),), "prior p.c. is missing"),
        Wrong("over clips", (classes(axis=0),), "over the clips"),
        Wrong("prior not in logarithms", (classes(log=False),), "it is log p.c."),
        Wrong("evidence without prior", (classes(evidence="no prior"),), "forgets the prior"),
        Wrong("best class for the sum", (classes(evidence="largest"),), "best class"),
        Wrong("sum of logarithms", (classes(evidence="sum of logs"),), "sum of logarithms is a product"),
        Wrong("largest not added back", (largest_lost,), "not added back"),
        Wrong("responsibilities alone", (lambda x, p: (x + p.log()).softmax(1),), "return a pair"),
    ],
    "12.6": [
        Wrong("ends outside", (coverages(strict=True),), "ends of an interval count"),
        Wrong("share outside", (coverages(outside=True),), "outside"),
        Wrong("band of the measured share", (coverages(own=True),), "around the level"),
        Wrong("one deviation", (coverages(sd=1.0),), "68 %"),
        Wrong("no root", (coverages(root=False),), "that is a variance"),
        Wrong("no N", (coverages(n=0.0),), "number of clips"),
        Wrong("N instead of its root", (coverages(n=2.0),), "falls too fast"),
        Wrong("changes its arguments", (clipped_in_place,), "in place"),
    ],
    "12.7": [
        Wrong("error to zero", (severals(error="to zero"),), "does not go to 0"),
        Wrong("the truth does not scatter", (severals(error="own"),), "the truth scatters"),
        Wrong("V is the draw's error", (severals(v_of=1.0),), "V is half"),
        Wrong("error of the mean", (severals(error="limit"),), "infinitely many"),
        Wrong("variance for spread", (severals(spread="variance"),), "its spread is the root"),
        Wrong("scatter within a clip", (severals(spread="within"),), "scatter within a clip"),
        Wrong("spread stays", (severals(spread="one"),), "narrower than a draw"),
        Wrong("independent draws", (severals(spread="independent"),), "share its conditional mean"),
        Wrong("covariance for correlation", (severals(r="covariance"),), "covariance with the truth"),
        Wrong("divided by the variance", (severals(r="variance"),), "not by the variance"),
    ],
    "12.8": [
        Wrong("the mean", (lambda p: p.mean(0),), "best for SQUARED error"),
        Wrong("one draw", (lambda p: np.sort(p, 0)[0],), "hardly better|SQUARED"),
        Wrong("the first draw", (lambda p: p[0],), "order of the draws"),
        Wrong("weights by place", (weighted_by_place,), "order of the draws"),
        Wrong("median over clips", (lambda p: np.median(p, axis=1),), "one number per clip"),
        Wrong("shrunk", (towards_zero,), "outside the range|shift-proof"),
        Wrong("middle of the range", (lambda p: (p.min(0) + p.max(0)) / 2,), "hardly better|SQUARED"),
        Wrong("sorts its argument", (sorted_in_place,), "in place"),
    ],
}
