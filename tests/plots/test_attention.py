"""The figures of attention draw the weights and masks that they are given, and say so in words."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dicmor_lib import MODALITIES
from dicmor_lib.blocks.attention import causal_mask
from dicmor_lib.errors import ShapeError
from dicmor_lib.plots.attention import attention_grid, preference, stand_in_maps
from dicmor_lib.plots.style import png_bytes


def weights_of(n: int, k: int, seed: int = 0) -> np.ndarray:
    """A causal attention map (n, k) with random scores."""
    allowed = causal_mask(torch.tensor(n), torch.tensor(k), max(n, k))[:n, :k]
    scores = torch.randn(n, k, generator=torch.Generator().manual_seed(seed))
    return scores.masked_fill(~allowed, -torch.inf).softmax(-1).numpy()


def maps_of(steps: tuple[int, int, int]) -> list[list[np.ndarray]]:
    return [[weights_of(n, k, 3 * i + j) for j, k in enumerate(steps)] for i, n in enumerate(steps)]


def image_of(panel) -> np.ndarray:
    return np.ma.filled(panel.images[0].get_array(), np.nan)


def test_a_plain_mean_has_preference_one():
    plain = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0.25, 0.25, 0.5]])
    expected = [[1, np.nan, np.nan], [1, 1, np.nan], [0.75, 0.75, 1.5]]
    np.testing.assert_allclose(preference(plain), expected)


def test_the_grid_holds_nine_maps_with_the_self_encoders_framed():
    maps = maps_of((4, 6, 3))
    figure = attention_grid(maps, "a clip")
    panels = np.array(figure.axes[:9]).reshape(3, 3)
    for m in range(3):
        for k in range(3):
            np.testing.assert_allclose(image_of(panels[m, k]), np.log2(preference(maps[m][k])), rtol=1e-6)
            thick = panels[m, k].spines["left"].get_linewidth() > 2
            assert thick == (m == k)
            rows = [i for i in range(len(maps[m][k])) if (maps[m][k][i] > 0).sum() > 1]
            dots = sorted((line.get_ydata()[0], line.get_xdata()[0]) for line in panels[m, k].lines)
            assert dots == [(i + 0.5, maps[m][k][i].argmax() + 0.5) for i in rows]
    assert [panel.get_title(loc="left") for panel in panels[0]] == [f"… reads {name}" for name in MODALITIES]
    assert "language 4, audio 6 and vision 3" in figure.alt and len(png_bytes(figure, dpi=40)) > 1000


def test_the_alternative_text_says_how_far_the_maps_are_from_a_plain_mean():
    even = [[np.tril(np.ones((5, 5))) / np.arange(1, 6)[:, None] for _ in range(3)] for _ in range(3)]
    assert "0% on average in the six" in attention_grid(even).alt
    even[1][1] = np.eye(5)  # one readable step: nothing moved either
    assert "0% in the three" in attention_grid(even).alt


def test_stand_ins_are_compared_with_the_first():
    true, other = weights_of(5, 7), weights_of(5, 7, seed=1)
    figure = stand_in_maps({"true": true, "same": true, "zero": other}, "language", "vision")
    panels = figure.axes[:3]
    assert [p.get_title(loc="left") for p in panels] == ["true vision", "same vision", "zero vision"]
    np.testing.assert_allclose(image_of(panels[2]), np.log2(preference(other)), rtol=1e-6)
    apart = 0.5 * np.abs(true - other).sum(1).mean()
    assert f"same 0%, zero {apart:.0%}" in figure.alt
    shorter = stand_in_maps({"true": true, "zero": other[:, :6]}, "audio", "vision")
    assert "not comparable" in shorter.alt


def test_what_is_no_set_of_maps_is_refused():
    maps = maps_of((4, 6, 3))
    with pytest.raises(ShapeError, match="nine maps"):
        attention_grid(maps[:2])
    maps[0][1] = maps[0][1].T
    with pytest.raises(ShapeError, match=r"language reading audio must be \(4, 6\)"):
        attention_grid(maps)
    with pytest.raises(ShapeError, match="at least two maps"):
        stand_in_maps({"true": weights_of(3, 3)}, "language", "vision")
    with pytest.raises(ShapeError, match="same query steps"):
        stand_in_maps({"true": weights_of(3, 3), "zero": weights_of(4, 3)}, "language", "vision")
