"""The idea of DiCMoR in one picture: a modality is missing, recovered through a shared space, and used."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Ellipse, Wedge

from dicmor_lib.data.oracle import Oracle
from dicmor_lib.modalities import MODALITIES
from dicmor_lib.plots.drawing import (
    FAINT,
    INK,
    MUTED,
    Box,
    absent,
    arrow,
    box,
    canvas,
    chip,
    signed,
    strike,
    strip,
    title,
    write,
)
from dicmor_lib.plots.style import (
    CLASS_COLOURS,
    CLASS_MARKERS,
    MODALITY_COLOURS,
    MODALITY_MARKERS,
    HouseFigure,
    house_figure,
)

WIDTH, HEIGHT = 13.0, 5.9  # inches; shown about 800 pixels wide, so nothing is written smaller than 14 points
ROWS = dict(zip(MODALITIES, (3.9, 2.7, 1.15)))  # lower edge of each modality's strip
DEPTH = 0.56  # of a strip
LEFT, LEFT_WIDTH = 0.4, 1.9  # the incomplete clip
RIGHT, RIGHT_WIDTH = 8.6, 1.5  # the completed clip
PANEL: Box = (3.7, 1.15, 3.1, 3.31)
LATENT_SPREAD = (0.105, 0.25)  # standard deviations along the row of clouds and across it, in inches


@house_figure
def idea_figure() -> HouseFigure:
    """Draw what DiCMoR does, for someone who has never heard of it; the same picture every time.

    It is a scheme and shows no result of a trained model. Where numbers are drawn they are real ones: the
    strips are a clip of the synthetic oracle with a sentiment near +2, its recovered vision is a draw from
    the oracle's exact law of vision given language and audio, and the clouds are seeded Gaussian draws.
    """
    figure, axes = canvas(WIDTH, HEIGHT)
    clip, recovered, sentiment = _example()
    _headings(axes)
    _incomplete(axes, clip)
    _latent_space(axes, round(sentiment))
    _completed(axes, (*clip[:2], recovered))
    _prediction(axes, sentiment)
    idea = "Invertible flows $F$ lead into one space: language and audio go in, vision comes out."
    write(axes, WIDTH / 2, 0.42, idea, 17)
    figure.alt = (
        "The idea of DiCMoR in three steps. One: a clip has sequences of language and audio; its vision is "
        "missing. Two: invertible flows carry language and audio into a shared latent space with one "
        "Gaussian cloud per sentiment from -3 to +3; the inverse of vision's flow and a recovery network D "
        "lead from there to the recovered vision. Three: a multimodal transformer T reads all three "
        f"modalities and predicts the sentiment, here {sentiment:+.1f}."
    )
    return figure


def _example() -> tuple[tuple[np.ndarray, ...], np.ndarray, float]:
    """A clip of the oracle, three (time, channel); its vision drawn anew from the others; its sentiment."""
    oracle = Oracle(dims=(4, 4, 4), time=10, mean_length=10.0)
    test = oracle.dataset(seed=0, sizes=(1, 1, 60)).test
    chosen = np.flatnonzero((np.abs(test.labels - 2) < 0.25) & (test.lengths.min(axis=1) == 10))[:1]
    clip = test.select(chosen)
    seen = np.array([[True, True, False]])
    features = [np.asarray(x) for x in clip.features]
    drawn = oracle.conditional_sample(features, seen, clip.lengths, n=1, seed=0)[2][0]
    scale = [np.asarray(x).std(axis=(0, 1)) for x in test.features]
    shown = tuple(x[0] / sd for x, sd in zip(clip.features, scale))
    return shown, drawn[0] / scale[2], float(clip.labels[0])


def _headings(axes: Axes) -> None:
    for number, x, text in (
        (1, LEFT, "Vision is missing"),
        (2, PANEL[0], "Recover it from what is there"),
        (3, RIGHT, "Predict from all three"),
    ):
        axes.add_patch(Circle((x + 0.2, 5.4), 0.2, fc=INK, ec="none", zorder=5))
        write(axes, x + 0.2, 5.39, str(number), 16, color="white", weight="bold")
        write(axes, x + 0.52, 5.39, text, 17, weight="bold", ha="left")


def _incomplete(axes: Axes, clip: tuple[np.ndarray, ...]) -> None:
    for modality, values in list(zip(MODALITIES, clip))[:2]:
        row = ROWS[modality]
        title(axes, LEFT, row + 0.82, modality)
        strip(axes, (LEFT, row, LEFT_WIDTH, DEPTH), values, MODALITY_COLOURS[modality], 2.0)
    row = ROWS["vision"]
    title(axes, LEFT, row + 0.82, "vision", muted=True)
    strike(axes, LEFT + 0.2, row + 0.82, 0.2, INK)
    absent(axes, (LEFT, row, LEFT_WIDTH, DEPTH), "missing")


def _latent_space(axes: Axes, sentiment: int) -> None:
    """The panel of seven clouds along its diagonal, and the ways into one of them and out of it."""
    x, y, width, height = PANEL
    box(axes, PANEL, face="#f6f8fa", edge=FAINT, radius=0.15, zorder=1)
    write(axes, x, ROWS["language"] + 0.81, "shared latent space", 15, ha="left", weight="bold")
    write(axes, x + width - 0.14, y + 0.33, "one Gaussian\nper sentiment", 14, ha="right", color=MUTED)
    low, high = np.array([x + 0.54, y + 0.62]), np.array([x + width - 0.84, y + height - 0.46])
    along = (high - low) / np.linalg.norm(high - low)
    across = np.array([along[1], -along[0]])  # to the lower right
    rng = np.random.default_rng(0)
    centres = {c: low + (high - low) * (c + 3) / 6 for c in range(-3, 4)}
    for c, centre in centres.items():
        _cloud(axes, c, centre, np.stack([along, across]), rng, chosen=sentiment)
    target = centres[sentiment]
    _way_in(axes, "language", target - 0.31 * across)
    _way_in(axes, "audio", target - 0.03 * across)
    _way_out(axes, target + 0.28 * across)


def _way_in(axes: Axes, modality: str, end: np.ndarray) -> None:
    """F of a modality that is there, from its strip to its point in the latent space."""
    colour, row = MODALITY_COLOURS[modality], ROWS[modality] + DEPTH / 2
    start, stop = (LEFT + LEFT_WIDTH + 0.08, row), (end[0] - 0.12, end[1])
    arrow(axes, start, stop, colour, turns=((PANEL[0] + 1.0, row), (stop[0] - 0.9, stop[1])))
    chip(axes, (start[0] + PANEL[0]) / 2, row, rf"$F_\mathrm{{{modality}}}$", colour)
    _point(axes, end, modality)


def _way_out(axes: Axes, start: np.ndarray) -> None:
    """The inverse of vision's flow from a point of the latent space, and D, to the recovered strip."""
    colour, row, x = MODALITY_COLOURS["vision"], ROWS["vision"] + DEPTH / 2, 7.68
    inverse = (x, row + 1.15)
    turns = (x - 0.4, start[1] - 0.15), (x, start[1] - 0.15)
    arrow(axes, tuple(start), inverse, colour, turns)
    arrow(axes, inverse, (x, row + 0.37), colour)
    chip(axes, *inverse, r"$F_\mathrm{vision}^{-1}$", colour, height=0.5)
    _point(axes, start, "vision")
    box(axes, (x - 0.42, row - 0.35, 0.84, 0.7), face=colour, edge="none", radius=0.1)
    write(axes, x, row, "$D$", 20, color="white")
    write(axes, x, row - 0.55, "recovery", 15, color=colour, weight="bold")
    arrow(axes, (x + 0.42, row), (RIGHT - 0.1, row), colour)


