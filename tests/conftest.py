"""What every test can count on: seeded random numbers, one thread, and the real data where it is.

The real data lies beside the repository, in ../shared, and is no part of the project: tests that read it ask for
the fixtures `shared_data` or `shared_golden` and are skipped where it is absent. Where it is present and the
tests run for continuous integration (`CI` or `DICMOR_REQUIRE_SHARED=1` in the environment), such a skip is a
failure, so that a broken path cannot pass for a green run.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if WORKER:  # before torch is imported, and for the processes that the tests start
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

try:
    import hypothesis

    # Seeded like everything else, and a slow machine is not a bug.
    hypothesis.settings.register_profile("dicmor", derandomize=True, deadline=None, database=None)
    hypothesis.settings.load_profile("dicmor")
except ImportError:  # the tests that use it say so themselves
    pass

if WORKER:
    torch.set_num_threads(1)

SHARED = Path(__file__).resolve().parents[2] / "shared"
SHARED_FIXTURES = {"shared_data", "shared_golden"}
SKIPPED_SHARED: list[str] = []  # tests that should have read ../shared and did not
CHAPTER_TIMES: list[
    tuple[str, float, float, str]
] = []  # chapter, seconds, those of its slowest cell, its first line


def shared_is_required() -> bool:
    """Whether skipping a test that reads ../shared counts as a failure."""
    return SHARED.is_dir() and any(os.environ.get(name) for name in ("CI", "DICMOR_REQUIRE_SHARED"))


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from the same random state, whichever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real files; tests that ask for it are skipped where it is absent."""
    return _folder("data", "the real data in ../shared/data is not here (it is not part of the project)")


@pytest.fixture(scope="session")
def shared_golden() -> Path:
    """The folder of golden numbers; tests that ask for it are skipped where it is absent."""
    return _folder(
        "golden", "the golden numbers in ../shared/golden are not here (they are not part of the project)"
    )


def _folder(name: str, absent: str) -> Path:
    if not (SHARED / name).is_dir():
        pytest.skip(absent)
    return SHARED / name


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what reads ../shared, and skips what needs an accelerator where there is none."""
    no_gpu = pytest.mark.skip(reason="there is no CUDA accelerator on this machine")
    for item in items:
        if SHARED_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("shared")
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(no_gpu)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Notes the skipped; a lack of an accelerator is no fault, and an expected failure is no skip."""
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if skipped and "shared" in report.keywords and "gpu" not in report.keywords:
        SKIPPED_SHARED.append(report.nodeid)
    if report.when == "call":
        CHAPTER_TIMES.extend(tuple(value) for name, value in report.user_properties if name == "chapter")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails the run if a test that reads ../shared was skipped although ../shared is there."""
    if not WORKER and SKIPPED_SHARED and shared_is_required() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Lists the chapters' times, and says why the run failed; must stay in step with `pytest_sessionfinish`."""
    if CHAPTER_TIMES:
        terminalreporter.section("seconds per chapter (every cell: build/notebooks/*.times.json)")
        for chapter, seconds, slowest, line in sorted(CHAPTER_TIMES):
            terminalreporter.line(f"{seconds:7.1f}  {chapter:32} slowest cell {slowest:.1f}: {line[:60]}")
    if SKIPPED_SHARED and shared_is_required():
        terminalreporter.section("tests of the real data were skipped", red=True)
        terminalreporter.line(
            f"{SHARED} is here, yet {len(SKIPPED_SHARED)} test(s) that read it were skipped:"
        )
        for nodeid in SKIPPED_SHARED:
            terminalreporter.line(f"  {nodeid}")
        terminalreporter.line("The run counts as failed; the reasons stand in the summary below.")
