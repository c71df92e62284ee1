"""The controls around the picture: three labelled toggles and a slider. Everything that is drawn comes from `render`."""

from __future__ import annotations

import asyncio
import html
from base64 import b64encode
from typing import Any

import ipywidgets as controls

from dicmor_lib.course.trained import CourseModel
from dicmor_lib.modalities import LETTERS, MODALITIES, PATTERNS
from dicmor_lib.plots.style import HouseFigure, house_style
from dicmor_lib.widgets.clips import COUNT, RecoveredClips, prepare
from dicmor_lib.widgets.picture import render
from dicmor_lib.widgets.quick import drawn, pixels, quick_png
from dicmor_lib.widgets.state import DemoState

PAUSE = 0.05  # seconds between two pictures drawn ahead, in which the kernel can answer a click


class Demo:
    """The widget; showing it at the end of a cell displays it.

    Attributes:
        toggles: modality -> its button; pressed means available.
        slider: number of the clip, from 1.
        picture, sentence: the image, and what it shows in words (read out by screen readers when it changes).
        box: all of it.
    """

    def __init__(self, clips: RecoveredClips, state: DemoState) -> None:
        self._clips = clips
        self._drawn: dict[DemoState, tuple[str, str]] = {}
        self._ahead = False
        self.toggles = {m: self._toggle(m, LETTERS[i] in state.available) for i, m in enumerate(MODALITIES)}
        self.slider = controls.IntSlider(
            value=state.sample + 1, min=1, max=len(clips), description="clip", continuous_update=False
        )
        self.picture, self.sentence = controls.HTML(), controls.HTML()
        self._show()
        for control in (*self.toggles.values(), self.slider):
            control.observe(self._changed, names="value")
        buttons = controls.HBox([controls.Label("available:"), *self.toggles.values(), self.slider])
        buttons.layout.flex_flow = "row wrap"
        self.box = controls.VBox([buttons, self.picture, self.sentence])

    @property
    def state(self) -> DemoState:
        """What the controls say."""
        pressed = (letter for letter, modality in zip(LETTERS, MODALITIES) if self.toggles[modality].value)
        return DemoState(self.slider.value - 1, "".join(pressed))

    def _toggle(self, modality: str, available: bool) -> controls.ToggleButton:
        said = f"{modality} may be seen by the model; press to hide it or to show it again"
        return controls.ToggleButton(value=available, description=modality, tooltip=said)

    def _changed(self, _: Any) -> None:
        try:
            self._show()
        except Exception as problem:
            # In a browser the kernel only logs what a callback raises: say it in the page, and raise it all the same.
            said = html.escape(f"{type(problem).__name__}: {problem}")
            self.sentence.value = f'<p role="alert"><b>This state could not be drawn.</b> {said}</p>'
            raise

    def _name_buttons(self) -> None:
        for modality, button in self.toggles.items():
            button.icon = "check" if button.value else "times"
            button.description = modality if button.value else f"no {modality}"

    def _show(self) -> None:
        state = self.state
        self._name_buttons()
        self.picture.value, self.sentence.value = self._draw(state)
        self._draw_ahead_soon()

    def _draw(self, state: DemoState) -> tuple[str, str]:
        """The picture and its words as HTML, drawn once."""
        if state not in self._drawn:
            figure = render(state, self._clips)
            with house_style():
                image = b64encode(quick_png(pixels(drawn(figure)))).decode()
            alt = html.escape(figure.alt)
            picture = f'<img alt="{alt}" style="max-width:100%" src="data:image/png;base64,{image}">'
            self._drawn[state] = picture, f'<p role="status">{alt}</p>'
        return self._drawn[state]

    def _draw_ahead_soon(self) -> None:
        """While the kernel has nothing else to do, draw the clip's other states: the next click then only shows one."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel
            return
        if not self._ahead:
            self._ahead = True
            loop.call_later(PAUSE, self._draw_ahead)

    def _draw_ahead(self) -> None:
        self._ahead = False
        states = (DemoState(self.state.sample, pattern) for pattern in ("", *PATTERNS))
        state = next((s for s in states if s not in self._drawn), None)
        if state is not None:
            self._draw(state)
            self._draw_ahead_soon()

    def _still(self) -> HouseFigure:
        return render(self.state, self._clips)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        """The widget where there is a kernel; the picture of the present state for everyone else."""
        data, metadata = self._still()._repr_mimebundle_()
        return self.box._repr_mimebundle_() | data, metadata


def demo(course: CourseModel, available: str = "la", sample: int = 0, count: int = COUNT) -> Demo:
    """Return the demo of a trained model on some of its test clips.

    Args:
        course: model and clips.
        available, sample: the state it starts in; "la": the camera is dark.
        count: clips to choose from, at most 64.
    """
    clips = prepare(course, count)
    return Demo(clips, DemoState(sample, available))
