"""The WebSocket door: listens, keeps the connections, and looks at all of them now and then.

It reads no bytes: a `Connection` does that, and its peer decides what they mean.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from engine.observer import SILENT, Observer
from engine.transport.connection import Connection, Peer
from engine.transport.deadlines import Deadlines, Rounds
from engine.transport.handshake import AllowsOrigin
from engine.transport.limits import Refusal

BACKLOG = 2048  # connections that wait to be accepted: all who come back at once after a restart
ROUND_STEPS = 16  # in which all connections have been visited, once per heartbeat
LOOKS_PER_SPAN = 8  # how exactly the shortest of the times is kept
FAREWELL_S = 10.0  # for the ends of sessions to be stored when the door closes
GOING_AWAY = (1001, '{"code":"going_away","retryAfter":1}')

# Of the address, the credentials, and what to call when there is something to write.
OpenPeer = Callable[[str, str | None, Callable[[], None]], Peer]

log = structlog.get_logger("proactive")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may take, in seconds.

    ``heartbeat_s``: a control ping goes out so often, and who is silent for two of them is gone. ``handshake_s``: from
    the connection to the end of the request. ``message_s``: from the first byte of a message to its last.
    ``closing_s``: to take what was queued and agree to a closing; then the line is cut.
    """

    heartbeat_s: float = 20.0
    handshake_s: float = 10.0
    message_s: float = 20.0
    closing_s: float = 2.0


def admit_all(address: str) -> Refusal | None:
    return None


def released_nothing(address: str) -> None:
    return None


class WebSocketDoor:
    """Listens from `open` to `close`.

    ``admit`` is asked of every connection by its address before anything is read; who is not refused is ``released``
    once. ``frame_bytes_max`` is of a whole message: beyond, a connection is closed with 1009.
    """

    def __init__(
        self,
        open_peer: OpenPeer,
        *,
        allows_origin: AllowsOrigin,
        frame_bytes_max: int,
        patience: Patience | None = None,
        admit: Callable[[str], Refusal | None] = admit_all,
        released: Callable[[str], None] = released_nothing,
        observer: Observer = SILENT,
    ) -> None:
        self.open_peer = open_peer
        self.allows_origin = allows_origin
        self.frame_bytes_max = frame_bytes_max
        self.admit = admit
        self.released = released
        self.observer = observer
        self.loop: asyncio.AbstractEventLoop
        patience = patience or Patience()
        self.messages: Deadlines[Connection] = Deadlines(patience.message_s)
        self.closings: Deadlines[Connection] = Deadlines(patience.closing_s)
        self._handshakes: Deadlines[Connection] = Deadlines(patience.handshake_s)
        self._rounds: Rounds[Connection] = Rounds(ROUND_STEPS)
        self._step_s = patience.heartbeat_s / ROUND_STEPS
        self._look_s = min(patience.handshake_s, patience.message_s, patience.closing_s) / LOOKS_PER_SPAN
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._connections: dict[Connection, None] = {}
        self._to_flush: deque[Connection] = deque()
        self._farewells: set[asyncio.Task[None]] = set()
        self._emptied = asyncio.Event()
        self._is_closing = False
        self._listener: asyncio.Server | None = None

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """The port that is listened on (``port``, or a free one for 0). Raises OSError."""
        self.loop = asyncio.get_running_loop()
        self._listener = await self.loop.create_server(
            lambda: Connection(self),
            host,
            port,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else self._handshakes.span_s,
            backlog=BACKLOG,
        )
        self._look()
        self._visit()
        return int(self._listener.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take nobody new, and say goodbye to who is there. Their sessions stay open: they will be back."""
        if self._listener is None:
            return
        self._is_closing = True
        self._listener.close()
        for connection in list(self._connections):
            connection.go_away(*GOING_AWAY)
        # Those who do not answer are cut off by `_look`, within `closing_s` and a little.
        if self._connections:
            self._emptied.clear()
            await self._emptied.wait()
        for timer in self._timers.values():
            timer.cancel()
        if self._farewells:
            _, late = await asyncio.wait(self._farewells, timeout=FAREWELL_S)
            for task in late:
                task.cancel()
            if late:
                log.error("! ends of sessions not stored", count=len(late), within_s=FAREWELL_S)
        await self._listener.wait_closed()
        self._listener = None

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    # What connections call.

    def arrived(self, connection: Connection) -> None:
        self._connections[connection] = None
        self._handshakes.begin(connection, self.loop.time())
        if self._is_closing:
            # It was accepted before, and has come to the end of its TLS handshake now: nobody would tell it to go.
            connection.hang_up()

    def opened(self, connection: Connection) -> None:
        self._handshakes.end(connection)
        self._rounds.add(connection)

    def left(self, connection: Connection, peer: Peer | None, code: int) -> None:
        del self._connections[connection]
        for deadlines in (self._handshakes, self.messages, self.closings):
            deadlines.end(connection)
        if peer is not None:
            self._rounds.remove(connection)
            self.observer.closed(code)
            farewell = self.loop.create_task(_farewell(peer, code))
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)
        if not self._connections:
            self._emptied.set()

    def flush_soon(self, connection: Connection) -> None:
        """In this turn of the loop, together with whatever else there is to write until then."""
        if not self._to_flush:
            self.loop.call_soon(self._flush)
        self._to_flush.append(connection)

    def _flush(self) -> None:
        try:
            for _ in range(len(self._to_flush)):
                self._to_flush.popleft().flush()
        finally:
            # Some have been woken meanwhile; or one has failed, and the others must not suffer for it.
            if self._to_flush:
                self.loop.call_soon(self._flush)

    def _look(self) -> None:
        now = self.loop.time()
        for connection in self._handshakes.due(now):
            connection.hang_up()
        for connection in self.messages.due(now):
            connection.message_is_late()
        for connection in self.closings.due(now):
            connection.hang_up()
        self._timers["look"] = self.loop.call_later(self._look_s, self._look)

    def _visit(self) -> None:
        for connection in self._rounds.step():
            connection.visit()
        self._timers["visit"] = self.loop.call_later(self._step_s, self._visit)


async def _farewell(peer: Peer, code: int) -> None:
    await peer.gone(code)
