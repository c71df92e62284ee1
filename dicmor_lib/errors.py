"""The exceptions of the library: each message says what was wrong, where, and what to do."""

from __future__ import annotations


class DicmorError(Exception):
    """Base of everything this library raises on purpose; the `dicmor` command turns it into exit status 2."""


class ConfigError(DicmorError, ValueError):
    """A setting is unknown, out of range, or contradicts another."""


class PatternError(DicmorError, ValueError):
    """A missing-modality pattern is empty or names something that is not a modality."""


class ShapeError(DicmorError, ValueError):
    """An array or tensor has the wrong shape, length or type."""


class DataError(DicmorError, ValueError):
    """A data file is missing, damaged, incomplete or holds impossible values."""


class UnsafePickleError(DataError):
    """A pickle asks for something other than NumPy arrays and plain containers; nothing of it was run."""


class CheckpointError(DicmorError, ValueError):
    """A checkpoint is missing, damaged or belongs to another model."""


class TrainingError(DicmorError, RuntimeError):
    """Training cannot start or go on (for example a loss term stopped being finite)."""


class DeviceError(DicmorError, RuntimeError):
    """The requested device or precision is not available on this machine."""


class MissingExtraError(DicmorError, ImportError):
    """An optional package is needed for this and is not installed."""
