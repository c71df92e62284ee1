"""The data files that the MMSA project publishes, recognised by their SHA-256."""

from __future__ import annotations

from dataclasses import dataclass

PREFIX_DIGITS = 8


@dataclass(frozen=True)
class KnownFile:
    """A published file: the first digits of its SHA-256, its name and its (train, valid, test) sizes."""

    prefix: str
    name: str
    sizes: tuple[int, int, int]


KNOWN_FILES = (
    KnownFile("d3994fd2", "CMU-MOSI, aligned (MMSA)", (1284, 229, 686)),
    KnownFile("78e0f8b5", "CMU-MOSI, unaligned (MMSA)", (1284, 229, 686)),
    KnownFile("45eccfb7", "CMU-MOSEI, aligned (MMSA)", (16326, 1871, 4659)),
    KnownFile("ad8b23d5", "CMU-MOSEI, unaligned (MMSA)", (16326, 1871, 4659)),
)
"""Only the first 8 of 64 digits are recorded here; the full sums stand in the MMSA project's README."""


def recognise(sha256: str) -> KnownFile | None:
    """The known file whose SHA-256 begins like `sha256`, if there is one."""
    for known in KNOWN_FILES:
        if sha256.startswith(known.prefix):
            return known
    return None


def describe(sha256: str, sizes: tuple[int, int, int]) -> str:
    """One sentence: which known MMSA file this is, and how sure that is."""
    known = recognise(sha256)
    if known is None:
        return (
            f"Not one of the {len(KNOWN_FILES)} MMSA files known here "
            "(CMU-MOSI and CMU-MOSEI, aligned and unaligned); that alone says nothing against it."
        )
    agree = "agree" if sizes == known.sizes else f"do not agree (expected {'/'.join(map(str, known.sizes))})"
    return (
        f"Looks like {known.name}: the first {PREFIX_DIGITS} digits of the SHA-256 match and the split "
        f"sizes {agree}; compare all 64 digits with the MMSA project's README to be certain."
    )
