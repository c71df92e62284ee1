"""bf16: what may be rounded is, what may not stays in float32, and the trained model is as good."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dicmor_lib import DiCMoR, DiCMoRConfig
from dicmor_lib.data import Oracle, Standardiser, collate
from dicmor_lib.evaluation import paired_differences
from dicmor_lib.modalities import PATTERNS, pattern_mask
from dicmor_lib.training import TrainConfig, fit
from dicmor_lib.training.engine import launch
from dicmor_lib.training.validation import predict_patterns

SEEDS = (0, 1, 2)


def test_flows_stay_in_float32_and_the_rest_is_rounded(kit, data):
    """Latents, log-determinants and the inverse are those of float32 inputs, bit for bit; the prediction is not."""
    model, batch = kit.make_model().eval(), collate(data.test, np.arange(7))
    available = torch.tensor([pattern_mask(pattern) for pattern in PATTERNS])
    engine = launch(kit.settings(precision="bf16-mixed"))
    kinds: dict[str, set[torch.dtype]] = {}

    def note(name):
        return lambda module, inputs, out: kinds.setdefault(name, set()).update(
            x.dtype for x in (out if isinstance(out, tuple) else (out,))
        )

    for name in ("flow", "transfer", "recovery.up", "fusion.hidden1"):
        model.get_submodule(name).register_forward_hook(note(name))
    with torch.no_grad(), engine.autocast():
        out = model(batch.features, available, batch.lengths, batch.label, batch.observed)
    assert kinds["flow"] == kinds["transfer"] == {torch.float32}
    assert kinds["recovery.up"] == kinds["fusion.hidden1"] == {torch.bfloat16}
    with torch.no_grad():
        x, mask = out.shallow.float(), model.step_mask(batch.lengths, out.shallow.shape[2])
        z, log_det = model.flow(x, mask)
        plain = model(batch.features, available, batch.lengths, batch.label, batch.observed)
    assert torch.equal(out.latents, z) and torch.equal(out.log_det, log_det.t())
    assert not torch.equal(out.prediction.float(), plain.prediction)
    torch.testing.assert_close(out.prediction.float(), plain.prediction, atol=0.05, rtol=0.05)
    assert all(term.value.dtype == torch.float32 for term in out.losses.values())


def test_the_inverse_undoes_the_flow_under_autocast(kit):
    model = kit.make_model(flow_layers=16)
    for parameter in model.flow.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x = torch.randn(3, 4, 6, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        z, log_det = model.flow(x)
        back = model.flow.inverse(z)
    assert z.dtype == log_det.dtype == back.dtype == torch.float32
    torch.testing.assert_close(back, x, atol=1e-3, rtol=1e-3)
    assert (z - x).abs().mean() > 0.1  # the flow does something


def predictions(precision: str, seed: int, sizes, epochs, **model_changes) -> tuple[np.ndarray, np.ndarray]:
    """Test predictions (patterns * clips,) of a model trained on the oracle in this precision, and the labels."""
    data = Oracle(dims=(8, 6, 6), time=10, mean_length=6, sizes=sizes).dataset()
    data = Standardiser.fit(data).apply(data)
    torch.manual_seed(seed)
    model = DiCMoR(DiCMoRConfig.tiny(data.feature_dims, **model_changes))
    config = TrainConfig.preset(
        "tiny", seed=seed, stage1_epochs=epochs[0], stage2_epochs=epochs[1], standardise=False, patience=0,
        accelerator="cpu", precision=precision,
    )  # fmt: skip
    fit(model, data, config, progress=False)
    # in float32 both: what is compared is what training made of the weights
    found = predict_patterns(model, data.test, PATTERNS, launch(config.replace(precision="32-true")))
    return found.ravel(), np.tile(data.test.labels, len(PATTERNS))


def agree(seeds, sizes, epochs, **changes) -> None:
    """bf16 is within the interval of float32's error, and both have learned something."""
    pairs = [[predictions(p, s, sizes, epochs, **changes) for p in ("bf16-mixed", "32-true")] for s in seeds]
    half, full = (np.concatenate([pair[i][0] for pair in pairs]) for i in (0, 1))
    label = np.concatenate([pair[0][1] for pair in pairs])
    difference = paired_differences(half, full, label)["mae"]
    assert difference.low <= 0 or difference.value < 0.02, difference  # bf16 is not clearly worse
    constant = np.abs(label - np.median(label)).mean()
    for prediction in (half, full):
        assert np.abs(prediction - label).mean() < 0.95 * constant
    assert not np.array_equal(half, full)


def test_bf16_training_reaches_the_float32_error(kit):
    small = dict(hidden=8, flow_width=8, flow_layers=2, rcab_width=8, rcab_blocks=1, heads=2, fusion_layers=1)
    agree((0,), (320, 32, 200), (4, 2), **small)


@pytest.mark.slow
def test_bf16_training_reaches_the_float32_error_over_seeds():
    agree(SEEDS, (640, 160, 320), (4, 8))
