"""Malicious pickles are refused by name and nothing runs: each file here would leave a marker if it did."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from dicmor_lib.data.safe_pickle import load
from dicmor_lib.errors import UnsafePickleError
from tests.data.hostile_pickles import NESTED, PROTOCOLS, RAW_ATTACKS, Call, marked


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("attack", list(marked(Path("marker"))))
def test_calls_are_refused_by_name(attack: str, protocol: int, tmp_path: Path, write_pickle: Any) -> None:
    marker = tmp_path / "marker"
    call, name = marked(marker)[attack]
    with pytest.raises(UnsafePickleError, match="is not data") as refused:
        load(write_pickle(call, protocol))
    assert name in str(refused.value) and "nothing of this file was run" in str(refused.value)
    assert "\n" not in str(refused.value) and not marker.exists()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("place", list(NESTED))
def test_nested_calls_are_refused(place: str, protocol: int, tmp_path: Path, write_pickle: Any) -> None:
    marker = tmp_path / "marker"
    content = NESTED[place](Call(os.system, f"touch '{marker}'"))
    with pytest.raises(UnsafePickleError, match=r"posix\.system|nt\.system"):
        load(write_pickle(content, protocol))
    assert not marker.exists()


@pytest.mark.parametrize("attack", list(RAW_ATTACKS))
def test_hand_made_attacks_are_refused(attack: str, tmp_path: Path, write_pickle: Any) -> None:
    marker = tmp_path / "marker"
    content, name = RAW_ATTACKS[attack]
    with pytest.raises(UnsafePickleError) as refused:
        load(write_pickle(content.replace(b"MARKER", str(marker).encode())))
    assert name in str(refused.value) and "\n" not in str(refused.value) and len(str(refused.value)) < 500
    assert not marker.exists()


def test_a_named_module_is_not_even_imported(
    tmp_path: Path, write_pickle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "evil_at_import.py").write_text(f"open({str(marker)!r}, 'w').close()")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnsafePickleError, match="evil_at_import.run"):
        load(write_pickle(b"cevil_at_import\nrun\n(tR."))
    assert not marker.exists() and "evil_at_import" not in sys.modules
    with pytest.raises(ModuleNotFoundError):  # the attack is real: Python's own unpickler takes the bait
        pickle.loads(b"cevil_at_import_that_is_absent\nrun\n(tR.")
