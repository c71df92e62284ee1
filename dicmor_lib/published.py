"""Reads the published implementation's parameters, by their published names, into a `DiCMoR`.

Layouts differ in three ways, each undone here: `nn.Linear` and 1x1 convolutions store W transposed; the
modalities are separate modules there and a leading axis here; and its "zero" convolutions multiply
their output by exp(3 * scale), which is folded into the weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from dicmor_lib.blocks.attention import Encoder
from dicmor_lib.blocks.fusion import QUERIES, SOURCES
from dicmor_lib.blocks.transfer import OTHERS
from dicmor_lib.config import DiCMoRConfig
from dicmor_lib.errors import CheckpointError, ConfigError
from dicmor_lib.modalities import LETTERS
from dicmor_lib.model import DiCMoR
from dicmor_lib.published_reader import OPTIONAL_GROUPS, PublishedReader, read_published

PRIORS = ("hn", "n", "wn", "neutral", "wp", "p", "hp")
"""Published names of the priors of the classes -3 .. 3."""
JOIN_ORDER = ("va", "lv", "la")
"""In which order the published merge stacks the two transfers to language, audio and vision."""


@dataclass
class PublishedReport:
    """What happened to the parameters of a published checkpoint."""

    loaded: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)  # stored by the published code, never used by it
    text_model: list[str] = field(default_factory=list)  # BERT, which this model takes as features
    initialised: list[str] = field(default_factory=list)  # groups that the checkpoint does not have

    def __str__(self) -> str:
        lines = [f"{len(self.loaded)} published parameters loaded"]
        if self.unused:
            lines.append(f"{len(self.unused)} unused: {', '.join(_brief(self.unused))}")
        if self.text_model:
            lines.append(f"{len(self.text_model)} of text_model.* (BERT) left to the bert extra")
        if self.initialised:
            lines.append(f"not in the checkpoint, so freshly initialised: {', '.join(self.initialised)}")
        return "\n".join(lines)


def load_published(source: Mapping[str, Any] | str | Path, config: DiCMoRConfig) -> DiCMoR:
    """Build a `DiCMoR` from the published code's parameters.

    Args:
        source: a state dict by published names (with or without the prefix "Model."), or the path of a .pth
            file, which is read with weights only: nothing in it is executed.
        config: a published configuration, such as `DiCMoRConfig.mosi(published=True)`.

    Returns:
        The model in eval mode; its `published_report` lists what was loaded, unused and initialised.

    Raises:
        CheckpointError: if the file cannot be read, a group is partly missing, or a shape does not fit.
        ConfigError: if the configuration's blocks differ from the published ones.
    """
    if config.two_source_merge != "data_conv" or config.mixing == "conv1x1" or config.prior_classes != 7:
        raise ConfigError(
            "published weights need the published blocks (two_source_merge='data_conv', no conv1x1, seven "
            "priors); start from DiCMoRConfig.mosi(published=True) or .mosei(published=True)"
        )
    reader = PublishedReader(read_published(source))
    model = DiCMoR(config)
    with torch.no_grad():
        _load_complete_data_parts(model, reader)
        for group in OPTIONAL_GROUPS:
            if reader.holds(group):
                _GROUP_LOADERS[group](model, reader)
            else:
                reader.initialised.append(group)
    model.published_report = _report(reader)  # type: ignore[assignment]
    return model.eval()


def _load_complete_data_parts(model: DiCMoR, reader: PublishedReader) -> None:
    weights: Any = model.shallow.weights
    for letter, weight in zip(LETTERS, weights):
        reader.copy(weight, reader.take(f"proj_{letter}.weight"), f"proj_{letter}.weight")
    fusion = model.fusion
    pairs = [f"trans_{LETTERS[q]}_with_{LETTERS[s]}" for q, s in zip(QUERIES, SOURCES)]
    load_encoder(fusion.cross, pairs, reader)
    load_encoder(fusion.memory, [f"trans_{letter}_mem" for letter in LETTERS], reader)
    for linear, name in ((fusion.hidden1, "proj1"), (fusion.hidden2, "proj2"), (fusion.output, "out_layer")):
        reader.copy(linear.weight, reader.take(f"{name}.weight"), f"{name}.weight")
        reader.copy(linear.bias, reader.take(f"{name}.bias"), f"{name}.bias")


def load_encoder(encoder: Encoder, names: list[str], reader: PublishedReader) -> None:
    """Fill an encoder's group g from the published encoder called names[g]."""
    layers: Any = encoder.layers
    for i, layer in enumerate(layers):
        at = [f"{name}.layers.{i}." for name in names]
        attention = layer.attention
        width = attention.out.weight.shape[-1]
        parts = (attention.to_query, slice(0, width)), (attention.to_key_value, slice(width, None))
        for linear, rows in parts:  # published: one matrix for queries, keys and values
            reader.linear(linear, [a + "self_attn.in_proj_" for a in at], separator="", rows=rows)
        reader.linear(attention.out, [a + "self_attn.out_proj" for a in at])
        reader.linear(layer.widen, [a + "fc1" for a in at])
        reader.linear(layer.narrow, [a + "fc2" for a in at])
        reader.norm(layer.attention_norm, [a + "layer_norms.0" for a in at])
        reader.norm(layer.mlp_norm, [a + "layer_norms.1" for a in at])
    reader.norm(encoder.norm, [f"{name}.layer_norm" for name in names])