def _cloud(
    axes: Axes, c: int, centre: np.ndarray, directions: np.ndarray, rng: np.random.Generator, chosen: int
) -> None:
    """One class: its points, the ellipses of one and two standard deviations, and its number.

    `directions` (2, 2) holds the unit vectors along the row of clouds and across it.
    """
    colour, marker = CLASS_COLOURS[c + 3], CLASS_MARKERS[c + 3]
    along, across = directions
    angle = np.degrees(np.arctan2(along[1], along[0]))
    for sds, alpha in ((2, 0.16), (1, 0.26)):
        size = [2 * sds * s for s in LATENT_SPREAD]
        axes.add_patch(Ellipse(centre, *size, angle=angle, fc=colour, ec="none", alpha=alpha, zorder=2))
    if c == chosen:
        outline = Ellipse(centre, *(4 * s for s in LATENT_SPREAD), angle=angle, fc="none", ec=colour)
        axes.add_patch(outline).set(linewidth=1.8, zorder=4)
    noise = rng.standard_normal((32, 2))
    noise = noise[np.linalg.norm(noise, axis=1) < 2] * LATENT_SPREAD  # strays would lie among the numbers
    points = centre + noise @ directions
    axes.scatter(*points.T, s=13, marker=marker, color=colour, linewidths=0, alpha=0.9, zorder=3)
    aside = 0.17 if c > chosen else -0.12  # makes way for the arrow that leaves the chosen cloud
    x, y = centre + 0.68 * across + aside * along
    write(axes, x, y, signed(c), 15, weight="bold")


