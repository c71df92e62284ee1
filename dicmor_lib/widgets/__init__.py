"""Interactive pictures. State, picture and controls are apart: `render` is a pure function, the shell around it is thin."""

from dicmor_lib.widgets.clips import RecoveredClips, prepare
from dicmor_lib.widgets.multiples import small_multiples
from dicmor_lib.widgets.picture import render
from dicmor_lib.widgets.shell import Demo, demo
from dicmor_lib.widgets.state import DemoState
from dicmor_lib.widgets.switchboard_clips import Prepared, prepare_switchboard
from dicmor_lib.widgets.switchboard_interval import conformal_half_width
from dicmor_lib.widgets.switchboard_picture import render_switchboard
from dicmor_lib.widgets.switchboard_shell import Switchboard, switchboard
from dicmor_lib.widgets.switchboard_state import SwitchboardState

__all__ = [
    "Demo",
    "DemoState",
    "Prepared",
    "RecoveredClips",
    "Switchboard",
    "SwitchboardState",
    "conformal_half_width",
    "demo",
    "prepare",
    "prepare_switchboard",
    "render",
    "render_switchboard",
    "small_multiples",
    "switchboard",
]
