"""Wrong answers to the exercises of chapter 5, and what their checks must say."""

from __future__ import annotations

import math

import torch

from tests.course.wrong.wrong import Wrong


def mean_of_nan(u, mask):
    return (u * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def mean_in_place(u, mask):
    u *= mask[..., None]
    return u.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def gate(squash=torch.sigmoid, relu="right"):
    """Exercise 5.2 with chosen mistakes."""

    def answer(mean, w1, b1, w2, b2):
        squeezed = {
            "right": torch.relu(mean @ w1.T + b1),
            "none": mean @ w1.T + b1,
            "bias outside": torch.relu(mean @ w1.T) + b1,
        }[relu]
        return squash(squeezed @ w2.T + b2)

    return answer


def count(tail=True, bias=1, convolutions=2, attention=True, taps=3, squeeze=True, ends=True):
    """Exercise 5.4 with chosen mistakes."""

    def answer(c, w, blocks, reduction):
        s = max(1, w // reduction) if squeeze else w
        conv = taps * w * w + bias * w
        block = convolutions * conv + attention * (2 * w * s + bias * (s + w))
        return ends * (2 * c * w + bias * (w + c)) + blocks * block + tail * conv

    return answer


def batch_loss(
    available_too=False,
    unobserved_too=False,
    end="both",
    over="modalities",
    sum_channels=False,
    root=False,
    detach=False,
):
    """Exercise 5.5 with chosen mistakes."""

    def answer(recovered, real, available, observed, lengths):
        longest = (lengths * available).amax(1, keepdim=True).expand(-1, 3)
        stop = {"both": torch.minimum(lengths, longest), "sources": longest, "real": lengths}[end]
        stop = torch.full_like(stop, real.shape[2]) if end == "none" else stop
        wanted = torch.ones_like(available)
        wanted = wanted if unobserved_too else wanted & observed
        wanted = wanted if available_too else wanted & ~available
        steps = torch.arange(real.shape[2]) < (stop * wanted).T[..., None]
        recovered = recovered.detach() if detach else recovered
        squared = (recovered - real).square()
        squared = (squared.sum(-1) if sum_channels else squared.mean(-1)) * steps
        if over == "steps":
            return squared.sum() / steps.sum()
        if over == "clips":
            clips = squared.sum(2) / steps.sum(2).clamp(min=1)
            terms = clips.sum(1) / (steps.sum(2) > 0).sum(1).clamp(min=1)
        else:
            terms = squared.sum((1, 2)) / steps.sum((1, 2)).clamp(min=1)
        terms = terms.sqrt() if root else terms
        return terms.sum() / (3 if over == "three" else (steps.sum((1, 2)) > 0).sum())

    return answer


def good_error(known, k):
    return (1 - known) * (1 + 1 / k)


def good_spread(known, k):
    return math.sqrt(known + (1 - known) / k)


def loss(weight=5.0, pooled=False, pairs=True, masked=True, small=1e-6, reward=0.0, mean_too=True):
    """Exercise 5.7 with chosen mistakes."""

    def answer(recovered, real, steps):
        w = (steps if masked else torch.ones_like(steps))[..., None]
        axes = (0, 1, 2) if pooled else (0, 1)
        n = w.sum() * (recovered.shape[-1] if pooled else 1)

        def moments(x):
            mean = (x * w).sum(axes) / n
            return mean, (((x - mean).square() * w).sum(axes) / n + small).sqrt()

        (m1, s1), (m2, s2) = moments(recovered), moments(real)
        squared = ((recovered - real).square() * w).sum() / (w.sum() * recovered.shape[-1])
        law = ((s1 - s2).square() + mean_too * (m1 - m2).square()).mean()
        return pairs * squared + weight * law - reward * s1.mean()

    return answer


WRONG: dict[str, list[Wrong]] = {
    "5.1": [
        Wrong("the mask is not used", (lambda u, mask: u.mean(1),), "all steps, padding included"),
        Wrong(
            "masked sum, divided by all steps",
            (lambda u, mask: (u * mask[..., None]).mean(1),),
            "division is by all steps",
        ),
        Wrong("over channels", (lambda u, mask: u.mean(-1) * mask,), "averages over the channels"),
        Wrong(
            "one mean for the batch",
            (lambda u, m: ((u * m[..., None]).sum((0, 1)) / m.sum()).expand(len(u), -1),),
            "all clips share one mean",
        ),
        Wrong(
            "the steps of the batch are counted",
            (lambda u, m: (u * m[..., None]).sum(1) / m.sum(),),
            "steps of the whole batch are counted",
        ),
        Wrong("a clip without a step divides by 0", (mean_of_nan,), "without a valid step gives NaN"),
        Wrong("multiplies its argument in place", (mean_in_place,), "in place"),
    ],
    "5.2": [
        Wrong(
            "as the colleague wrote it",
            (gate(lambda a: torch.softmax(a, 0), "bias outside"),),
            "softmax over dim 0 .*bias is added after the ReLU",
        ),
        Wrong("softmax over channels", (gate(lambda a: torch.softmax(a, -1)),), "makes them compete"),
        Wrong(
            "softmax over clips", (gate(lambda a: torch.softmax(a, 0)),), "compares the clips of the batch"
        ),
        Wrong("no ReLU", (gate(relu="none"),), "no ReLU in the bottleneck"),
        Wrong("bias behind the ReLU", (gate(relu="bias outside"),), "bias is added after the ReLU"),
        Wrong("tanh", (gate(torch.tanh),), "tanh gates"),
        Wrong("no sigmoid", (gate(lambda a: a),), "no sigmoid at the end"),
        Wrong(
            "the gated mean instead of the gate",
            (lambda mean, *rest: mean * gate()(mean, *rest),),
            "return the gate alone",
        ),
    ],
    "5.3": [
        Wrong(
            "the tail is forgotten", (lambda b, k=3: 1 + (k - 1) * 2 * b,), "tail is a convolution as well"
        ),
        Wrong("one convolution per block", (lambda b, k=3: 1 + (k - 1) * (b + 1),), "holds two convolutions"),
        Wrong("multiplied", (lambda b, k=3: k ** (2 * b + 1),), "add up, they do not multiply"),
        Wrong("kernels added", (lambda b, k=3: k * (2 * b + 1),), "adds kernel_size - 1 steps"),
        Wrong("one side", (lambda b, k=3: 1 + (k - 1) // 2 * (2 * b + 1),), "one side only"),
        Wrong(
            "without the step itself", (lambda b, k=3: (k - 1) * (2 * b + 1),), "the step itself is missing"
        ),
        Wrong("always kernel 3", (lambda b, k=3: 4 * b + 3,), "kernel size does not enter"),
    ],
    "5.4": [
        Wrong("no tail", (count(tail=False),), "the tail is missing"),
        Wrong("no biases", (count(bias=0),), "biases are missing"),
        Wrong("one convolution per block", (count(convolutions=1),), "holds two convolutions"),
        Wrong("no attention", (count(attention=False),), "channel attention of the blocks is missing"),
        Wrong("kernel 1", (count(taps=1),), "three matrices"),
        Wrong("no bottleneck", (count(squeeze=False),), "at full width"),
        Wrong("no ends", (count(ends=False),), "two ends are missing"),
    ],
    "5.5": [
        Wrong("available ones count", (batch_loss(available_too=True),), "what is available is counted"),
        Wrong("unobserved ones count", (batch_loss(unobserved_too=True),), "does not exist in the data"),
        Wrong("padding of the real sequence", (batch_loss(end="sources"),), "padding is counted"),
        Wrong("steps behind the sources", (batch_loss(end="real"),), "behind the longest available source"),
        Wrong("divided by three", (batch_loss(over="three"),), "divided by 3"),
        Wrong("mean over clips", (batch_loss(over="clips"),), "step of a short clip weighs more"),
        Wrong("steps pooled", (batch_loss(over="steps"),), "pooled; average within each modality"),
        Wrong("summed over channels", (batch_loss(sum_channels=True),), "summed over the channels"),
        Wrong("root", (batch_loss(root=True),), "a root too many"),
        Wrong("detached", (batch_loss(detach=True),), "no gradient"),
    ],
    "5.6": [
        Wrong("the truth does not vary", (lambda r, k: (1 - r) / k, good_spread), "the truth varies too"),
        Wrong("all shrinks with k", (lambda r, k: 2 * (1 - r) / k, good_spread), "only the draws' part"),
        Wrong("k does nothing", (lambda r, k: 2 * (1 - r), good_spread), "two independent draws"),
        Wrong("exchanged", (lambda r, k: r * (1 + 1 / k), good_spread), "known and unknown are exchanged"),
        Wrong("variance for spread", (good_error, lambda r, k: r + (1 - r) / k), "this is the variance"),
        Wrong(
            "only the draws vary", (good_error, lambda r, k: math.sqrt((1 - r) / k)), "mean varies as well"
        ),
        Wrong(
            "deviations added",
            (good_error, lambda r, k: math.sqrt(r) + math.sqrt((1 - r) / k)),
            "standard deviations do not",
        ),
        Wrong("independent draws", (good_error, lambda r, k: 1 / math.sqrt(k)), "not independent"),
    ],
    "5.7": [
        Wrong("squared error", (loss(weight=0.0),), "squared error still rules"),
        Wrong("too light", (loss(weight=0.1),), "too lightly"),
        Wrong("spread over all channels", (loss(pooled=True, weight=20.0),), "each channel on its own"),
        Wrong("spread alone", (loss(pairs=False),), "handed to other clips cost no more"),
        Wrong("padding counts", (loss(masked=False),), "stands on padding"),
        Wrong("spread is rewarded", (loss(weight=0.0, reward=1.0),), "rewards spread without bound"),
        Wrong("a root at 0", (loss(small=0.0),), "infinite slope at 0"),
        Wrong("only widths are compared", (loss(pairs=False, mean_too=False),), "shifted by half"),
    ],
}
