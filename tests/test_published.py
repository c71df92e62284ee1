"""Reading published checkpoints by name: groups, prefixes, errors, and that nothing in a file is executed."""

from __future__ import annotations

import os
import pickle

import pytest
import torch

from dicmor_lib import DiCMoRConfig, load_published
from dicmor_lib.errors import CheckpointError, ConfigError
from tests.published_state import PRIORS, published_state
from tests.random_models import published_small_config, random_batch

CONFIG = published_small_config()


@pytest.fixture
def state():
    return published_state(CONFIG)


def prediction(model):
    with torch.no_grad():
        return model(**random_batch(model.config)).prediction


def test_a_whole_checkpoint(state):
    model = load_published(state, CONFIG)
    report = model.published_report
    assert not model.training
    assert sorted(report.loaded + report.unused) == sorted(state)
    assert report.initialised == report.text_model == []
    kinds = ("actnorm", "invconv", "weight_", "prior_")
    assert all(any(kind in name for kind in kinds) for name in report.unused)
    assert torch.isfinite(prediction(model)).all()


def test_the_report_in_words(state):
    state["text_model.embeddings.weight"] = torch.zeros(3)
    text = str(load_published(state, CONFIG).published_report)
    assert f"{len(load_published(state, CONFIG).published_report.loaded)} published parameters loaded" in text
    assert "flow_l.blocks.*.flows.*.actnorm.loc" in text and "1 of text_model.* (BERT)" in text


@pytest.mark.parametrize("prefix", ("Model.", "module.Model.", "module."))
def test_prefixes_are_dropped(state, prefix):
    plain = prediction(load_published(state, CONFIG))
    prefixed = load_published({prefix + name: value for name, value in state.items()}, CONFIG)
    assert torch.equal(prediction(prefixed), plain)


def test_a_file_is_read_like_a_dictionary(state, tmp_path):
    for content in (state, {"state_dict": {f"Model.{k}": v for k, v in state.items()}, "epoch": 3}):
        torch.save(content, tmp_path / "published.pth")
        for path in (tmp_path / "published.pth", str(tmp_path / "published.pth")):
            assert torch.equal(
                prediction(load_published(path, CONFIG)), prediction(load_published(state, CONFIG))
            )


def test_the_text_model_is_listed(state):
    bert = {"text_model.model.embeddings.weight": torch.zeros(2, 2), "text_model.pooler.bias": torch.zeros(2)}
    report = load_published({**state, **bert}, CONFIG).published_report
    assert report.text_model == sorted(bert)
    assert not set(bert) & set(report.unused + report.loaded)


def test_a_complete_data_checkpoint_lacks_four_groups(state):
    torch.manual_seed(5)
    model = load_published(published_state(CONFIG, complete_data=True), CONFIG)
    assert model.published_report.initialised == ["flow", "prior", "rec", "cat"]
    torch.manual_seed(5)
    fresh = type(model)(CONFIG)
    for part in ("flow", "recovery", "transfer"):
        ours, new = (getattr(m, part).state_dict() for m in (model, fresh))
        assert all(torch.equal(ours[name], new[name]) for name in ours)
    assert "freshly initialised: flow, prior, rec, cat" in str(model.published_report)
    assert not torch.equal(model.fusion.hidden1.weight, fresh.fusion.hidden1.weight)


@pytest.mark.parametrize("group", ("flow", "prior", "rec", "cat"))
def test_one_absent_group_is_listed_alone(state, group):
    kept = {name: value for name, value in state.items() if not name.startswith(f"{group}_")}
    assert load_published(kept, CONFIG).published_report.initialised == [group]


MISSING = [
    "flow_v.blocks.0.flows.2.coupling.net.2.bias",
    "prior_wn.scale",
    "rec_a.1.body.1.body.3.conv_du.0.weight",
    "cat_l.bias",
    "proj_a.weight",
    "trans_v_with_l.layers.1.self_attn.in_proj_bias",
    "trans_a_mem.layer_norm.weight",
    "out_layer.bias",
]


@pytest.mark.parametrize("name", MISSING)
def test_a_partly_missing_group_is_an_error(state, name):
    del state[name]
    with pytest.raises(CheckpointError, match="lacks " + name.replace(".", r"\.")) as caught:
        load_published(state, CONFIG)
    assert "every parameter of a group or, for flow, prior, rec, cat, none of them" in str(caught.value)


def test_a_modality_without_flow_is_an_error(state):
    kept = {name: value for name, value in state.items() if not name.startswith("flow_a")}
    with pytest.raises(CheckpointError, match=r"lacks flow_a\.blocks\.0\.flows\.0"):
        load_published(kept, CONFIG)


WRONG_SHAPES = {
    "proj_l.weight": (8, 6, 5),
    "flow_l.blocks.0.flows.0.coupling.net.0.weight": (12, 5, 1, 1),
    "flow_l.blocks.0.flows.0.coupling.net.4.scale": (1, 3, 1, 1),
    "flow_a.blocks.0.flows.1.coupling.net.2.bias": (12, 1),
    "prior_n.conv.bias": (15,),
    "rec_l.1.body.0.body.0.weight": (8, 8),
    "cat_v.weight": (16,),
    "trans_l_with_a.layers.0.fc1.weight": (33, 8),
    "trans_l_with_a.layers.0.layer_norms.1.weight": (9,),
    "proj1.weight": (48, 47),
}


