"""Single blocks against numbers that the published implementation printed (tests/data_golden, committed)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dicmor_lib.blocks import Encoder, Flow, Recovery, causal_mask
from dicmor_lib.published import load_encoder
from dicmor_lib.published_reader import PublishedReader

COPY = Path(__file__).parents[1] / "data_golden" / "reference_blocks.npz"
SMALL = 200_000  # bytes
TOLERANCE = dict(atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def golden():
    with np.load(COPY) as file:
        widened = {key: file[key].astype(np.float32) for key in file.files}
    return {key: torch.from_numpy(value) for key, value in widened.items()}


def part(golden, block: str) -> PublishedReader:
    """The parameters of one block, each under the name "block." and its own."""
    prefix = f"{block}/state/"
    return PublishedReader(
        {f"block.{k.removeprefix(prefix)}": v for k, v in golden.items() if k.startswith(prefix)}
    )


@pytest.fixture(scope="module")
def flow(golden):
    reader = part(golden, "flow")
    flow = Flow(8, 64, 4, mixing="none", scale_map="sigmoid", shift_first=True)
    with torch.no_grad():
        for i, layer in enumerate(flow.layers):
            net = f"block.blocks.0.flows.{i}.coupling.net."
            reader.linear(layer.network.first, [net + "0"])
            reader.linear(layer.network.second, [net + "2"])
            reader.linear(layer.network.last, [net + "4.conv"], scales=[net + "4.scale"])
    assert reader.used == set(reader.state)
    return flow


def test_the_copy_is_small_and_true(shared_golden, golden):
    assert COPY.stat().st_size < SMALL
    with np.load(shared_golden / "reference_blocks.npz") as original:
        for key, value in golden.items():
            assert np.array_equal(original[key], value.numpy()), key


@torch.no_grad()
def test_flow_forward_and_log_det(golden, flow):
    z, log_det = flow(golden["flow/x"].transpose(1, 2))
    torch.testing.assert_close(z.transpose(1, 2), golden["flow/z"], **TOLERANCE)
    torch.testing.assert_close(log_det, golden["flow/log_det"], rtol=1e-6, atol=0)


@torch.no_grad()
def test_flow_inverse(golden, flow):
    x = flow.inverse(golden["flow/latent"].transpose(1, 2))
    torch.testing.assert_close(x.transpose(1, 2), golden["flow/inverse"], **TOLERANCE)


@torch.no_grad()
def test_rcab_group(golden):
    reader = part(golden, "rcab")
    recovery = Recovery(channels=32, width=32, blocks=3, reduction=16)
    for i, block in enumerate(recovery.blocks):
        body = f"block.body.{i}.body."
        reader.conv(block.conv1, [body + "0"])
        reader.conv(block.conv2, [body + "2"])
        reader.linear(block.attention.squeeze, [body + "3.conv_du.0"])
        reader.linear(block.attention.excite, [body + "3.conv_du.2"])
    reader.conv(recovery.tail, ["block.body.3"])
    assert reader.used == set(reader.state)
    for one_by_one in (recovery.up, recovery.down):  # the group alone: nothing before and after it
        one_by_one.weight[0], one_by_one.bias[0] = torch.eye(32), 0.0
    x = golden["rcab/x"].transpose(1, 2)[None]
    y = recovery(x, torch.ones(x.shape[:3]))
    torch.testing.assert_close(y[0].transpose(1, 2), golden["rcab/y"], **TOLERANCE)


@torch.no_grad()
def test_cross_modal_and_self_encoder(golden):
    reader = part(golden, "crossmodal")
    encoder = Encoder(1, 16, heads=4, layers=2, dropout=(0.0,), embedding_dropout=0.0).eval()
    load_encoder(encoder, ["block"], reader)
    assert reader.used == set(reader.state)
    # time, batch, channel there; groups, batch, time, channel here
    query, source = (golden[f"crossmodal/{name}"].transpose(0, 1)[None] for name in ("query", "source"))
    lengths = torch.full((1, 2), 9)
    allowed, valid = causal_mask(lengths, lengths, 9), torch.ones(1, 2, 9, dtype=torch.bool)
    crossed = encoder(query, valid, allowed, source, valid)
    itself = encoder(query, valid, allowed)
    torch.testing.assert_close(crossed[0].transpose(0, 1), golden["crossmodal/y"], **TOLERANCE)
    torch.testing.assert_close(itself[0].transpose(0, 1), golden["crossmodal/self_y"], **TOLERANCE)
