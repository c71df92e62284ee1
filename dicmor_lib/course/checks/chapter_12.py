"""Checks of chapter 12, beyond the paper."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dicmor_lib.course.checks.asking import (
    Answer,
    Mistakes,
    close,
    expect_close,
    expect_no_mistake,
    expect_number,
    expect_shape,
    generator,
    left_alone,
    random_tensors,
)
from dicmor_lib.course.exercises import exercise

LOG_2_PI = math.log(2 * math.pi)


@exercise("12.1", "The gain of two scalars", level="warm-up", minutes=8)
def the_gain_of_two_scalars(two_scalars: Answer) -> str:
    for sd_s, sd_m, r in ((2.0, 0.7, -0.6), (0.3, 3.0, 0.95), (1.7, 0.4, 0.0), (1.0, 1.0, 0.8)):
        what = f"two_scalars({sd_s}, {sd_m}, {r})"
        gain, rest = _numbers(two_scalars(sd_s, sd_m, r), ("gain", "deviation of the rest"), what)
        true, left = r * sd_m / sd_s, sd_m * math.sqrt(1 - r * r)
        plain = sd_s == sd_m or r == 0  # where most mistakes agree with the truth by chance
        assert plain or not close([gain, rest], [left, true]), (
            "the two are the wrong way round: first the gain, then the deviation of the rest"
        )
        expect_no_mistake(
            gain,
            (
                (
                    r,
                    "your gain is the correlation; it also carries units, those of the missing per those of the seen",
                ),
                (
                    r * sd_s / sd_m,
                    "your gain is the one from the missing to the seen: the ratio of deviations is upside down",
                ),
                (r * sd_s * sd_m, "your gain is the covariance; divide it by the variance of what is seen"),
                (r * sd_m / sd_s**2, "divide the covariance r sd_s sd_m by sd_s^2, once"),
            ),
            true,
        )
        expect_close(gain, true, "the gain is the covariance over the variance of what is seen")
        expect_no_mistake(
            rest,
            (
                (left**2, "that is the variance of the rest; take the root"),
                (sd_m * (1 - r * r), "1 - r^2 shrinks the variance; the deviation shrinks by its root"),
                (
                    sd_s * math.sqrt(1 - r * r),
                    "that is the rest of the seen given the missing; the deviation is the missing one's",
                ),
                (
                    sd_m * (1 - abs(r)),
                    "the deviation does not shrink by 1 - r: variances subtract, not deviations",
                ),
                (sd_m, "you return the deviation before anything was seen"),
            ),
            left,
        )
        expect_close(rest, left, "the deviation of the rest is sd_m times the root of 1 - r^2")
    return "At r = 0.8 seeing one leaves 60 % of the other's deviation: even strong ties leave much open."


@exercise("12.2", "One modality after the other", level="core", minutes=15)
def one_after_the_other(chain_rule: Answer) -> str:
    for seed, (batch, n) in enumerate(((5, 3), (4, 6), (2, 4)), 120):
        covariance, (z,) = _covariance(seed, n), random_tensors(seed, (batch, n))
        with left_alone(z, covariance):
            value = chain_rule(z, covariance)
        true = _chain(z, covariance)
        if isinstance(value, Tensor) and value.shape == (batch,):
            raise AssertionError(
                "you return one number per clip, the joint density; return its n terms, (batch, n)"
            )
        found = expect_shape(value, (batch, n), "chain_rule(z, covariance)")
        factor = torch.linalg.cholesky(covariance)
        white = torch.linalg.solve_triangular(factor, z.T, upper=False).T
        sd, precision = covariance.diagonal().sqrt(), torch.linalg.inv(covariance)
        own = precision.diagonal()
        backwards = _chain(z.flip(1), covariance.flip(0, 1)).flip(1)
        rest = -0.5 * ((z @ precision) ** 2 / own + LOG_2_PI - own.log())
        mistakes: Mistakes = (
            (
                -0.5 * ((z / sd) ** 2 + LOG_2_PI) - sd.log(),
                "those are the marginals log p(z_i): nothing is known of the numbers before",
            ),
            (
                backwards,
                "you go through the numbers in the other order: column i is given 0 .. i - 1, not what comes after",
            ),
            (
                rest,
                "each of your terms is given ALL others; the chain rule gives only those before, or they count twice",
            ),
            (-0.5 * (white**2 + LOG_2_PI), "the log-determinant is missing: a narrow law has a high density"),
            (true + factor.diagonal().log() * 2, "the sign of the log-determinant is turned round"),
            (
                -0.5 * (white**2 + LOG_2_PI) - 2 * factor.diagonal().log(),
                "the diagonal of the Cholesky factor holds deviations already: its logarithm counts once",
            ),
            (-0.5 * white**2 - factor.diagonal().log(), "log 2 pi / 2 is missing, once per number"),
        )
        expect_no_mistake(found, mistakes, true)
        expect_close(
            found,
            true,
            "column i should be log p(z_i given z_0 .. z_(i-1)); the rows of the Cholesky factor have it all",
        )
    return "The library's `log_prob` returns this sum by modality: language, audio given language, vision given both."


@exercise("12.3", "A draw from the conditional law", level="core", minutes=15)
def a_conditional_draw(draw: Answer) -> str:
    for seed, (n, missing) in enumerate(((4, (1, 3)), (6, (0, 1, 5)), (3, (2,)), (5, (0, 2, 3, 4))), 130):
        covariance, (mean, z) = _covariance(seed, n), random_tensors(seed + 7, (n,), (3, n))
        seen = torch.ones(n, dtype=torch.bool)
        seen[list(missing)] = False
        k = len(missing)
        (noise,) = random_tensors(seed + 9, (3, k))
        with left_alone(z, mean, covariance, noise):
            value = expect_shape(draw(z, mean, covariance, seen, noise), (3, k), "draw(...)")
        again = draw(z, mean, covariance, seen, noise)
        assert torch.equal(value, again), (
            "the same noise gives another draw: use the noise you are given, do not draw your own"
        )
        gain = covariance[~seen][:, seen] @ torch.linalg.inv(covariance[seen][:, seen])
        rest = covariance[~seen][:, ~seen] - gain @ covariance[seen][:, ~seen]
        centre = mean[~seen] + (z - mean)[:, seen] @ gain.T
        zero = draw(z, mean, covariance, seen, torch.zeros_like(noise))
        mistakes: Mistakes = (
            (
                mean[~seen].expand(3, -1),
                "without noise you return the mean before anything was seen; move it by the gain",
            ),
            (z[:, seen] @ gain.T, "the means are missing: the gain multiplies z_s - mu_s, and mu_m is added"),
            ((z - mean)[:, seen] @ gain.T, "the mean of what is missing is not added"),
            (
                mean[~seen] + z[:, seen] @ gain.T,
                "the gain must multiply z_s - mu_s, how far the seen is from its mean",
            ),
        )
        expect_no_mistake(zero, mistakes, centre)
        expect_close(zero, centre, "with noise 0 the draw should be the conditional mean of Eq. (26)")
        unit = torch.eye(k, dtype=z.dtype)
        root = torch.stack(
            [(draw(z[:1], mean, covariance, seen, e[None]) - centre[:1])[0] for e in unit], dim=1
        )
        spread = root @ root.T
        wide = covariance[~seen][:, ~seen]
        mistakes = (
            (wide, "your noise has the covariance before anything was seen; what is seen makes it narrower"),
            (
                rest @ rest,
                "the noise is multiplied with the covariance itself; it needs a root of it, such as its Cholesky factor",
            ),
            (
                torch.diag(rest.diagonal()),
                "the missing numbers are drawn independently of each other; given what is seen they are still tied",
            ),
            (
                torch.diag(rest.diagonal() ** 2),
                "the missing numbers are drawn independently, and with variances for deviations",
            ),
            (unit, "the noise is added as it is; give it the covariance of Eq. (26)"),
            (torch.zeros_like(rest), "the noise is not used: you return the mean, not a draw"),
        )
        expect_no_mistake(spread, mistakes, rest)
        turned = torch.linalg.cholesky(rest).T
        assert close(spread, rest) or not close(spread, turned @ turned.T), (
            "the Cholesky factor is applied from the wrong side: for rows of noise it is noise @ factor.T"
        )
        expect_close(spread, rest, "the draws do not have the conditional covariance of Eq. (26)")
        poisoned = torch.where(seen, z, torch.nan)
        assert not torch.isnan(draw(poisoned, mean, covariance, seen, noise)).any(), (
            "your draw reads what is missing: with NaN there it becomes NaN"
        )
    return "Any root will do: the law of the draw depends on root @ root.T alone."


@exercise("12.4", "Zeros are a claim", level="core", minutes=15)
def zeros_are_a_claim(evidence: Answer) -> str:
    for seed, n in enumerate((3, 5, 6), 140):
        covariance, (z,) = _covariance(seed, n), random_tensors(seed, (6, n))
        there = torch.rand(6, n, generator=generator(seed)) < 0.6
        there[:, seed % n] = True
        there[0], there[1] = torch.arange(n) == seed % n, True
        z = torch.where(there, z, 0.0)
        with left_alone(z, covariance, there):
            value = evidence(z, covariance, there)
        found = expect_shape(value, (6,), "evidence(z, covariance, there)")
        true = _evidence(z, covariance, there)
        n_there, sd = there.sum(1), covariance.diagonal().sqrt()
        whole = _evidence(z, covariance, torch.ones_like(there))
        precision = torch.linalg.inv(covariance)
        sliced = torch.stack(
            [_log_normal(x[t], torch.linalg.inv(precision[t][:, t])) for x, t in zip(z, there)]
        )
        single = ((-0.5 * ((z / sd) ** 2 + LOG_2_PI) - sd.log()) * there).sum(1)
        mistakes: Mistakes = (
            (whole, "nothing is mended: a zero is still a claim about what was measured"),
            (
                whole + 0.5 * (n - n_there) * LOG_2_PI,
                "the number of values is right now, but the zeros still stand in the quadratic form and the determinant",
            ),
            (
                sliced,
                "you cut the inverse: that is the law given that the rest is 0; cut the covariance, then invert",
            ),
            (single, "each number counts alone; those that are there are still tied to each other"),
            (true - 0.5 * (n - n_there) * LOG_2_PI, "log 2 pi is still counted for what is not there"),
            (
                _evidence(z, covariance, there[:1].expand_as(there)),
                "you use the pattern of the first clip for all clips",
            ),
        )
        expect_no_mistake(found, mistakes, true)
        expect_close(
            found, true, "leave the rows and columns of what is not there out of the covariance, clip by clip"
        )
    poisoned = torch.where(there, z, torch.nan)
    assert not torch.isnan(evidence(poisoned, covariance, there)).any(), (
        "your density reads what is not there: 0 times NaN is NaN, so select instead of multiplying"
    )
    return "A padded step and an absent modality are the same case: left out, not set to zero."


@exercise("12.5", "Which class, from very small numbers", level="core", minutes=12)
def which_class(which: Answer) -> str:
    for seed, (batch, classes, level) in enumerate(((4, 7, -5.0), (6, 3, -900.0), (3, 7, 950.0)), 150):
        log_density = random_tensors(seed, (batch, classes))[0] * 2 + level
        prior = torch.rand(classes, generator=generator(seed), dtype=torch.float64) + 0.2
        prior = prior / prior.sum()
        with left_alone(log_density, prior):
            value = which(log_density, prior)
        assert isinstance(value, (tuple, list)) and len(value) == 2, (
            f"return a pair: responsibilities and log-evidence, not {type(value).__name__}"
        )
        p, evidence = value
        for name, x in (("responsibilities", p), ("log-evidence", evidence)):
            assert isinstance(x, Tensor), f"the {name} are a {type(x).__name__}, not a tensor"
            assert torch.isfinite(x).all(), (
                f"the {name} are not finite: exp({level:.0f}) is {'0' if level < 0 else 'infinite'} in floating point; "
                "subtract the largest logarithm first (log-sum-exp)"
            )
        p = expect_shape(p, (batch, classes), "responsibilities")
        evidence = expect_shape(evidence, (batch,), "log-evidence")
        joint = log_density + prior.log()
        mistakes: Mistakes = (
            (log_density.softmax(1), "the prior p(c) is missing: a rare class needs more evidence"),
            (joint.softmax(0), "you normalise over the clips; the classes of ONE clip sum to 1 (axis 1)"),
            (
                (log_density + prior).softmax(1),
                "the prior is added as a probability; in logarithms it is log p(c)",
            ),
            (joint.log_softmax(1), "those are the logarithms of the responsibilities"),
        )
        expect_no_mistake(p, mistakes)
        expect_close(p, joint.softmax(1), "the responsibilities are softmax of log p(z given c) + log p(c)")
        true = joint.logsumexp(1)
        mistakes = (
            (log_density.logsumexp(1), "the evidence forgets the prior p(c)"),
            (true - joint.amax(1), "the largest logarithm was subtracted for safety and not added back"),
            (
                true - log_density.amax(1),
                "the largest logarithm was subtracted for safety and not added back",
            ),
            (joint.amax(1), "that is the best class's term; the evidence sums over the classes"),
            ((p * joint).sum(1), "that is a mean of logarithms; the evidence is the logarithm of a sum"),
            (joint.sum(1), "a sum of logarithms is a product; the evidence is the logarithm of a sum"),
        )
        expect_no_mistake(evidence, mistakes, true)
        expect_close(evidence, true, "the log-evidence is log sum_c p(c) p(z given c)")
    return "The difference of two such evidences, with and without the missing part, is log p(missing given available)."


@exercise("12.6", "May you be believed?", level="core", minutes=12)
def may_you_be_believed(coverage: Answer) -> str:
    rng = np.random.default_rng(126)
    for n, level in ((400, 0.8), (90, 0.95), (1000, 0.5)):
        low = rng.normal(size=n) - 1
        interval = np.stack([low, low + rng.uniform(0.5, 3, n)], axis=1)
        labels = np.round(rng.normal(size=n), 1)
        labels[:8], labels[8:12] = interval[:8, 0], interval[8:12, 1]  # on the ends
        before = interval.copy(), labels.copy()
        found = coverage(interval, labels, level)
        assert all(np.array_equal(a, b) for a, b in zip(before, (interval, labels))), (
            "your code changes one of its arguments in place; work on a copy"
        )
        share, least, most = _numbers(found, ("share", "least", "most"), "coverage(interval, labels, level)")
        true = float(((interval[:, 0] <= labels) & (labels <= interval[:, 1])).mean())
        noise = math.sqrt(level * (1 - level) / n)
        strict = float(((interval[:, 0] < labels) & (labels < interval[:, 1])).mean())
        mistakes: Mistakes = (
            (100 * true, "the share is in per cent; return it between 0 and 1"),
            (n * true, "that is how many labels are inside; return the share"),
            (1 - true, "that is the share of labels outside"),
            (strict, "labels on the ends of an interval count as inside"),
        )
        expect_no_mistake(share, mistakes, true)
        expect_close(share, true, "the share is the mean of 'lower end <= label <= upper end'")
        own = math.sqrt(true * (1 - true) / n)
        band = [least, most]
        for centre, size, message in (
            (
                true,
                own,
                "your band is the interval of the measured share; asked is what a RIGHT interval would show: around the level",
            ),
            (
                true,
                noise,
                "your band lies around the measured share; asked is where the share of a right interval falls: around the level",
            ),
            (level, noise / 1.96, "one deviation is a band of 68 %; 95 % are 1.96 of them"),
            (level, level * (1 - level) / n, "the root is missing: that is a variance"),
            (
                level,
                noise * math.sqrt(n),
                "the noise does not fall with the number of clips: divide the variance by N",
            ),
            (
                level,
                noise / math.sqrt(n),
                "the noise falls too fast: the variance of a share is level (1 - level) / N, then the root",
            ),
        ):
            assert not close(band, [centre - 1.96 * size, centre + 1.96 * size], rtol=2e-4), message
        assert least < most, "the lower end of the band lies above its upper end"
        expect_close(
            band,
            [level - 1.96 * noise, level + 1.96 * noise],
            "the band is level +- 1.96 sqrt(level (1 - level) / N)",
            rtol=2e-4,
        )
    return (
        "With 90 clips a 95 % interval may hold between 90 and 99 % by chance: small tests cannot calibrate."
    )


@exercise("12.7", "One draw, several, infinitely many", level="challenge", minutes=20)
def one_draw_or_several(several: Answer) -> str:
    for one, k in ((1.2, 4), (0.5, 16), (1.9, 2), (1.2, 1), (0.02, 7)):
        error, spread, r = _numbers(
            several(one, k), ("error", "spread", "correlation"), f"several({one}, {k})"
        )
        v = one / 2
        variance = 1 - v + v / k
        mistakes: Mistakes = (
            (
                one / k,
                "the error does not go to 0 with many draws: the truth itself scatters around its conditional mean",
            ),
            (one * (1 + 1 / k), "one draw errs by 2 V, its own scatter and the truth's: V is half of `one`"),
            (v / k, "the truth scatters around its conditional mean, too: add V"),
            (v, "that is the error of the mean itself, of infinitely many draws; K draws leave V / K more"),
        )
        expect_no_mistake(error, mistakes, v * (1 + 1 / k))
        expect_close(
            error, v * (1 + 1 / k), "the error is V from the truth and V / K from the average, V = one / 2"
        )
        mistakes = (
            (variance, "that is the variance of the average; its spread is the root"),
            (1.0, "the average of several draws is narrower than a draw: only the part V shrinks, to V / K"),
            (
                math.sqrt(v / k),
                "that is the scatter within a clip; the conditional means differ from clip to clip by 1 - V",
            ),
            (
                1 / math.sqrt(k),
                "that would be the spread of independent draws; those of one clip share its conditional mean",
            ),
            (math.sqrt(1 - v), "that is the spread of the mean itself; K draws keep V / K more"),
        )
        expect_no_mistake(spread, mistakes, math.sqrt(variance))
        expect_close(spread, math.sqrt(variance), "the spread is the root of 1 - V + V / K")
        mistakes = (
            (1 - v, "that is the covariance with the truth; divide by both spreads, the truth's is 1"),
            ((1 - v) / variance, "divide the covariance by the spread, not by the variance"),
            (math.sqrt(1 - v), "that is the correlation of the mean itself; K draws have a little less"),
        )
        expect_no_mistake(r, mistakes, (1 - v) / math.sqrt(variance))
        expect_close(r, (1 - v) / math.sqrt(variance), "the correlation is 1 - V over the spread")
    return "With K = 1 these are the row of a draw, with K large that of the mean: hold them against the table above."


@exercise("12.8", "A readout from draws", level="open-ended", minutes=25)
def a_readout(readout: Answer) -> str:
    rng = np.random.default_rng(128)
    for draws, clips in ((16, 40), (5, 30), (1, 12)):
        predictions = rng.normal(size=(draws, clips)) + 2 * rng.normal(size=clips)
        kept = predictions.copy()
        out = _array(readout(predictions), clips)
        assert np.array_equal(predictions, kept), "your code changes its argument in place; work on a copy"
        inside = (predictions.min(0) - 1e-9 <= out) & (out <= predictions.max(0) + 1e-9)
        assert inside.all(), (
            "your prediction lies outside the range of the draws: not between their smallest and largest"
        )
        shifted = _array(readout(predictions + 3.0), clips)
        assert close(shifted, out + 3.0), "not shift-proof: if all draws say 3 more, so should you"
        shuffled = _array(readout(predictions[rng.permutation(draws)]), clips)
        assert close(shuffled, out), "it depends on the order of the draws, which means nothing"
    scores = []
    for name, law in _LAWS.items():
        both = law(np.random.default_rng(129), 17, 6000)
        predictions, labels = both[:16], both[16]
        errors = {
            "yours": np.abs(_array(readout(predictions), 6000) - labels).mean(),
            "mean": np.abs(predictions.mean(0) - labels).mean(),
            "median": np.abs(np.median(predictions, 0) - labels).mean(),
            "one": np.abs(predictions[0] - labels).mean(),
        }
        assert errors["yours"] < (errors["one"] + errors["mean"]) / 2, (
            f"on a {name} law your readout is hardly better than one draw: use all of them"
        )
        if name != "symmetric":
            limit = errors["median"] + 0.35 * (errors["mean"] - errors["median"])
            assert errors["yours"] <= limit, (
                f"on a {name} law your error is {errors['yours']:.3f}, that of the mean {errors['mean']:.3f}: the mean is "
                f"best for SQUARED error; {limit:.3f} or less is within reach for the absolute one"
            )
        scores.append(errors["yours"])
    return f"Mean absolute errors {scores[0]:.3f}, {scores[1]:.3f}, {scores[2]:.3f}; the plain median is hard to beat."


def _skewed(rng: np.random.Generator, k: int, n: int) -> np.ndarray:
    return rng.normal(size=n) + rng.exponential(1.5, (k, n))


def _two_clumps(rng: np.random.Generator, k: int, n: int) -> np.ndarray:
    share = rng.uniform(0.1, 0.3, n)
    return 0.3 * rng.normal(size=(k, n)) + 3.0 * (rng.random((k, n)) < share)


def _symmetric(rng: np.random.Generator, k: int, n: int) -> np.ndarray:
    return rng.normal(size=n) + rng.normal(size=(k, n))


_LAWS = {"symmetric": _symmetric, "skewed": _skewed, "two-clump": _two_clumps}


def _numbers(value: Any, names: tuple[str, ...], what: str) -> list[float]:
    assert value is not None, f"{what} is None; did you forget `return`?"
    assert isinstance(value, (tuple, list, np.ndarray, Tensor)) and len(value) == len(names), (
        f"{what} should return {len(names)} numbers: {', '.join(names)}"
    )
    return [expect_number(v, name) for v, name in zip(value, names)]


def _array(value: Any, n: int) -> np.ndarray:
    assert value is not None, "readout(predictions) is None; did you forget `return`?"
    found = np.asarray(value, dtype=float)
    assert found.shape == (n,), (
        f"readout(predictions) has shape {found.shape}, expected ({n},): one number per clip, the draws are axis 0"
    )
    assert np.isfinite(found).all(), "readout(predictions) holds NaN or infinite values"
    return found


def _covariance(seed: int, n: int) -> Tensor:
    (root,) = random_tensors(seed + 1000, (n, n))
    return root @ root.T / n + 0.3 * torch.eye(n, dtype=torch.float64)


def _chain(z: Tensor, covariance: Tensor) -> Tensor:
    factor = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(factor, z.T, upper=False).T
    return -0.5 * (white**2 + LOG_2_PI) - factor.diagonal().log()


def _log_normal(z: Tensor, covariance: Tensor) -> Tensor:
    return _chain(z[None], covariance).sum()


def _evidence(z: Tensor, covariance: Tensor, there: Tensor) -> Tensor:
    return torch.stack([_log_normal(x[t], covariance[t][:, t]) for x, t in zip(z, there)])
