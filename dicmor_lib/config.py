"""Every number and switch of the model, in one frozen dataclass.

The presets hold Table 1 of the paper's supplement. A switch exists for each way in which the
published code differs from the paper's mathematics; the defaults are ours, and
`DiCMoRConfig.mosi(published=True)` sets them all to the published behaviour.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Literal

from dicmor_lib.errors import ConfigError
from dicmor_lib.settings import Settings

FeatureDims = tuple[int, int, int]
MOSI_DIMS: FeatureDims = (768, 5, 20)
MOSEI_DIMS: FeatureDims = (768, 74, 35)


@dataclass(frozen=True)
class DiCMoRConfig(Settings):
    """Sizes, dropout and switches of a `DiCMoR` model.

    Sizes follow Table 1 of the supplement; `feature_dims` are the channels of the raw
    (language, audio, vision) features and come from the data. The default values are the CMU-MOSI
    column. Rates are probabilities in [0, 1); tuples are ordered (language, audio, vision).

    >>> config = DiCMoRConfig.mosi(feature_dims=(300, 74, 35), flow_layers=8)
    >>> config.hidden, config.flow_layers, config.mixing
    (32, 8, 'alternate')
    >>> DiCMoRConfig.mosi(published=True).mixing
    'none'

    Raises:
        ConfigError: if a size, a rate or a switch is out of range.
    """

    feature_dims: FeatureDims = MOSI_DIMS
    # --- Table 1 -------------------------------------------------------------------------------
    kernel_size: int = 5  # of the shallow convolutions C^m
    hidden: int = 32  # channels d of C^m, and of the fusion transformers T^m
    flow_width: int = 64  # hidden channels of the coupling networks in F^m
    flow_layers: int = 32  # invertible layers N in F^m
    rcab_width: int = 64  # channels inside the recovery D^m
    rcab_blocks: int = 20  # RCABs in D^m
    heads: int = 8  # attention heads of T^m
    fusion_layers: int = 4  # layers of each transformer in T^m
    # --- not in the table ----------------------------------------------------------------------
    rcab_reduction: int = 16  # bottleneck of the channel attention
    prior_classes: int = 7  # sentiment classes -3..3 with a prior each; 1 = one class-free prior
    nll_weight: float = 0.1  # weight of the three NLL terms beside the task's L1
    recovery_weight: float = 1.0  # weight of L_rec; published: 0.1
    distance_weight: float = 0.0  # weight of L_dist: wider recovered features, at a cost in squared error
    language_dropout: float = 0.5
    attention_dropout: tuple[float, float, float] = (0.3, 0.2, 0.0)  # by source modality
    embedding_dropout: float = 0.2
    output_dropout: float = 0.5
    log_scale_bound: float = 0.5  # scale_map "bounded_exp": |log s| of one layer stays below this
    log_sd_floor: float | None = -4.0  # smallest log standard deviation of a prior; None: no floor
    # --- beyond the paper: a joint prior of the three modalities (chapter 12) --------------------------
    prior: Literal["class", "joint"] = "class"  # "joint": recovery is drawn from p(missing given available)
    draws: int = 8  # prior "joint": draws of the missing modalities that go through the fusion to predict
    # --- ablations: what the method's parts are worth -----------------------------------------------
    transfer: Literal["flow", "copy"] = "flow"  # "copy": D^m reads the mean of the available shallow features
    recovery: Literal["rcab", "none", "zero", "draws"] = (
        "rcab"  # "none": X^ = X~; "zero": the fusion sees zeros instead; "draws": set by prior "joint"
    )
    shallow: Literal["conv", "identity"] = "conv"  # "identity": X = raw, for data with `hidden` channels each
    # --- switches: ours by default, the published code's with published=True ----------------------
    mixing: Literal["alternate", "conv1x1", "none"] = "alternate"  # of the halves, between layers
    scale_map: Literal["bounded_exp", "sigmoid"] = "bounded_exp"  # how the network's output becomes s
    shift_first: bool = False  # y_b = (x_b + t) * s instead of Eq. (1), s * x_b + t
    clamp_nll: bool = False  # NLL below 0 bits per dimension counts as 0
    two_source_merge: Literal["latent_mean", "data_conv"] = "latent_mean"
    honour_lengths: bool = True  # padding masks, and a convolution that keeps T; False: T' = T - 4
    transfer_gradient: bool = True  # the losses behind the transfer reach the flows
    task_trains_recovery: bool = False  # the task loss reaches D^m (and, by transfer_gradient, the flows)
    shallow_gradient: bool = True  # the task loss reaches C^m
    dropout_before_shallow: bool = False  # language dropout on the raw features, not on fusion's input
    self_attention_follows: Literal["own", "language"] = "own"  # whose dropout rate the self encoders use

    def __post_init__(self) -> None:
        for name in ("feature_dims", "attention_dropout"):
            value = getattr(self, name)
            if not isinstance(value, (tuple, list)) or len(value) != 3:
                raise ConfigError(f"{name} must hold three values (language, audio, vision), not {value!r}")
            object.__setattr__(self, name, tuple(value))
        if self.prior == "joint" and self.recovery == "rcab":
            object.__setattr__(
                self, "recovery", "draws"
            )  # there is no D^m: it would narrow the law that is drawn from
        self._check_sizes()
        self._check_rates()
        self._check_choices()
        self._check_joint_prior()

    def _check_joint_prior(self) -> None:
        joint = self.prior == "joint"
        if joint != (self.recovery == "draws"):
            raise ConfigError(
                f"prior is {self.prior!r} and recovery {self.recovery!r}; prior 'joint' recovers by drawing, so these "
                "two go together: leave recovery out, or set prior='joint'"
            )
        if joint and (self.transfer != "flow" or not self.honour_lengths or self.clamp_nll):
            raise ConfigError(
                "prior 'joint' needs transfer='flow', honour_lengths=True and clamp_nll=False; leave them at their defaults"
            )
        if self.shallow == "identity" and set(self.feature_dims) != {self.hidden}:
            raise ConfigError(
                f"shallow 'identity' keeps the features as they are, so feature_dims {self.feature_dims} must each equal "
                f"hidden, {self.hidden}"
            )

    def _check_sizes(self) -> None:
        sizes = {name: getattr(self, name) for name in _SIZES} | dict(
            zip(("feature_dims[language]", "feature_dims[audio]", "feature_dims[vision]"), self.feature_dims)
        )
        for name, size in sizes.items():
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise ConfigError(f"{name} is {size!r}; it must be a whole number of at least 1")
        if self.kernel_size % 2 == 0:
            raise ConfigError(f"kernel_size is {self.kernel_size}; it must be odd so that T is kept")
        if self.hidden % 2 or self.hidden % self.heads:
            raise ConfigError(
                f"hidden is {self.hidden}; the coupling layers halve it and {self.heads} heads share it, "
                "so it must be even and divisible by heads"
            )
        if self.prior_classes not in (1, 7):
            raise ConfigError(
                f"prior_classes is {self.prior_classes}; it must be 7 (sentiment -3..3) or 1 (class-free)"
            )

    def _check_rates(self) -> None:
        rates = (self.language_dropout, *self.attention_dropout, self.embedding_dropout, self.output_dropout)
        if not all(_is_number(rate) and 0 <= rate < 1 for rate in rates):
            raise ConfigError(f"dropout rates must be in [0, 1), these are {rates}")
        if not _is_number(self.log_scale_bound) or self.log_scale_bound <= 0:
            raise ConfigError(f"log_scale_bound is {self.log_scale_bound!r}; it must be a number above 0")
        for name in ("nll_weight", "recovery_weight", "distance_weight"):
            if not _is_number(getattr(self, name)) or getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it must be a number of at least 0")
        if self.log_sd_floor is not None and not _is_number(self.log_sd_floor):
            raise ConfigError(f"log_sd_floor is {self.log_sd_floor!r}; it must be a number or None")

    @classmethod
    def mosi(
        cls, feature_dims: FeatureDims = MOSI_DIMS, *, published: bool = False, **changes: Any
    ) -> DiCMoRConfig:
        """The CMU-MOSI column of Table 1; `published=True` sets every switch to the published code's behaviour."""
        return cls(**{"feature_dims": feature_dims, **(_PUBLISHED if published else {}), **changes})

    @classmethod
    def mosei(
        cls, feature_dims: FeatureDims = MOSEI_DIMS, *, published: bool = False, **changes: Any
    ) -> DiCMoRConfig:
        """The CMU-MOSEI column of Table 1; with `published=True` the flow is 64 wide, as in the published code."""
        switches = {**_PUBLISHED, "flow_width": 64} if published else {}
        return cls(**{"feature_dims": feature_dims, **_MOSEI, **switches, **changes})

    @classmethod
    def tiny(cls, feature_dims: FeatureDims = (8, 6, 6), **changes: Any) -> DiCMoRConfig:
        """A small model for lessons on a CPU; it has every part of the full one."""
        return cls(**{"feature_dims": feature_dims, **_TINY, **changes})

    @classmethod
    def preset(cls, name: str, feature_dims: FeatureDims | None = None, **changes: Any) -> DiCMoRConfig:
        """The preset called `name`: "tiny", "mosi" or "mosei"."""
        presets = {"tiny": cls.tiny, "mosi": cls.mosi, "mosei": cls.mosei}
        if name not in presets:
            raise ConfigError(f"there is no preset {name!r}; choose one of {', '.join(presets)}")
        return presets[name](feature_dims, **changes) if feature_dims else presets[name](**changes)


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    )


