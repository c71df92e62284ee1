"""The recovery network: channel attention, its gate, what a step sees, its parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dicmor_lib.blocks.recovery import Recovery
from dicmor_lib.course.checks.asking import (
    Answer,
    close,
    expect_close,
    expect_no_mistake,
    expect_number,
    expect_shape,
    generator,
    left_alone,
    random_tensors,
    step_mask,
)
from dicmor_lib.course.exercises import exercise


@exercise("5.1", "The mean that channel attention reads", level="warm-up", minutes=5)
def masked_mean(channel_mean: Answer) -> str:
    for seed, (batch, time, channels) in enumerate(((4, 7, 3), (2, 12, 5), (6, 4, 6))):
        (u,) = random_tensors(seed, (batch, time, channels))
        lengths = torch.randint(1, time, (batch,), generator=generator(seed))
        lengths[0] = time
        mask = step_mask(lengths, time)
        with left_alone(u, mask):
            got = channel_mean(u, mask)
        assert not (isinstance(got, Tensor) and got.shape == (batch, time)), (
            "this averages over the channels and leaves (batch, time); the gate needs one number per channel, "
            "the mean over time"
        )
        got = expect_shape(got, (batch, channels), "the mean")
        kept = u * mask[..., None]
        mistakes = (
            (
                u.mean(1),
                "this averages over all steps, padding included: a clip's mean then depends on its batch",
            ),
            (
                kept.sum(1) / time,
                "padding is left out of the sum, but the division is by all steps: short clips get means that are too "
                "small; divide by the number of valid steps",
            ),
            (
                (kept.sum((0, 1)) / mask.sum()).expand(batch, channels),
                "all clips share one mean: sum over time only, not over the batch",
            ),
            (
                kept.sum(1) / mask.sum(),
                "the steps of the whole batch are counted; count those of each clip (sum the mask over time only)",
            ),
        )
        expect_no_mistake(got, mistakes)
        expect_close(
            got, kept.sum(1) / mask.sum(1, keepdim=True), "this is not the mean over the valid steps"
        )
    (u,) = random_tensors(9, (2, 5, 3))
    empty = channel_mean(u, step_mask(torch.tensor([3, 0]), 5))
    assert torch.isfinite(empty).all(), (
        "a clip without a valid step gives NaN (0 / 0), which would spread through its batch in training; divide by at "
        "least 1"
    )
    expect_close(empty[1], torch.zeros(3), "the mean of a clip without a valid step must be 0")
    return "A mean over a mask is the one line where most padding bugs live, and the shapes never tell."


@exercise("5.2", "Repair a gate", level="core", minutes=10)
def gate(gate: Answer) -> str:
    for seed, (batch, channels, squeezed) in enumerate(((5, 8, 2), (3, 6, 3), (4, 4, 4))):
        shapes = (batch, channels), (squeezed, channels), (squeezed,), (channels, squeezed), (channels,)
        mean, w1, b1, w2, b2 = args = random_tensors(seed, *shapes)
        with left_alone(*args):
            got = gate(*args)
        got = expect_shape(got, (batch, channels), "the gate")
        hidden = {
            "": torch.relu(mean @ w1.T + b1),
            "there is no ReLU in the bottleneck, so both layers together are one linear map": mean @ w1.T
            + b1,
            "the bias is added after the ReLU, which then cuts at 0 instead of at -b1": torch.relu(
                mean @ w1.T
            )
            + b1,
            "the bottleneck has a sigmoid instead of a ReLU": torch.sigmoid(mean @ w1.T + b1),
        }
        last = {
            "": torch.sigmoid,
            "a softmax over the channels makes them compete: gates must sum to 1, and a channel can only open when "
            "others close": lambda a: torch.softmax(a, -1),
            "a softmax over dim 0 compares the clips of the batch: a clip's gate then depends on its neighbours": (
                lambda a: torch.softmax(a, 0)
            ),
            "tanh gates lie in (-1, 1): they can turn a channel's sign round": torch.tanh,
            "there is no sigmoid at the end, so the gate has no bounds": lambda a: a,
        }
        for first, h in hidden.items():
            for second, squash in last.items():
                if (first or second) and close(got, squash(h @ w2.T + b2)):
                    raise AssertionError("; and ".join(text for text in (second, first) if text))
        true = torch.sigmoid(hidden[""] @ w2.T + b2)
        assert not close(got, mean * true), (
            "this is the mean already multiplied by its gate; return the gate alone"
        )
        expect_close(got, true, "this is not sigmoid(W2 ReLU(W1 mean + b1) + b2)")
    return "Sigmoid gates are independent: all channels may be open at once. It is called attention all the same."


@exercise("5.3", "How far does a step see?", level="core", minutes=10)
def reach(reach: Answer) -> str:
    for blocks, kernel in ((3, 7), (2, 5), (20, 3), (3, 3), (1, 3), (0, 3)):
        got, convolutions = expect_number(reach(blocks, kernel), "the reach"), 2 * blocks + 1
        mistakes = {
            1
            + 2
            * convolutions: "the kernel size does not enter; with a larger kernel each convolution reaches further",
            1
            + (kernel - 1)
            * 2
            * blocks: "the tail is a convolution as well: after the blocks there is one more",
            1 + (kernel - 1) * (blocks + 1): "an RCAB holds two convolutions, and this counts one",
            1 + (kernel - 1) * blocks: "an RCAB holds two convolutions, and after the blocks comes the tail",
            kernel**convolutions: "reaches of stacked convolutions add up, they do not multiply",
            kernel
            * convolutions: "every convolution after the first adds kernel_size - 1 steps, not kernel_size: the "
            "middle step is shared",
            (kernel - 1)
            * convolutions: "the step itself is missing: with no convolution at all a step sees 1 step",
            (kernel - 1) // 2 * convolutions: "this counts one side only; the window reaches to both",
            1 + (kernel - 1) // 2 * convolutions: "this counts one side only; the window reaches to both",
        }
        true = 1 + (kernel - 1) * convolutions
        assert got == true or got not in mistakes, mistakes[got]
        assert got == true, f"with {blocks} RCABs of kernel {kernel} a step sees {true} steps, not {got:g}"
        if kernel == 3 and blocks < 4:
            assert _measured_reach(blocks) == true  # the formula beside a gradient
    return (
        f"20 RCABs reach {1 + 2 * 41} steps, more than most clips have. And the gates read the whole clip, "
        "whatever the depth."
    )


def _measured_reach(blocks: int) -> int:
    with torch.random.fork_rng():
        torch.manual_seed(blocks)
        net = Recovery(4, 8, blocks, 4).double()
        for name, p in net.named_parameters():
            nn.init.zeros_(p) if "attention" in name else nn.init.normal_(p)  # gates of 1/2 whatever the clip
        (x,) = random_tensors(blocks, (1, 1, 41, 4))
        x.requires_grad_()
        (reached,) = torch.autograd.grad(net(x, torch.ones(1, 1, 41))[0, 0, 20].sum(), x)
        return int((reached[0, 0].abs().sum(-1) > 0).sum())


@exercise("5.4", "Count the parameters", level="core", minutes=10)
def parameters(count: Answer) -> str:
    for channels, width, blocks, reduction in (
        (16, 32, 3, 16),
        (8, 16, 1, 4),
        (6, 10, 2, 3),
        (4, 8, 0, 16),
        (32, 64, 20, 16),
    ):
        got = expect_number(count(channels, width, blocks, reduction), "the number of parameters")
        c, w, s = channels, width, max(1, width // reduction)
        conv, attention = 3 * w * w + w, w * s + s + s * w + w
        ends = c * w + w + w * c + c
        true = ends + blocks * (2 * conv + attention) + conv
        biases = (w + c) + blocks * (2 * w + s + w) + w
        mistakes = (
            (true - conv, "the tail is missing: after the blocks comes one more convolution"),
            (true - biases, "the biases are missing: one per output channel of every layer"),
            (true - blocks * conv, "an RCAB holds two convolutions, and this counts one"),
            (true - blocks * attention, "the channel attention of the blocks is missing"),
            (true - ends, "the two ends are missing: from the features up to the width, and down again"),
            (
                true - 2 * w * w * (2 * blocks + 1),
                "a convolution of kernel 3 has three matrices, one for each of its steps; this counts one",
            ),
            (
                true - blocks * (2 * w * s - 2 * w * w + s - w),
                "the bottleneck has width // reduction channels; this counts the attention at full width",
            ),
        )
        for wrong, message in mistakes:
            assert got != wrong or wrong == true, message
        assert got == true, (
            f"D^m with {(channels, width, blocks, reduction)} has {true:,} parameters, not {got:,.0f}"
        )
    counted = sum(p.numel() for p in Recovery(32, 64, 20, 16).parameters())
    assert counted == true  # the formula beside the library's module
    return (
        f"That of the paper's CMU-MOSI model has {true:,} per modality, and the attention is {20 * attention / true:.0%} "
        "of them: a cheap idea."
    )
