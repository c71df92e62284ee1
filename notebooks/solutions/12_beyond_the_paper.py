"""Solutions to the exercises of chapter 12, beyond the paper. Try first: the hints of the chapter come one at a time."""

import math

import numpy as np
import torch


# 12.1: Both formulas are Eq. (26) with matrices of one number. The gain has units, those of the missing per those of the
# seen, so it cannot be the correlation alone; the rest is the share 1 - r^2 of the variance that nothing seen explains.
def two_scalars(sd_s, sd_m, r):
    return r * sd_m / sd_s, sd_m * math.sqrt(1 - r**2)


# 12.2: Whitening with the lower triangular Cholesky factor subtracts from z_i what the numbers before it predict, and
# divides by what is left, L_ii. So row i of the whitened vector is a standard normal given all before: its log-density,
# minus log L_ii for the change of units, is the term of the chain rule.
def chain_rule(z, covariance):
    factor = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(factor, z.T, upper=False).T
    return -0.5 * (white.square() + math.log(2 * math.pi)) - factor.diagonal().log()


# 12.3: A Gaussian draw is mean + root @ noise for any root of the covariance. Only the selected columns of z are touched,
# so nothing that is missing can leak into the draw.
def draw(z, mean, covariance, seen, noise):
    gain = torch.linalg.solve(covariance[seen][:, seen], covariance[seen][:, ~seen]).T
    rest = covariance[~seen][:, ~seen] - gain @ covariance[seen][:, ~seen]
    centre = mean[~seen] + (z[:, seen] - mean[seen]) @ gain.T
    return centre + noise @ torch.linalg.cholesky(rest).T


# 12.4: The snippet asks how likely it is that the absent numbers were measured and turned out to be 0. Integrating them out
# leaves a Gaussian with their rows and columns left out, whose size differs from clip to clip.
def evidence(z, covariance, there):
    found = []
    for x, t in zip(z, there):
        factor = torch.linalg.cholesky(covariance[t][:, t])
        white = torch.linalg.solve_triangular(factor, x[t][:, None], upper=False)[:, 0]
        found.append(-0.5 * (white.square() + math.log(2 * math.pi)).sum() - factor.diagonal().log().sum())
    return torch.stack(found)


# 12.5: Everything stays in logarithms: logsumexp subtracts the largest term, sums numbers between 0 and 1, and adds it back.
# The responsibilities are what is left when the evidence is divided out.
def which(log_density, prior):
    joint = log_density + prior.log()
    evidence = torch.logsumexp(joint, dim=1)
    return (joint - evidence[:, None]).exp(), evidence


# 12.6: Whether a label lies inside is a coin with probability `level` if the interval is right, so the share of N labels has
# the deviation of a binomial share. The band lies around the promise, because the promise is what is tested.
def coverage(interval, labels, level):
    inside = (interval[:, 0] <= labels) & (labels <= interval[:, 1])
    noise = 1.96 * math.sqrt(level * (1 - level) / len(labels))
    return float(inside.mean()), level - noise, level + noise


# 12.7: Truth and draws are the same conditional mean plus independent scatter of variance V; the means vary by 1 - V. One
# draw errs by 2 V. An average keeps the mean and shrinks its own scatter to V / K; the truth's scatter stays.
def several(one, k):
    v = one / 2
    spread = math.sqrt(1 - v + v / k)
    return v + v / k, spread, (1 - v) / spread


# 12.8: The median of a law minimises the mean absolute error to a label from it. The median of few draws is noisy, so this
# one averages the middle third of them; with very few draws that is the median again.
def readout(predictions):
    ordered, k = np.sort(predictions, axis=0), len(predictions)
    cut = (k - 1) // 2 - k // 6
    return ordered[cut : k - cut].mean(axis=0)


ANSWERS = {
    "12.1": (two_scalars,),
    "12.2": (chain_rule,),
    "12.3": (draw,),
    "12.4": (evidence,),
    "12.5": (which,),
    "12.6": (coverage,),
    "12.7": (several,),
    "12.8": (readout,),
}
