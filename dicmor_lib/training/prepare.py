"""From the data as read to what the two stages train and are selected on; the test split is not looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dicmor_lib.data.dataset import MultimodalData, Split
from dicmor_lib.data.standardise import Standardiser
from dicmor_lib.errors import DataError
from dicmor_lib.modalities import MODALITIES
from dicmor_lib.training.config import TrainConfig
from dicmor_lib.training.randomness import HOLD_OUT, generator

HELD_OUT_SHARE = 0.1


@dataclass
class Prepared:
    """Training and validation samples, standardised if so configured, each with at least one observed
    modality.

    Attributes:
        standardiser: the fitted `Standardiser` as a dictionary, or None.
        notices: what was decided, in sentences.
    """

    train: Split
    valid: Split
    standardiser: dict[str, Any] | None = None
    notices: list[str] = field(default_factory=list)

    def complete(self) -> tuple[np.ndarray, Split]:
        """Numbers of the complete training samples, and the complete validation samples (all, if none is)."""
        rows = np.flatnonzero(self.valid.observed.all(1))
        return np.flatnonzero(self.train.observed.all(1)), self.valid.select(rows) if len(
            rows
        ) else self.valid


def prepare(
    data: MultimodalData, config: TrainConfig, standardiser: dict[str, Any] | None = None
) -> Prepared:
    """Drop samples in which nothing is observed, hold out a validation split if there is none, standardise.

    standardiser: use this one instead of one fitted here.

    Raises:
        DataError: if too few samples are left to train and validate.
    """
    prepared = Prepared(data.train, data.valid)
    for name in ("train", "valid"):
        split: Split = getattr(prepared, name)
        empty = ~split.observed.any(1)
        if empty.any():
            prepared.notices.append(
                f"{int(empty.sum())} {name} sample(s) have no observed modality at all and are left out"
            )
            setattr(prepared, name, split.select(np.flatnonzero(~empty)))
    if not len(prepared.valid):
        _hold_out(prepared, config.seed)
    if not len(prepared.train):
        raise DataError("the training split is empty; give a file that has one, or clips with --extra-train")
    if config.standardise:
        _standardise(prepared, standardiser)
    return prepared


def _hold_out(prepared: Prepared, seed: int) -> None:
    n = len(prepared.train)
    if n < 2:
        raise DataError(
            f"there is no validation split and only {n} training sample(s) to take one from; add samples"
        )
    held = max(1, round(HELD_OUT_SHARE * n))
    order = generator(seed, 0, 0, HOLD_OUT).permutation(n)
    prepared.valid = prepared.train.select(np.sort(order[:held]))
    prepared.train = prepared.train.select(np.sort(order[held:]))
    prepared.notices.append(
        f"the data has no validation split: {held} of {n} training samples, drawn with the seed, are held out"
    )


def _standardise(prepared: Prepared, given: dict[str, Any] | None) -> None:
    standardiser = Standardiser.fit(prepared.train) if given is None else Standardiser.from_dict(given)
    prepared.train = standardiser.apply_split(prepared.train)
    prepared.valid = standardiser.apply_split(prepared.valid)
    clipped = standardiser.clipped(prepared.train)
    if any(clipped):
        named = ", ".join(f"{n} of {name}" for n, name in zip(clipped, MODALITIES) if n)
        prepared.notices.append(
            f"training values beyond {standardiser.limit:g} standard deviations are set to that bound: {named}"
        )
    prepared.standardiser = standardiser.to_dict()