@pytest.mark.parametrize("name", WRONG_SHAPES)
def test_a_wrong_shape_is_an_error_that_names_it(state, name):
    state[name] = torch.zeros(WRONG_SHAPES[name])
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.").removesuffix(r"\.conv\.bias")):
        load_published(state, CONFIG)


def test_the_shape_is_told_and_what_to_check(state):
    with pytest.raises(CheckpointError) as caught:
        load_published(state, CONFIG.replace(feature_dims=(5, 9, 4)))
    assert str(caught.value) == (
        "proj_a.weight has shape (8, 3, 5) in the published checkpoint, this configuration needs (8, 9, 5); "
        "check feature_dims and the preset"
    )


@pytest.mark.parametrize("changes", (dict(flow_layers=2), dict(fusion_layers=1)))
def test_a_deeper_checkpoint_is_not_cut_short(state, changes):
    with pytest.raises(CheckpointError, match="of layers that this configuration lacks"):
        load_published(state, CONFIG.replace(**changes))


def test_fewer_recovery_blocks_do_not_fit(state):
    with pytest.raises(CheckpointError, match="rec_l"):
        load_published(state, CONFIG.replace(rcab_blocks=1))


@pytest.mark.parametrize(
    "changes", (dict(two_source_merge="latent_mean"), dict(mixing="conv1x1"), dict(prior_classes=1))
)
def test_other_blocks_than_the_published_ones_are_refused(state, changes):
    with pytest.raises(ConfigError, match="published weights need the published blocks"):
        load_published(state, CONFIG.replace(**changes))


# --- files ----------------------------------------------------------------------------------------


class Malicious:
    """Unpickling it would create a folder."""

    def __init__(self, folder) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize(
    "save",
    (torch.save, lambda x, path: path.write_bytes(pickle.dumps(x, protocol=2))),
    ids=("torch", "pickle"),
)
def test_a_malicious_file_is_refused_and_nothing_runs(tmp_path, save):
    path, trap = tmp_path / "bad.pth", tmp_path / "executed"
    save({"proj_l.weight": Malicious(trap)}, path)
    with pytest.raises(CheckpointError, match="not a file of weights only, nothing of it was run"):
        load_published(path, CONFIG)
    assert not trap.exists()


def test_the_trap_works(tmp_path):
    """The test above would notice: unpickled plainly, the same bytes do run."""
    pickle.loads(pickle.dumps(Malicious(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()


def test_a_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="there is no published checkpoint at .*nowhere.pth"):
        load_published(tmp_path / "nowhere.pth", CONFIG)


@pytest.mark.parametrize(
    "content", (b"", b"hello", b"PK\x03\x04 not really a zip"), ids=("empty", "text", "half a zip")
)
def test_a_file_that_is_no_checkpoint(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match="x.pth is not a file of weights only"):
        load_published(tmp_path / "x.pth", CONFIG)


def test_a_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="not a file of weights only"):
        load_published(tmp_path, CONFIG)


def test_a_truncated_file(tmp_path, state):
    torch.save(state, tmp_path / "x.pth")
    content = (tmp_path / "x.pth").read_bytes()
    (tmp_path / "x.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="not a file of weights only"):
        load_published(tmp_path / "x.pth", CONFIG)


def test_what_is_no_dictionary_of_tensors(tmp_path, state):
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="list.pth holds a list, not a dictionary"):
        load_published(tmp_path / "list.pth", CONFIG)
    with pytest.raises(
        CheckpointError, match="proj_l.weight of the published checkpoint is a str, not a tensor"
    ):
        load_published({**state, "proj_l.weight": "abc"}, CONFIG)


def test_half_precision_weights_are_widened(state):
    model = load_published({name: value.half() for name, value in state.items()}, CONFIG)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    torch.testing.assert_close(
        prediction(model), prediction(load_published(state, CONFIG)), atol=2e-2, rtol=0
    )


def test_priors_are_read_from_bias_and_scale_alone(state):
    """A convolution of zeros: mean and log-sd are the halves of bias * exp(3 * scale)."""
    prior = load_published(state, CONFIG).flow.prior
    for c, name in enumerate(PRIORS):
        both = state[f"prior_{name}.conv.bias"] * torch.exp(3 * state[f"prior_{name}.scale"].flatten())
        torch.testing.assert_close(torch.cat([prior.mean[c], prior.log_sd[c]]), both)


def test_presets_of_the_published_model_take_their_checkpoints():
    for config in (DiCMoRConfig.mosi(published=True), DiCMoRConfig.mosei(published=True)):
        small = published_state(config, complete_data=True)
        assert load_published(small, config).published_report.initialised == ["flow", "prior", "rec", "cat"]
