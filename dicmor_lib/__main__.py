"""`python -m dicmor_lib` is the `dicmor` command."""

import sys

from dicmor_lib.cli import main

if __name__ == "__main__":
    sys.exit(main())
