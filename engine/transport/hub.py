"""Who is connected, and what is on its way to whom: clients to connections, each with a bounded queue.

It writes to no socket: a driver takes frames out of a connection's `Outgoing`. Everything here is synchronous
and belongs to one event loop.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable

from engine.storage.base import OutboxMessage
from engine.transport.wire import FrameType, encode, message_frame

QUEUE_MAX = 256  # frames that wait for one connection
HANDED_MAX = 1024  # ids of messages per connection by which a message on its way twice is recognised
HTTP_SEEN_S = 600.0  # how long a client that speaks over HTTP counts as there
HTTP_CLIENTS_MAX = 10_000

SLOW_CONSUMER_CODE = 4002
SLOW_CONSUMER_REASON = '{"code":"slow_consumer","retryAfter":1}'


class Outgoing:
    """The frames on their way to one connection. When ``frames_max`` wait, the oldest notification goes.

    Where none waits and the new frame is one, that one is not taken; for any other the connection is closed
    as a slow consumer: a reader that falls behind by so much will not catch up.
    """

    def __init__(self, frames_max: int = QUEUE_MAX) -> None:
        self.frames_max = frames_max
        self.clients: dict[str, None] = {}
        self.closing: tuple[int, str] | None = None
        self.dropped = 0
        self._closed = asyncio.Event()
        self._waiting: deque[tuple[str, bool]] = deque()
        self._handed: OrderedDict[str, None] = OrderedDict()
        self._some = asyncio.Event()

    def put(self, text: str, *, droppable: bool = False) -> bool:
        """Queue a frame. False where it was not taken, because the connection is closing or behind."""
        if self.closing is not None:
            return False
        if len(self._waiting) >= self.frames_max and not self._make_room(droppable):
            return False
        self._waiting.append((text, droppable))
        self._some.set()
        return True

    def reply(self, frame: FrameType) -> bool:
        return self.put(encode(frame))

    def hand(self, outgoing: OutboxMessage, text: str) -> bool:
        """Queue a message, once: False where it was not taken, True also where it is on its way already."""
        if outgoing.message.id in self._handed:
            return True
        if not self.put(text, droppable=outgoing.message.type == "notification"):
            return False
        self._handed[outgoing.message.id] = None
        if len(self._handed) > HANDED_MAX:
            self._handed.popitem(last=False)
        return True

    async def take(self) -> str:
        """The next frame, when there is one."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        return self._waiting.popleft()[0]

    def close(self, code: int, reason: str = "") -> None:
        """Ask the driver to close the connection, after what is already queued."""
        if self.closing is None:
            self.closing = (code, reason)
            self._closed.set()

    async def wait_closed(self) -> None:
        """Returns when `close` has been called, by whomever."""
        await self._closed.wait()

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    def __len__(self) -> int:
        return len(self._waiting)

    def _make_room(self, droppable: bool) -> bool:
        for place, (_, is_notification) in enumerate(self._waiting):
            if is_notification:
                del self._waiting[place]
                self.dropped += 1
                return True
        if not droppable:
            self._waiting.clear()
            self.close(SLOW_CONSUMER_CODE, SLOW_CONSUMER_REASON)
        return False


class Hub:
    """The connections of this process. ``clock`` is monotonic, in seconds; it dates HTTP clients only."""

    def __init__(self, clock: Callable[[], float], frames_max: int = QUEUE_MAX) -> None:
        self._clock = clock
        self._frames_max = frames_max
        self._connections: dict[str, Outgoing] = {}
        self._by_client: dict[str, dict[str, Outgoing]] = {}
        self._http_seen: OrderedDict[str, float] = OrderedDict()

    def connect(self, connection: str) -> Outgoing:
        outgoing = Outgoing(self._frames_max)
        self._connections[connection] = outgoing
        return outgoing

    def identify(self, connection: str, client: str) -> None:
        """From now on the connection gets what is for ``client``, besides what it got before."""
        outgoing = self._connections[connection]
        outgoing.clients[client] = None
        self._by_client.setdefault(client, {})[connection] = outgoing

    def disconnect(self, connection: str) -> None:
        outgoing = self._connections.pop(connection, None)
        if outgoing is None:
            return
        for client in outgoing.clients:
            of_client = self._by_client[client]
            del of_client[connection]
            if not of_client:
                del self._by_client[client]

    def saw_over_http(self, client: str) -> None:
        self._http_seen[client] = self._clock()
        self._http_seen.move_to_end(client)
        if len(self._http_seen) > HTTP_CLIENTS_MAX:
            self._http_seen.popitem(last=False)

    def deliver(self, messages: list[OutboxMessage]) -> list[str]:
        """Hand messages to every connection of their users; the ids of those that at least one has taken."""
        handed = []
        for outgoing in messages:
            connections = self._by_client.get(outgoing.user)
            if connections and _hand_to_all(outgoing, list(connections.values())):
                handed.append(outgoing.message.id)
        return handed

    def hand(self, connection: str, messages: list[OutboxMessage]) -> list[str]:
        """Hand messages to this one connection; the ids of those it has taken."""
        target = self._connections.get(connection)
        if target is None:
            return []
        return [outgoing.message.id for outgoing in messages if _hand_to_all(outgoing, [target])]

    def broadcast_to_unnamed(self, frame: FrameType, *, droppable: bool = False) -> int:
        """Hand a frame to the connections that have not said who they are. To how many, is returned."""
        text = encode(frame)
        unnamed = [outgoing for outgoing in self._connections.values() if not outgoing.clients]
        return sum(outgoing.put(text, droppable=droppable) for outgoing in unnamed)

    def is_connected(self, client: str) -> bool:
        return client in self._by_client

    def clients(self) -> list[str]:
        """Everybody who is there: connected, or seen over HTTP within `HTTP_SEEN_S`."""
        since = self._clock() - HTTP_SEEN_S
        while self._http_seen and next(iter(self._http_seen.values())) <= since:
            self._http_seen.popitem(last=False)
        return list(dict.fromkeys([*self._by_client, *self._http_seen]))

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    def close_all(self, code: int, reason: str) -> None:
        for outgoing in list(self._connections.values()):
            outgoing.close(code, reason)


def _hand_to_all(outgoing: OutboxMessage, connections: list[Outgoing]) -> bool:
    """True where at least one has taken it. Encoded once, for however many connections."""
    frame = message_frame(outgoing)
    text = encode(frame)
    taken = False
    for connection in connections:
        # Who speaks for several has to be told whose message it is.
        addressed = encode({**frame, "clientId": outgoing.user}) if len(connection.clients) > 1 else text
        taken = connection.hand(outgoing, addressed) or taken
    return taken
