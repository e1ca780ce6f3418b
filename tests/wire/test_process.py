"""What a server says of itself to whoever started it."""

from __future__ import annotations

import io
import os
import sys
import threading

from katib_py.wire.process import announce


class Writes(io.RawIOBase):
    """A file that keeps what each write was given."""

    def __init__(self) -> None:
        self.all: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.all.append(bytes(data))
        return len(data)


def test_the_address_is_one_write_however_python_buffers(monkeypatch):
    """Two servers that share a log would mix their lines otherwise."""
    writes = Writes()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(writes, write_through=True))
    announce("unix:/a.sock", None, threading.Event())
    assert writes.all == [b"listening on unix:/a.sock\n"]


def test_the_server_ends_with_the_last_holder_of_its_pipe(capsys):
    reading, writing = os.pipe()
    ended = threading.Event()
    announce("unix:/a.sock", reading, ended)
    assert not ended.wait(0.05)
    os.close(writing)
    assert ended.wait(30)
    os.close(reading)
    assert capsys.readouterr().out == f"listening on unix:/a.sock (pid {os.getpid()})\n"
