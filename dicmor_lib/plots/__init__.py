"""Pure functions from data to figures in one house style; every figure has its alternative text."""

from dicmor_lib.plots.distributions import distribution_map
from dicmor_lib.plots.latents import clip_latents, latent_clouds
from dicmor_lib.plots.recovered import recovered_view
from dicmor_lib.plots.results import pattern_figure, recovery_figure
from dicmor_lib.plots.sequences import sequence_view
from dicmor_lib.plots.speed import cost_by_batch, rate_curve, time_shares
from dicmor_lib.plots.style import (
    CLASS_COLOURS,
    CLASS_MARKERS,
    MODALITY_COLOURS,
    MODALITY_LINES,
    MODALITY_MARKERS,
    HouseFigure,
    figure_alt,
    house_style,
    new_figure,
    save_figure,
)
from dicmor_lib.plots.training import loss_curves

__all__ = [
    "CLASS_COLOURS",
    "CLASS_MARKERS",
    "MODALITY_COLOURS",
    "MODALITY_LINES",
    "MODALITY_MARKERS",
    "HouseFigure",
    "clip_latents",
    "cost_by_batch",
    "distribution_map",
    "figure_alt",
    "house_style",
    "latent_clouds",
    "loss_curves",
    "new_figure",
    "pattern_figure",
    "rate_curve",
    "recovered_view",
    "recovery_figure",
    "save_figure",
    "sequence_view",
    "time_shares",
]
