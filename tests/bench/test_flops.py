"""Every matrix product of the model is counted, and counted right."""

from __future__ import annotations

import pytest
import torch

from dicmor_lib.bench.cases import TASKS, Case, build
from dicmor_lib.bench.flops import count_flops, uncounted_products
from dicmor_lib.blocks.grouped import GroupedLinear


def test_a_grouped_layer_by_hand():
    groups, rows, inputs, outputs = 3, 10, 4, 6
    layer, x = GroupedLinear(groups, inputs, outputs), torch.randn(3, 2, 5, 4, requires_grad=True)
    forward = 2 * groups * rows * inputs * outputs
    assert count_flops(lambda: layer(x)) == forward
    assert count_flops(lambda: layer(x).sum().backward()) == 3 * forward  # gradients of x and of the weight


@pytest.mark.parametrize("task", TASKS)
def test_nothing_that_the_model_multiplies_is_left_out(task):
    call = build(Case("tiny", task, 3, time=6)).call
    assert uncounted_products(call) == set()
    assert count_flops(call) > 1e6


def test_operations_grow_with_the_batch_and_training_costs_about_three_predictions():
    def of(task: str, batch: int) -> int:
        return count_flops(build(Case("tiny", task, batch, time=6)).call)

    # 7 and 14 clips hold every pattern equally often
    assert of("predict", 14) == pytest.approx(2 * of("predict", 7), rel=0.01)
    assert 2.5 < of("train", 7) / of("predict", 7) < 4


def test_what_torch_does_not_count_is_counted_or_named():
    a, b, c = torch.ones(2, 4, 4), torch.ones(2, 4, 4), torch.ones(2, 4, 4)
    assert count_flops(lambda: c.baddbmm_(a, b)) == 2 * 2 * 4**3
    assert count_flops(lambda: torch.baddbmm(a, b, c, out=torch.empty(2, 4, 4))) == 2 * 2 * 4**3
    q = torch.randn(1, 2, 5, 4, requires_grad=True)
    attend = torch.nn.functional.scaled_dot_product_attention
    assert count_flops(lambda: attend(q, q, q)) == 2 * (2 * 2 * 5 * 5 * 4)  # q k^T and the weighted sum
    assert uncounted_products(lambda: torch.mv(a[0], b[0, 0])) == {"aten.mv"}
