"""`dicmor recover`: the recovered shallow features of a file's missing modalities, and the predictions."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicmor_lib.commands.common import (
    add_accelerator,
    add_bert,
    add_quiet,
    find_device,
    load_run_data,
    new_parser,
)

if TYPE_CHECKING:
    import numpy as np

    from dicmor_lib.data.dataset import Split
    from dicmor_lib.model import DiCMoR

NOTE = (
    "'recovered' holds recovered SHALLOW features: estimates of what the model's temporal convolution C^m "
    "would have made of the missing modality, not raw language, audio or vision features."
)
KEYS = """keys of the .npz file (N samples, T steps, d channels of C^m;
axes of 3: language, audio, vision):
  recovered    (3, N, T, d)  recovered shallow features, zero elsewhere
  transferred  (3, N, T, d)  the same before the recovery networks
  shallow      (3, N, T, d)  shallow features of what is in the file
  was_recovered, available   (N, 3)
  lengths      (N, 3)        valid steps, of the recovered modalities too
  prediction   (N,)          sentiment; ids, split (N,); note: what this file is"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the options of `dicmor recover`."""
    summary = "write the recovered shallow features of missing modalities, and the predictions"
    example = "dicmor recover runs/mosi-1 --data clips.npz --out recovered.npz"
    more = "Recovers the modalities that the file does not have; --pattern hides others."
    parser = new_parser(subparsers, "recover", summary, example, more)
    parser.epilog = f"{parser.epilog}\n\n{KEYS}"
    parser.add_argument("folder", metavar="DIR", help="what 'dicmor train --out' wrote")
    parser.add_argument("--data", metavar="FILE", required=True, help="data file, or 'synthetic'")
    parser.add_argument("--out", metavar="FILE.npz", required=True, help="file to write")
    parser.add_argument("--pattern", help="pretend that only these are available: l, a, v, la, lv or av")
    parser.add_argument(
        "--split", default="all", choices=("all", "train", "valid", "test"), help="of the file (default: all)"
    )
    add_bert(parser)
    add_accelerator(parser)
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Recover and write the file."""
    from dicmor_lib.modalities import MODALITIES, normalise_pattern
    from dicmor_lib.training import load_checkpoint
    from dicmor_lib.training.atomic import write_file

    pattern = None if args.pattern is None else normalise_pattern(args.pattern)
    out = Path(args.out)
    device = find_device(args.accelerator)
    model, info = load_checkpoint(args.folder, device=device)
    splits = load_run_data(info, args.data, args.quiet, device, args.bert).splits
    chosen = {name: part for name, part in splits.items() if args.split in ("all", name) and len(part)}
    arrays = _recover(model, chosen, pattern, args.data)
    write_file(out, _npz({**arrays, "modalities": MODALITIES, "note": NOTE}))
    counts = arrays["was_recovered"].sum(0)
    told = ", ".join(f"{name} of {count}" for name, count in zip(MODALITIES, counts))
    print(f"recovered {told} of {len(arrays['prediction'])} samples; written to {out}\n{NOTE}")
    return 0


def _recover(
    model: DiCMoR, splits: dict[str, Split], pattern: str | None, source: str
) -> dict[str, np.ndarray]:
    """The arrays of the file, the splits one after the other."""
    import numpy as np

    from dicmor_lib.errors import DataError
    from dicmor_lib.evaluation.passes import join_padded, run_pass, shallow_split
    from dicmor_lib.modalities import pattern_mask

    if not splits:
        raise DataError(f"{source} holds no sample in the chosen split; choose another --split")
    parts: dict[str, list[np.ndarray]] = {}
    for name, split in splits.items():
        mask = np.tile(pattern_mask(pattern or "lav"), (len(split), 1))
        result = run_pass(model, split, mask)
        real = shallow_split(model, split)
        found = {
            "recovered": result.recovered,
            "transferred": result.transferred,
            "shallow": real.features * split.observed.T[:, :, None, None],
            "available": result.available,
            "was_recovered": ~result.available & result.available.any(1, keepdims=True),
            "lengths": result.lengths,
            "prediction": result.prediction,
            "ids": np.array(split.ids),
            "split": np.full(len(split), name),
        }
        for key, value in found.items():
            parts.setdefault(key, []).append(value)
    wide = ("recovered", "transferred", "shallow")
    arrays = {
        key: join_padded(value) if key in wide else np.concatenate(value) for key, value in parts.items()
    }
    if not arrays["was_recovered"].any():
        raise DataError(
            f"every sample of {source} has all three modalities, so there is nothing to recover; "
            "simulate missing ones with --pattern, for example --pattern l"
        )
    return arrays


def _npz(arrays: dict[str, object]) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    content: dict[str, Any] = {name: np.asarray(value) for name, value in arrays.items()}
    np.savez_compressed(buffer, **content)
    return buffer.getvalue()
