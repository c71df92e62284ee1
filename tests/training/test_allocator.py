"""Freed memory is used again without asking the system for its pages."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from dicmor_lib.training import allocator
from dicmor_lib.training.allocator import keep_freed_memory

FAULTS = """
import resource, sys, torch
from dicmor_lib.training.allocator import keep_freed_memory

assert sys.argv[1] == "default" or keep_freed_memory()

def step():
    return sum(torch.ones(1_000_000).sum() for _ in [torch.ones(1_000_000) for _ in range(50)])  # 200 MB at once

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

step(), step()
before = faults()
step()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="sets glibc's allocator")
def test_a_second_step_finds_its_pages():
    """200 MB are 49,000 pages of 4 kB; the process under glibc's default asks for most of them again."""
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, check=True).stdout)
        for how in ("keep", "default")
    )
    assert kept < 1000 < given_back


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(allocator.ctypes, "CDLL", None)  # would be called
    assert keep_freed_memory() is False
