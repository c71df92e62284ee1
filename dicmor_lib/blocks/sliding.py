"""A convolution over time as products of shifted rows, which is fast on a CPU because nothing is copied per tap.

All samples are laid behind each other with zeros between them, as the rows of one matrix. Then
y[i] = sum_k x[i + k] W_k for all rows at once, and x[i + k] is only another view of the same memory. The rows that
straddle two samples are computed and left out.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class SlidingProduct(torch.autograd.Function):
    """y_t = sum_k x_(t + k - r) W_k + b with zeros around each sequence.

    Arguments of `apply`: x (groups, batch, time, inputs), the weight (groups, taps, inputs, outputs) with an odd
    number of taps 2 r + 1, and the bias (groups, 1, outputs). Result (groups, batch, time, outputs).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        reach = weight.shape[1] // 2
        rows = _lay_out(x, reach)
        ctx.save_for_backward(rows, weight)
        return _take_up(_slide(rows, weight).add_(bias), x.shape[2], reach)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        taps, reach = weight.shape[1], weight.shape[1] // 2
        d_rows = _lay_out(dy, reach)
        dx: Tensor | None = None
        dw: Tensor | None = None
        db: Tensor | None = None
        if ctx.needs_input_grad[0]:  # x_t was read by y_(t - r) .. y_(t + r): the same with the taps reversed
            dx = _take_up(_slide(d_rows, weight.flip(1).transpose(-1, -2)), dy.shape[2], reach)
        if ctx.needs_input_grad[1]:
            count = rows.shape[1] - 2 * reach
            dy_rows = d_rows[:, reach : reach + count]
            by_tap = [torch.bmm(rows[:, k : k + count].transpose(1, 2), dy_rows) for k in range(taps)]
            dw = torch.stack(by_tap, dim=1)
        if ctx.needs_input_grad[2]:
            db = d_rows.sum(1, keepdim=True)
        return dx, dw, db


def _lay_out(x: Tensor, reach: int) -> Tensor:
    """(groups, batch, time, channels) to rows (groups, batch * (time + 2 reach), channels), zeros around each sample."""
    return F.pad(x, (0, 0, reach, reach)).flatten(1, 2)


def _slide(rows: Tensor, weight: Tensor) -> Tensor:
    """y[i] = sum_k rows[i + k] W_k, as many rows as have all their neighbours."""
    count = rows.shape[1] - weight.shape[1] + 1
    y = torch.bmm(rows[:, :count], weight[:, 0])
    for k in range(1, weight.shape[1]):
        y.baddbmm_(rows[:, k : k + count], weight[:, k])
    return y


def _take_up(rows: Tensor, time: int, reach: int) -> Tensor:
    """The rows of the samples, (groups, batch, time, channels), without those between them."""
    groups, count, channels = rows.shape
    step = time + 2 * reach
    shape = (groups, (count + 2 * reach) // step, time, channels)
    return rows.as_strided(shape, (count * channels, step * channels, channels, 1)).clone(
        memory_format=torch.contiguous_format
    )
