"""Models and flows with random parameters, so that nothing is trivially zero or the identity, and batches."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from dicmor_lib import PATTERNS, DiCMoR, DiCMoRConfig, pattern_mask


def perturb(module: nn.Module, scale: float = 0.3, seed: int = 0) -> nn.Module:
    """Add normal noise to every parameter: sd `scale` / sqrt(inputs) for matrices, `scale` for the rest."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = parameter.shape[-2] if parameter.dim() >= 2 and parameter.shape[-2] > 1 else 1
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter += (scale * noise / fan_in**0.5).to(parameter)
    return module


def small_config(**changes) -> DiCMoRConfig:
    """Every part of the model, as small as it gets; no dropout."""
    sizes = dict(hidden=8, flow_width=12, flow_layers=5, rcab_width=8, rcab_blocks=2, rcab_reduction=4)
    sizes |= dict(heads=2, fusion_layers=2)
    dropout = dict(
        language_dropout=0.0, attention_dropout=(0.0,) * 3, embedding_dropout=0.0, output_dropout=0.0
    )
    return DiCMoRConfig(**{"feature_dims": (5, 3, 4), **sizes, **dropout, **changes})


def published_small_config(**changes) -> DiCMoRConfig:
    """The same sizes with every switch at the published behaviour."""
    published = DiCMoRConfig.mosi(published=True)
    ours = DiCMoRConfig.mosi()
    switches = {k: v for k, v in published.to_dict().items() if v != ours.to_dict()[k]}
    return small_config(**{**switches, "flow_layers": 4, **changes})


def random_model(config: DiCMoRConfig, seed: int = 0, dtype: torch.dtype = torch.float32) -> DiCMoR:
    """A perturbed model in eval mode."""
    torch.manual_seed(seed)
    model = DiCMoR(config).to(dtype)
    return perturb(model, seed=seed).eval()


def random_batch(config: DiCMoRConfig, batch: int = 9, time: int = 7, seed: int = 0, dtype=torch.float32):
    """Features, mixed patterns, ragged lengths and labels of every class, as keyword arguments of a model."""
    generator = torch.Generator().manual_seed(seed)
    low = 1 if config.honour_lengths else time
    lengths = torch.randint(low, time + 1, (batch, 3), generator=generator)
    lengths[0] = time
    features = [
        torch.randn(batch, time, d, generator=generator, dtype=torch.float64) for d in config.feature_dims
    ]
    for m, x in enumerate(features):  # zeros from the length on, as the loaders give it
        x[torch.arange(time) >= lengths[:, m, None]] = 0
    labels = itertools.islice(itertools.cycle([-3.0, -2.4, -1.0, 0.2, 1.0, 1.6, 3.0]), batch)
    return dict(
        features=[x.to(dtype) for x in features],
        available=mixed_patterns(batch),
        lengths=lengths,
        label=torch.tensor(list(labels), dtype=dtype),
    )


def mixed_patterns(batch: int) -> Tensor:
    """All seven patterns in turn, (batch, 3) bool."""
    return torch.tensor([pattern_mask(PATTERNS[b % 7]) for b in range(batch)])


CONFIGS = {
    "ours": small_config(),
    "published": published_small_config(),
    "conv1x1, one prior": small_config(mixing="conv1x1", prior_classes=1, log_sd_floor=None),
    "everything reaches everything": small_config(
        task_trains_recovery=True, scale_map="sigmoid", flow_layers=4
    ),
    "joint prior": small_config(prior="joint", draws=3),
    "data_conv with lengths": small_config(two_source_merge="data_conv", shift_first=True, clamp_nll=True),
}
"""One configuration for each way through the model."""
FIELDS = ("prediction", "shallow", "latents", "log_det", "transferred", "recovered", "lengths")
"""The tensors of a model's output."""


def random_weights(losses) -> Tensor:
    """A sum of all terms with weights that let none of them cancel another."""
    return sum((1 + 0.37 * i) * losses[name].value for i, name in enumerate(sorted(losses)))


def gradients(model, losses) -> dict[str, Tensor]:
    """Gradients of that sum by parameter name, zeros where there is none."""
    found = torch.autograd.grad(random_weights(losses), list(model.parameters()), allow_unused=True)
    return {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(model.named_parameters(), found)}
