"""Who is connected: plain clients to their connections. Clients of level 1 have sessions instead: see `sessions`.

It writes to no socket: a door takes frames out of a connection's `Outgoing`. Everything here is synchronous
and belongs to one event loop.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import chain

from engine.core.model import ANSWER_TYPE
from engine.storage.base import OutboxMessage
from engine.transport.outgoing import QUEUE_MAX, SLOW_CONSUMER_CODE, SLOW_CONSUMER_REASON, Outgoing
from engine.transport.wire import FrameType, encode, message_frame

HTTP_SEEN_S = 600.0  # how long a client that speaks over HTTP counts as there
HTTP_CLIENTS_MAX = 10_000


class Hub:
    """The connections of this process. ``clock`` is monotonic, in seconds; it dates HTTP clients only."""

    def __init__(self, clock: Callable[[], float], frames_max: int = QUEUE_MAX) -> None:
        self._clock = clock
        self.frames_max = frames_max
        self._connections: dict[str, Outgoing] = {}
        self._by_client: dict[str, dict[str, Outgoing]] = {}
        self._http_seen: OrderedDict[str, float] = OrderedDict()
        self._streams: set[Outgoing] = set()
        self._dropped = 0  # frames for which connections that are gone had no room

    def connect(self, connection: str, outgoing: Outgoing | None = None) -> Outgoing:
        """A connection is there, of whatever level."""
        outgoing = Outgoing(self.frames_max) if outgoing is None else outgoing
        self._connections[connection] = outgoing
        return outgoing

    def identify(self, connection: str, client: str) -> None:
        """From now on the connection gets what is for ``client``, besides what it got before."""
        outgoing = self._connections[connection]
        outgoing.name(client)
        self._by_client.setdefault(client, {})[connection] = outgoing

    def disconnect(self, connection: str) -> None:
        outgoing = self._connections.pop(connection, None)
        if outgoing is None:
            return
        self._dropped += outgoing.dropped
        for client in outgoing.clients:
            of_client = self._by_client[client]
            del of_client[connection]
            if not of_client:
                del self._by_client[client]

    def stream_began(self, outgoing: Outgoing) -> None:
        """Frames wait for a stream as well, to which sessions alone hand anything: it is in the figures alone."""
        self._streams.add(outgoing)

    def stream_ended(self, outgoing: Outgoing) -> None:
        self._streams.discard(outgoing)
        self._dropped += outgoing.dropped

    def saw_over_http(self, client: str) -> None:
        self._http_seen[client] = self._clock()
        self._http_seen.move_to_end(client)
        if len(self._http_seen) > HTTP_CLIENTS_MAX:
            self._http_seen.popitem(last=False)

    def deliver(self, messages: list[OutboxMessage]) -> list[str]:
        """Hand messages to every connection of their users; the ids of those that at least one has taken."""
        handed = []
        for outgoing in messages:
            if outgoing.message.type == ANSWER_TYPE:
                continue  # of a session; a plain client of the same name gets its own at once, and nothing keeps those
            # A plain client is a user of its own; one that is named must be this one.
            connections = self._by_client.get(outgoing.user) if outgoing.client in ("", outgoing.user) else None
            if connections and _hand_to_all(outgoing, list(connections.values())):
                handed.append(outgoing.message.id)
        return handed

    def hand(self, connection: str, messages: list[OutboxMessage]) -> list[str]:
        """Hand messages to this one connection; the ids of those it has taken.

        Where there are more than may wait for it, it is closed behind those, for the rest is for the next.
        """
        target = self._connections.get(connection)
        taken: list[str] = []
        if target is None:
            return taken
        for outgoing in messages:
            if len(target) >= target.frames_max:
                # To push on would throw out what has been called taken.
                target.close(SLOW_CONSUMER_CODE, SLOW_CONSUMER_REASON)
                break
            if _hand_to_all(outgoing, [target]):
                taken.append(outgoing.message.id)
        return taken

    def broadcast_to_unnamed(self, frame: FrameType, *, droppable: bool = False) -> int:
        """Hand a frame to the connections that have not said who they are. To how many, is returned."""
        text = encode(frame)
        unnamed = [outgoing for outgoing in self._connections.values() if not outgoing.is_named]
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

    def of_client(self, client: str) -> list[Outgoing]:
        return list(self._by_client.get(client, {}).values())

    def forget(self, client: str) -> list[Outgoing]:
        """Nobody goes by that name any more; the connections that did, to be closed."""
        connections = list(self._by_client.pop(client, {}).values())
        for outgoing in connections:
            outgoing.unname(client)
        self._http_seen.pop(client, None)
        return connections

    def queued(self) -> tuple[int, int]:
        """Frames that wait, of all connections and streams together and of the one with most."""
        depths = [len(outgoing) for outgoing in self._queues() if not outgoing.is_empty]
        return sum(depths), max(depths, default=0)

    @property
    def dropped(self) -> int:
        """Frames that were given up because who was to have them reads too slowly, since the start."""
        return self._dropped + sum(outgoing.dropped for outgoing in self._queues())

    def _queues(self) -> Iterator[Outgoing]:
        return chain(self._connections.values(), self._streams)

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
