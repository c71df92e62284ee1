"""Reading data files: the MMSA pickle, the MulT/MultiBench pickle, `.npz` and stores; the content decides.

| format              | keys of each of train, valid, test                                                |
|---------------------|-----------------------------------------------------------------------------------|
| MMSA pickle         | text, audio, vision, regression_labels; optional id, text_bert, *_lengths         |
| MulT, MultiBench    | text, audio, vision, labels; optional id                                          |
| .npz with splits    | as MMSA, split in front: "train/text"; a modality may lack; about/synthetic       |
| .npz of loose clips | regression_labels and at least one of text, audio, vision: all of it is for train |
| store (a folder)    | what `dicmor data convert` made of any of these; see `store`                      |

Loose clips may also come as a pickle of one dict.
"""

from __future__ import annotations

import os
from pathlib import Path

from dicmor_lib.data.dataset import MultimodalData
from dicmor_lib.data.files import file_sha256, show
from dicmor_lib.data.layouts import SPLITS, load_raw
from dicmor_lib.data.parts import (
    Clean,
    Part,
    Place,
    in_memory,
    match_dims,
    put_together,
    read_part,
    to_split,
)
from dicmor_lib.data.report import ReadReport
from dicmor_lib.data.store import open_store
from dicmor_lib.data.store_files import is_store


def read(path: str | os.PathLike[str], *, published_layout: bool = False) -> MultimodalData:
    """Read a data file, or open a store; see the table above for what they may hold.

    Features become float32; NaN and infinite values become 0 and are counted in the report. Each sequence
    is shifted to start at step 0 and its length is found from its values (`padding`); stored lengths are
    compared, not trusted. A sequence of zeros is not observed; a sample without any observed modality is
    dropped and counted.

    A file is read into memory, once: about 4 bytes per value. The features of a store stay on disk.

    >>> import tempfile
    >>> import numpy as np
    >>> clips = {"audio": np.ones((4, 20, 5)), "vision": np.ones((4, 20, 6)), "regression_labels": np.zeros(4)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/clips.npz", **clips)
    ...     data = read(f"{folder}/clips.npz")
    >>> len(data.train), data.feature_dims, data.train.observed[0]  # a file without language
    (4, (0, 5, 6), array([False,  True,  True]))

    published_layout: read as the published code does: nothing is shifted, every length is T, all is observed.

    Raises:
        DataError: if the file is missing, damaged, incomplete or holds impossible values.
        UnsafePickleError: if a pickle asks for anything but data; nothing of it is run.
    """
    if is_store(path):
        return open_store(path, published_layout=published_layout)
    name = show(path, 300)
    parts, report, synthetic = read_parts(path, in_memory(shift=not published_layout))
    report.published_layout = published_layout
    splits = {split: to_split(part, published_layout) for split, part in parts.items()}
    return put_together(splits, report, name, show(Path(path).name, 200), file_sha256(path), synthetic)


def read_parts(
    path: str | os.PathLike[str], clean_features: Clean
) -> tuple[dict[str, Part], ReadReport, bool]:
    """The splits of a file by name, what was found, and whether it says that it is synthetic."""
    name = show(path, 300)
    raw = load_raw(path, name)
    report = ReadReport(format=raw.format)
    parts: dict[str, Part] = {}
    for split in SPLITS:
        content = raw.splits.pop(split, None)
        if content is not None:
            place = Place(name, split, Path(path).stem)
            parts[split] = read_part(content, raw, place, report.notes, clean_features)
            report.splits[split] = parts[split].report
    match_dims(parts, name)
    return parts, report, raw.synthetic
