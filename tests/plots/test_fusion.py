"""The scheme of the fusion names its encoders; shifts and errors are drawn where the numbers are."""

from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib import MODALITIES
from dicmor_lib.blocks.fusion import QUERIES, SOURCES
from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.plots.fusion import error_by_stand_in, fusion_scheme, prediction_shift
from dicmor_lib.plots.style import png_bytes

ERRORS = {"language": {"recovered": 1.3, "zero": 1.2}, "vision": {"recovered": 0.8, "zero": 0.9}}


def test_the_scheme_shows_every_encoder_in_its_lane():
    figure = fusion_scheme()
    written = [text.get_text() for text in figure.axes[0].texts]
    assert [t for t in written if t.startswith("reads ") and "itself" not in t] == [
        f"reads {MODALITIES[s]}" for s in SOURCES
    ]
    assert written.count("reads itself") == 3
    for m, s in zip(QUERIES, SOURCES):
        assert f"{MODALITIES[m]} reads {MODALITIES[s]}" in figure.alt
    assert len(png_bytes(figure, dpi=40)) > 1000


def shifted() -> tuple[np.ndarray, dict[str, dict[str, np.ndarray]], np.ndarray]:
    complete, label = np.array([-2.0, 0.5, 1.5]), np.array([-3.0, 0.0, 2.0])
    each = {"language": {"recovered": complete + 0.5, "zero": 0 * complete}}
    return complete, each | {"vision": {"recovered": complete, "zero": -complete}}, label


def test_every_shift_is_drawn_and_told():
    complete, each, label = shifted()
    figure = prediction_shift(complete, each, label)
    panels = np.array(figure.axes[:4]).reshape(2, 2)
    for column, stand_ins in enumerate(each.values()):
        for row, prediction in enumerate(stand_ins.values()):
            points = np.concatenate([c.get_offsets() for c in panels[row, column].collections[1:]])
            np.testing.assert_allclose(points[points[:, 0].argsort()], np.c_[complete, prediction])
    assert panels[0, 0].get_title(loc="left") == "recovered language: 0.50"
    assert "recovered vision 0.00" in figure.alt and f"zero language {4 / 3:.2f}" in figure.alt


def test_errors_stand_at_their_values_beside_the_limits():
    figure = error_by_stand_in(ERRORS, 0.7, {"language": 1.1, "vision": 0.6})
    panel = figure.axes[0]
    by_label = {line.get_label(): line for line in panel.lines}
    np.testing.assert_allclose(by_label["recovered"].get_xdata(), [1.3, 0.8])
    np.testing.assert_allclose(by_label["zero"].get_xdata(), [1.2, 0.9])
    assert list(by_label["best possible without it"].get_xdata()) == [1.1, 1.1]
    assert "without language: recovered 1.30, zero 1.20, best possible 1.10" in figure.alt
    assert "best possible" not in error_by_stand_in(ERRORS, 0.7).alt


def test_what_cannot_be_drawn_is_refused():
    complete, each, label = shifted()
    with pytest.raises(DataError, match="same stand-ins"):
        prediction_shift(complete, {}, label)
    with pytest.raises(DataError, match="same stand-ins"):
        prediction_shift(complete, each | {"audio": {"zero": complete}}, label)
    with pytest.raises(ShapeError, match="3 predictions"):
        prediction_shift(complete, each, label[:2])
    with pytest.raises(DataError, match="no errors"):
        error_by_stand_in({}, 1.0)
