"""Configurations: presets, switches, the way to JSON and back, and errors."""

from __future__ import annotations

import dataclasses
import json

import pytest

from dicmor_lib import DiCMoRConfig
from dicmor_lib.errors import ConfigError

PUBLISHED_SWITCHES = {  # every difference of the model in SCIENCE.md: (ours, published)
    "mixing": ("alternate", "none"),
    "scale_map": ("bounded_exp", "sigmoid"),
    "shift_first": (False, True),
    "clamp_nll": (False, True),
    "log_sd_floor": (-4.0, None),
    "two_source_merge": ("latent_mean", "data_conv"),
    "honour_lengths": (True, False),
    "transfer_gradient": (True, False),
    "task_trains_recovery": (False, True),
    "recovery_weight": (1.0, 0.1),
    "shallow_gradient": (True, False),
    "dropout_before_shallow": (False, True),
    "self_attention_follows": ("own", "language"),
}
VARIANTS = {
    "tiny": DiCMoRConfig.tiny(),
    "mosi": DiCMoRConfig.mosi(),
    "mosei": DiCMoRConfig.mosei((300, 74, 35)),
    "mosi published": DiCMoRConfig.mosi(published=True),
    "mosei published": DiCMoRConfig.mosei(published=True),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_to_json_and_back(name):
    config = VARIANTS[name]
    values = json.loads(json.dumps(config.to_dict(), allow_nan=False))
    assert DiCMoRConfig.from_dict(values) == config
    assert set(values) == {field.name for field in dataclasses.fields(config)}


@pytest.mark.parametrize("preset", ("mosi", "mosei"))
def test_published_sets_every_switch_and_nothing_else(preset):
    ours, published = (DiCMoRConfig.preset(preset, published=p).to_dict() for p in (False, True))
    differing = {name: (ours[name], published[name]) for name in ours if ours[name] != published[name]}
    width = {"flow_width": (128, 64)} if preset == "mosei" else {}  # the supplement says 128, the code has 64
    assert differing == {**PUBLISHED_SWITCHES, **width}


def test_dropout_of_the_presets_is_the_published_one():
    mosi, mosei = DiCMoRConfig.mosi(), DiCMoRConfig.mosei()
    rates = ("language_dropout", "attention_dropout", "embedding_dropout", "output_dropout")
    assert [getattr(mosi, r) for r in rates] == [0.5, (0.3, 0.2, 0.0), 0.2, 0.5]
    assert [getattr(mosei, r) for r in rates] == [0.2, (0.2, 0.0, 0.0), 0.0, 0.2]


def test_feature_dimensions_come_from_the_data_or_the_paper():
    assert DiCMoRConfig.preset("mosi").feature_dims == (768, 5, 20)
    assert DiCMoRConfig.preset("mosei").feature_dims == (768, 74, 35)
    assert DiCMoRConfig.preset("mosei", (300, 7, 9)).feature_dims == (300, 7, 9)
    assert DiCMoRConfig.tiny(feature_dims=[1, 2, 3]).feature_dims == (1, 2, 3)


def test_replace_and_equality():
    config = DiCMoRConfig.tiny()
    changed = config.replace(hidden=8, mixing="none")
    assert (changed.hidden, changed.mixing, config.hidden) == (8, "none", 16)
    assert changed.replace(hidden=16, mixing="alternate") == config
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.hidden = 3


BAD = [
    (dict(mixing="swap"), "mixing is 'swap'; it must be one of 'alternate', 'conv1x1', 'none'"),
    (dict(scale_map="exp"), "scale_map is 'exp'"),
    (dict(two_source_merge="mean"), "two_source_merge is 'mean'"),
    (dict(self_attention_follows="audio"), "self_attention_follows is 'audio'"),
    (dict(clamp_nll="no"), "clamp_nll is 'no'; it must be true or false"),
    (dict(honour_lengths=1), "honour_lengths is 1; it must be true or false"),
    (dict(feature_dims=(1, 2)), "feature_dims must hold three values"),
    (dict(feature_dims=5), "feature_dims must hold three values"),
    (dict(feature_dims=(4, 0, 4)), r"feature_dims\[audio\] is 0; it must be a whole number of at least 1"),
    (dict(feature_dims=(4, 4, 2.5)), r"feature_dims\[vision\] is 2.5"),
    (dict(flow_layers=0), "flow_layers is 0"),
    (dict(heads=True), "heads is True"),
    (dict(hidden="32"), "hidden is '32'"),
    (dict(kernel_size=4), "kernel_size is 4; it must be odd"),
    (dict(hidden=12, heads=8), "hidden is 12; .* even and divisible by heads"),
    (dict(hidden=9, heads=3), "hidden is 9"),
    (dict(prior_classes=3), r"prior_classes is 3; it must be 7 .* or 1"),
    (dict(language_dropout=1.0), r"dropout rates must be in \[0, 1\)"),
    (dict(attention_dropout=(0.1, -0.1, 0)), "dropout rates"),
    (dict(attention_dropout=0.1), "attention_dropout must hold three values"),
    (dict(output_dropout="a"), "dropout rates"),
    (dict(embedding_dropout=float("nan")), "dropout rates"),
    (dict(log_scale_bound=0), "log_scale_bound is 0; it must be a number above 0"),
    (dict(log_scale_bound=float("nan")), "log_scale_bound is nan"),
    (dict(nll_weight=-1), "nll_weight is -1"),
    (dict(recovery_weight="1"), "recovery_weight is '1'"),
    (dict(log_sd_floor="low"), "log_sd_floor is 'low'; it must be a number or None"),
]


@pytest.mark.parametrize(
    "values, said", BAD, ids=[next(iter(values)) + f"-{i}" for i, (values, _) in enumerate(BAD)]
)
def test_a_bad_value_is_named(values, said):
    with pytest.raises(ConfigError, match=said):
        DiCMoRConfig(**values)


def test_unknown_names_are_named():
    with pytest.raises(ConfigError, match="unknown names: depth, width"):
        DiCMoRConfig.from_dict({"hidden": 32, "width": 3, "depth": 1})
    with pytest.raises(ConfigError, match="no preset 'big'; choose one of tiny, mosi, mosei"):
        DiCMoRConfig.preset("big")


def test_a_number_too_large_for_a_float_is_refused():
    with pytest.raises(ConfigError, match="distance_weight is 1000"):
        DiCMoRConfig.tiny(distance_weight=10**400)
