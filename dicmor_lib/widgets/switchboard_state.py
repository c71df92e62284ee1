"""The state of the switchboard: a clip, what of it the model may see, and what it saw one toggle ago."""

from __future__ import annotations

from dataclasses import dataclass

from dicmor_lib.errors import ConfigError
from dicmor_lib.modalities import normalise_pattern
from dicmor_lib.widgets.state import DemoState


@dataclass(frozen=True)
class SwitchboardState(DemoState):
    """One state of the switchboard.

    Attributes:
        sample, available: as in `DemoState`.
        before: what was available before the last toggle, to draw where things stood; None: nothing was toggled yet.

    Raises:
        ConfigError: if `before` differs from `available` in anything but one modality: no single toggle leads there.
    """

    before: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.before:
            object.__setattr__(self, "before", normalise_pattern(self.before))
        if self.before is not None and len({*self.before} ^ {*self.available}) != 1:
            raise ConfigError(
                f"no single toggle leads from {self.before!r} to {self.available!r}; leave `before` out (None)"
            )

    def toggled(self, modality: str) -> SwitchboardState:
        """Return the state after this modality's toggle was pressed; it remembers where it came from."""
        after = DemoState(self.sample, self.available).toggled(modality)
        return SwitchboardState(self.sample, after.available, before=self.available)

    def moved_to(self, sample: int) -> SwitchboardState:
        """Return the same pattern on another clip, where nothing was toggled yet."""
        return SwitchboardState(sample, self.available)
