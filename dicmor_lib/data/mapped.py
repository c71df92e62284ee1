"""Features that stay on disk: to look at like an array (N, T, d) float32, read when they are indexed.

A view knows the rows it has, the lengths of their sequences and how to standardise them; selecting samples, adding
those of another file and standardising make further views and read nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dicmor_lib.data.pages import release
from dicmor_lib.data.scaling import KnownMoments, Scaling


class MappedFeatures:
    """Rows of one or several arrays, one modality of a split.

    Indexing with rows (a number, slice, list, array or mask), optionally with steps and channels behind them, gives
    a new array in memory, as with an ndarray; `numpy.asarray` gives all of it.

    sources: arrays (n_i, T_i, d) float32, usually mapped files, or (n_i, 0, 0) for clips without the modality.
    rows: (N,) which rows these are, counted through all sources.
    lengths: (N,) valid steps.
    steps: T; sequences of shorter sources are padded with zeros.
    first: (N,) the step to which step 0 of a stored sequence is moved: for the published layout.
    scalings: applied to the valid steps one after the other.
    moments: of these very features if they are known. clipped: how many of them stand at the limit, likewise.
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(
        self,
        sources: Sequence[np.ndarray],
        rows: np.ndarray,
        lengths: np.ndarray,
        steps: int | None = None,
        first: np.ndarray | None = None,
        scalings: tuple[Scaling, ...] = (),
        moments: KnownMoments | None = None,
        clipped: int | None = None,
    ) -> None:
        self.sources, self.rows, self.lengths = tuple(sources), rows, lengths
        self.first = np.zeros(len(rows), np.int64) if first is None else first
        self.scalings, self.moments, self.clipped = scalings, moments, clipped
        self.starts = np.cumsum([0, *(len(source) for source in self.sources)])
        steps = max(source.shape[1] for source in self.sources) if steps is None else steps
        self.shape = (len(rows), steps, max(source.shape[2] for source in self.sources))

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, index: np.ndarray) -> MappedFeatures:
        """A view of the rows at `index` (positions)."""
        first, lengths = self.first[index], self.lengths[index]
        return MappedFeatures(self.sources, self.rows[index], lengths, self.shape[1], first, self.scalings)

    def append(self, other: MappedFeatures | np.ndarray, lengths: np.ndarray) -> MappedFeatures:
        """A view of these rows, then of others (n, T', d) or (n, 0, 0) with their lengths (n,); none scaled yet."""
        if not isinstance(other, MappedFeatures):
            other = MappedFeatures([other], np.arange(len(other)), lengths)
        if self.scalings or other.scalings:
            raise ValueError("features are put together before they are standardised")
        return MappedFeatures(
            self.sources + other.sources,
            np.concatenate([self.rows, other.rows + self.starts[-1]]),
            np.concatenate([self.lengths, other.lengths]),
            max(self.shape[1], other.shape[1]),
            np.concatenate([self.first, other.first]),
        )

    def scaled(self, scaling: Scaling) -> MappedFeatures:
        """A view whose valid steps go through `scaling` when they are read."""
        known = None if self.moments is None or self.scalings else self.moments.count_clipped(scaling)
        scalings = (*self.scalings, scaling)
        return MappedFeatures(
            self.sources, self.rows, self.lengths, self.shape[1], self.first, scalings, clipped=known
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("features on disk cannot become an array without a copy")
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def __getitem__(self, index: Any) -> np.ndarray:
        rows, *rest = index if isinstance(index, tuple) else (index,)
        unclear = any(part is None or part is Ellipsis for part in (rows, *rest))
        if unclear or any(isinstance(part, (list, np.ndarray)) for part in rest[1:]):
            raise IndexError("features on disk are indexed by rows first; numpy.asarray(x) reads all of them")
        chosen = np.arange(len(self))[rows]  # NumPy's own rules, negative numbers and masks included
        if rest and isinstance(rest[0], (list, np.ndarray)):
            return self._single_steps(chosen, np.asarray(rest[0]))[(slice(None), *rest[1:])]
        upto = rest and isinstance(rest[0], slice) and rest[0].step in (None, 1)
        steps = rest[0].indices(self.shape[1])[1] if upto else self.shape[1]
        x = self._read(np.atleast_1d(chosen), steps)
        return x[(slice(None) if chosen.ndim else 0, *rest)]

    def _read(self, chosen: np.ndarray, steps: int) -> np.ndarray:
        """The first `steps` steps of the rows at `chosen` (n,), as a new array (n, steps, d)."""
        rows, first = self.rows[chosen], self.first[chosen]
        x = self._stored(rows, steps)
        if first.any():  # step t of the published layout is step t - first of what is stored
            step = np.arange(steps) - first[:, None]
            x = np.take_along_axis(x, np.maximum(step, 0)[..., None], axis=1)
            x[step < 0] = 0
        for scaling in self.scalings:
            x = scaling.apply(x, self.lengths[chosen], out=x)
        return x

    def _stored(self, rows: np.ndarray, steps: int) -> np.ndarray:
        """Rows as they lie in the sources, cut or padded to (n, steps, d)."""
        source = self.sources[0]
        if len(self.sources) == 1 and source.shape[1] >= steps:
            x = source[rows, :steps]
        else:
            x = np.zeros((len(rows), steps, self.shape[2]), np.float32)
            for source, start in zip(self.sources, self.starts):
                mine = np.flatnonzero((rows >= start) & (rows < start + len(source)))
                if source.shape[2] and len(mine):
                    part = source[rows[mine] - start, :steps]
                    x[mine, : part.shape[1]] = part
        self._give_back()
        return x

    def _single_steps(self, chosen: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Step `steps[i]` of row `chosen[i]`: an array (n, d), however long the sequences are."""
        chosen, steps = np.broadcast_arrays(chosen, np.arange(self.shape[1])[steps])
        if chosen.ndim != 1:
            raise IndexError("rows and steps must be flat arrays of one length")
        x = np.zeros((len(chosen), 1, self.shape[2]), np.float32)
        rows, stored = self.rows[chosen], steps - self.first[chosen]
        for source, start in zip(self.sources, self.starts):
            mine = np.flatnonzero(
                (rows >= start) & (rows < start + len(source)) & (stored >= 0) & (stored < source.shape[1])
            )
            if source.shape[2] and len(mine):
                x[mine, 0] = source[rows[mine] - start, stored[mine]]
        valid = (steps < self.lengths[chosen]).astype(np.int64)
        for scaling in self.scalings:
            x = scaling.apply(x, valid, out=x)
        self._give_back()
        return x[:, 0]

    def _give_back(self) -> None:
        """After every reading: the kernel maps far more than the rows asked for, up to 2 MiB around each."""
        for source in self.sources:
            release(source)
