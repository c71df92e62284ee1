"""The switchboard's controls: three labelled toggles and a slider; what is drawn comes from the pure function's layers."""

from __future__ import annotations

import html
from base64 import b64encode

from dicmor_lib.course.trained import CourseModel
from dicmor_lib.plots.style import HouseFigure
from dicmor_lib.widgets.clips import COUNT
from dicmor_lib.widgets.shell import Demo
from dicmor_lib.widgets.switchboard_clips import Prepared, prepare_switchboard
from dicmor_lib.widgets.switchboard_paint import Painter
from dicmor_lib.widgets.switchboard_picture import render_switchboard
from dicmor_lib.widgets.switchboard_state import SwitchboardState
from dicmor_lib.widgets.switchboard_words import describe_switchboard

KEPT = 64
"""States whose images are kept, the latest ones."""
_HALF = (
    '<img alt="" style="flex:1 1 340px;min-width:0;max-width:min(560px,100%)" src="data:image/png;base64,{}">'
)


class Switchboard(Demo):
    """The widget; showing it at the end of a cell displays it. Controls and attributes are those of `Demo`.

    The sentence stands above the picture, so that on a phone both of what a toggle changes can be seen. The picture's
    two halves are two images, side by side where there is room, else below each other.
    """

    def __init__(self, prepared: Prepared, state: SwitchboardState) -> None:
        self._prepared, self._last = prepared, state
        self._painter = Painter(prepared)
        super().__init__(prepared.clips, state)
        for button in self.toggles.values():
            button.layout.width = "110px"  # three in a row on a phone, and no jump when a name changes
        buttons, picture, sentence = self.box.children
        self.box.children = [buttons, sentence, picture]

    @property
    def state(self) -> SwitchboardState:
        """What the controls say, and what they said before the last toggle."""
        now, last = super().state, self._last
        if (now.sample, now.available) == (last.sample, last.available):
            return last
        one_toggle = now.sample == last.sample and len({*now.available} ^ {*last.available}) == 1
        return SwitchboardState(now.sample, now.available, last.available if one_toggle else None)

    def _show(self) -> None:
        self._name_buttons()
        state = self.state
        if state not in self._drawn:
            said = html.escape(describe_switchboard(state, self._prepared))
            images = "".join(_HALF.format(b64encode(png).decode()) for png in self._painter.halves(state))
            style = "display:flex;flex-wrap:wrap;align-items:flex-start;width:0;min-width:100%"  # as wide as its place
            picture = f'<div role="img" aria-label="{said}" style="{style}">{images}</div>'
            if len(self._drawn) >= KEPT:
                del self._drawn[next(iter(self._drawn))]
            self._drawn[state] = picture, f'<p role="status" style="line-height:1.4">{said}</p>'
        self._last = state
        self.picture.value, self.sentence.value = self._drawn[state]

    def _still(self) -> HouseFigure:
        return render_switchboard(self.state, self._prepared)


def switchboard(
    course: CourseModel,
    available: str = "la",
    sample: int = 0,
    count: int = COUNT,
    prepared: Prepared | None = None,
) -> Switchboard:
    """Return the switchboard of a trained model on some of its test clips.

    Args:
        course: model and clips.
        available, sample: the state it starts in.
        count: clips to choose from, at most 64.
        prepared: what `prepare_switchboard` has computed, if it has.
    """
    return Switchboard(prepared or prepare_switchboard(course, count), SwitchboardState(sample, available))
