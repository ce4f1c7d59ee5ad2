"""The frames on their way to one connection: a bounded queue, with a policy for who reads slowly. No socket here."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Protocol

from engine.storage.base import OutboxMessage
from engine.transport.wire import FrameType, encode

QUEUE_MAX = 256  # frames that wait for one connection
BEYOND_MAX = 512  # frames that may wait besides, of those that were owed before: more than a session can owe
HANDED_MAX = 1024  # ids of messages per connection by which a message on its way twice is recognised

GOING_AWAY = (1001, '{"code":"going_away","retryAfter":1}')
SLOW_CONSUMER_CODE = 4002
SLOW_CONSUMER_REASON = '{"code":"slow_consumer","retryAfter":1}'


class Late(Protocol):
    """A frame whose text is made when it is written; None where there is nothing to write any more."""

    def text(self) -> str | None: ...


class Outgoing:
    """When ``frames_max`` wait, the oldest notification goes.

    Where none waits and the new frame is one, that one is not taken; for any other the connection is closed
    as a slow consumer: a reader that falls behind by so much will not catch up. What was owed already when the
    connection came does not count, or whoever is owed more could never take it up. ``wake`` is called when there is
    something to write, or the connection is to be closed; it may be called when there is nothing new.
    ``clients`` are those that a plain connection has named; ``is_named`` says that it is known who it is.
    """

    __slots__ = ("_beyond", "_handed", "_waiting", "clients", "closing", "dropped", "frames_max", "is_named", "wake")

    def __init__(self, frames_max: int = QUEUE_MAX, wake: Callable[[], None] | None = None) -> None:
        self.frames_max = frames_max
        self.wake = wake
        self.clients: dict[str, None] = _NOBODY
        self.is_named = False
        self.closing: tuple[int, str] | None = None
        self.dropped = 0
        self._beyond = 0  # places besides; one less with each frame that is taken
        # Most connections wait for nothing most of the time, and an empty deque takes 600 bytes.
        self._waiting: deque[tuple[str | Late, bool]] | None = None
        self._handed: OrderedDict[str, None] | None = None

    def name(self, client: str) -> None:
        """A plain connection speaks for this client."""
        self.clients = {**self.clients, client: None}
        self.is_named = True

    def unname(self, client: str) -> None:
        """It speaks for this client no more; that it has named somebody stays true."""
        self.clients = {name: None for name in self.clients if name != client}

    def put(self, frame: str | Late, *, droppable: bool = False, was_owed: bool = False) -> bool:
        """Queue a frame. False where it was not taken, because the connection is closing or behind.

        ``was_owed``: it takes no place, as one of `BEYOND_MAX`.
        """
        if self.closing is not None:
            return False
        if self._waiting is None:
            self._waiting = deque()
        if was_owed and self._beyond < BEYOND_MAX:
            self._beyond += 1
        if len(self._waiting) >= self.frames_max + self._beyond and not self._make_room(droppable):
            return False
        self._waiting.append((frame, droppable))
        if self.wake is not None:
            self.wake()
        return True

    def reply(self, frame: FrameType) -> bool:
        return self.put(encode(frame))

    def hand(self, outgoing: OutboxMessage, text: str) -> bool:
        """Queue a message, once: False where it was not taken, True also where it is on its way already."""
        if self._handed is None:
            self._handed = OrderedDict()
        if outgoing.message.id in self._handed:
            return True
        if not self.put(text, droppable=outgoing.message.type == "notification"):
            return False
        self._handed[outgoing.message.id] = None
        if len(self._handed) > HANDED_MAX:
            self._handed.popitem(last=False)
        return True

    def take_nowait(self) -> str | None:
        """The text of the next frame, None where none waits."""
        while self._waiting:
            frame, _ = self._waiting.popleft()
            self._beyond = max(self._beyond - 1, 0)
            text = frame if isinstance(frame, str) else frame.text()
            if text is not None:
                return text
        self._waiting = None
        return None

    def close(self, code: int, reason: str = "") -> None:
        """Ask the door to close the connection, after what is already queued."""
        if self.closing is None:
            self.closing = (code, reason)
            if self.wake is not None:
                self.wake()

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    def __len__(self) -> int:
        return len(self._waiting or ())

    def _make_room(self, droppable: bool) -> bool:
        assert self._waiting is not None
        for place, (_, is_notification) in enumerate(self._waiting):
            if is_notification:
                del self._waiting[place]
                self.dropped += 1
                return True
        if droppable:
            self.dropped += 1
        else:
            self._waiting.clear()
            self.close(SLOW_CONSUMER_CODE, SLOW_CONSUMER_REASON)
        return False


_NOBODY: dict[str, None] = {}
