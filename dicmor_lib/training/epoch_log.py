"""What the steps of an epoch report: kept on the device, looked at once, and by then nothing has been lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dicmor_lib.errors import TrainingError
from dicmor_lib.modalities import MODALITIES

TERMS: dict[int, tuple[str, ...]] = {
    1: ("task",),
    2: ("task", *(f"{kind}_{name}" for kind in ("nll", "recovery", "distance") for name in MODALITIES)),
}
"""Names of the loss terms of stage 1 and stage 2."""

MADE_OF_TERMS = ("loss", "gradient_norm")
"""What a step reports beside its loss terms."""


@dataclass
class EpochLog:
    """What an epoch's steps report; it stays on the device until somebody asks.

    Attributes:
        names: columns of `values`: the loss terms, "loss" and "gradient_norm".
        values: per step, a tensor (names,).
        sums: totals and counts of each term over the epoch, (terms, 2).
        about_step: says what is worth knowing of a step that went wrong, in a phrase.
    """

    names: tuple[str, ...]
    sums: Tensor
    values: list[Tensor] = field(default_factory=list)
    about_step: Callable[[int], str] | None = None

    def means(self) -> dict[str, float]:
        """The epoch's mean of every term (each over its own count), of the loss and of the gradient norm."""
        totals, counts = self.sums.unbind(1)
        per_term = (totals / counts.clamp(min=1)).tolist()
        of_steps = torch.stack(self.values)[:, len(per_term) :].mean(0).tolist()
        return dict(zip(self.names, per_term + of_steps))

    def check_finite(self, stage: int, epoch: int) -> None:
        """Refuse an epoch in which anything was not finite, naming the first such step and its loss terms.

        A step that went wrong cannot be overlooked later, because its row of `values` stays. So one look at the end
        of an epoch, before its checkpoint is written, is enough, and no step has to wait for the device.

        Raises:
            TrainingError: if so.
        """
        if not self.values:
            return
        values = torch.stack(self.values).cpu()
        bad = ~torch.isfinite(values)
        if bad.any():
            step = int(bad.any(1).nonzero()[0])
            about = "" if self.about_step is None else f"; {self.about_step(step)}"
            found = f"{self._named(bad[step], values[step])} in stage {stage}, epoch {epoch}, step {step + 1}"
            raise _error(found + about)
        bad = ~torch.isfinite(self.sums.cpu()).all(1)
        if bad.any():  # no step showed it: the published code's clamp turns minus infinity into 0
            raise _error(f"{self._named(bad, values[-1])} in the sum over stage {stage}, epoch {epoch}")

    def _named(self, bad: Tensor, values: Tensor) -> str:
        """The loss terms marked `bad` (names,); if only what is made of them is, the largest one as well."""
        named = [name for name, is_bad in zip(self.names, bad.tolist()) if is_bad]
        terms = [f"'{name}'" for name in named if name not in MADE_OF_TERMS]
        if terms:
            return " and ".join([", ".join(terms[:-1]), terms[-1]][len(terms) == 1 :]) + _STOPPED
        largest = int(values[: -len(MADE_OF_TERMS)].abs().argmax())
        return f"'{named[0]}'{_STOPPED} (its largest term is '{self.names[largest]}', {values[largest]:.1e})"


_STOPPED = " stopped being finite"


def _error(found: str) -> TrainingError:
    return TrainingError(
        f"{found}: lower the learning rate or look for extreme values with 'dicmor data check'; the checkpoints of "
        "earlier epochs are intact"
    )
