"""Every setting of training in one frozen dataclass, beside `DiCMoRConfig`, which holds the model's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from dicmor_lib.data.missingness import missing_count_shares
from dicmor_lib.errors import ConfigError
from dicmor_lib.settings import Settings

Protocol = Literal["uniform", "independent", "dicmor", "imder", "gcnet", "mplmm"]


@dataclass(frozen=True)
class TrainConfig(Settings):
    """How a model is trained: both stages, the optimiser, the missingness schedule and the machine.

    Stage 1 trains the shallow features, the fusion and the head on complete samples; stage 2 trains the whole
    model with modalities missing. One optimiser step sees `batch_size * accumulate` samples, over all
    processes together. The checkpoint is selected on the validation split only: by the mean absolute error
    with all modalities (stage 1), or averaged over the seven patterns (stage 2).

    >>> config = TrainConfig.preset("mosi", protocol="gcnet", missing_rate=0.3)
    >>> config.stage2_epochs, config.step_size, config.missing_rate
    (40, 32, 0.3)

    Raises:
        ConfigError: if a value is out of range, unknown, or contradicts another.
    """

    NAME: ClassVar[str] = "training configuration"

    seed: int = 0
    # --- length ------------------------------------------------------------------------------------------
    stage1_epochs: int = 30
    stage2_epochs: int = 60
    patience: int = 10  # epochs without a better validation error after which a stage ends; 0: never
    # --- optimiser ---------------------------------------------------------------------------------------
    batch_size: int = 32
    accumulate: int = 1  # micro-batches per optimiser step
    accumulate_reduction: Literal["mean", "sum"] = "mean"  # of their gradients
    optimiser: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    clip: Literal["norm", "value", "none"] = "norm"
    clip_amount: float = 1.0
    clip_each: Literal["step", "micro-batch"] = "step"  # clip once per step, or after every backward pass
    plateau_patience: int = 5  # ReduceLROnPlateau: epochs without improvement before the rate is multiplied
    plateau_factor: float = 0.5
    drop_remainder: bool = False  # leave out the samples of an epoch that fill no whole optimiser step
    # --- what is missing in stage 2 ----------------------------------------------------------------------
    protocol: Protocol = "uniform"  # "uniform": each of the seven patterns equally often
    missing_rate: float | None = (
        None  # of the protocol, in [0, 1]; None for "uniform", .5 by default for the others
    )
    missing_per: Literal["sample", "batch"] = "sample"  # "batch": one mask for a whole batch, as published
    freeze_shallow: bool = True  # C^m keeps what stage 1 taught it
    # --- data --------------------------------------------------------------------------------------------
    standardise: bool = True  # features, by the training split's mean and deviation per channel
    # --- language from token ids (dicmor_lib.language) ---------------------------------------------------
    bert_mode: Literal["frozen", "fine-tune"] = "frozen"  # "fine-tune": stage 1 trains the BERT as well
    bert_learning_rate: float = 2e-5  # of its weights, beside learning_rate; the schedule lowers both alike
    # --- machine -----------------------------------------------------------------------------------------
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: int = 1  # processes per node, one device each
    nodes: int = 1
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    compile: bool = False  # torch.compile for the model's blocks; on CUDA with CUDA graphs

    def __post_init__(self) -> None:
        self._check_choices()
        self._check_numbers()
        self._settle_missing_rate()

    def _check_numbers(self) -> None:
        for name, low in _WHOLE.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value < 2**31:
                raise ConfigError(
                    f"{name} is {value!r}; it must be a whole number of at least {low}, below 2**31"
                )
        for name, (low, high) in _REAL.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value < high:
                raise ConfigError(f"{name} is {value!r}; it must be a number from {low} to below {high}")
            object.__setattr__(self, name, float(value))
        if 0 in (self.learning_rate, self.bert_learning_rate, self.clip_amount, self.plateau_factor):
            raise ConfigError(
                "learning_rate, bert_learning_rate, clip_amount and plateau_factor must be above 0"
            )
        if self.clip_each == "micro-batch" and self.processes > 1:
            raise ConfigError(
                "clip_each 'micro-batch' works in one process only; use 'step' or devices=1, nodes=1"
            )
        if self.stage1_epochs + self.stage2_epochs == 0:
            raise ConfigError("stage1_epochs and stage2_epochs are both 0; at least one stage must train")
        if self.bert_mode == "fine-tune" and self.stage1_epochs == 0:
            raise ConfigError(
                "stage1_epochs is 0, yet bert_mode 'fine-tune' trains the BERT in stage 1; raise it"
            )

    def _settle_missing_rate(self) -> None:
        if self.protocol == "uniform":
            if self.missing_rate is not None:
                raise ConfigError(
                    "protocol 'uniform' draws each of the seven patterns equally often and has no "
                    "missing_rate; leave missing_rate out or choose another protocol"
                )
            return
        rate = 0.5 if self.missing_rate is None else self.missing_rate
        if isinstance(rate, bool) or not isinstance(rate, (int, float)):
            raise ConfigError(f"missing_rate is {rate!r}; it must be a number from 0 to 1")
        missing_count_shares(self.protocol, rate)  # raises if the protocol does not define this rate
        object.__setattr__(self, "missing_rate", float(rate))

    @property
    def processes(self) -> int:
        """Number of processes over all nodes."""
        return self.devices * self.nodes

    @property
    def step_size(self) -> int:
        """Samples per optimiser step, over all processes."""
        return self.batch_size * self.accumulate

    @classmethod
    def preset(cls, name: str, *, published: bool = False, **changes: Any) -> TrainConfig:
        """The settings that go with the model preset `name` ("tiny", "mosi", "mosei").

        `published=True` sets what the published code does: Adam 1e-4 without weight decay, gradients of eight
        micro-batches summed and value-clipped at 0.6 after each, the incomplete rest of an epoch dropped, one
        mask per batch from the DiCMoR schedule, raw features.
        """
        presets = {"tiny": _TINY, "mosi": _MOSI, "mosei": _MOSEI}
        if name not in presets:
            raise ConfigError(f"there is no preset {name!r}; choose one of {', '.join(presets)}")
        switches = {**_PUBLISHED, "batch_size": 16 if name == "mosei" else 4} if published else {}
        return cls.from_dict({**presets[name], **switches, **changes})


# Smallest allowed value of the whole numbers; half-open range of the real ones.
_WHOLE = dict(seed=0, stage1_epochs=0, stage2_epochs=0, patience=0, batch_size=1, accumulate=1)
_WHOLE |= dict(plateau_patience=0, devices=1, nodes=1)
_REAL = dict(
    learning_rate=(0, 10), weight_decay=(0, 10), clip_amount=(0, float("inf")), plateau_factor=(0, 1)
)
_REAL |= dict(bert_learning_rate=(0, 10))

_TINY: dict[str, Any] = dict(stage1_epochs=20, stage2_epochs=40)
_MOSI: dict[str, Any] = dict(stage1_epochs=20, stage2_epochs=40, patience=6)
_MOSEI: dict[str, Any] = dict(stage1_epochs=15, stage2_epochs=30)

_PUBLISHED: dict[str, Any] = dict(
    accumulate=8,
    accumulate_reduction="sum",
    optimiser="adam",
    learning_rate=1e-4,
    weight_decay=0.0,
    clip="value",
    clip_amount=0.6,
    clip_each="micro-batch",
    plateau_patience=5,
    plateau_factor=0.1,
    patience=10,
    drop_remainder=True,
    protocol="dicmor",
    missing_rate=0.5,
    missing_per="batch",
    standardise=False,
)
