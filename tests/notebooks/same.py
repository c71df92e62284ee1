"""What two executions of a notebook say, compared word by word and number by number.

Words must be equal. Numbers are as good as equal within two units of the last printed place or 4 %, whichever is more;
whole numbers within 4 %, or, from 10 on, if a count differs by one; and all that is below 1e-5 counts as rounding
error. On one machine the numbers agree to the last digit; the tolerance is for other processors and other versions of
torch, whose last bits training carries up to the second digit. Between an AMD EPYC and an Intel Xeon with AVX-512, the
numbers of chapter 12 differ by 3.2 % at most, and a count of its steps by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nbformat import NotebookNode

MACHINE = "machine"  # tag of a cell whose outputs are times, or facts of the machine: they are not compared
RELATIVE, UNITS, COUNTED, ROUNDING = 0.04, 2, 10, 1e-5
NUMBER = re.compile(r"(?<![\w.])[-+−]?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)(?:e[-+]?\d+)?(?!\d|\.\d)")


@dataclass(frozen=True)
class Difference:
    """One number of one cell that was `before` and is `now`; `size` is relative to the larger of the two."""

    cell: str
    before: str
    now: str
    close: bool

    @property
    def size(self) -> float:
        a, b = value(self.before), value(self.now)
        return abs(a - b) / max(abs(a), abs(b))


def told(cell: NotebookNode) -> str:
    """What a reader of the cell's outputs reads: printed text, tables, and the words that describe a figure."""
    parts = []
    for output in cell.outputs:
        if output.output_type == "stream":
            parts.append(output.text)
        data, about = output.get("data", {}), output.get("metadata", {}).get("image/png", {})
        parts += [data["text/markdown"]] if "text/markdown" in data else []
        parts += [about["alt"]] if "alt" in about else []
    return "\n".join(parts)


def differences(before: NotebookNode, now: NotebookNode) -> list[Difference]:
    """Every number that is not printed the same; AssertionError if words differ, or cells.

    Cells with the tag `machine` are left out, as are those that papermill adds.
    """
    olds, news = list(_compared(before)), list(_compared(now))
    assert [c.source for c in olds] == [c.source for c in news], "the notebooks have other cells"
    return [found for old, new in zip(olds, news) for found in in_cell(old, new)]


def in_cell(before: NotebookNode, now: NotebookNode) -> list[Difference]:
    """The differences of one cell."""
    name, texts = before.source.splitlines()[0], (told(before), told(now))
    olds, news = (words(text) for text in texts)
    assert olds == news, (
        f"{name!r} says something else: {next((p for p in zip(olds, news) if p[0] != p[1]), '')}"
    )
    pairs = zip(*(NUMBER.findall(text) for text in texts))
    return [Difference(name, a, b, close(a, b)) for a, b in pairs if a != b]


def words(text: str) -> list[str]:
    """The text without its numbers; a bar of #### is as long as a number is large."""
    return re.sub(r"#+", "#", NUMBER.sub(" 0 ", text)).split()


def close(a: str, b: str) -> bool:
    """Whether two printed numbers are as good as equal."""
    x, y = value(a), value(b)
    if max(abs(x), abs(y)) < ROUNDING:
        return True
    if unit(a) == unit(b) == 0 and min(abs(x), abs(y)) >= COUNTED and abs(x - y) == 1:
        return True
    return abs(x - y) <= max(RELATIVE * max(abs(x), abs(y)), 1.01 * UNITS * max(unit(a), unit(b)))


def value(printed: str) -> float:
    """The number that is printed."""
    return float(printed.replace(",", "").replace("−", "-"))


def unit(printed: str) -> float:
    """One unit in its last place; 0 for a whole number."""
    mantissa, _, exponent = printed.partition("e")
    places = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent) - places) if exponent else 10.0**-places if places else 0.0


def _compared(notebook: NotebookNode) -> Iterator[NotebookNode]:
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type == "code" and not tags & {MACHINE, "injected-parameters", "parameters"}:
            yield cell
