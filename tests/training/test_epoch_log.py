"""What is not finite is found at the end of an epoch at the latest, and named."""

from __future__ import annotations

import pytest
import torch

from dicmor_lib.errors import TrainingError
from dicmor_lib.modalities import MODALITIES
from dicmor_lib.training import fit
from dicmor_lib.training.checkpoint import read_state
from dicmor_lib.training.epoch_log import MADE_OF_TERMS, TERMS, EpochLog

NAMES = (*TERMS[2], *MADE_OF_TERMS)


def log(*steps: dict[str, float]) -> EpochLog:
    """A log of stage 2 whose values are 1 but for those given."""
    values = [torch.tensor([step.get(name, 1.0) for name in NAMES]) for step in steps]
    return EpochLog(NAMES, torch.ones(len(TERMS[2]), 2), values)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_the_first_step_and_all_its_bad_terms_are_named(bad):
    found = log(
        {}, {"task": bad, "nll_audio": bad, "recovery_vision": bad, "loss": bad}, {"nll_language": bad}
    )
    with pytest.raises(TrainingError) as error:
        found.check_finite(2, 7)
    assert str(error.value).startswith(
        "'task', 'nll_audio' and 'recovery_vision' stopped being finite in stage 2, epoch 7, step 2: lower"
    )
    assert "\n" not in str(error.value)


def test_a_gradient_alone_is_told_with_the_largest_term():
    with pytest.raises(
        TrainingError, match=r"'gradient_norm' .* \(its largest term is 'nll_vision', 3.0e\+07\)"
    ):
        log({"gradient_norm": float("inf"), "nll_vision": 3e7}).check_finite(2, 1)


def test_what_a_clamp_hides_from_the_steps_stands_in_the_sums():
    found = log({})
    found.sums[NAMES.index("nll_audio"), 0] = float("-inf")
    with pytest.raises(
        TrainingError, match="'nll_audio' stopped being finite in the sum over stage 2, epoch 4"
    ):
        found.check_finite(2, 4)


def test_what_is_finite_passes():
    log({"task": 3e38}, {}).check_finite(2, 1)
    EpochLog(NAMES, torch.ones(len(TERMS[2]), 2)).check_finite(2, 1)


@pytest.mark.parametrize("modality", range(3))
def test_one_sample_that_goes_wrong_inside_the_model_is_found(kit, data, tmp_path, modality):
    """An infinity that appears in one sample of one batch, in the latents of one modality."""
    model, passes = kit.make_model(), [0]

    def poison(flow, inputs, output):
        z, log_det = output
        passes[0] += model.training
        if passes[0] == 5:  # the second step of the second epoch
            passes[0] += 1
            z = z.clone()
            z[modality, 3, 0, 0] = float("inf")
        return z, log_det

    model.flow.register_forward_hook(poison)
    name = MODALITIES[modality]
    with pytest.raises(
        TrainingError, match=f"'nll_{name}'.* in stage 2, epoch 2, step 2; the largest"
    ) as error:
        fit(model, data, kit.settings(stage1_epochs=0), out=tmp_path, progress=False)
    assert not any(f"nll_{other}" in str(error.value) for other in MODALITIES if other != name)
    state, tensors = read_state(tmp_path, "last")
    assert state["epoch"] == 1
    assert all(torch.isfinite(value).all() for part in tensors.values() for value in part.values())
