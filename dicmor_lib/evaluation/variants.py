"""The ablations: which part of the method is worth what? Each variant is DiCMoR with one thing changed.

All variants of one data set and seed share one stage 1 (C^m and the start of fusion) and are trained by one
procedure: the same standardised data, optimiser, epochs, masks, and selection on the validation MAE. They are
scored on identical masks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dicmor_lib.config import DiCMoRConfig
from dicmor_lib.errors import ConfigError


@dataclass(frozen=True)
class Variant:
    """A named model: `changes` to the `DiCMoRConfig` of a preset, and in one sentence what they do."""

    name: str
    changes: dict[str, Any]
    sentence: str

    @property
    def folder(self) -> str:
        """The name as a folder: letters, digits and hyphens."""
        return "".join(c if c.isalnum() else "-" for c in self.name).replace("--", "-")

    def config(self, preset: str, feature_dims: tuple[int, int, int], **changes: Any) -> DiCMoRConfig:
        """The configuration of this variant in a preset; further `changes` come first, the variant's own last."""
        return DiCMoRConfig.preset(preset, feature_dims, **{**changes, **self.changes})


def published_switches() -> dict[str, Any]:
    """The switches that `DiCMoRConfig.mosi(published=True)` sets: behaviour, not sizes."""
    ours, theirs = DiCMoRConfig.mosi(), DiCMoRConfig.mosi(published=True)
    names = [field.name for field in dataclasses.fields(DiCMoRConfig)]
    return {name: getattr(theirs, name) for name in names if getattr(theirs, name) != getattr(ours, name)}


MAIN = "DiCMoR"
"""The variant that all others are compared with: the defaults of this library."""

VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant(MAIN, {}, "The defaults of this library."),
        Variant(
            "no transfer",
            {"transfer": "copy"},
            "The recovery network reads the mean of the available shallow features; no flow carries them over.",
        ),
        Variant("no RCABs", {"recovery": "none"}, "What the flows transfer goes to the fusion as it is."),
        Variant(
            "with L_dist",
            {"distance_weight": 0.5},
            "The recovery network is also asked, by L_dist, for features that vary as much as the real ones.",
        ),
        Variant(
            "one class-free prior",
            {"prior_classes": 1},
            "One Gaussian prior for all sentiments instead of one per class.",
        ),
        Variant(
            "no mixing", {"mixing": "none"}, "The halves of the channels never change places in the flows."
        ),
        Variant(
            "published",
            published_switches(),
            "Every switch of the model as in the published code; trained and selected like the others.",
        ),
        Variant(
            "zeros, fusion retrained",
            {"recovery": "zero"},
            "Nothing is recovered: the fusion is trained with the same gaps, filled with zeros.",
        ),
    )
}


def choose_variants(names: str | Sequence[str] = "all") -> list[Variant]:
    """Return the variants with these names, in the order of `VARIANTS`; "all", or names (one text: with commas).

    DiCMoR itself is always among them, because the others are compared with it. In one text, "zeros" stands for
    "zeros, fusion retrained", whose name holds a comma.

    Raises:
        ConfigError: if a name is unknown.
    """
    if names == "all":
        return list(VARIANTS.values())
    if isinstance(names, str):
        text = names.replace("zeros, fusion retrained", "zeros")
        names = [part.strip() for part in text.split(",") if part.strip()]
    wanted = {"zeros, fusion retrained" if name == "zeros" else name for name in names} | {MAIN}
    unknown = sorted(wanted - set(VARIANTS))
    if unknown:
        raise ConfigError(f"there is no variant {unknown[0]!r}; choose of: {'; '.join(VARIANTS)}; or 'all'")
    return [variant for name, variant in VARIANTS.items() if name in wanted]
