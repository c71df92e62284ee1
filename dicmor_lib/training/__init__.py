"""Training: `fit` runs both stages, `TrainConfig` holds the settings, `load_checkpoint` reads the result."""

from dicmor_lib.training.checkpoint import RunInfo, load_checkpoint
from dicmor_lib.training.config import TrainConfig
from dicmor_lib.training.history import COLUMNS, History
from dicmor_lib.training.loop import fit

__all__ = ["COLUMNS", "History", "RunInfo", "TrainConfig", "fit", "load_checkpoint"]
