"""The first page: what this is, the idea in one picture, and a card per chapter."""

from __future__ import annotations

import json
import re

from dicmor_lib.course.equations import EQUATIONS
from dicmor_lib.course.guide import GUIDE, Chapter
from dicmor_lib.site.addresses import NOTEBOOKS, ROOT

MINUTES = re.compile(r"([\d.]+) minutes? in\s+profile `full`")

TEXT = """# DiCMoR, taught and measured

A camera fails, a microphone is muted, a transcript is late: a model that judges sentiment from language, audio and vision
suddenly lacks one of them. DiCMoR (*Distribution-Consistent Modal Recovering*, Wang, Cui and Li, ICCV 2023) recovers what
is missing with normalizing flows, so that the prediction keeps working.

```{{image}} idea.png
:alt: {alt}
:class: wide-figure
```

These pages show the course as it was executed: every piece built from scratch, proved equal to the library's, and
exercises with hints. To run it, change it and have your answers checked, get the repository and type `make lab`.

## Chapters

Read 0 to 6 in order; 7 to 11 can be read in any order. What is measured on the **oracle**, the synthetic data that comes
with the course, is labelled so.

{{.chapter-cards}}
{cards}

## To look things up

- [Equations](equations.md): all {equations} numbered equations, each with its derivation and the line that computes it.
{glossary}- [API reference](reference/index.md): the library, from its docstrings.
- [Source code](source/index.md): every file, [solutions of the exercises](source/index.md#notebooks-solutions) included.

{trees}
"""


def landing_page(glossary: bool) -> str:
    """Return the page in Markdown.

    Args:
        glossary: whether the site has a glossary.
    """
    alt = json.loads((ROOT / "figures" / "alt.json").read_text(encoding="utf-8"))["idea.png"]
    look_up = ["equations", *(["glossary"] if glossary else []), "reference/index", "source/index"]
    trees = [_tree("Chapters", [f"chapters/{c.name}" for c in GUIDE]), _tree("Look up", look_up)]
    return TEXT.format(
        alt=alt,
        cards="\n".join(card(chapter) for chapter in GUIDE),
        equations=len(EQUATIONS),
        glossary="- [Glossary](glossary.md): the terms of the field in plain words.\n" if glossary else "",
        trees="\n\n".join(trees),
    )


def card(chapter: Chapter) -> str:
    """Return the entry of a chapter: title, what it teaches, number of exercises and minutes of computing."""
    notebook = json.loads((NOTEBOOKS / f"{chapter.name}.ipynb").read_text(encoding="utf-8"))
    text = "\n".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown")
    exercises = len(re.findall(r"^### Exercise ", text, re.MULTILINE))
    minutes = MINUTES.search(text)
    facts = f"{exercises} exercises" + (f" · {minutes[1]} min on 2 cores" if minutes else "")
    title = f"[{chapter.number} · {chapter.title}](chapters/{chapter.name}.ipynb)"
    return f"- {title}\n\n  {chapter.teaches[0].upper()}{chapter.teaches[1:]}.\n\n  {facts}\n"


def _tree(caption: str, pages: list[str]) -> str:
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```"])
