"""A door in front of a server's door that can be shut: connections through it break, and new ones are refused."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

from backend_process import free_port

# Closing sends a reset at once, as the end of a process does.
AT_ONCE = struct.pack("ii", 1, 0)


class Tunnel:
    """Open from the start; ``open`` after ``shut`` is at the same port."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = free_port()
        self._ends: list[socket.socket] = []
        self._door: socket.socket | None = None
        self.open()

    def open(self) -> None:
        door = socket.create_server(("127.0.0.1", self.port))
        self._door = door
        threading.Thread(target=self._let_in, args=[door], daemon=True).start()

    def shut(self) -> None:
        door, self._door = self._door, None
        if door is None:
            return
        with suppress(OSError):
            door.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits there
        door.close()
        ends, self._ends = self._ends, []
        for one in ends:
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _let_in(self, door: socket.socket) -> None:
        while True:
            try:
                near, _ = door.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            self._ends += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_carry, args=[source, sink], daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
