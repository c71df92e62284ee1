"""For a Python that has this folder on PYTHONPATH, no address but loopback can be reached, and no name looked up."""

import errno
import socket

_connect, _connect_ex, _lookup = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
_HERE = ("127.", "::1", "localhost")


def _check(address: object) -> None:
    if isinstance(address, tuple) and not str(address[0]).startswith(_HERE):
        raise OSError(errno.ENETUNREACH, f"Network is unreachable: {address[0]}")


def _refusing(call):  # type: ignore[no-untyped-def]
    def connect(self, address):  # type: ignore[no-untyped-def]
        _check(address)
        return call(self, address)

    return connect


def _look_up(host, *arguments, **options):  # type: ignore[no-untyped-def]
    _check((host or "localhost",))
    return _lookup(host, *arguments, **options)


socket.socket.connect, socket.socket.connect_ex = _refusing(_connect), _refusing(_connect_ex)
socket.getaddrinfo = _look_up
