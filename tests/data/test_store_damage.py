"""A damaged store is refused in one sentence, and nothing in it leads out of it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicmor_lib.data.check import check_file
from dicmor_lib.data.convert import convert
from dicmor_lib.data.readers import read
from dicmor_lib.errors import DataError

Content = dict[str, Any]


def edit(change: Callable[[Content], Any]) -> Callable[[Path], None]:
    """Change meta.json."""

    def damage(store: Path) -> None:
        meta = json.loads((store / "meta.json").read_text())
        change(meta)
        (store / "meta.json").write_text(json.dumps(meta))

    return damage


def put(file: str, array: np.ndarray) -> Callable[[Path], None]:
    """Replace an array by another one, with a meta.json that knows it."""

    def damage(store: Path) -> None:
        np.save(store / file, array)
        size = (store / file).stat().st_size
        edit(lambda meta: meta["files"][file].update(bytes=size))(store)

    return damage


def cut(file: str, count: int) -> Callable[[Path], None]:
    def damage(store: Path) -> None:
        os.truncate(store / file, (store / file).stat().st_size - count)

    return damage


def link(file: str) -> Callable[[Path], None]:
    def damage(store: Path) -> None:
        os.rename(store / file, store.parent / "elsewhere")
        (store / file).symlink_to(store.parent / "elsewhere")

    return damage


def objects(store: Path) -> None:
    np.save(store / "train/text.npy", np.array([{}, print], dtype=object), allow_pickle=True)
    edit(lambda m: m["files"]["train/text.npy"].update(bytes=(store / "train/text.npy").stat().st_size))(
        store
    )


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "features cut": (cut("train/text.npy", 4), "has 1,468 bytes, which is not what meta.json says"),
    "features gone": (lambda store: (store / "test/audio.npy").unlink(), "test/audio.npy is not a|No such file"),
    "split gone": (lambda store: shutil.rmtree(store / "valid"), "valid/.* cannot be opened"),
    "another shape": (put("train/text.npy", np.zeros((8, 6, 7), np.float32)), "holds float32"),
    "another type": (put("train/text.npy", np.zeros((8, 7, 6))), "holds float64"),
    "another order": (put("train/text.npy", np.zeros((6, 7, 8), np.float32).T), "holds float32"),
    "objects": (objects, "holds object"),
    "no array": (lambda store: (store / "train/text.npy").write_bytes(b"x" * 1472), "is not a .npy array"),
    "a file that is a link": (link("train/text.npy"), "train/text.npy is not a regular file"),
    "a folder that is a link": (link("valid"), "is not a regular file"),
    "lengths too long": (put("train/lengths.npy", np.full((8, 3), 8)), "lengths of split 'train' do not fit"),
    "lengths negative": (put("train/lengths.npy", np.full((8, 3), -1)), "lengths of split 'train' do not fit"),
    "begins too late": (put("train/first.npy", np.full((8, 3), 2**62)), "lengths of split 'train' do not fit"),
    "labels": (put("test/labels.npy", np.full(4, np.nan, np.float32)), "labels outside"),
    "tokens": (put("test/tokens.npy", np.full((4, 3, 7), -1)), "not token ids"),
    "number of tokens": (edit(lambda m: m["splits"]["test"].update(tokens=8)), "tokens.npy holds int64"),
    "tokens of a wrong kind": (edit(lambda m: m["splits"]["test"].update(tokens="8")), "says 8 tokens"),
    "ids": (lambda store: (store / "test/ids.json").write_text("[]"), "ids.json has 2 bytes"),
    "no meta": (lambda store: (store / "meta.json").unlink(), "is a folder; give the path"),
    "meta cut": (cut("meta.json", 3), "meta.json cannot be read"),
    "meta nested": (lambda store: (store / "meta.json").write_text("[" * 10**6), "meta.json cannot be read"),
    "meta of something else": (lambda store: (store / "meta.json").write_text("{}"), "not that of a store"),
    "a later version": (edit(lambda m: m.update(version=2)), "version 2, this program reads version 1"),
    "no train": (edit(lambda m: m["splits"].pop("train")), "incomplete"),
    "no report": (edit(lambda m: m.update(report={"splits": {"train": 3}})), "incomplete"),
    "no sum": (edit(lambda m: m.update(sha256="x" * 64)), "incomplete"),
    "no files": (edit(lambda m: m.update(files=3)), "lists no files"),
    "file not listed": (edit(lambda m: m["files"].pop("train/text.npy")), "train/text.npy has"),
    "shapes": (edit(lambda m: m["splits"]["train"]["shapes"][0].pop()), "incomplete"),
    "huge shapes": (edit(lambda m: m["splits"]["train"].update(shapes=[[2**50, 1, 1]] * 3)), "incomplete"),
    "statistics": (edit(lambda m: m["statistics"][0]["mean"].pop()), "statistics"),
    "statistics not finite": (edit(lambda m: m["statistics"][1]["sd"].__setitem__(0, float("nan"))), "statistics"),
    "statistics of a wrong kind": (edit(lambda m: m.update(statistics=[{}, {}, {}])), "statistics"),
}  # fmt: skip


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_store_is_one_sentence(
    damage: str, mmsa_content: Content, write_pickle: Any, tmp_path: Path
) -> None:
    spoil, message = DAMAGE[damage]
    convert(write_pickle(mmsa_content), tmp_path / "store")
    spoil(tmp_path / "store")
    with pytest.raises(DataError, match=message) as refused:
        read(tmp_path / "store")
    assert "store" in str(refused.value) and "\n" not in str(refused.value)


def test_changed_values_and_paths_that_lead_out_are_found_by_check(
    mmsa_content: Content, write_pickle: Any, tmp_path: Path
) -> None:
    convert(write_pickle(mmsa_content), tmp_path / "store")
    edit(lambda meta: meta["files"].update({"../../secret": {"bytes": 1, "sha256": ""}}))(tmp_path / "store")
    with pytest.raises(DataError, match="which is not a file of a store"):
        check_file(tmp_path / "store")
    edit(lambda meta: meta["files"].pop("../../secret"))(tmp_path / "store")
    check_file(tmp_path / "store")
    with open(tmp_path / "store/valid/vision.npy", "r+b") as handle:
        handle.seek(-1, os.SEEK_END)
        handle.write(b"\x00")
    read(tmp_path / "store")
    with pytest.raises(DataError, match="valid/vision.npy is not what was written"):
        check_file(tmp_path / "store")


def test_control_characters_do_not_reach_the_terminal(
    mmsa_content: Content, write_pickle: Any, tmp_path: Path
) -> None:
    convert(write_pickle(mmsa_content), tmp_path / "store")
    edit(lambda meta: meta.update(source="\x1b[2Jevil"))(tmp_path / "store")
    edit(lambda meta: meta["report"].update(notes=["\x1b[2J\nevil"]))(tmp_path / "store")
    data = read(tmp_path / "store")
    assert data.source == "?[2Jevil" and data.report.sentences() == ["?[2J?evil"]
