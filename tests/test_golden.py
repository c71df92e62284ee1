"""The full MOSI model against the numbers that the published implementation printed (../shared/golden)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dicmor_lib import LETTERS, MODALITIES, PATTERNS, DiCMoRConfig, available_mask, load_published
from dicmor_lib.blocks import collapse
from dicmor_lib.objective import recovery_loss

BATCH = 8
TOLERANCE = dict(atol=1e-4, rtol=0)


class Golden:
    """The file, and what the library computes from its weights and inputs."""

    def __init__(self, path) -> None:
        with np.load(path) as file:
            arrays = {
                k: file[k].astype(np.float32) if file[k].dtype == np.float16 else file[k] for k in file.files
            }
        self.numbers = {k: torch.from_numpy(v) for k, v in arrays.items() if not k.startswith("state/")}
        self.state = {k[6:]: torch.from_numpy(v) for k, v in arrays.items() if k.startswith("state/")}
        self.model = load_published(self.state, DiCMoRConfig.mosi(published=True))
        self.features = [self.numbers[f"in/{name}"] for name in ("text", "audio", "vision")]
        self.label = self.numbers["in/label"][:, 0]
        with torch.no_grad():
            self.outputs = {p: self.run(available_mask(p, BATCH)) for p in PATTERNS}

    def run(self, available):
        return self.model(self.features, available, label=self.label)

    def stored(self, pattern: str, name: str):
        """The file writes patterns in the order l, v, a."""
        return self.numbers[f"out/{''.join(letter for letter in 'lva' if letter in pattern)}/{name}"]


@pytest.fixture(scope="module")
def golden(shared_golden):
    return Golden(shared_golden / "reference_mosi.npz")


@pytest.mark.parametrize("m", range(3), ids=MODALITIES)
def test_shallow_latent_and_log_det(golden, m):
    at, out = f"flow/{LETTERS[m]}", golden.outputs["lav"]
    torch.testing.assert_close(out.shallow[m].transpose(1, 2), golden.numbers[f"{at}/shallow"], **TOLERANCE)
    torch.testing.assert_close(out.latents[m].transpose(1, 2), golden.numbers[f"{at}/latent"], **TOLERANCE)
    torch.testing.assert_close(out.log_det[:, m], golden.numbers[f"{at}/logdet"], rtol=1e-6, atol=0)


@pytest.mark.parametrize("source", range(3), ids=MODALITIES)
def test_transferred_and_recovered(golden, source):
    out = golden.outputs[LETTERS[source]]
    for target in {0, 1, 2} - {source}:
        name = f"{LETTERS[source]}_to_{LETTERS[target]}"
        for ours, stored in ((out.transferred, "transfer"), (out.recovered, "recover")):
            stored = golden.numbers[f"{stored}/{name}"]
            torch.testing.assert_close(ours[target].transpose(1, 2), stored, **TOLERANCE)


@torch.no_grad()
def test_there_and_back_through_one_flow(golden):
    back = golden.model.flow.inverse(golden.outputs["lav"].latents)
    for m, letter in enumerate(LETTERS):
        stored = golden.numbers[f"transfer/{letter}_to_{letter}"]
        torch.testing.assert_close(back[m].transpose(1, 2), stored, **TOLERANCE)


def test_every_stored_intermediate_was_compared(golden):
    expected = {f"flow/{m}/{x}" for m in "lav" for x in ("shallow", "latent", "logdet")}
    expected |= {f"{x}/{s}_to_{t}" for x in ("transfer", "recover") for s in "lav" for t in "lav"}
    expected -= {f"recover/{m}_to_{m}" for m in "lav"}
    expected |= {f"in/{x}" for x in ("text", "audio", "vision", "label")}
    patterns = {"".join(letter for letter in "lva" if letter in p) for p in PATTERNS}
    outputs = ("prediction", "loss_rec", "nll_l", "nll_a", "nll_v")
    assert set(golden.numbers) == expected | {f"out/{p}/{x}" for p in patterns for x in outputs}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_prediction_and_losses(golden, pattern):
    out = golden.outputs[pattern]
    torch.testing.assert_close(out.prediction[:, None], golden.stored(pattern, "prediction"), **TOLERANCE)
    rec = golden.stored(pattern, "loss_rec").reshape(())
    torch.testing.assert_close(recovery_loss(out.losses), rec.float(), **TOLERANCE)
    assert (rec > 0) == (pattern != "lav")
    for letter, name in zip(LETTERS, MODALITIES):
        nll = golden.stored(pattern, f"nll_{letter}").reshape(())
        torch.testing.assert_close(out.losses[f"nll_{name}"].value, nll.float(), **TOLERANCE)
    task = (golden.stored(pattern, "prediction")[:, 0] - golden.label).abs().mean()
    torch.testing.assert_close(out.losses["task"].value, task, **TOLERANCE)


def test_the_predictions_differ_from_pattern_to_pattern(golden):
    """So that agreeing with seven of them says something."""
    predictions = torch.stack([golden.stored(pattern, "prediction") for pattern in PATTERNS])
    assert torch.pdist(predictions.flatten(1)).min() > 0.01


@pytest.mark.parametrize("shift", (0, 3, 5))
@torch.no_grad()
def test_predictions_with_the_patterns_mixed_in_one_batch(golden, shift):
    patterns = [PATTERNS[(b + shift) % 7] for b in range(BATCH)]
    out = golden.run(torch.cat([available_mask(p, 1) for p in patterns]))
    stored = torch.stack([golden.stored(p, "prediction")[b, 0] for b, p in enumerate(patterns)])
    torch.testing.assert_close(out.prediction, stored, **TOLERANCE)


@torch.no_grad()
def test_predictions_need_no_label(golden):
    for pattern in ("l", "av"):
        out = golden.model(golden.features, available_mask(pattern, BATCH))
        torch.testing.assert_close(out.prediction[:, None], golden.stored(pattern, "prediction"), **TOLERANCE)


def test_every_parameter_is_loaded_or_listed(golden):
    report = golden.model.published_report
    assert sorted(report.loaded + report.unused) == sorted(golden.state)
    assert not report.text_model and not report.initialised
    kinds = ("actnorm.", "invconv.", ".prior.", "prior_", "weight_")
    assert all(any(kind in name for kind in kinds) for name in report.unused)
    assert {name.split(".")[-2] for name in report.unused if name.startswith("prior_")} == {"conv"}


def test_the_models_have_equally_many_parameters(golden):
    """Ours has every published number that is used, except for the scales, which are folded into weights."""
    used = sum(
        golden.state[name].numel()
        for name in golden.model.published_report.loaded
        if not name.endswith(".scale")
    )
    assert sum(parameter.numel() for parameter in golden.model.parameters()) == used


@torch.no_grad()
def test_the_published_flow_is_one_affine_coupling(golden):
    """32 layers collapse: z_b = S(x_a) x_b + T(x_a), and z_a = x_a bit for bit."""
    x = torch.stack([golden.numbers[f"flow/{letter}/shallow"].transpose(1, 2) for letter in LETTERS])
    z = torch.stack([golden.numbers[f"flow/{letter}/latent"].transpose(1, 2) for letter in LETTERS])
    x_a, x_b = x.chunk(2, dim=-1)
    log_scale, shift = collapse(golden.model.flow, x_a)
    assert torch.equal(z.chunk(2, dim=-1)[0], x_a)
    torch.testing.assert_close(log_scale.exp() * x_b + shift, z.chunk(2, dim=-1)[1], atol=1e-5, rtol=0)
    flow64 = load_published(golden.state, DiCMoRConfig.mosi(published=True)).flow.double()
    log_scale, shift = collapse(flow64, x_a.double())
    whole, log_det = flow64(x.double())
    once = log_scale.exp() * x_b + shift
    torch.testing.assert_close(once, whole.chunk(2, dim=-1)[1], atol=1e-12, rtol=0)
    torch.testing.assert_close(log_scale.sum((-1, -2)), log_det, rtol=1e-13, atol=0)


def test_half_of_a_published_transfer_is_the_source_itself(golden):
    for source in range(3):
        for target in {0, 1, 2} - {source}:
            stored = golden.numbers[f"transfer/{LETTERS[source]}_to_{LETTERS[target]}"]
            assert torch.equal(stored[:, :16], golden.numbers[f"flow/{LETTERS[source]}/shallow"][:, :16])
            ours = golden.outputs[LETTERS[source]]
            assert torch.equal(ours.transferred[target, ..., :16], ours.shallow[source, ..., :16])
