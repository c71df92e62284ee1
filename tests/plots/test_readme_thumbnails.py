"""Thumbnails are cut from the figures of executed notebooks."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicmor_lib.errors import DataError
from dicmor_lib.plots.readme_thumbnails import CHOSEN, NOTEBOOKS, SIZE, WHOLE, small, thumbnails


def picture(colour: str, size: tuple[int, int] = (200, 100)) -> bytes:
    """A PNG whose left half is of that colour and whose right half is black."""
    image = Image.new("RGB", size, "black")
    image.paste(colour, (0, 0, size[0] // 2, size[1]))
    buffer = io.BytesIO()
    image.save(buffer, format="png")
    return buffer.getvalue()


def notebook(path: Path, *pictures: tuple[bytes, str]) -> Path:
    """An executed notebook with these figures and their alternative texts."""
    outputs = [
        {"data": {"image/png": b64encode(png).decode()}, "metadata": {"image/png": {"alt": alt}}}
        for png, alt in pictures
    ]
    path.write_text(json.dumps({"cells": [{"source": []}, *({"outputs": [o]} for o in outputs)]}))
    return path


def colours(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_a_chapter_that_nobody_chose_a_figure_for_shows_its_first(tmp_path):
    notebook(
        tmp_path / "77_new.ipynb",
        (picture("red"), "A red half. And more."),
        (picture("blue"), "A blue half."),
    )
    ((name, (png, alt)),) = thumbnails(tmp_path).items()
    assert (name, alt) == ("chapter_77.png", "A red half.")
    shown = colours(png)
    assert shown.shape == (SIZE[1], SIZE[0], 3)
    assert tuple(shown[SIZE[1] // 2, SIZE[0] // 4]) == (255, 0, 0)
    assert Image.open(io.BytesIO(png)).text["Description"] == alt


def test_the_cut_is_taken_and_nothing_is_stretched():
    right = colours(small(picture("red"), (0.5, 0.0, 1.0, 1.0), "black"))
    assert not (right == (255, 0, 0)).all(axis=-1).any()
    whole = (colours(small(picture("red", (400, 100)), WHOLE, "wide")) == 0).all(axis=-1)
    rows, columns = whole.any(axis=1).sum(), whole.any(axis=0).sum()
    assert columns / rows == pytest.approx(2, rel=0.06)  # the black half of 400 x 100 is 200 x 100


def test_chosen_figures_exist_and_their_cuts_lie_inside():
    assert set(CHOSEN) <= {int(path.name[:2]) for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")}
    for chosen in CHOSEN.values():
        left, top, right, bottom = chosen.cut
        assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1


def test_missing_figures_and_chapters_are_named(tmp_path):
    with pytest.raises(DataError, match="holds no chapters"):
        thumbnails(tmp_path)
    notebook(tmp_path / "03_short.ipynb", (picture("red"), "A red half."))
    with pytest.raises(
        DataError, match="03_short.ipynb holds 1 figures and its thumbnail is made of figure 3"
    ):
        thumbnails(tmp_path)
