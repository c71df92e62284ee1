"""The readable reference: the whole model in eval mode, one sample, one modality and one layer at a time.

It restates the mathematics in plain `torch.nn.functional` calls on unpadded sequences (time, channels): no
groups, no packing, no masks. Given a `DiCMoR`, it reads its parameters, so `objective(reference(...).losses)` has
gradients with respect to them; the library's grouped, packed and masked path must equal both.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from dicmor_lib import MODALITIES, DiCMoR, Term

OTHERS = {0: (1, 2), 1: (0, 2), 2: (0, 1)}  # of each modality, in the order language, audio, vision


@dataclass
class ReferenceOutput:
    """Intermediate sequences (time, channels) by (modality, sample), with no padding in them."""

    prediction: Tensor
    shallow: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    latents: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    log_det: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    transferred: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    recovered: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    losses: dict[str, Term] = field(default_factory=dict)


def reference(model, features, available, lengths=None, label=None, observed=None) -> ReferenceOutput:
    """Restate `model(features, available, lengths, label, observed)` in eval mode."""
    if observed is None:
        observed = torch.ones_like(available) if label is not None else available
    out = ReferenceOutput(torch.empty(0))
    predictions = []
    for b in range(len(available)):
        seen = [m for m in range(3) if available[b, m]]
        for m in range(3):
            if observed[b, m]:
                raw = features[m][b]
                if model.config.honour_lengths and lengths is not None:
                    raw = raw[: lengths[b, m]]
                out.shallow[m, b] = x = shallow(model, m, raw)
                out.latents[m, b], out.log_det[m, b] = flow_forward(model.flow, m, x.detach())
        heard = []
        for m in range(3):
            if m in seen:
                heard.append(out.shallow[m, b])
                continue
            latents = {k: out.latents[k, b] for k in seen}
            out.transferred[m, b] = transferred = transfer(model, m, latents)
            out.recovered[m, b] = recover(model.recovery, m, transferred)
            # the task loss does not reach the recovery unless the config says so
            estimate = out.recovered[m, b]
            heard.append(estimate if model.config.task_trains_recovery else estimate.detach())
        predictions.append(fuse(model, heard))
    out.prediction = torch.stack(predictions)
    if label is not None:
        out.losses = losses(model, out, label, available)
    return out


def shallow(model: DiCMoR, m: int, raw: Tensor) -> Tensor:
    """X^m = C^m(raw^m), (time, d_m) to (time, d); without padding the result is shorter."""
    weight = model.shallow.weights[m]
    around = weight.shape[2] // 2 if model.config.honour_lengths else 0
    x = F.conv1d(raw.t()[None], weight, padding=around)[0].t()
    return x if model.config.shallow_gradient else x.detach()


# --- the flow of one modality ---------------------------------------------------------------------


def flow_forward(flow, m: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """F^m: (time, channels) to the latent and log abs det, summed over time."""
    half, log_det = x.shape[1] // 2, x.new_zeros(())
    for i, layer in enumerate(flow.layers):
        if flow.mixing == "conv1x1":
            w = flow.mixers[i].weight[m]
            x, log_det = x @ w, log_det + len(x) * torch.log(torch.abs(torch.det(w)))
        first, second = x[:, :half], x[:, half:]
        if flow.mixing == "alternate" and i % 2 == 1:  # the second half decides about the first
            s, t = scale_and_shift(layer, m, second)
            x = torch.cat([(first + t) * s if layer.shift_first else s * first + t, second], dim=1)
        else:
            s, t = scale_and_shift(layer, m, first)
            x = torch.cat([first, (second + t) * s if layer.shift_first else s * second + t], dim=1)
        log_det = log_det + torch.log(s).sum()
    return x, log_det


def flow_inverse(flow, m: int, z: Tensor) -> Tensor:
    """(F^m)^-1: the layers backwards, each undone."""
    half = z.shape[1] // 2
    for i in reversed(range(len(flow.layers))):
        layer, swapped = flow.layers[i], flow.mixing == "alternate" and i % 2 == 1
        first, second = z[:, :half], z[:, half:]
        s, t = scale_and_shift(layer, m, second if swapped else first)
        changed = first if swapped else second
        changed = changed / s - t if layer.shift_first else (changed - t) / s
        z = torch.cat([changed, second] if swapped else [first, changed], dim=1)
        if flow.mixing == "conv1x1":
            z = z @ torch.linalg.inv(flow.mixers[i].weight[m])
    return z


def scale_and_shift(layer, m: int, x_a: Tensor) -> tuple[Tensor, Tensor]:
    network = layer.network
    h = F.relu(linear(network.first, m, x_a))
    h = linear(network.last, m, F.relu(linear(network.second, m, h)))
    raw, t = h[:, : x_a.shape[1]], h[:, x_a.shape[1] :]
    if layer.scale_map == "sigmoid":
        return torch.sigmoid(raw + 2), t
    return torch.exp(layer.log_scale_bound * torch.tanh(raw / layer.log_scale_bound)), t


# --- transfer and recovery ------------------------------------------------------------------------


def transfer(model: DiCMoR, target: int, latents: dict[int, Tensor]) -> Tensor:
    """X~ of a missing modality from the latents of the available ones."""
    with torch.set_grad_enabled(model.config.transfer_gradient):
        if model.config.two_source_merge == "latent_mean":
            steps = range(max(map(len, latents.values())))
            mean = [torch.stack([z[t] for z in latents.values() if t < len(z)]).mean(0) for t in steps]
            return flow_inverse(model.flow, target, torch.stack(mean))
        longest = max(
            map(len, latents.values())
        )  # a step that the shorter source does not have is latent zero
        padded = [F.pad(latents[k], (0, 0, 0, longest - len(latents[k]))) for k in sorted(latents)]
        transferred = [flow_inverse(model.flow, target, z) for z in padded]
    if len(transferred) == 1:
        return transferred[0]
    return linear(model.transfer.join, target, torch.cat(transferred, dim=1))


def recover(recovery, m: int, x: Tensor) -> Tensor:
    """X^ = D^m(X~): up, residual channel attention blocks, a convolution, the skip around them, down."""
    h = start = linear(recovery.up, m, x)
    for block in recovery.blocks:
        u = conv(block.conv2, m, F.relu(conv(block.conv1, m, h)))
        squeezed = F.relu(linear(block.attention.squeeze, m, u.mean(0, keepdim=True)))
        h = h + u * torch.sigmoid(linear(block.attention.excite, m, squeezed))
    return linear(recovery.down, m, start + conv(recovery.tail, m, h))


# --- fusion ---------------------------------------------------------------------------------------


def fuse(model: DiCMoR, x: list[Tensor]) -> Tensor:
    """The multimodal transformer: three sequences (time, d) of any lengths to one scalar."""
    fusion, last = model.fusion, []
    for m in range(3):
        pair = [encode(model, fusion.cross, 2 * m + i, x[m], x[k]) for i, k in enumerate(OTHERS[m])]
        memory = encode(model, fusion.memory, m, torch.cat(pair, dim=1))
        last.append(memory[-1])
    h = torch.cat(last)
    residual = F.linear(
        F.relu(F.linear(h, fusion.hidden1.weight, fusion.hidden1.bias)), *pair_of(fusion.hidden2)
    )
    return F.linear(h + residual, *pair_of(fusion.output))[0]


def encode(model: DiCMoR, encoder, g: int, x: Tensor, source: Tensor | None = None) -> Tensor:
    """Encoder number g of a group of them on x (time, width), reading `source` or itself."""
    x = embed(model, x)
    source = None if source is None else embed(model, source)
    for layer in encoder.layers:
        query = norm(layer.attention_norm, g, x)
        read = query if source is None else norm(layer.attention_norm, g, source)
        x = x + attend(layer.attention, g, query, read)
        hidden = F.relu(linear(layer.widen, g, norm(layer.mlp_norm, g, x)))
        x = x + linear(layer.narrow, g, hidden)
    return norm(encoder.norm, g, x)


def embed(model: DiCMoR, x: Tensor) -> Tensor:
    width, half = x.shape[1], x.shape[1] // 2
    code = torch.zeros_like(x)
    for t in range(len(x)):
        if not model.config.honour_lengths and x[t, 0] == 0:
            continue  # the published code takes such a step for padding
        for i in range(half):
            angle = (t + 1) * math.exp(-i * math.log(10000) / (half - 1))
            code[t, i], code[t, half + i] = math.sin(angle), math.cos(angle)
    return math.sqrt(width) * x + code


def attend(attention, g: int, query: Tensor, source: Tensor) -> Tensor:
    """Multi-head attention with one softmax over the readable source steps per head and query step."""
    n, k, width = len(query), len(source), query.shape[1]
    q = linear(attention.to_query, g, query)
    key, value = linear(attention.to_key_value, g, source).split(width, dim=1)
    # source step j begins before query step i ends
    readable = torch.tensor([[j * n < (i + 1) * k for j in range(k)] for i in range(n)])
    heads = []
    for part in torch.arange(width).chunk(attention.heads):
        scores = q[:, part] @ key[:, part].t() / math.sqrt(len(part))
        weights = torch.softmax(scores.masked_fill(~readable, -math.inf), dim=1)
        heads.append(weights @ value[:, part])
    return linear(attention.out, g, torch.cat(heads, dim=1))


# --- the objective --------------------------------------------------------------------------------


def losses(model: DiCMoR, out: ReferenceOutput, label: Tensor, available: Tensor) -> dict[str, Term]:
    """Sums and counts of every term of the objective."""
    total = defaultdict(lambda: label.new_zeros(()))
    count = defaultdict(int)
    pairs = defaultdict(list)  # recovered and real steps, by modality
    for (m, b), z in out.latents.items():
        log_prob = class_log_prob(model.flow.prior, z, float(label[b])) + out.log_det[m, b]
        total["nll", m] = total["nll", m] - log_prob / math.log(2)
        count["nll", m] += z.numel()
    for (m, b), recovered in out.recovered.items():
        if (m, b) in out.shallow:
            steps = min(len(recovered), len(out.shallow[m, b]))
            error = recovered[:steps] - out.shallow[m, b][:steps].detach()
            total["recovery", m] = total["recovery", m] + error.square().mean(1).sum()
            count["recovery", m] += steps
            count["distance", m] += steps
            pairs[m].append((recovered[:steps], out.shallow[m, b][:steps].detach()))
    for m, both in pairs.items():
        total["distance", m] = wasserstein(*map(torch.cat, zip(*both))) * count["distance", m]
    floor = {"nll": 0.0 if model.config.clamp_nll else None, "recovery": None, "distance": None}
    terms = {"task": Term((out.prediction - label).abs().sum(), label.new_tensor(float(len(label))))}
    for kind in ("nll", "recovery", "distance"):
        for m, name in enumerate(MODALITIES):
            n = label.new_tensor(float(count[kind, m]))
            terms[f"{kind}_{name}"] = Term(total[kind, m], n, floor[kind])
    return terms


def wasserstein(recovered: Tensor, real: Tensor) -> Tensor:
    """Squared 2-Wasserstein distance of Gaussians with the channels' means and deviations, mean over channels."""
    sd, real_sd = (torch.sqrt(x.var(0, unbiased=False) + 1e-6) for x in (recovered, real))
    return ((recovered.mean(0) - real.mean(0)) ** 2 + (sd - real_sd) ** 2).mean()


