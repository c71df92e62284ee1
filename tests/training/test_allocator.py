"""Freed memory stays with the process, and the C library is looked up once."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from dicmor_lib.training import allocator
from dicmor_lib.training.allocator import keep_freed_memory

HELD = """
import sys, torch
from dicmor_lib.bench.memory import resident_memory
from dicmor_lib.training.allocator import keep_freed_memory

assert sys.argv[1] == "default" or keep_freed_memory()
before = resident_memory()
blocks = [torch.ones(1_000_000) for _ in range(50)]
full = resident_memory() - before
del blocks
print(full, resident_memory() - before)
"""


@pytest.fixture
def fresh():
    """The function with nothing remembered, before and after."""
    keep_freed_memory.cache_clear()
    yield keep_freed_memory
    keep_freed_memory.cache_clear()


@pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="sets glibc's allocator"
)
def test_freed_memory_stays_with_the_process():
    """200 MB taken and freed: glibc's default gives nearly all of it back to the system."""
    for how, share in (("keep", 1.0), ("default", 0.0)):
        said = subprocess.run([sys.executable, "-c", HELD, how], capture_output=True, check=True).stdout
        full, held = map(float, said.split())
        assert full == pytest.approx(200, abs=20)
        assert held == pytest.approx(share * full, abs=20), how


def test_another_c_library_is_left_alone(fresh, monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(allocator.ctypes, "CDLL", None)  # would be called
    assert fresh() is False


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="sets glibc's allocator")
def test_the_c_library_is_opened_once_in_a_process(fresh, monkeypatch):
    """A command that runs after others opens no library: it does so where hostile files are read, too."""
    assert fresh()
    monkeypatch.setattr(allocator.ctypes, "CDLL", None)  # would be called
    assert fresh()
