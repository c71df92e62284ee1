"""`python -m dicmor_lib.site [FOLDER]` builds the website there."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dicmor_lib.errors import DicmorError
from dicmor_lib.site.build import build_site


def main(arguments: list[str] | None = None) -> int:
    """Build the site; return 0, or 2 if it could not be built."""
    parser = argparse.ArgumentParser(prog="python -m dicmor_lib.site", description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("build/site"), help="(default: build/site)"
    )
    folder: Path = parser.parse_args(arguments).folder
    try:
        first = build_site(folder)
    except DicmorError as error:
        print(f"site: {error}", file=sys.stderr)
        return 2
    print(f"The site is in {folder}: open {first}, or serve it with: python -m http.server -d {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
