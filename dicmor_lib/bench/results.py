"""The numbers of a bench as JSON: written atomically, checked when read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dicmor_lib.errors import DataError

FORMAT = 2
MEASURED = Path(__file__).with_name("measured.json")
"""The numbers that README.md and chapter 11 show; `make bench` writes them."""
ROWS = ("cases", "curves", "profiles", "stores")
"""The kinds of measurements; each is a list of rows, and a row with "error" was not measured."""
PARTS = {"format": int, "machine": dict, **dict.fromkeys(ROWS, list)}
Results = dict[str, Any]


def write_results(path: str | Path, results: Results) -> None:
    """Write results, whole or not at all."""
    from dicmor_lib.training.atomic import write_file

    write_file(Path(path), (json.dumps(results, indent=1) + "\n").encode())


def read_results(path: str | Path = MEASURED) -> Results:
    """Read what `write_results` wrote.

    Raises:
        DataError: if the file is not there or not a bench's.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); 'dicmor bench --json {path}' writes it"
        ) from None
    except ValueError:
        raise DataError(f"{path} is not JSON; 'dicmor bench --json FILE' writes what is wanted") from None
    whole = isinstance(found, dict) and all(isinstance(found.get(name), kind) for name, kind in PARTS.items())
    if not whole or found["format"] != FORMAT:
        raise DataError(
            f"{path} does not hold a bench of format {FORMAT}; measure again with 'dicmor bench --json FILE'"
        )
    return found


def find(rows: Iterable[dict[str, Any]], **wanted: Any) -> dict[str, Any] | None:
    """The first row (of "cases", "profiles" ...) with these values that was measured; None if there is none."""
    for row in rows:
        if "error" not in row and all(row.get(name) == value for name, value in wanted.items()):
            return row
    return None
