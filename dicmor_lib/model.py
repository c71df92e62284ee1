"""DiCMoR: shallow features, flows, cross-modal distribution transfer, recovery and fusion (figure 2 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dicmor_lib import objective
from dicmor_lib.blocks import Flow, JointPrior, MultimodalTransformer, Recovery, ShallowConv, ShallowIdentity
from dicmor_lib.blocks.draws import draw_classes, draw_noise
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
        recovered: X^ = D(X~), likewise; with the joint prior the mean of the draws.
        lengths: valid steps of what fusion saw, (batch, 3); a recovered modality is as long as its longest source.
        losses: terms of the objective, empty without labels; see `dicmor_lib.objective`.
        class_posterior: p(c given what is available), (batch, classes); None unless the prior is joint.
    """

    prediction: Tensor
    shallow: Tensor
    latents: Tensor
    log_det: Tensor
    transferred: Tensor
    recovered: Tensor
    lengths: Tensor
    losses: dict[str, Term] = field(default_factory=dict)
    class_posterior: Tensor | None = None


class DiCMoR(nn.Module):
    """Distribution-Consistent Modal Recovering (Wang, Cui and Li, ICCV 2023).

    >>> import torch
    >>> from dicmor_lib import DiCMoR, DiCMoRConfig, available_mask
    >>> model = DiCMoR(DiCMoRConfig.tiny(feature_dims=(8, 5, 6))).eval()
    >>> clip = [torch.randn(4, 20, d) for d in (8, 5, 6)]
    >>> output = model(clip, available_mask("av", 4))  # language is missing
    >>> output.prediction.shape, output.recovered.shape
    (torch.Size([4]), torch.Size([3, 4, 20, 16]))

    Attributes:
        shallow_gradient: whether the task loss reaches C^m; starts as the config's switch, and stage-one training,
            which exists to train C^m, sets it to True.
    """

    def __init__(self, config: DiCMoRConfig) -> None:
        super().__init__()
        self.config = c = config
        self.shallow_gradient = c.shallow_gradient
        self.shallow: nn.Module = ShallowIdentity()
        if c.shallow == "conv":
            self.shallow = ShallowConv(c.feature_dims, c.hidden, c.kernel_size, same=c.honour_lengths)
        joint = JointPrior(c.hidden, c.prior_classes, c.log_sd_floor) if c.prior == "joint" else None
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
            prior=joint,
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
        dtype = next(self.fusion.parameters()).dtype
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
        if self.config.prior == "joint":
            seen = mask * inputs.available.t()[..., None]
            output = self._forward_joint(x, z, log_det, seen, mask_out, lengths_out, packing)
            if inputs.label is not None:
                output.losses = self._losses(output, inputs.label, mask, mask_out - mask_out * seen)
            return output
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
        if inputs.label is not None:
            output.losses = self._losses(output, inputs.label, mask, mask_out * missing[..., 0])
        return output

    def _forward_joint(
        self,
        x: Tensor,
        z: Tensor,
        log_det: Tensor,
        seen: Tensor,
        mask: Tensor,
        lengths: Tensor,
        packing: Packing,
    ) -> DiCMoROutput:
        """The rest of the pass with a joint prior: draws of the missing modalities, each through the fusion.

        `seen` marks the steps that are available, `mask` those that fusion shall see, (3, batch, time) each.
        """
        draws = 1 if self.training else self.config.draws
        with torch.no_grad():  # flows and prior learn by maximum likelihood alone
            posterior = self.flow.prior.posterior(z, seen)
            expected = self.flow.prior.expected(z, seen, posterior)
            transferred = self._to_missing(expected, mask, packing)
            drawn = self.draw_missing(z, seen, mask, posterior, packing, draws)
        missing = mask * (1 - seen.amax(2, keepdim=True))  # (3, batch, time)
        complete = torch.where(missing[..., None] > 0, drawn, x)  # (draws, 3, batch, time, hidden)
        fused = self.predict_from_shallow(complete.transpose(0, 1).flatten(1, 2), lengths.repeat(draws, 1))
        prediction = fused.view(draws, -1).mean(0)
        return DiCMoROutput(
            prediction, x, z, log_det.t(), transferred, drawn.mean(0), lengths, class_posterior=posterior
        )

    def draw_missing(
        self,
        z: Tensor,
        seen: Tensor,
        mask: Tensor,
        posterior: Tensor,
        packing: Packing,
        draws: int,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw the missing modalities from p(x given seen), (draws, 3, batch, time, hidden), zero elsewhere.

        In training, or with a generator, everything is drawn afresh. Else the draws are the same few quantiles for
        every clip (`dicmor_lib.blocks.draws`), so that a prediction depends on its clip alone.
        """
        fixed = not self.training and generator is None
        classes = draw_classes(posterior, draws, fixed, generator)
        noise = draw_noise(draws, z, fixed, generator)
        paths = self.flow.prior.mean_path(z.shape[2])
        latents = (self.flow.prior.conditional(z, seen, paths[c], e) for c, e in zip(classes, noise))
        return torch.stack(
            [self._to_missing(drawn, mask, packing) for drawn in latents]
        )  # one at a time: memory

    def _to_missing(self, z: Tensor, mask: Tensor, packing: Packing) -> Tensor:
        """Latents of all modalities back to features of the missing ones, zero elsewhere, (3, batch, time, hidden)."""
        return packing.unpack(self.flow.inverse(packing.pack(z), packing.pack(mask)))

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
        if (
            self.config.prior == "joint"
        ):  # by the chain rule: language, audio given language, vision given both
            log_prior = self.flow.prior.log_prob(out.latents, label, mask)
            log_prior = log_prior + self.flow.prior.log_class(label, mask)
        else:
            log_prior = (self.flow.prior.log_prob(out.latents, label) * mask).sum(-1)
        log_prob = log_prior + out.log_det.t()
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
