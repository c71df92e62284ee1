"""Solutions of chapter 5. Each is what is passed to `check`; the comment above it says why it works."""

from __future__ import annotations

import math

import torch


# 5.1  Padding must be missing from the sum and from the count. The clamp gives a clip without a step the mean 0 instead
# of 0 / 0: one NaN in a batch would reach all weights through the gradient.
def channel_mean(u, mask):
    count = mask.sum(dim=1, keepdim=True).clamp(min=1)  # (batch, 1)
    return (u * mask[..., None]).sum(dim=1) / count  # (batch, channels)


# 5.2  The bias stood outside the ReLU, which then cut at 0 rather than at -b1; and a softmax makes gates compete, over
# dim=0 even those of different clips. A sigmoid decides about each channel of each clip alone.
def gate(mean, w1, b1, w2, b2):
    squeezed = torch.relu(mean @ w1.T + b1)  # (batch, squeezed)
    return torch.sigmoid(squeezed @ w2.T + b2)  # (batch, channels)


# 5.3  A convolution of kernel k lets a step see k - 1 further ones, and reaches of a stack add up. Each RCAB has two
# convolutions, and the tail is one more. The 1x1 maps at both ends and the skips add nothing.
def reach(blocks, kernel_size=3):
    return 1 + (kernel_size - 1) * (2 * blocks + 1)


# 5.4  A map from a to b channels has a * b + b numbers, a convolution of kernel 3 from w to w has 3 * w * w + w. The rest
# is bookkeeping: two ends, two convolutions and two small maps per block, one tail.
def count(channels, width, blocks, reduction):
    def linear(inputs, outputs):
        return inputs * outputs + outputs

    squeezed = max(1, width // reduction)
    convolution = linear(3 * width, width)
    block = 2 * convolution + linear(width, squeezed) + linear(squeezed, width)
    return linear(channels, width) + blocks * block + convolution + linear(width, channels)


# 5.5  A step counts if four things hold: the modality is missing, it exists in the data, its real sequence has that step,
# and some source reaches that far. Then Eq. (21) is a mean per modality, and a mean over the modalities that have one.
def recovery_loss(recovered, real, available, observed, lengths):
    longest = (lengths * available).amax(dim=1, keepdim=True)  # (batch, 1)
    end = torch.minimum(lengths, longest) * (observed & ~available)  # (batch, 3)
    steps = torch.arange(real.shape[2]) < end.T[..., None]  # (3, batch, time)
    squared = (recovered - real).square().mean(-1) * steps
    count = steps.sum((1, 2))  # (3,)
    return (squared.sum((1, 2)) / count.clamp(min=1)).sum() / (count > 0).sum().clamp(min=1)


# 5.6  Write truth = m + e and draw_i = m + e_i with independent e of variance v = 1 - known. The difference of truth and
# mean draw is e - mean(e_i): variance v + v / k. The mean draw itself is m + mean(e_i): variance known + v / k.
def error(known, k):
    return (1 - known) * (1 + 1 / k)


def spread(known, k):
    return math.sqrt(known + (1 - known) / k)


# 5.7  Squared error keeps each clip with its own features; the second term compares mean and deviation of each channel
# with the real ones, over all valid steps of the batch (the squared 2-Wasserstein distance of two Gaussians, the library's
# `distance_term`). With weight w a channel of correlation r ends at spread (r + w) / (1 + w): nearer to 1 the larger w is.
def loss(recovered, real, steps):
    count, weights = steps.sum(), steps[..., None]

    def moments(x):
        mean = (x * weights).sum((0, 1)) / count
        variance = ((x - mean).square() * weights).sum((0, 1)) / count
        return mean, (variance + 1e-6).sqrt()

    (mean_hat, sd_hat), (mean, sd) = moments(recovered), moments(real)
    squared = ((recovered - real).square() * weights).sum((0, 1)).mean() / count
    return squared + 5 * ((mean_hat - mean).square() + (sd_hat - sd).square()).mean()


ANSWERS: dict[str, tuple] = {
    "5.1": (channel_mean,),
    "5.2": (gate,),
    "5.3": (reach,),
    "5.4": (count,),
    "5.5": (recovery_loss,),
    "5.6": (error, spread),
    "5.7": (loss,),
}
