"""The strip of the switchboard in README.md shows what the switchboard shows, and can be read at half its size."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from dicmor_lib.course import course_model
from dicmor_lib.errors import ConfigError
from dicmor_lib.modalities import LETTERS
from dicmor_lib.plots.drawing import signed
from dicmor_lib.plots.readme_strip import SAMPLE, STATES, draw_strip
from dicmor_lib.plots.style import png_bytes
from dicmor_lib.widgets import SwitchboardState, prepare_switchboard


@pytest.fixture(scope="module")
def prepared():
    return prepare_switchboard(course_model(), SAMPLE + 1)


@pytest.fixture(scope="module")
def strip(prepared):
    return draw_strip(prepared, SAMPLE)


def written(figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def test_each_state_is_one_press_of_a_button_away_from_the_one_before():
    patterns = list(STATES)
    for before, after in itertools.pairwise(patterns[:-1]):
        assert SwitchboardState(SAMPLE, after, before).before == before  # refuses anything but one toggle
    assert patterns[0] == LETTERS and patterns[-1] == "" and len(patterns[-2]) == 1


def test_the_predictions_are_the_switchboards(strip, prepared):
    texts = [text.get_text() for text in written(strip)]
    for pattern in STATES:
        value, half = prepared.guess(SAMPLE, pattern), prepared.half_width[pattern]
        kind = "predicted" if pattern else "blind guess"
        assert f"{kind} {signed(value)} \u00b1 {half:.1f}" in texts
        assert f"{kind} {signed(value)}" in strip.alt
    assert f"true: {signed(float(prepared.clips.label[SAMPLE]))}" in texts


def test_hidden_sequences_are_drawn_as_recovered_and_never_as_they_are(strip, prepared):
    drawn = [np.asarray(image.get_array()) for image in strip.axes[0].images]
    expected = []
    for pattern in STATES:
        for m, letter in enumerate(LETTERS):
            if letter in pattern:
                expected.append(prepared.clips.true[m, SAMPLE, : prepared.clips.lengths[SAMPLE, m]].T)
            elif pattern:
                steps = prepared.clips.recovered_lengths[pattern][SAMPLE, m]
                expected.append(prepared.clips.recovered[pattern][m, SAMPLE, :steps].T)
    assert len(drawn) == len(expected) == 9
    for a, b in zip(drawn, expected):
        np.testing.assert_array_equal(a, b)


def test_it_is_readable_at_half_size_and_no_two_texts_touch(strip):
    assert min(text.get_fontsize() for text in written(strip)) >= 14 and strip.get_figwidth() <= 13
    renderer = FigureCanvasAgg(strip).get_renderer()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in written(strip)]
    assert len(boxes) > 30
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        assert not a.overlaps(b), f"{one!r} overlaps {other!r}"
    for text, where in boxes:
        assert strip.bbox.padded(-8).contains(where.x0, where.y0), text
        assert strip.bbox.padded(-8).contains(where.x1, where.y1), text


def test_a_second_drawing_is_the_same_to_the_byte(strip, prepared):
    assert png_bytes(draw_strip(prepared, SAMPLE)) == png_bytes(strip)


def test_a_clip_that_is_not_there_is_refused(prepared):
    with pytest.raises(ConfigError, match="does not exist"):
        draw_strip(prepared, len(prepared))
