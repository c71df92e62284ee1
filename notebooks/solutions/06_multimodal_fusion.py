"""Solutions of chapter 6. Each says why it works; try the hints in the chapter first."""

from __future__ import annotations

import math

import torch


# --- 6.1 ---------------------------------------------------------------------------------------------------------
def mask_afterwards(weights, allowed):
    """A softmax is exp(score) divided by a sum. Forbidding steps takes their exp(score) out of the sum and leaves the
    others alone, so dividing by the sum of what is left gives the masked softmax."""
    kept = weights * allowed
    return kept / kept.sum(dim=-1, keepdim=True)


# --- 6.2 ---------------------------------------------------------------------------------------------------------
def score_sizes(d, sd_q, sd_k):
    """Each of the d products has variance (sd_q sd_k)^2 and they are independent, so the variances add up to
    d (sd_q sd_k)^2. Its root grows like sqrt(d), which the division takes away."""
    before = math.sqrt(d) * sd_q * sd_k
    return before, before / math.sqrt(d)


# --- 6.3 ---------------------------------------------------------------------------------------------------------
def readable_steps(i, n, k):
    """j / k < (i + 1) / n means j < (i + 1) k / n, and the whole numbers 0, 1, ... below a number a are ceil(a) many.
    The ceiling of a quotient of whole numbers is minus the floor of its negative: no rounding of floats."""
    return -(-(i + 1) * k // n)


# --- 6.4 ---------------------------------------------------------------------------------------------------------
def last_valid(x, valid):
    """The number of the last valid step is the largest number of any valid step, wherever the padding stands. A clip
    without one is -1, which indexing would silently take for the last step: so it is set to zero by hand."""
    number = torch.where(valid, torch.arange(x.shape[1]), -1).amax(dim=1)
    picked = x[torch.arange(len(x)), number.clamp(min=0)]
    return torch.where(number[:, None] >= 0, picked, 0.0)


# --- 6.5 ---------------------------------------------------------------------------------------------------------
def encoder(query, source):
    """Two encoders per query; the source is the first or second of the two others, so its number is one smaller if
    the query comes before it."""
    return 2 * query + source - (source > query)


def touched(modality):
    """A modality enters an encoder as the query or as the source: two and two of the six."""
    pairs = [(m, k) for m in range(3) for k in range(3) if m != k]
    return sorted(encoder(m, k) for m, k in pairs if modality in (m, k))


# --- 6.6 ---------------------------------------------------------------------------------------------------------
def shift_matrix(width, steps):
    """sin(a + b) = sin a cos b + cos a sin b and cos(a + b) = cos a cos b - sin a sin b, with b = frequency * steps. So
    each pair of a sine and a cosine turns by an angle that does not depend on the position; the columns of R are the
    coefficients."""
    half = width // 2
    frequency = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / max(half - 1, 1))
    cos, sin = torch.diag(torch.cos(frequency * steps)), torch.diag(torch.sin(frequency * steps))
    return torch.cat([torch.cat([cos, -sin], dim=1), torch.cat([sin, cos], dim=1)], dim=0)


# --- 6.7 ---------------------------------------------------------------------------------------------------------
def read_clip(x, lengths):
    """Padding must not be read, so the KEYS are masked, the last axis of the scores; what the padded queries compute
    is never used. And the clip ends at its last valid step, which is number length - 1."""
    valid = torch.arange(x.shape[1]) < lengths[:, None]
    scores = x @ x.transpose(1, 2) / math.sqrt(x.shape[-1])
    scores = scores.masked_fill(~valid[:, None, :], -math.inf)
    x = x + scores.softmax(dim=-1) @ x
    return x[torch.arange(len(x)), lengths - 1]


# --- 6.8 ---------------------------------------------------------------------------------------------------------
def ignores_order(read, source):
    """One random order is enough to find almost any dependence, twenty are certain enough. Sums in another order
    differ by rounding, so results are compared with a tolerance far above that and far below a real effect."""
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(source.shape[1], generator=generator) for _ in range(20)]
    same = read(source)
    return all(torch.allclose(read(source[:, order]), same, rtol=1e-9, atol=1e-11) for order in orders)


# --- 6.9 ---------------------------------------------------------------------------------------------------------
def attribution(predict, x, baseline):
    """Leave one out: replace one modality by the baseline, keep the others, and see how far the prediction moves. Each
    time from a fresh copy, so that the order of the modalities plays no role."""
    contributions = []
    for m in range(3):
        without = x.clone()
        without[m] = baseline[m]
        contributions.append(predict(x) - predict(without))
    return torch.stack(contributions, dim=1)


ANSWERS: dict[str, tuple] = {
    "6.1": (mask_afterwards,),
    "6.2": (score_sizes,),
    "6.3": (readable_steps,),
    "6.4": (last_valid,),
    "6.5": (encoder, touched),
    "6.6": (shift_matrix,),
    "6.7": (read_clip,),
    "6.8": (ignores_order,),
    "6.9": (attribution,),
}
