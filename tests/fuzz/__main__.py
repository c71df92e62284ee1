"""Coverage-guided fuzzing by hand: `python -m tests.fuzz pickle --seconds 120`; needs `pip install atheris`.

Inputs that lead somewhere new are kept in a folder under /tmp and are the start of the next run; an input that breaks
a reader is written there as crash-*, and the program ends with its traceback.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Fuzz one target for a while."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", help="pickle, npz or store")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="folder of inputs (default: /tmp/dicmor-fuzz/TARGET)")
    args = parser.parse_args()

    import atheris

    with atheris.instrument_imports(include=["dicmor_lib.data", "dicmor_lib.training"]):
        from tests.fuzz.targets import MOST_BYTES, TARGETS

    check, seeds = TARGETS[args.target]
    corpus = args.corpus or Path(tempfile.gettempdir()) / "dicmor-fuzz" / args.target
    corpus.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(seeds(Path(folder))):
            (corpus / f"seed-{number:03}").write_bytes(data)
        options = [
            *(f"-max_total_time={args.seconds}", f"-seed={args.seed}", f"-max_len={MOST_BYTES}"),
            *(
                "-rss_limit_mb=2048",
                "-timeout=600",
                "-print_final_stats=1",
                "-keep_seed=1",
                f"-artifact_prefix={corpus}/",
            ),
        ]
        atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: check(data, Path(folder)) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