_SIZES: tuple[str, ...] = ("kernel_size", "hidden", "flow_width", "flow_layers", "rcab_width", "rcab_blocks")
_SIZES += ("heads", "fusion_layers", "rcab_reduction", "draws")

_MOSEI: dict[str, Any] = dict(hidden=64, flow_width=128, rcab_width=128, fusion_layers=6)
_MOSEI |= dict(
    language_dropout=0.2, attention_dropout=(0.2, 0.0, 0.0), embedding_dropout=0.0, output_dropout=0.2
)

_TINY: dict[str, Any] = dict(
    hidden=16, flow_width=32, flow_layers=8, rcab_width=32, rcab_blocks=3, heads=4, fusion_layers=2
)
_TINY |= dict(
    language_dropout=0.2, attention_dropout=(0.1, 0.1, 0.1), embedding_dropout=0.1, output_dropout=0.3
)

_PUBLISHED: dict[str, Any] = dict(
    mixing="none",
    scale_map="sigmoid",
    shift_first=True,
    clamp_nll=True,
    two_source_merge="data_conv",
    honour_lengths=False,
    transfer_gradient=False,
    task_trains_recovery=True,
    recovery_weight=0.1,
    shallow_gradient=False,
    dropout_before_shallow=True,
    self_attention_follows="language",
    log_sd_floor=None,
)
