"""`dicmor data check`: what it says about a file is what is in the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicmor_lib.data.check import LabelLaw, check_file, render
from dicmor_lib.data.known_files import KNOWN_FILES, describe, recognise
from dicmor_lib.errors import DataError

Content = dict[str, dict[str, Any]]


def row(text: str, *first: str) -> list[str]:
    """The cells of the table row that begins with these words; columns are two spaces apart."""
    (line,) = [line for line in text.splitlines() if re.split(r"\s{2,}", line)[: len(first)] == list(first)]
    return re.split(r"\s{2,}", line)


def test_a_clean_file(mmsa_content: Content, write_pickle: Any) -> None:
    path = write_pickle(mmsa_content)
    report = check_file(path)
    text = render(report)
    assert text.startswith(f"{path}: MMSA pickle") and f"SHA-256 {report.sha256}" in text
    cells = row(text, "train", "language")
    assert cells == ["train", "language", "8 x 7 x 6", "float32", "0", "0", "7/7/7", "-", "none 100%", "0"]
    assert row(text, "test", "audio")[7] == "100%"
    assert row(text, "valid", "3")[2:6] == ["-3.00", "0.00", "3.00", "33.3%"]
    assert "Nothing unusual was found." in text and "Not one of the 4 MMSA files" in text
    assert report.remarks == []


def test_everything_unusual_is_said(mmsa_content: Content, write_pickle: Any) -> None:
    train, test = mmsa_content["train"], mmsa_content["test"]
    train["audio"][0, 2, 1] = -np.inf
    train["audio"][1] = 0
    train["vision"] *= 100
    train["text"][..., 0] = 4
    train["id"][3] = train["id"][2]
    test["id"][0] = train["id"][0]
    train["audio"][4:, :2] = 0
    train["audio_lengths"] = [9] * 8
    text = render(check_file(write_pickle(mmsa_content)))
    assert "train: 1 audio values were NaN or infinite and were replaced by 0." in text
    assert "train: audio is not observed in 1 of 8 samples." in text
    assert "The vision features are raw" in text and "The audio features are raw" not in text
    assert "1 language channel never varies in training" in text
    assert "train: 1 ids occur again" in text
    assert "1 ids are both in train and in test (one is train$_$0)" in text
    cells = row(text, "train", "audio")
    assert cells[4:9] == ["1", "1", "5/5/7", "0%", "front 57%, none 43%"]
    assert "Nothing unusual" not in text


def test_the_label_law() -> None:
    law = LabelLaw.of(np.array([-3, -1.2, 0, 0, 0.4, 2.6, 3, 1], np.float32))
    assert (law.count, law.minimum, law.maximum) == (8, -3.0, 3.0)
    assert law.mean == pytest.approx(2.8 / 8) and law.zero_share == 0.25
    assert law.class_shares == (1 / 8, 0, 1 / 8, 3 / 8, 1 / 8, 0, 2 / 8)


def test_known_files_are_recognised_and_doubt_is_said() -> None:
    for known in KNOWN_FILES:
        assert recognise(known.prefix + "0" * 56) is known
        assert "split sizes agree" in describe(known.prefix + "0" * 56, known.sizes)
        said = describe(known.prefix + "0" * 56, (1, 2, 3))
        assert known.name in said and "do not agree" in said and "all 64 digits" in said
    assert recognise("0" * 64) is None and "Not one of" in describe("0" * 64, (1, 2, 3))
    assert len({known.prefix for known in KNOWN_FILES}) == 4


def test_unreadable_files_are_refused(write_pickle: Any) -> None:
    with pytest.raises(DataError, match="has no split"):
        check_file(write_pickle({"a": 1}))


def test_control_characters_do_not_reach_the_terminal(mmsa_content: Content, write_pickle: Any) -> None:
    mmsa_content["train"]["id"][0] = mmsa_content["test"]["id"][0] = "\x1b[2J\nevil"
    text = render(check_file(write_pickle(mmsa_content)))
    assert "evil" in text and "\x1b" not in text


def test_the_real_files(shared_data: Path) -> None:
    text = render(check_file(shared_data / "ict_mmmo_aligned_20.pkl"))
    assert row(text, "train", "audio")[2] == "70 x 20 x 74" and "The audio features are raw" in text
    assert row(text, "train", "vision")[7] == "47%"
    text = render(check_file(shared_data / "ict_mmmo_no_language.npz"))
    assert row(text, "train", "language")[2] == "not in the file"
    assert "language is not observed in 220 of 220 samples" in text
    text = render(check_file(shared_data / "mosi_context_16.pkl"))
    assert row(text, "train", "vision")[2:4] == ["1447 x 16 x 100", "float16"]
    assert row(text, "test", "audio")[8].startswith("front 58%")