def class_log_prob(prior, z: Tensor, label: float) -> Tensor:
    """log N(z; mu_c, Sigma_c), summed over time and channels; c = label rounded half to even."""
    c = round(label) + 3 if prior.classes == 7 else 0
    log_sd = prior.raw_log_sd[c]
    if prior.log_sd_floor is not None:
        log_sd = prior.log_sd_floor + F.softplus(log_sd - prior.log_sd_floor)
    return torch.distributions.Normal(prior.mean[c], log_sd.exp()).log_prob(z).sum()


# --- one group of a grouped layer, as the plain layer ---------------------------------------------


def linear(layer, g: int, x: Tensor) -> Tensor:
    return F.linear(x, layer.weight[g].t(), layer.bias[g, 0])


def conv(layer, g: int, x: Tensor) -> Tensor:
    """A convolution over time with zeros around the sequence, (time, inputs) to (time, outputs)."""
    kernel = layer.taps.weight[g].unflatten(0, (layer.kernel_size, -1)).permute(2, 1, 0)
    return F.conv1d(x.t()[None], kernel, layer.taps.bias[g, 0], padding=layer.kernel_size // 2)[0].t()


def norm(layer, g: int, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[1:], layer.weight[g, 0, 0], layer.bias[g, 0, 0])


def pair_of(layer: torch.nn.Linear) -> tuple[Tensor, Tensor]:
    return layer.weight, layer.bias
