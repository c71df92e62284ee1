"""How well the flows can be inverted: the round trip x -> F(x) -> F^-1(F(x)) of validation clips, in float32.

A flow is invertible on paper whatever its weights are. In floating point each layer's division by its scale
enlarges the rounding errors of the layers before it, and training is free to choose scales that enlarge them much.
"""

from __future__ import annotations

import numpy as np
import torch

from dicmor_lib.data.dataset import Split, collate
from dicmor_lib.errors import TrainingError
from dicmor_lib.inputs import check_inputs
from dicmor_lib.modalities import MODALITIES
from dicmor_lib.model import DiCMoR
from dicmor_lib.training.engine import Engine
from dicmor_lib.training.steps import to_device

CLIPS = 224
"""At most so many clips take the round trip, spread over the split: one pass, whatever its size."""
LARGE = 1e-3
"""An error beyond this is told to the user: it is no longer small beside what a recovered modality should hit."""


def inverse_errors(model: DiCMoR, split: Split, engine: Engine) -> dict[str, float]:
    """Return "inverse_error_language" and so on, for each modality that is observed in `split`.

    It is the largest abs(F^-1(F(x)) - x) over valid steps and channels, divided by max(1, the largest abs(x)); x are
    the shallow features of at most `CLIPS` clips, spread evenly over the split.

    Raises:
        TrainingError: if a round trip does not come back as finite numbers.
    """
    index = np.unique(np.linspace(0, len(split) - 1, min(CLIPS, len(split))).round().astype(int))
    batch, training = to_device(collate(split, index), engine.device), model.training
    given = check_inputs(
        model.config, batch.features, batch.observed, batch.lengths, None, batch.observed
    ).to(engine.device)
    model.eval()
    with torch.no_grad():
        x = model.shallow_features(given.features, given.lengths)  # (3, batch, time, hidden)
        mask = model.step_mask(given.lengths * given.observed, x.shape[2])
        x = x * mask[..., None]
        # not model.flow(...): with torch.compile that would compile it once more, for this batch alone
        error = (model.flow.inverse(model.flow.forward(x, mask)[0], mask) - x).abs()
        relative = error.amax((1, 2, 3)) / x.abs().amax((1, 2, 3)).clamp(min=1)
    model.train(training)
    found = dict(zip(MODALITIES, relative.tolist()))
    for name, value in found.items():
        if not np.isfinite(value):
            raise TrainingError(
                f"the inverse of the flow of {name} does not return finite features on validation clips: lower "
                "the learning rate; the checkpoints of earlier epochs are intact"
            )
    return {
        f"inverse_error_{m}": found[m] for m in MODALITIES if split.observed[:, MODALITIES.index(m)].any()
    }


def inverse_warning(row: dict[str, float]) -> str | None:
    """What to tell the user if the inverse of a flow has become inexact in an epoch, None if it has not.

    `row`: of the history.
    """
    large = {m: row.get(f"inverse_error_{m}", 0.0) for m in MODALITIES}
    name = max(large, key=large.__getitem__)
    if large[name] <= LARGE:
        return None
    return (
        f"in epoch {row['epoch']} of stage {row['stage']} the inverse of the flow of {name} misses its input by "
        f"{large[name]:.1e} of the largest feature; recovered {name} is inexact by as much"
    )