def _point(axes: Axes, where: np.ndarray, modality: str) -> None:
    style = dict(mfc=MODALITY_COLOURS[modality], mec="white", mew=2, ms=15, zorder=6)
    axes.plot(*where, MODALITY_MARKERS[modality], **style)


def _completed(axes: Axes, clip: tuple[np.ndarray, ...]) -> None:
    for modality, values in zip(MODALITIES, clip):
        row = ROWS[modality]
        title(axes, RIGHT, row + 0.82, modality)
        strip(axes, (RIGHT, row, RIGHT_WIDTH, DEPTH), values, MODALITY_COLOURS[modality], 2.0)
    row, colour = ROWS["vision"], MODALITY_COLOURS["vision"]
    around = (RIGHT - 0.07, row - 0.07, RIGHT_WIDTH + 0.14, DEPTH + 0.14)
    box(axes, around, face="none", edge=colour, linewidth=2.2, linestyle=(0, (3, 2)), radius=0.06, zorder=4)
    write(axes, RIGHT + RIGHT_WIDTH / 2, row - 0.27, "recovered", 15, color=colour, weight="bold")


def _prediction(axes: Axes, sentiment: float) -> None:
    """The transformer, which all three modalities enter, and the sentiment it says."""
    x, width, low, high = 10.5, 0.56, ROWS["vision"], ROWS["language"] + DEPTH
    box(axes, (x, low, width, high - low), face=INK, edge="none", radius=0.1)
    middle = (low + high) / 2
    write(axes, x + width / 2, middle, "multimodal transformer $T$", 16, color="white", rotation=90)
    for modality in MODALITIES:
        row = ROWS[modality] + DEPTH / 2
        arrow(axes, (RIGHT + RIGHT_WIDTH + 0.1, row), (x, row), MODALITY_COLOURS[modality])
    arrow(axes, (x + width, middle), (x + width + 0.28, middle), INK)
    _gauge(axes, 12.07, middle - 0.05, 0.64, sentiment)


def _gauge(axes: Axes, x: float, y: float, radius: float, value: float) -> None:
    """A half-circle from -3 (left) to +3 (right) with a pointer."""
    for c in range(-3, 4):
        start = 180 - 180 * (c + 4) / 7
        wedge = Wedge((x, y), radius, start, start + 180 / 7, width=0.2, fc=CLASS_COLOURS[c + 3], ec="white")
        axes.add_patch(wedge)
    angle = np.pi * (1 - (value + 3.5) / 7)
    arrow(axes, (x, y), (x + 0.54 * np.cos(angle), y + 0.54 * np.sin(angle)), INK)
    axes.add_patch(Circle((x, y), 0.07, fc=INK, ec="none", zorder=6))
    for c in (-3, 3):
        write(axes, x + np.sign(c) * (radius - 0.1), y - 0.17, signed(c), 14)
    write(axes, x, y - 0.5, signed(value), 24, weight="bold")
    write(axes, x, y - 0.86, "sentiment", 15)
