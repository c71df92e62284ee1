"""DiCMoR: shallow features, flows, cross-modal distribution transfer, recovery and fusion (figure 2 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dicmor_lib import objective
from dicmor_lib.blocks import Flow, MultimodalTransformer, Recovery, ShallowConv
from dicmor_lib.blocks.transfer import Packing, Transfer
from dicmor_lib.config import DiCMoRConfig
from dicmor_lib.inputs import Features, check_inputs
from dicmor_lib.modalities import MODALITIES
from dicmor_lib.objective import Term


@dataclass
class DiCMoROutput:
    """What one pass returns; the leading axis of 3 and the columns of (batch, 3) are language, audio, vision.

    Attributes:
        prediction: sentiment (batch,), trained towards [-3, 3].
        shallow: X, shallow features of what was read, (3, batch, time, hidden), zero elsewhere and on padding.
        latents: Z = F(X), same shape.
        log_det: log abs det dF/dX summed over valid steps, (batch, 3), nats.
        transferred: X~ of the modalities that were not available, zero elsewhere, same shape as shallow.
        recovered: X^ = D(X~), likewise.
        lengths: valid steps of what fusion saw, (batch, 3); a recovered modality is as long as its longest source.
        losses: terms of the objective, empty without labels; see `dicmor_lib.objective`.
    """

    prediction: Tensor
    shallow: Tensor
    latents: Tensor
    log_det: Tensor
    transferred: Tensor
    recovered: Tensor
    lengths: Tensor
    losses: dict[str, Term] = field(default_factory=dict)


class DiCMoR(nn.Module):
    """Distribution-Consistent Modal Recovering (Wang, Cui and Li, ICCV 2023).

    >>> from dicmor_lib import DiCMoR, DiCMoRConfig, available_mask
    >>> model = DiCMoR(DiCMoRConfig.tiny(feature_dims=(8, 5, 6))).eval()
    >>> clip = [torch.randn(4, 20, d) for d in (8, 5, 6)]
    >>> model(clip, available_mask("av", 4)).prediction.shape
    torch.Size([4])

    Attributes:
        shallow_gradient: whether the task loss reaches C^m; starts as the config's switch, and stage-one training,
            which exists to train C^m, sets it to True.
    """

    def __init__(self, config: DiCMoRConfig) -> None:
        super().__init__()
        self.config = c = config
        self.shallow_gradient = c.shallow_gradient
        self.shallow = ShallowConv(c.feature_dims, c.hidden, c.kernel_size, same=c.honour_lengths)
        self.flow = Flow(
            c.hidden,
            c.flow_width,
            c.flow_layers,
            groups=3,
            mixing=c.mixing,
            scale_map=c.scale_map,
            shift_first=c.shift_first,
            log_scale_bound=c.log_scale_bound,
            prior_classes=c.prior_classes,
            log_sd_floor=c.log_sd_floor,
        )
        self.transfer = Transfer(c.hidden, c.two_source_merge, c.transfer_gradient)
        if c.recovery == "rcab":
            self.recovery = Recovery(c.hidden, c.rcab_width, c.rcab_blocks, c.rcab_reduction, groups=3)
        self.fusion = MultimodalTransformer(
            c.hidden,
            c.heads,
            c.fusion_layers,
            c.attention_dropout,
            c.embedding_dropout,
            c.output_dropout,
            self_follows=c.self_attention_follows,
            honour_lengths=c.honour_lengths,
        )

    def forward(
        self,
        features: Features,
        available: Tensor,
        lengths: Tensor | None = None,
        label: Tensor | None = None,
        observed: Tensor | None = None,
    ) -> DiCMoROutput:
        """Predict from what is available, recovering the rest.

        Args:
            features: raw language, audio and vision, (batch, time, d_m) each; one time axis for all three.
            available: bool (batch, 3), what the model may see, any pattern per sample. Giving it (and the two
                next ones) as CPU tensors spares a GPU model the synchronisation.
            lengths: valid steps (batch, 3), counted from step 0; default: all.
            label: sentiment (batch,) in [-3, 3]; needed for losses only.
            observed: bool (batch, 3), what exists in the data and may be a training target. Default: everything
                if there is a label, else only what is available, so nothing else is read.

        Raises:
            PatternError: if a sample has nothing available.
            ShapeError: if shapes, types or lengths do not fit together.
            DataError: if a value that is read is not finite or a label lies outside [-3, 3].
        """
        dtype = self.shallow.weights[0].dtype
        inputs = check_inputs(self.config, features, available, lengths, label, observed, dtype)
        packing = Packing.of(inputs.available, inputs.features[0].device)
        inputs = inputs.to(inputs.features[0].device)
        x = self.shallow_features(inputs.features, inputs.lengths)
        mask = self.step_mask(inputs.lengths * inputs.observed, x.shape[2])
        x = x * mask[..., None]
        # NLL and L_rec read the shallow features detached: an unclamped NLL would shrink C^m's output without end
        z, log_det = self.flow(x.detach(), mask)

        seen_lengths = inputs.lengths * inputs.available
        lengths_out = torch.where(inputs.available, seen_lengths, seen_lengths.amax(1, keepdim=True))
        mask_out = self.step_mask(lengths_out, x.shape[2])
        if self.config.transfer == "flow":
            packed = self.transfer(self.flow, z, mask_out, seen_lengths, inputs.available, packing)
        else:  # ablation: no flow between the sources and the recovery
            packed = self.transfer.merge_latents(x.detach(), seen_lengths)[packing.rows]
        recovered = packing.unpack(self._recover(packed, packing.pack(mask_out)))
        transferred = packing.unpack(packed)

        missing = ~inputs.available.t()[:, :, None, None]  # (3, batch, 1, 1)
        # by default D^m learns to reconstruct only: the task loss would turn it into a second encoder of the sources
        estimate = recovered if self.config.task_trains_recovery else recovered.detach()
        prediction = self.predict_from_shallow(torch.where(missing, estimate, x), lengths_out)
        output = DiCMoROutput(prediction, x, z, log_det.t(), transferred, recovered, lengths_out)
        if label is not None:
            output.losses = self._losses(output, inputs.label, mask, mask_out * missing[..., 0])
        return output

    def _recover(self, packed: Tensor, mask: Tensor) -> Tensor:
        """X^ = D(X~), or what an ablation puts in its place."""
        if self.config.recovery == "rcab":
            return self.recovery(packed, mask)
        return packed if self.config.recovery == "none" else torch.zeros_like(packed)

    def shallow_features(self, features: Features, lengths: Tensor) -> Tensor:
        """Return X = C(raw): three (batch, time, d_m) to (3, batch, time, hidden), zero on padding."""
        language, audio, vision = features
        if self.config.dropout_before_shallow:
            language = F.dropout(language, self.config.language_dropout, self.training)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.shallow_gradient):
            x = self.shallow((language, audio, vision))
        return x * self.step_mask(lengths, x.shape[2])[..., None]

    def predict_from_shallow(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Fusion alone: shallow features (3, batch, time, hidden), real or recovered, to predictions (batch,)."""
        if not self.config.honour_lengths:
            lengths = torch.full_like(lengths, x.shape[2])
        if not self.config.dropout_before_shallow:
            language = F.dropout(x[:1], self.config.language_dropout, self.training)
            x = torch.cat([language, x[1:]])
        return self.fusion(x, lengths)

    def step_mask(self, lengths: Tensor, time: int) -> Tensor:
        """Return which steps are valid as 0/1 floats (3, batch, time), from lengths (batch, 3)."""
        if not self.config.honour_lengths:
            lengths = torch.where(lengths > 0, time, 0)
        return (torch.arange(time, device=lengths.device) < lengths.t()[..., None]).float()

    def _losses(
        self, out: DiCMoROutput, label: Tensor, mask: Tensor, recovered_mask: Tensor
    ) -> dict[str, Term]:
        """The terms of the objective; `mask` (3, batch, time) marks the steps that exist in the data."""
        floor = 0.0 if self.config.clamp_nll else None
        # log p(x given c) = log N(z; mu_c, Sigma_c) + log abs det dF/dx
        log_prob = (self.flow.prior.log_prob(out.latents, label) * mask).sum(-1) + out.log_det.t()
        losses = {"task": objective.task_term(out.prediction, label)}
        target, comparable = out.shallow.detach(), mask * recovered_mask
        for m, name in enumerate(MODALITIES):
            losses[f"nll_{name}"] = objective.nll_term(
                log_prob[m], mask[m].sum(-1), self.config.hidden, floor
            )
            both = out.recovered[m], target[m], comparable[m]
            losses[f"recovery_{name}"] = objective.recovery_term(*both)
            losses[f"distance_{name}"] = objective.distance_term(*both)
        return losses
