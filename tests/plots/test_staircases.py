"""The staircases are those of the library's mask, the position code is drawn as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dicmor_lib.blocks.attention import causal_mask, position_code
from dicmor_lib.errors import DataError, ShapeError
from dicmor_lib.plots.staircases import mask_staircases, position_view
from dicmor_lib.plots.style import png_bytes

PAIRS = [(8, 8), (4, 8), (8, 4), (5, 7)]


def test_each_panel_shows_what_may_be_read():
    figure = mask_staircases(PAIRS, 8)
    for panel, (n, k) in zip(figure.axes, PAIRS):
        shown = ~np.ma.getmaskarray(panel.collections[0].get_array()).reshape(8, 8)
        allowed = causal_mask(torch.tensor(n), torch.tensor(k), 8).numpy()
        np.testing.assert_array_equal(shown[:n], allowed[:n])
        assert not shown[n:].any()
        np.testing.assert_array_equal(panel.lines[0].get_xydata(), [[0, 0], [k, n]])
        assert panel.get_title(loc="left") == f"n = {n}, k = {k}"
    assert "5 query and 7 source steps: 2, 3, 5, 6 and 7" in figure.alt
    assert len(png_bytes(figure, dpi=40)) > 1000


def test_a_cell_is_read_exactly_if_the_line_of_equal_times_crosses_it_or_lies_to_its_right():
    """What the chapter says of the picture."""
    for n in range(1, 9):
        for k in range(1, 9):
            allowed = causal_mask(torch.tensor(n), torch.tensor(k), 8)
            for i in range(n):
                reach = (i + 1) * k / n  # where the line leaves row i
                assert allowed[i].tolist() == [j < reach - 1e-9 and j < k for j in range(8)]


def test_the_position_code_and_its_products():
    code = position_code(torch.ones(20, dtype=torch.bool), 8, torch.float64).numpy()
    figure = position_view(code, [3, 11])
    left, right = figure.axes[:2]
    np.testing.assert_array_equal(left.images[0].get_array(), code.T)
    np.testing.assert_allclose(right.lines[0].get_ydata(), code @ code[3] / 4)
    assert right.lines[0].get_ydata().argmax() == 3
    assert "20 steps in 8 channels" in figure.alt and "step 3 and 11" in figure.alt


def test_what_cannot_be_drawn_is_refused():
    for pairs in ([], [(0, 3)], [(3, 9)]):
        with pytest.raises(DataError, match="lengths from 1 to 8"):
            mask_staircases(pairs, 8)
    with pytest.raises(ShapeError, match=r"\(time, width\)"):
        position_view(np.zeros((5, 4)), [5])
    with pytest.raises(ShapeError, match=r"\(time, width\)"):
        position_view(np.zeros(5), [1])
