"""What the switchboard draws of a model with a joint prior: draws of the missing, their spread, its class posterior.

Nothing here is random: the draws are the model's fixed quantiles, so the same clip has the same picture. And nothing
here reads what a pattern hides.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from dicmor_lib.blocks.joint_prior import JointPrior
from dicmor_lib.blocks.transfer import Packing
from dicmor_lib.course.trained import CourseModel
from dicmor_lib.data.dataset import Split, collate
from dicmor_lib.evaluation.frame import ShallowFrame
from dicmor_lib.evaluation.passes import evaluating, with_steps
from dicmor_lib.inputs import check_inputs
from dicmor_lib.modalities import PATTERNS, available_mask
from dicmor_lib.model import DiCMoR
from dicmor_lib.plots.principal import principal_plane
from dicmor_lib.widgets.clips import RecoveredClips
from dicmor_lib.widgets.switchboard_interval import (
    SHARE,
    blind_interval,
    complete_residuals,
    draws_interval,
)
from dicmor_lib.widgets.switchboard_planes import BACKDROP, LatentPlane, ellipse, latents_of

DRAWS = 32
"""At least so many draws, however few the model predicts with: the ends of a band need more than a mean does."""
LANES = 4
"""Channels of a modality that are drawn, at most: below a third of an inch a band is no longer seen."""
_AT_ONCE = 512  # sequences that go through the fusion at a time


@dataclass(frozen=True)
class PatternDraws:
    """What a model says about n clips of which it sees one pattern; K draws, NaN for a clip that has nothing of it.

    Attributes:
        features: (K, 3, n, T, d) the missing modalities, zero elsewhere.
        predictions: (K, n) of the fusion, one per draw.
        expected: (3, n, T, d) E[z given seen], NaN except in missing modalities and within `lengths`.
        posterior: (n, classes) p(c given seen).
        lengths: (n, 3) of what the fusion sees.
    """

    features: np.ndarray
    predictions: np.ndarray
    expected: np.ndarray
    posterior: np.ndarray
    lengths: np.ndarray


@dataclass(frozen=True)
class JointView:
    """The part of the switchboard that only a joint prior has; all features in units of the training clips.

    Attributes:
        draws: K.
        channels: (3, lanes) which channels are drawn.
        low, high: pattern -> (3, n, T, d) ends of the band that holds 80 % of the draws, step by step.
        predictions: pattern -> (K, n).
        intervals: pattern -> (n, 2) 80 % interval of the label, NaN without validation clips enough; "": their labels'.
        posterior: pattern -> (n, classes) the model's p(c given seen); "": its p(c). Empty if it knows one class only.
    """

    draws: int
    channels: np.ndarray
    low: dict[str, np.ndarray]
    high: dict[str, np.ndarray]
    predictions: dict[str, np.ndarray]
    intervals: dict[str, np.ndarray]
    posterior: dict[str, np.ndarray]

    def held(self, clips: RecoveredClips, sample: int, pattern: str, modality: int) -> float:
        """Return which share of a hidden modality's true values its band holds, over steps and channels.

        NaN where there is nothing to compare.
        """
        real, made = clips.real(sample, modality), clips.made(sample, pattern, modality)
        steps = min(len(real), len(made))
        if not clips.observed[sample, modality] or not steps:
            return float("nan")
        low, high = (side[pattern][modality, sample, :steps] for side in (self.low, self.high))
        return float(((low <= real[:steps]) & (real[:steps] <= high)).mean())


def joint_view(
    course: CourseModel, clips: RecoveredClips, chosen: Split, frame: ShallowFrame
) -> tuple[RecoveredClips, JointView, tuple[LatentPlane, ...]]:
    """Draw for every pattern; the clips come back with the predictions and recovered features of these draws."""
    model = course.model
    draws = max(DRAWS, model.config.draws)
    known = complete_residuals(model, course.clips.valid)
    found = {pattern: draw_pattern(model, chosen, pattern, draws) for pattern in PATTERNS}
    low, high, recovered = {}, {}, {}
    for pattern, of in found.items():
        units = np.stack([frame.standardise(of.features[:, m], m) for m in range(3)], axis=1)
        low[pattern], high[pattern] = draws_band(units)
        recovered[pattern] = units.mean(axis=0)
    view = JointView(
        draws,
        _channels(frame),
        low,
        high,
        {p: of.predictions for p, of in found.items()},
        {p: draws_interval(of.predictions, p, known) for p, of in found.items()}
        | {"": blind_interval(course.clips.valid.labels, len(chosen))},
        _posteriors(model.flow.prior, found, len(chosen)),
    )
    prediction = {p: of.predictions.mean(axis=0) for p, of in found.items()}
    clips = dataclasses.replace(clips, recovered=recovered, prediction=prediction, draws=draws)
    return clips, view, _planes(model, chosen, course.clips.train, found)


def draw_pattern(model: DiCMoR, chosen: Split, pattern: str, draws: int) -> PatternDraws:
    """Draw what a pattern hides of some clips, as the model does when it predicts with so many draws."""
    n, steps, config = len(chosen), max(int(chosen.lengths.max()), 1), model.config
    seen = available_mask(pattern, n).numpy() & chosen.observed
    rows = np.flatnonzero(seen.any(axis=1))
    features = np.zeros((draws, 3, n, steps, config.hidden), np.float32)
    expected = np.full((3, n, steps, config.hidden), np.nan)
    predictions, posterior = np.full((draws, n), np.nan), np.full((n, config.prior_classes), np.nan)
    lengths = np.zeros((n, 3), np.int64)
    if len(rows):
        with evaluating(model):
            parts = [x.cpu().numpy() for x in _draw(model, chosen, rows, seen[rows], draws)]
        features[:, :, rows] = [with_steps(one, steps) for one in parts[0]]
        predictions[:, rows], posterior[rows], lengths[rows] = parts[1], parts[3], parts[4]
        inside = np.arange(steps) < np.where(seen[rows], 0, lengths[rows]).T[..., None]  # (3, rows, steps)
        expected[:, rows] = np.where(inside[..., None], with_steps(parts[2], steps), np.nan)
    return PatternDraws(features, predictions, expected, posterior, lengths)


def _draw(
    model: DiCMoR, split: Split, rows: np.ndarray, seen: np.ndarray, draws: int
) -> tuple[torch.Tensor, ...]:
    """The model's own pass step by step, because its output holds no single draw (see `DiCMoR.forward`)."""
    device, prior = next(model.parameters()).device, model.flow.prior
    batch = collate(split, rows)
    inputs = check_inputs(model.config, batch.features, torch.from_numpy(seen), batch.lengths, None, None)
    packing = Packing.of(inputs.available, device)
    features = tuple(x.to(device) for x in inputs.features)  # zero where the pattern hides them
    inputs = inputs.to(device)
    seen_lengths = inputs.lengths * inputs.available
    lengths = torch.where(inputs.available, seen_lengths, seen_lengths.amax(1, keepdim=True))
    x = model.shallow_features(features, seen_lengths)
    there, mask = (model.step_mask(of, x.shape[2]) for of in (seen_lengths, lengths))
    z, _ = model.flow(x, there)
    posterior = prior.posterior(z, there)
    drawn = model.draw_missing(z, there, mask, posterior, packing, draws)
    missing = (mask * ~inputs.available.T[..., None])[..., None] > 0
    told_apart = drawn if missing.any() else drawn[:1]  # with everything available all draws are one
    predictions = [
        model.predict_from_shallow(
            torch.where(missing, few, x).transpose(0, 1).flatten(1, 2), lengths.repeat(len(few), 1)
        ).view(len(few), -1)
        for few in told_apart.split(max(1, _AT_ONCE // len(rows)))
    ]
    predicted = torch.cat(predictions).expand(draws, -1)
    return drawn, predicted, prior.expected(z, there, posterior), posterior, lengths


def draws_band(draws: np.ndarray, share: float = SHARE) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper end of the band that holds a share of draws (K, ...), value by value.

    One more draw from the same law lies in it with that probability: quantiles at ranks of K + 1, not of K - 1, between
    which fewer would lie.
    """
    tail = (1 - share) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0, method="weibull")
    return low, high


def _posteriors(prior: JointPrior, found: dict[str, PatternDraws], n: int) -> dict[str, np.ndarray]:
    if prior.classes == 1:
        return {}
    blind = prior.class_logits.detach().double().softmax(0).cpu().numpy()
    return {p: of.posterior for p, of in found.items()} | {"": np.tile(blind, (n, 1))}


def _channels(frame: ShallowFrame) -> np.ndarray:
    """Of each modality the channels that vary most among training clips, in their order, (3, lanes)."""
    return np.sort(np.argsort(-frame.sd, axis=1, kind="stable")[:, :LANES], axis=1)


def _planes(
    model: DiCMoR, chosen: Split, train: Split, found: dict[str, PatternDraws]
) -> tuple[LatentPlane, ...]:
    """One plane per modality: their latents live in three spaces, of which the joint prior only says how they vary together."""
    behind, steps = latents_of(model, train.select(np.arange(min(len(train), BACKDROP))))
    own, inside = latents_of(model, chosen)
    return tuple(_plane(model.flow.prior, m, behind[m], steps[m], own, inside, found) for m in range(3))


def _plane(
    prior: JointPrior,
    m: int,
    behind: np.ndarray,
    steps: np.ndarray,
    own: np.ndarray,
    inside: np.ndarray,
    found: dict[str, PatternDraws],
) -> LatentPlane:
    """The plane of modality m, its ellipses N(mu_c^m, Sigma_mm): one step's law once the class's path has settled."""
    rows, block = steps.any(1), slice(m * prior.channels, (m + 1) * prior.channels)
    means = (behind[rows].sum(1) / steps[rows].sum(1)[:, None]).astype(np.float64)  # (M, d); padding is zero
    centre, axes = means.mean(axis=0), np.eye(2, prior.channels)
    if len(means) > 2:  # two directions need three points
        centre, axes, _ = principal_plane(means)
    mean, covariance = (x.detach().double().cpu().numpy() for x in (prior.mean, prior.covariance))
    flat = axes @ covariance[block, block] @ axes.T
    priors = np.stack([ellipse((mu[block] - centre) @ axes.T, flat) for mu in mean])
    others = (np.arange(3) != m)[:, None, None]
    latents = np.where((inside & ~others)[..., None], (own - centre) @ axes.T, np.nan)
    expected = {p: (of.expected[m] - centre) @ axes.T for p, of in found.items()}
    reach = 1.25 * float(np.abs(priors).max())  # all of every ellipse, and some room
    return LatentPlane(centre, axes, (means - centre) @ axes.T, priors, latents, expected, reach)
