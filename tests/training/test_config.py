"""TrainConfig: what it accepts, refuses and stores."""

from __future__ import annotations

import dataclasses
import json

import pytest

from dicmor_lib.config import DiCMoRConfig
from dicmor_lib.errors import ConfigError
from dicmor_lib.training import TrainConfig


@pytest.mark.parametrize("name", ["tiny", "mosi", "mosei"])
def test_survives_json(name):
    config = TrainConfig.preset(name, protocol="gcnet", missing_rate=0.3, seed=5)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"seed": -1}, "seed is -1"),
        ({"devices": True}, "devices is True"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
        ({"clip": "both"}, "clip is 'both'"),
        ({"plateau_factor": 1.0}, "plateau_factor is 1.0"),
        ({"precision": "16"}, "precision is '16'"),
        ({"freeze_shallow": 1}, "freeze_shallow is 1"),
        ({"protocol": "random"}, "protocol is 'random'"),
        ({"missing_rate": 0.5}, "'uniform'"),
        ({"protocol": "dicmor", "missing_rate": 0.25}, "0.25"),
        ({"protocol": "independent", "missing_rate": 1.5}, "1.5"),
        ({"stage1_epochs": 0, "stage2_epochs": 0}, "at least one stage"),
        ({"clip_each": "micro-batch", "devices": 2}, "one process"),
    ],
)
def test_refuses_with_one_sentence(changes, part):
    with pytest.raises(ConfigError) as error:
        TrainConfig(**changes)
    assert part in str(error.value) and "\n" not in str(error.value)


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="unknown names: epochs"):
        TrainConfig.from_dict({"epochs": 3})
    with pytest.raises(ConfigError, match="no preset 'large'"):
        TrainConfig.preset("large")


def test_missing_rate_has_a_default_where_the_protocol_has_a_rate():
    assert TrainConfig().missing_rate is None
    assert TrainConfig(protocol="independent").missing_rate == 0.5


def test_published_settings_are_those_of_the_published_code():
    mosi, mosei = (TrainConfig.preset(name, published=True) for name in ("mosi", "mosei"))
    assert (mosi.batch_size, mosei.batch_size) == (4, 16)
    assert mosi.step_size == 32 and mosi.accumulate_reduction == "sum" and mosi.drop_remainder
    assert (mosi.optimiser, mosi.learning_rate, mosi.weight_decay) == ("adam", 1e-4, 0.0)
    assert (mosi.clip, mosi.clip_amount, mosi.clip_each) == ("value", 0.6, "micro-batch")
    assert (mosi.plateau_patience, mosi.patience) == (5, 10)
    assert mosi.missing_per == "batch" and not mosi.standardise


def test_no_setting_shares_its_name_with_one_of_the_model():
    training, model = (
        {field.name for field in dataclasses.fields(kind)} for kind in (TrainConfig, DiCMoRConfig)
    )
    assert not training & model  # `dicmor train --set NAME=VALUE` finds the right one by its name
