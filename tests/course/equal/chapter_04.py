"""The definitions of chapter 4 against the library: flows, transfers of both kinds, and MMD, in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.testing import assert_close

from dicmor_lib.blocks.flow import Flow
from dicmor_lib.blocks.transfer import Packing, Transfer
from dicmor_lib.course import assert_same_gradients, copy_weights
from dicmor_lib.evaluation.frame import effective_lengths
from dicmor_lib.evaluation.two_sample import Pool, median_bandwidth, two_sample_tests
from dicmor_lib.modalities import MODALITIES
from tests.random_flows import random_flow
from tests.random_models import mixed_patterns, perturb

CHANNELS, WIDTH, TIME, BATCH = 6, 10, 5, 14


def random_flows(layers: int) -> Flow:
    return random_flow({}, CHANNELS, layers, groups=3, width=WIDTH, seed=layers)


def plain_flow(chapter: dict, library: Flow, group: int) -> nn.Module:
    flow = chapter["PlainFlow"](CHANNELS, WIDTH, len(library.layers)).double()
    copy_weights(flow, library.layers, group)
    return flow


def flow(chapter: dict) -> None:
    for layers in (1, 4, 5):
        library = random_flows(layers)
        x = torch.randn(3, 4, TIME, CHANNELS, dtype=torch.float64, requires_grad=True)
        z, log_det = library(x)
        back = library.inverse(x)  # of any values, so that its gradients are its own
        assert (z - x).detach().abs().mean() > 0.1 and log_det.detach().abs().mean() > 0.1
        (z.pow(3).sum() + log_det.sin().sum() + back.cos().sum()).backward()
        for group in range(3):
            mine = plain_flow(chapter, library, group)
            own = x.detach()[group].clone().requires_grad_()
            my_z, my_log_det = mine(own)
            my_back = mine.inverse(own)
            assert_close(my_z, z[group])
            assert_close(my_log_det.sum(-1), log_det[group])
            assert_close(my_back, back[group])
            (my_z.pow(3).sum() + my_log_det.sum(-1).sin().sum() + my_back.cos().sum()).backward()
            assert_close(own.grad, x.grad[group])
            assert_same_gradients(mine, library.layers, group)
            for n in range(layers + 1):  # half way up, and on from there; half way down, and up again
                assert_close(mine.inverse(mine(own)[0], downto=n), mine(own, upto=n)[0])


def merge_latents(chapter: dict) -> None:
    z = torch.randn(3, 1, TIME, CHANNELS, dtype=torch.float64)
    for lengths in ([5, 3, 0], [2, 2, 5], [0, 4, 0], [5, 5, 5], [1, 0, 4]):
        merged = Transfer.merge_latents(z, torch.tensor([lengths]))[0]
        own = chapter["merge_latents"]([z[m, 0, :n] for m, n in enumerate(lengths) if n])
        assert_close(own, merged[: max(lengths)])


def transfer(chapter: dict) -> None:
    for merge in ("latent_mean", "data_conv"):
        library = nn.ModuleDict({"flow": random_flows(5), "transfer": Transfer(CHANNELS, merge)}).double()
        perturb(library["transfer"])
        available = mixed_patterns(BATCH)
        lengths = (
            torch.randint(1, TIME + 1, (BATCH, 3), generator=torch.Generator().manual_seed(3)) * available
        )
        out = torch.from_numpy(effective_lengths(lengths.numpy(), available.numpy()))
        steps = torch.arange(TIME)
        mask, mask_out = ((steps < each.t()[..., None]).double() for each in (lengths, out))
        x = torch.randn(3, BATCH, TIME, CHANNELS, dtype=torch.float64, requires_grad=True)
        packing = Packing.of(available, torch.device("cpu"))
        z, _ = library["flow"](x, mask)
        packed = library["transfer"](library["flow"], z, mask_out, lengths, available, packing)
        made = packing.unpack(packed)
        weight = torch.randn(made.shape, dtype=torch.float64)
        (made * weight).sum().backward()

        flows = {m: plain_flow(chapter, library["flow"], g) for g, m in enumerate(MODALITIES)}
        joins = None
        if merge == "data_conv":
            joins = {m: nn.Linear(2 * CHANNELS, CHANNELS).double() for m in MODALITIES}
            for g, m in enumerate(MODALITIES):
                copy_weights(joins[m], library["transfer"].join, g)
        mine = chapter["PlainTransfer"](flows, joins)
        own = x.detach().clone().requires_grad_()
        total, pairs = own.new_zeros(()), 0
        for b in range(BATCH):
            clip = {m: own[g, b, : lengths[b, g]] for g, m in enumerate(MODALITIES) if available[b, g]}
            for m, values in mine(clip).items():
                g = MODALITIES.index(m)
                assert_close(values, made[g, b, : out[b, g]])
                total, pairs = total + (values * weight[g, b, : out[b, g]]).sum(), pairs + 1
        assert pairs == (~available).sum()
        total.backward()
        assert_close(own.grad, x.grad)
        for g, m in enumerate(MODALITIES):
            assert_same_gradients(flows[m], library["flow"].layers, g)
            if joins:
                assert_same_gradients(joins[m], library["transfer"].join, g)


def clouds() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(17, 4)), rng.normal(size=(11, 4)) * 1.5 + 0.4


def mmd2(chapter: dict) -> None:
    x, y = clouds()
    for h in (0.7, median_bandwidth(np.concatenate([x, y]))):
        found = two_sample_tests(x, y, ["mmd"], permutations=0, bandwidth=h)["mmd"].value
        np.testing.assert_allclose(chapter["mmd2"](x, y, h), found, atol=1e-12)


def gaussian_kernel(chapter: dict) -> None:
    x, y = clouds()
    pool = Pool(np.concatenate([x, y]), bandwidth=0.9)
    np.testing.assert_allclose(chapter["gaussian_kernel"](x, y, 0.9), pool.kernel[:17, 17:], atol=1e-12)


EQUAL: dict[str, Callable[[dict], None]] = {
    "PlainFlow": flow,
    "merge_latents": merge_latents,
    "PlainTransfer": transfer,
    "gaussian_kernel": gaussian_kernel,
    "mmd2": mmd2,
}
