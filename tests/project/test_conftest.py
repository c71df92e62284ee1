"""The rules of tests/conftest.py: skips with a plain reason, and no silent skip of the real data."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"

READS_SHARED = """
    import pytest
    def test_data(shared_data):
        assert (shared_data / "clips.txt").read_text() == "three clips"
    def test_plain():
        assert True
    @pytest.mark.gpu
    def test_on_gpu(shared_data):
        assert False, "must not run without an accelerator"
"""


@pytest.fixture
def clone(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project of one test file with our conftest, in a folder of its own; ../shared does not exist yet."""
    for name in ("CI", "DICMOR_REQUIRE_SHARED", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # the same for the processes of pytest-xdist
    tests = pytester.path / "repo" / "tests"
    tests.mkdir(parents=True)
    (tests / "conftest.py").write_text(CONFTEST.read_text(encoding="utf-8"), encoding="utf-8")
    (tests.parent / "pytest.ini").write_text("[pytest]\nmarkers =\n  gpu:\n  shared:\n  slow:\n")
    pytester.makepyfile(**{"repo/tests/test_reads": READS_SHARED})
    monkeypatch.chdir(tests.parent)
    return pytester


def add_shared(clone: pytest.Pytester) -> None:
    data = clone.path / "shared" / "data"
    data.mkdir(parents=True)
    (data / "clips.txt").write_text("three clips")


def run(clone: pytest.Pytester, *options: str) -> pytest.RunResult:
    return clone.runpytest_inprocess("-rs", "-p", "no:cacheprovider", "-p", "no:randomly", *options, "tests")


@pytest.mark.parametrize("ci", [False, True])
def test_absent_shared_skips_with_a_plain_reason(clone, monkeypatch, ci):
    if ci:
        monkeypatch.setenv("CI", "true")
    result = run(clone)
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(
        ["*the real data in ../shared/data is not here (it is not part of the project)*"]
    )
    result.stdout.fnmatch_lines(["*there is no CUDA accelerator on this machine*"])
    assert result.ret == 0


def test_present_shared_is_read(clone, monkeypatch):
    monkeypatch.setenv("CI", "true")
    add_shared(clone)
    result = run(clone)
    result.assert_outcomes(passed=2, skipped=1)  # only the one for the accelerator
    assert result.ret == 0


@pytest.mark.parametrize(
    ("variable", "workers"), [("CI", ()), ("DICMOR_REQUIRE_SHARED", ("-n", "1"))], ids=["alone", "xdist"]
)
def test_skipping_present_shared_fails_where_it_is_required(clone, monkeypatch, variable, workers):
    monkeypatch.setenv(variable, "1")
    (clone.path / "shared").mkdir()  # but no data in it
    result = run(clone, *workers)
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["*shared is here, yet 1 test(s) that read it were skipped:", "*test_data"])
    assert result.ret == 1


def test_skipping_present_shared_passes_elsewhere(clone):
    (clone.path / "shared").mkdir()
    assert run(clone).ret == 0


def test_marker_is_set_before_selection(clone):
    add_shared(clone)
    run(clone, "-m", "shared and not gpu").assert_outcomes(passed=1, deselected=2)


def test_each_test_starts_from_the_same_random_state(clone):
    clone.makepyfile(
        **{
            "repo/tests/test_seeds": """
            import random, numpy as np, pytest, torch
            seen = []
            @pytest.mark.parametrize("turn", range(2))
            def test_draw(turn):
                seen.append((random.random(), np.random.rand(), torch.rand(()).item()))
                assert seen[0] == seen[-1] and len(seen) == turn + 1
        """
        }
    )
    run(clone, "-k", "draw").assert_outcomes(passed=2, deselected=3)
