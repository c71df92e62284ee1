"""Fine-tuning in bf16, in several processes and on a GPU."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dicmor_lib.language import encode_language, load_encoder
from dicmor_lib.training import load_checkpoint
from dicmor_lib.training.tuning import run_encoder
from tests.language.runs import NO_DROPOUT, QUICK, SIZES, flat, same, settings, train


def test_bf16_trains(bert, data):
    config = settings(stage1_epochs=1, stage2_epochs=0, precision="bf16-mixed")
    _, encoder, history = train(bert, data, config=config)
    assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in encoder.parameters())
    assert not same(encoder.state_dict(), load_encoder(bert).state_dict())
    assert np.isfinite(history.rows[-1]["loss"])


PROGRAM = """
import sys
sys.path[:0] = [{root!r}]
import torch
from dicmor_lib import DiCMoR, DiCMoRConfig
from dicmor_lib.data.readers import read
from dicmor_lib.language import encode_language, load_encoder
from dicmor_lib.training import TrainConfig, fit

for epochs, resume in ((1, False), (2, True)):
    encoder = load_encoder({bert!r})
    data = encode_language(read({file!r}), encoder)
    torch.manual_seed(1)
    config = TrainConfig(**{config!r} | dict(devices={devices}, stage1_epochs=2, stage2_epochs=epochs))
    model = DiCMoR(DiCMoRConfig.tiny(data.feature_dims, **{sizes!r}))
    fit(model, data, config, {out!r}, resume=resume, progress=False, encoder=encoder)
"""


@pytest.mark.slow
def test_two_processes_equal_one(still_bert, file, tmp_path):
    """Of 24 samples in batches of 5 the last is odd; equal losses and encoders up to rounding."""
    root, found = str(Path(__file__).resolve().parents[2]), []
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")} | {"OMP_NUM_THREADS": "1"}
    for n in (1, 2):
        out, script = tmp_path / f"out{n}", tmp_path / f"run{n}.py"
        values = dict(root=root, bert=str(still_bert), file=str(file), out=str(out), devices=n)
        values |= dict(config={**QUICK, "batch_size": 5}, sizes=SIZES | NO_DROPOUT)
        script.write_text(PROGRAM.format(**values))
        done = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, timeout=900, env=env
        )
        assert done.returncode == 0, done.stderr[-2000:]
        with open(out / "metrics.csv", newline="") as table:
            rows = [(float(row["loss"]), float(row["valid_mae"])) for row in csv.DictReader(table)]
        found.append((np.array(rows), flat(run_encoder(load_checkpoint(out)[1]))))
    (rows, encoder), (rows2, encoder2) = found
    assert rows.shape == (4, 2)
    np.testing.assert_allclose(rows2, rows, atol=1e-4)
    # Not weight by weight: the gradient of the attention keys' bias is rounding alone, which Adam makes large.
    moved = (encoder - flat(load_encoder(still_bert))).abs().mean()
    assert (encoder2 - encoder).abs().mean() < 0.01 * moved


@pytest.mark.gpu
def test_cpu_and_gpu_agree(still_bert, data, tmp_path):
    rows = {}
    for name in ("cpu", "cuda"):
        config = settings(accelerator=name, stage1_epochs=1, stage2_epochs=1)
        _, encoder, history = train(still_bert, data, tmp_path / name, config=config, **NO_DROPOUT)
        rows[name] = history.rows
        assert encoder.device.type == name
    for one, two in zip(rows["cpu"], rows["cuda"]):
        assert one["loss"] == pytest.approx(two["loss"], rel=1e-3)
        assert one["valid_mae"] == pytest.approx(two["valid_mae"], rel=1e-3)
    encoder = run_encoder(load_checkpoint(tmp_path / "cuda")[1])
    one, two = (encode_language(data, encoder.to(name)).test.features[0] for name in ("cpu", "cuda"))
    np.testing.assert_allclose(one, two, atol=1e-3)
