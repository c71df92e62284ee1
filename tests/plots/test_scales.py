from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib import MODALITIES
from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.plots.scales import gain_and_error, scale_maps, trained_scales

RAW = np.array([-1.0, 0.0, 1.0])


def test_scale_maps_draw_the_map_and_its_powers():
    figure = scale_maps(RAW, {"exp": np.exp(RAW), "small": np.array([0.5, 0.9, 1.0])}, layers=32)
    curves, chain = figure.axes
    np.testing.assert_allclose(curves.lines[0].get_ydata(), np.exp(RAW))
    np.testing.assert_allclose(chain.lines[1].get_ydata(), 0.9 ** np.arange(33))
    said, same = chain.texts
    assert same.get_text() == "exp: ×1"
    assert said.get_text() == f"32 layers: ×{0.9**32:.4f}\nbackwards: ×{0.9**-32:.0f}"
    assert "exp has s between 0.37 and 2.7, 32 layers multiply by 1" in figure.alt
    assert curves.lines[0].get_linestyle() != curves.lines[1].get_linestyle()


def test_scale_maps_without_a_start_or_of_another_length_are_refused():
    with pytest.raises(DataError, match="exactly one is 0"):
        scale_maps(RAW + 0.5, {"exp": np.exp(RAW)}, 3)
    with pytest.raises(DataError, match="at least one scale map"):
        scale_maps(RAW, {}, 3)
    with pytest.raises(ShapeError, match="'exp'"):
        scale_maps(RAW, {"exp": np.ones(2)}, 3)


def test_gains_accumulate_and_overflow_is_told():
    log_s = np.log(10) * np.tile([[-1.0], [0.5]], (1, 9))
    errors = {"a": np.array([1e-7, 1e-6]), "b": np.array([1e-5, np.inf])}
    figure = gain_and_error({"a": log_s, "b": log_s * 0}, np.array([1.0, 8.0]), errors)
    gain, lost = figure.axes
    middle = next(line for line in gain.lines if line.get_label() == "a")
    np.testing.assert_allclose(middle.get_ydata(), [0, -1, -0.5])
    drawn = {line.get_label(): line.get_ydata() for line in lost.lines}
    np.testing.assert_array_equal(drawn["b"], [1e-5])
    assert "a: 10^-0.5 to 10^-0.5" in figure.alt and "b overflows from 8 on" in figure.alt
    assert "a 1e-07 to 1e-06" in figure.alt and "2 random layers" in figure.alt


def test_gains_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="layers, samples"):
        gain_and_error({"a": np.zeros(3)}, np.ones(2), {"a": np.ones(2)})
    with pytest.raises(ShapeError, match="'a'"):
        gain_and_error({"a": np.zeros((2, 3))}, np.ones(2), {"a": np.ones(3)})


def test_trained_scales_say_what_share_stretches():
    values = dict(zip(MODALITIES, (np.array([0.1, 0.2, -0.1, 0.3]), -np.ones(4) / 4, np.ones((2, 2)) / 4)))
    figure = trained_scales(values, bound=0.5)
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["language: 75% stretch", "audio: 0% stretch", "vision: 100% stretch"]
    assert "language 75%, audio 0% and vision 100%" in figure.alt and "±0.5" in figure.alt
    assert [len(line.get_ydata()) for line in figure.axes[0].lines] == [60] * 3


def test_a_modality_without_a_value_is_left_out():
    figure = trained_scales({"audio": np.array([0.1]), "language": np.array([])}, 0.5)
    assert len(figure.axes[0].lines) == 1 and "language" not in figure.alt
    with pytest.raises(DataError, match="no log s"):
        trained_scales({}, 0.5)
