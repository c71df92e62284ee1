"""What a reader has chosen: a clip, and what of it the model may see."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from dicmor_lib.errors import ConfigError
from dicmor_lib.modalities import LETTERS, MODALITIES, normalise_pattern


@dataclass(frozen=True)
class DemoState:
    """One state of the demo.

    Attributes:
        sample: number of the clip, from 0.
        available: pattern of what the model may see, such as "la"; "" for nothing, which is explained, not refused.

    Raises:
        ConfigError: if the number is below 0.
        PatternError: if the pattern holds something that is no modality.
    """

    sample: int = 0
    available: str = "lav"

    def __post_init__(self) -> None:
        if self.sample < 0:
            raise ConfigError(f"clip {self.sample} does not exist; they are numbered from 0")
        if self.available:
            object.__setattr__(self, "available", normalise_pattern(self.available))

    def toggled(self, modality: str) -> DemoState:
        """Return the state in which this modality's availability is the other one."""
        letter = LETTERS[MODALITIES.index(modality)]
        return dataclasses.replace(self, available="".join(sorted({*self.available} ^ {letter})))
