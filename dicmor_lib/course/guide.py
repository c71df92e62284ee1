"""The chapters in reading order: what each teaches, and which of them are written."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


@dataclass(frozen=True)
class Chapter:
    """A chapter: its file in notebooks/ without the suffix, its short title, and what it teaches in half a sentence."""

    name: str
    title: str
    teaches: str

    @property
    def number(self) -> int:
        """Place in the course."""
        return int(self.name[:2])


GUIDE: tuple[Chapter, ...] = tuple(
    Chapter(name, title, teaches)
    for name, title, teaches in (
        ("00_start_here", "Start here", "what the whole system does, and how to read this course"),
        (
            "01_missing_modalities",
            "Missing modalities",
            "clips as sequences, seven patterns, what filling a gap does to a predictor",
        ),
        (
            "02_coupling_layers",
            "Coupling layers",
            "one invertible layer, its inverse and its log-determinant",
        ),
        ("03_flows_and_priors", "Flows and priors", "many layers, a density per class, maximum likelihood"),
        (
            "04_distribution_transfer",
            "Distribution transfer",
            "through one flow and back through another: features of a modality nobody saw",
        ),
        ("05_rcab_reconstruction", "Recovery", "what channel attention adds to the transferred features"),
        ("06_multimodal_fusion", "Fusion", "cross-modal attention, masks, positions, and the prediction"),
        ("07_train_dicmor", "Training", "both stages on your own data, and how to read the curves"),
        (
            "08_evaluating_missing_modalities",
            "Evaluation",
            "what a missing rate means, intervals, baselines, published tables",
        ),
        (
            "09_modality_switchboard",
            "Switchboard",
            "every part of the model at work while you switch modalities",
        ),
        (
            "10_paper_versus_code",
            "Paper versus code",
            "every difference between the two, with its measured effect",
        ),
        ("11_scaling_up", "Scaling up", "speed, precision, several processes, data larger than memory"),
        (
            "12_beyond_the_paper",
            "Beyond the paper",
            "a joint prior: draws of what is missing, clips that lack something, and how sure one may be",
        ),
    )
)


def written(folder: Path = NOTEBOOKS) -> set[int]:
    """Return the numbers of the chapters that exist."""
    return {chapter.number for chapter in GUIDE if (folder / f"{chapter.name}.ipynb").exists()}


def guide_table(there: Collection[int]) -> str:
    """Return the chapters as a Markdown table; those that are there are links, the others are to come."""
    lines = ["| chapter | it teaches |", "|---|---|"]
    for c in GUIDE:
        title = f"{c.number} · {c.title}"
        link = f"[{title}]({c.name}.ipynb)" if c.number in there else f"{title} *(to come)*"
        lines.append(f"| {link} | {c.teaches} |")
    return "\n".join(lines)
