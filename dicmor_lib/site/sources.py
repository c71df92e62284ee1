"""Pages that show a file of the repository, each line with an address of its own (#line-12)."""

from __future__ import annotations

from pathlib import Path

from dicmor_lib.site.addresses import ROOT, shown_files, source_page


def write_sources(folder: Path) -> None:
    """Write one page per file into folder/source, and an index of them."""
    (folder / "source").mkdir(parents=True)
    for path in shown_files():
        page = folder / f"{source_page(path)}.md"
        page.write_text(_page(path, highlighted((ROOT / path).read_text(encoding="utf-8"))), encoding="utf-8")
    (folder / "source" / "index.md").write_text(index(), encoding="utf-8")


def highlighted(code: str) -> str:
    """Return Python code as HTML with numbered lines, the i-th within an element "line-i"."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    # stripnl would drop empty first lines, and every number after them would be wrong
    formatter = HtmlFormatter(
        linenos="inline", linespans="line", cssclass="highlight source-code", wrapcode=True
    )
    return highlight(code, PythonLexer(stripnl=False), formatter)


def index() -> str:
    """Return the index of the source pages in Markdown: the library by package, and the solutions."""
    lines = ["# Source code", "", "Every file as it is in the repository. Each line can be linked to."]
    package = None
    for path in shown_files():
        if str(Path(path).parent) != package:
            package = str(Path(path).parent)
            lines += ["", f"## {package}/", ""]
        lines.append(f"- [{Path(path).name}](/{source_page(path)}.md)")
    return "\n".join([*lines, ""])


def _page(path: str, code: str) -> str:
    # search would find every word of every file: the reference and the chapters are what one looks for
    return f"---\norphan: true\nnosearch: true\n---\n\n# {path}\n\n```{{raw}} html\n{code}\n```\n"
