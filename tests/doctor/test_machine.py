"""What `dicmor doctor` sees of the machine: folders, memory, network."""

from __future__ import annotations

import socket
import sys

import pytest

from dicmor_lib.doctor import machine


def test_where_nothing_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    assert "file" in machine.writing_failure(tmp_path / "file" / "runs")
    assert machine.writing_failure(tmp_path / "runs") is None
    monkeypatch.setattr(machine.tempfile, "gettempdir", lambda: str(tmp_path / "gone"))
    assert "gone" in machine.writing_failure(tmp_path)


def test_memory_is_that_of_the_container_if_it_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_own_limits", list)
    (tmp_path / "meminfo").write_text("MemTotal: 8000000 kB\nMemAvailable:    4000000 kB\n")
    assert machine.free_memory(tmp_path, tmp_path) == 4_096_000_000
    (tmp_path / "memory.current").write_text("300000000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.free_memory(tmp_path, tmp_path) == 4_096_000_000
    (tmp_path / "memory.max").write_text("1000000000\n")
    assert machine.free_memory(tmp_path, tmp_path) == 700_000_000
    assert machine.free_memory(tmp_path / "no such folder", tmp_path) is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limits of this kind")
def test_memory_is_no_more_than_ulimit_leaves(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemAvailable: 4000000 kB\n")
    kinds = {machine.resource.RLIMIT_AS: 10**9, machine.resource.RLIMIT_DATA: machine.resource.RLIM_INFINITY}
    monkeypatch.setattr(machine.resource, "getrlimit", lambda kind: (kinds[kind],) * 2)
    assert machine.free_memory(tmp_path, tmp_path) == 10**9


def test_without_a_way_out_and_without_loopback(monkeypatch):
    assert machine.loopback_failure() is None

    def unreachable(*_: object, **__: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    monkeypatch.setattr(socket.socket, "connect", unreachable)
    assert machine.loopback_failure() == "Network is unreachable"
    assert not machine.has_network()


def test_looking_for_a_network_sends_nothing(monkeypatch):
    kinds = []
    connect = socket.socket.connect
    monkeypatch.setattr(
        socket.socket, "connect", lambda self, to: kinds.append((self.type, to[0])) or connect(self, to)
    )
    machine.has_network()
    assert kinds == [(socket.SOCK_DGRAM, "192.0.2.1")]  # connecting a datagram socket only looks up a route