def _load_flow(model: DiCMoR, reader: PublishedReader) -> None:
    layers: Any = model.flow.layers
    for i, layer in enumerate(layers):
        at = [f"flow_{letter}.blocks.0.flows.{i}.coupling.net." for letter in LETTERS]
        reader.linear(layer.network.first, [a + "0" for a in at])
        reader.linear(layer.network.second, [a + "2" for a in at])
        reader.linear(layer.network.last, [a + "4.conv" for a in at], scales=[a + "4.scale" for a in at])


def _load_priors(model: DiCMoR, reader: PublishedReader) -> None:
    prior: Any = model.flow.prior
    for c, name in enumerate(PRIORS):
        # the published prior is a "zero" convolution applied to zeros: only its bias counts
        bias = reader.take(f"prior_{name}.conv.bias", (1,)).double()
        mean, log_sd = (bias * reader.zero_conv_factor(f"prior_{name}.scale", len(bias))).chunk(2)
        reader.copy(prior.mean[c], mean, f"prior_{name}")
        reader.copy(prior.raw_log_sd[c], log_sd, f"prior_{name}")


def _load_recovery(model: DiCMoR, reader: PublishedReader) -> None:
    blocks: Any = model.recovery.blocks
    recovery, at = model.recovery, [f"rec_{letter}." for letter in LETTERS]
    reader.linear(recovery.up, [a + "0" for a in at])
    for i, block in enumerate(blocks):
        body = [f"{a}1.body.{i}.body." for a in at]
        reader.conv(block.conv1, [b + "0" for b in body])
        reader.conv(block.conv2, [b + "2" for b in body])
        reader.linear(block.attention.squeeze, [b + "3.conv_du.0" for b in body])
        reader.linear(block.attention.excite, [b + "3.conv_du.2" for b in body])
    reader.conv(recovery.tail, [f"{a}1.body.{len(blocks)}" for a in at])
    reader.linear(recovery.down, [a + "2" for a in at])


def _load_join(model: DiCMoR, reader: PublishedReader) -> None:
    join = model.transfer.join
    reader.linear(join, [f"cat_{letter}" for letter in LETTERS])
    for m, order in enumerate(JOIN_ORDER):
        if order != "".join(
            LETTERS[k] for k in OTHERS[m]
        ):  # its first source is our second: swap the input rows
            join.weight[m] = torch.cat(join.weight[m].chunk(2)[::-1])


_LAYER = re.compile(
    r"(proj|out_layer|cat_|rec_|trans_\w+\.layers\.|flow_\w\.blocks\.\d+\.flows\.\d+\.coupling\.)"
)
"""Names that the published model computes with: none of them may be left over."""

_GROUP_LOADERS = {"flow": _load_flow, "prior": _load_priors, "rec": _load_recovery, "cat": _load_join}


def _report(reader: PublishedReader) -> PublishedReport:
    left = sorted(set(reader.state) - reader.used)
    text = [name for name in left if name.startswith("text_model.")]
    unused = [name for name in left if name not in set(text)]
    deeper = [name for name in unused if _LAYER.match(name)]
    if deeper:
        raise CheckpointError(
            f"the published checkpoint has {len(deeper)} parameters of layers that this configuration lacks "
            f"({deeper[0]} and so on); check the preset and the numbers of layers"
        )
    return PublishedReport(sorted(reader.used), unused, text, reader.initialised)


def _brief(names: list[str]) -> list[str]:
    """The first parts of long parameter names, each once: flow_l.blocks.0.flows.*.actnorm.loc and so on."""
    parts = {".".join("*" if part.isdigit() else part for part in name.split(".")) for name in names}
    return sorted(parts)
