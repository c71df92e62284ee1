"""Is everything here that the course needs? `dicmor doctor` in a shell; in a notebook:

>>> from dicmor_lib.doctor import doctor
>>> report = doctor()  # print it to see everything
>>> report.findings[0].what.split()[0]
'Python'

`facts` looks at the machine, `findings` judges what it saw. Neither needs torch, for torch may be what is broken.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dicmor_lib.doctor.facts import Facts, Package, gather
from dicmor_lib.doctor.findings import Finding, judge

__all__ = ["Facts", "Finding", "Package", "Report", "doctor", "gather", "judge"]

MARKS = {"ok": "ok", "note": "note", "problem": "PROBLEM"}


@dataclass(frozen=True)
class Report:
    """Everything that was found; `print` it.

    Attributes:
        findings: in the order in which they were checked.
    """

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether there is no problem; notes do not count."""
        return not self.problems

    @property
    def problems(self) -> list[Finding]:
        """The findings that must be mended."""
        return [finding for finding in self.findings if finding.level == "problem"]

    def __str__(self) -> str:
        lines = []
        for finding in self.findings:
            lines.append(f"{MARKS[finding.level]:8} {finding.what}")
            lines += [f"{'':8} -> {finding.remedy}"] if finding.remedy else []
        count = len(self.problems)
        verdict = (
            f"{count} problem{'s' * (count > 1)} to mend"
            if count
            else "everything that the course needs is here"
        )
        return "\n".join([*lines, "", verdict])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"healthy": self.healthy, "findings": [asdict(finding) for finding in self.findings]}


def doctor(out: str | Path = "runs") -> Report:
    """Look at this machine and this environment, in a few seconds.

    Args:
        out: folder that runs are to be written to.
    """
    return Report(tuple(judge(gather(out))))
