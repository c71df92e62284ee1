from __future__ import annotations

import numpy as np
import pytest

from dicmor_lib.errors import ShapeError
from dicmor_lib.plots.padding import padding_figure
from dicmor_lib.plots.style import figure_alt

ERRORS = {"masked": np.full((2, 3), 0.1), "counted": np.array([[0.1, 0.1, 0.1], [0.3, 0.4, 0.5]])}


def test_lines_are_means_over_seeds_and_dots_the_seeds():
    figure = padding_figure((40, 80), ERRORS, title="Toy")
    drawn = {line.get_label(): line.get_ydata() for line in figure.axes[0].get_lines()}
    np.testing.assert_allclose(drawn["counted"], [0.1, 0.4])
    assert sum(line.get_marker() == "." for line in figure.axes[0].get_lines()) == 6
    assert "masked 0.10 to 0.10; counted 0.10 to 0.40." in figure_alt(figure)


def test_errors_that_do_not_fit_are_refused():
    for wrong in ({}, {"a": np.zeros(2)}, {"a": np.zeros((3, 2))}):
        with pytest.raises(ShapeError):
            padding_figure((40, 80), wrong)
