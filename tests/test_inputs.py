"""What a model refuses, in one clear sentence each, and what it must not read."""

from __future__ import annotations

import pytest
import torch

from dicmor_lib.errors import DataError, DicmorError, PatternError, ShapeError
from dicmor_lib.inputs import check_inputs
from tests.random_models import published_small_config, random_batch, random_model, small_config

CONFIG = small_config()
MODEL = random_model(CONFIG)


def call(**changes):
    return MODEL(**{**random_batch(CONFIG, batch=3), **changes})


def features(**changes):
    """The features of the batch, some replaced: language=..., audio=..., vision=..."""
    given = dict(zip(("language", "audio", "vision"), random_batch(CONFIG, batch=3)["features"]))
    return list({**given, **changes}.values())


def filled(m: int, value: float, row: int = 1, step: int = 0):
    x = random_batch(CONFIG, batch=3)["features"]
    x[m][row, step, 0] = value
    return x


BATCH = random_batch(CONFIG, batch=3)
NOTHING = BATCH["available"].clone()
NOTHING[1] = False

REFUSED = {
    "empty pattern": (
        dict(available=NOTHING),
        PatternError,
        "sample 1 of the batch has no available modality",
    ),
    "mask of floats": (
        dict(available=BATCH["available"].float()),
        ShapeError,
        "available must be a bool tensor of shape",
    ),
    "mask of two": (dict(available=BATCH["available"][:, :2]), ShapeError, r"not torch.bool \(3, 2\)"),
    "mask as list": (
        dict(available=[[True] * 3] * 3),
        ShapeError,
        "available must be a bool tensor .* not list",
    ),
    "observed of another batch": (
        dict(observed=torch.ones(2, 3, dtype=torch.bool)),
        ShapeError,
        "observed must be a bool",
    ),
    "two modalities": (
        dict(features=features()[:2]),
        ShapeError,
        r"three tensors \(language, audio, vision\), not 2",
    ),
    "channels": (
        dict(features=features(audio=torch.zeros(3, 7, 9))),
        ShapeError,
        r"the audio features have shape \(3, 7, 9\)",
    ),
    "time": (
        dict(features=features(vision=torch.zeros(3, 6, 4))),
        ShapeError,
        r"the vision features have shape \(3, 6, 4\)",
    ),
    "batch": (
        dict(features=features(vision=torch.zeros(2, 7, 4))),
        ShapeError,
        "the vision features have shape",
    ),
    "no time axis": (
        dict(features=features(language=torch.zeros(3, 5))),
        ShapeError,
        r"language .* \(3, 5\)",
    ),
    "scalar": (dict(features=features(language=torch.tensor(1.0))), ShapeError, r"language .* shape \(\)"),
    "whole numbers": (
        dict(features=features(audio=torch.zeros(3, 7, 3).long())),
        ShapeError,
        "audio .* floats, not torch.int64",
    ),
    "NumPy": (
        dict(features=features(audio=torch.zeros(3, 7, 3).numpy())),
        ShapeError,
        "audio .* floats, not ndarray",
    ),
    "float64": (
        dict(features=features(audio=torch.zeros(3, 7, 3).double())),
        ShapeError,
        "audio .*float64, .*float32; convert",
    ),
    "NaN": (
        dict(features=filled(1, float("nan"))),
        DataError,
        "the audio features hold NaN, infinity or values too large to add up where they are read",
    ),
    "infinity": (
        dict(features=filled(2, float("-inf"))),
        DataError,
        "the vision features hold NaN, infinity",
    ),
    "lengths of floats": (
        dict(lengths=torch.ones(3, 3)),
        ShapeError,
        r"lengths must be whole numbers of shape \(3, 3\)",
    ),
    "lengths as list": (dict(lengths=[[7] * 3] * 3), ShapeError, "lengths must be whole numbers .* not list"),
    "lengths of bool": (
        dict(lengths=torch.ones(3, 3, dtype=torch.bool)),
        ShapeError,
        "lengths must be whole numbers",
    ),
    "lengths of two": (dict(lengths=torch.ones(3, 2).long()), ShapeError, r"not torch.int64 \(3, 2\)"),
    "too long": (dict(lengths=torch.full((3, 3), 8)), ShapeError, "between 0 and the 7 steps"),
    "negative": (dict(lengths=torch.full((3, 3), -1)), ShapeError, "between 0 and the 7 steps"),
    "label shape": (
        dict(label=torch.zeros(3, 1)),
        ShapeError,
        r"label must be a tensor of shape \(3,\), not \(3, 1\)",
    ),
    "label as list": (dict(label=[0.0] * 3), ShapeError, "label must be a tensor .* not a list"),
    "label range": (
        dict(label=torch.tensor([0.0, 3.1, 0.0])),
        DataError,
        r"a label is not a number in \[-3, 3\]",
    ),
    "label NaN": (
        dict(label=torch.tensor([0.0, float("nan"), 0.0])),
        DataError,
        r"not a number in \[-3, 3\]",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_is_told_in_one_sentence(case):
    changes, kind, said = REFUSED[case]
    with pytest.raises(kind, match=said) as caught:
        call(**changes)
    assert isinstance(caught.value, DicmorError)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250


def test_empty_batches_and_sequences_are_refused():
    none = torch.zeros(0, 3, dtype=torch.bool)
    with pytest.raises(ShapeError, match="0 samples and 7 steps are empty"):
        MODEL([torch.zeros(0, 7, d) for d in CONFIG.feature_dims], none)
    with pytest.raises(ShapeError, match="3 samples and 0 steps are empty"):
        MODEL([torch.zeros(3, 0, d) for d in CONFIG.feature_dims], BATCH["available"])


def test_an_available_modality_without_steps_is_refused():
    lengths = BATCH["lengths"].clone()
    lengths[2, 2] = 0  # sample 2 has the pattern "v"
    with pytest.raises(PatternError, match="the vision of sample 2 is available, yet its length is 0"):
        call(lengths=lengths)
    observed = torch.ones(3, 3, dtype=torch.bool)
    observed[2, 0] = False
    lengths = BATCH["lengths"].clone()
    lengths[2, 0] = 0  # language, which sample 2 does not have
    assert torch.isfinite(call(lengths=lengths, observed=observed).prediction).all()


def test_the_published_mode_needs_as_many_steps_as_its_kernel():
    config = published_small_config()
    with pytest.raises(
        ShapeError, match="4 steps are too few: without padding the convolution needs at least 5"
    ):
        random_model(config)(**random_batch(config, time=4))
    assert random_model(config)(**random_batch(config, time=5)).shallow.shape[2] == 1


def test_nan_is_refused_only_where_it_is_read():
    hidden = filled(0, float("nan"))  # sample 1 has the pattern "a"
    with pytest.raises(DataError, match="language"):
        call(features=hidden)  # with labels, everything observed is a target
    assert torch.isfinite(call(features=hidden, label=None).prediction).all()
    assert torch.isfinite(call(features=hidden, observed=BATCH["available"]).prediction).all()


def test_nan_in_the_padding_is_not_read():
    lengths = torch.full((3, 3), 4)
    clean = call(lengths=lengths)
    x = random_batch(CONFIG, batch=3)["features"]
    for m in range(3):
        x[m][:, 4:] = float("nan")
    dirty = call(features=x, lengths=lengths)
    assert torch.equal(clean.prediction, dirty.prediction) and torch.equal(clean.shallow, dirty.shallow)


def test_without_lengths_every_step_is_read():
    x = filled(1, float("inf"), row=1, step=6)
    with pytest.raises(DataError, match="audio"):
        call(features=x, lengths=None, label=None)


def test_defaults():
    config, x = CONFIG, BATCH["features"]
    inputs = check_inputs(config, x, BATCH["available"], None, None, None)
    assert torch.equal(inputs.observed, BATCH["available"]) and bool((inputs.lengths == 7).all())
    inputs = check_inputs(config, x, BATCH["available"], None, BATCH["label"], None)
    assert bool(inputs.observed.all())
    nothing_else = torch.zeros(3, 3, dtype=torch.bool)
    inputs = check_inputs(config, x, BATCH["available"], None, BATCH["label"], nothing_else)
    assert torch.equal(inputs.observed, BATCH["available"])  # what is available exists


def test_what_is_not_observed_is_blanked():
    inputs = check_inputs(CONFIG, BATCH["features"], BATCH["available"], BATCH["lengths"], None, None)
    for m, (blanked, x) in enumerate(zip(inputs.features, BATCH["features"])):
        for b in range(3):
            expected = x[b] if BATCH["available"][b, m] else torch.zeros_like(x[b])
            assert torch.equal(blanked[b], expected)


def test_lengths_of_32_bits_and_whole_labels_will_do():
    out = call(lengths=BATCH["lengths"].int(), label=torch.tensor([-3, 0, 2]))
    same = call(lengths=BATCH["lengths"], label=torch.tensor([-3.0, 0, 2]))
    assert torch.equal(out.prediction, same.prediction)
    assert torch.equal(out.losses["nll_audio"].value, same.losses["nll_audio"].value)
