"""`python -m dicmor_lib.evaluation.beyond`: the joint prior beside the paper's model over seeds; resumable."""

from __future__ import annotations

import argparse
import dataclasses
import platform
import sys
from pathlib import Path
from typing import Any

import torch

from dicmor_lib.errors import DicmorError
from dicmor_lib.evaluation.beyond.results import (
    RESULTS,
    Found,
    Results,
    join_seeds,
    read_results,
    without,
    write_results,
)
from dicmor_lib.evaluation.beyond.run import run_seed
from dicmor_lib.evaluation.beyond.setting import Setting
from dicmor_lib.evaluation.study import SYNTHETIC, parse_seeds


def main(arguments: list[str] | None = None) -> int:
    """Run the study and write its results."""
    args = _parser().parse_args(arguments)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        study(args.data, parse_seeds(args.seeds), Path(args.out), Path(args.results), args.only == "measure")
    except DicmorError as error:
        print(f"beyond: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m dicmor_lib.evaluation.beyond", description=__doc__)
    parser.add_argument(
        "--data", nargs="+", default=[SYNTHETIC], metavar="FILE", help="files, or 'synthetic'"
    )
    parser.add_argument("--seeds", default="0-4", help="training seeds (0-4)")
    parser.add_argument(
        "--out", default="runs/beyond", metavar="DIR", help="trained models and measures (runs/beyond)"
    )
    parser.add_argument("--results", default=str(RESULTS), metavar="FILE", help="where the joined numbers go")
    parser.add_argument("--only", choices=("measure",), help="do not join: for one process of several")
    parser.add_argument("--threads", type=int, default=0, help="of torch; default: as torch likes")
    return parser


def study(
    paths: list[str], seeds: tuple[int, ...], out: Path, results: Path, measure_only: bool = False
) -> None:
    """Measure what is not measured yet, and replace these data sets' numbers in `results`."""
    rows: dict[str, list[Found]] = {}
    info: dict[str, dict[str, Any]] = {}
    for path in paths:
        setting = Setting.of_oracle() if path == SYNTHETIC else Setting.of_file(path)
        measured = [run_seed(setting, seed, out, say=lambda what: print(what, flush=True)) for seed in seeds]
        if not measure_only:
            name = setting.source.name
            rows[name], info[name] = join_seeds(name, measured), facts(setting, seeds)
    if not measure_only:
        before = read_results(results) if results.exists() else Results({}, ())
        kept = without(before, rows)
        write_results(Results({**before.info, **info}, (*kept, *sum(rows.values(), []))), results)
        print(f"{results}: {', '.join(rows)}")


def facts(setting: Setting, seeds: tuple[int, ...]) -> dict[str, Any]:
    """What a reader must know about the numbers of one data set."""
    data = setting.source.load()
    complete = int(data.test.observed.all(axis=1).sum())
    return {
        "data": data.source if data.synthetic else Path(setting.source.path).name,
        "sha256": data.sha256,
        "synthetic": data.synthetic,
        "clips": [len(data.train), len(data.valid), complete],
        "dims": list(data.feature_dims),
        "state": setting.config("joint", data.feature_dims).hidden,
        "model": setting.config("joint", data.feature_dims).to_dict(),
        "training": dataclasses.asdict(setting.train.replace(seed=0)) | {"seed": "each"},
        "density": [setting.density_steps, setting.density_batch, setting.density_rate],
        "draws": setting.draws,
        "seeds": list(seeds),
        "machine": f"{platform.machine()} CPU, Python {platform.python_version()}, torch {torch.__version__}",
    }


if __name__ == "__main__":
    sys.exit(main())
