"""A law of missing modalities, the shares of clips with none, one and two missing: as a bar, and in words."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes

Law = tuple[float, float, float]
NUMBERS = ("no modality", "one modality", "two modalities")
COLOURS = ("#dfe7ee", "#7fa9cc", "#1f4e79")  # none, one, two missing: light to dark
HATCHES = ("", "//", "xx")


def law_bar(panel: Axes, y: int, law: Law | None, rate: float) -> None:
    """Draw a law at height y as a stacked bar; None as a bar that says that frames are dropped at that rate."""
    if law is None:
        panel.barh(y, 1, height=0.62, color="#f6f6f6", edgecolor="#555555", linestyle="--")
        text = f"every clip loses {rate:.0%} of the steps of each modality"
        panel.text(0.5, y, text, ha="center", va="center", size=11.5)
        return
    start = 0.0
    for share, number, colour, hatch in zip(law, NUMBERS, COLOURS, HATCHES):
        style = dict(color=colour, edgecolor="white", hatch=hatch, lw=0.5)
        panel.barh(y, share, 0.62, left=start, label=f"{number} missing", **style)
        if share > 0.04:
            plate = dict(boxstyle="round,pad=0.15", fc="white", ec="none", alpha=0.85) if hatch else None
            middle = start + share / 2
            panel.text(middle, y, f"{share:.2f}".lstrip("0"), ha="center", va="center", size=11.5, bbox=plate)
        start += share


def told_laws(laws: Mapping[str, Law | None]) -> str:
    """Return laws in words, for an alternative text."""
    return "; ".join(
        f"{name} drops steps, not modalities"
        if law is None
        else f"{name} has {law[0]:.2f} complete, {law[1]:.2f} with one and {law[2]:.2f} with two missing"
        for name, law in laws.items()
    )
