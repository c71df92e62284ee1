"""One measurement in a fresh process: `python -m dicmor_lib.bench.worker JOB`, with the job and the answer in JSON.

Torch comes first and alone, so that memory is counted from the interpreter with torch imported.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch

from dicmor_lib.bench.memory import resident_memory


def main() -> None:
    """Do the job of the command line and print the answer as the last line."""
    before = resident_memory()
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    print(json.dumps(do(job, before)), flush=True)


def do(job: dict[str, Any], memory_before: float) -> dict[str, Any]:
    """The result of a job: "case", "curve", "profile" or "store" (see `suite`)."""
    from dicmor_lib.bench.cases import Case

    if job["job"] == "case":
        from dicmor_lib.bench.measure import measure

        return measure(Case(**job["case"]), job["seconds"], job["rounds"], memory_before)
    if job["job"] == "curve":
        from dicmor_lib.bench.scaling import curve

        return curve(job["preset"], job["device"], job["times"], job["batches"], job["rounds"])
    if job["job"] == "store":
        from dicmor_lib.bench.store import measure_in_scratch_folder

        return measure_in_scratch_folder(job["clips"])
    from dicmor_lib.bench.profiling import where_time_goes

    return where_time_goes(Case(**job["case"]), job["top"])


if __name__ == "__main__":
    main()
