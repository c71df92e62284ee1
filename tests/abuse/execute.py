"""Execute a notebook, keep going past cells that may raise, and save it: `python execute.py NOTEBOOK RESULT`.

The most memory that its kernel took, in bytes, is added to the result's metadata as `peak`.
"""

from __future__ import annotations

import resource
import sys

import nbformat
from nbclient import NotebookClient

UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


def main(source: str, result: str) -> None:
    """Execute `source`; an error in a cell without the tag "raises-exception" ends the run with its traceback."""
    notebook = nbformat.read(source, as_version=4)
    arguments = ["--log-level=ERROR"]
    client = NotebookClient(
        notebook, kernel_name="python3", timeout=600, startup_timeout=240, extra_arguments=arguments
    )
    try:
        client.execute()
    finally:
        notebook.metadata["peak"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * UNIT
        nbformat.write(notebook, result)


if __name__ == "__main__":
    main(*sys.argv[1:])
