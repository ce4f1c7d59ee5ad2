"""What the parts of a running server tell whoever watches: numbers for `engine.metrics`, spans for `engine.tracing`.

It must not change what happens: nobody waits for an observer, none may raise, and none keeps what people wrote.

An observer reads its own clocks, so that the parts that tell it need none. Everything is told from the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from engine.core.model import Decision
from engine.storage.base import Entry, Fault, OutboxMessage

Door = Literal["websocket", "http", "application"]
Transport = Literal["websocket", "stream", "poll"]
How = Literal["pushed", "waiting", "again"]
Scope = Literal["client", "user", "address", "user_connections", "connections", "messages", "memory"]
Reload = Literal["changed", "unchanged", "failed"]
Asked = Literal["ok", "failed", "timeout", "cancelled", "refused"]
Work = Literal["checkpoint", "retention", "vacuum", "backup", "erase"]

# The header ``traceparent`` of the request that is being handled: it belongs to all that its body says.
REQUEST_PARENT: ContextVar[str] = ContextVar("traceparent", default="")

Trace = Any  # what an observer wants to be given back with the turn; None where nobody traces


@dataclass(slots=True)
class TurnTold:
    """A turn that is durable. ``requests`` were taken in together, ``receipts`` are the driver's own among ``entries``.

    ``due_at``: the earliest timer that was due in it, microseconds UTC; None where none was. ``traces`` are those of
    its requests that have one, with the ids of what became of them.
    """

    entries: Sequence[Entry]
    decisions: Sequence[Decision]
    faults: Sequence[Fault]
    outbox: Sequence[OutboxMessage]
    requests: int = 0
    due_at: int | None = None
    traces: Sequence[tuple[Trace, Sequence[str]]] = ()


class Observer:
    """Hears everything and makes nothing of it. Whoever wants to know something overrides what tells of it."""

    # Connections.

    def connected(self, transport: Transport, level: int) -> None:
        """A connection is open; ``level`` of the protocol, 0 until it says hello (then `levelled`)."""

    def levelled(self, transport: Transport) -> None:
        """A connection that counted as level 0 has said hello: it is one of level 1 from now on."""

    def disconnected(self, transport: Transport, level: int) -> None: ...

    def closed(self, code: int) -> None:
        """A WebSocket connection has ended with this code, whoever closed it (RFC 6455, section 7.4)."""

    def frames_in(self, transport: Door | Transport, count: int = 1) -> None: ...

    def frames_out(self, transport: Door | Transport, count: int = 1) -> None: ...

    def session_began(self, *, resumed: bool) -> None: ...

    # What comes in.

    def taken_in(self, door: Door, events: int, parent: str = "") -> Trace:
        """So many events were read out of a frame or a body and wait for their turn.

        ``parent`` is the sender's own ``traceparent`` (W3C Trace Context), whatever it may hold; `REQUEST_PARENT`
        stands in for "". What is returned goes along with the request, to `TurnTold.traces` and to `acknowledged`.
        """
        return None

    def acknowledged(self, trace: Trace, *, ok: bool = True) -> None:
        """What was taken in has been answered: it is durable, or where not ``ok``, it did not happen."""

    def repeated(self, events: int) -> None:
        """Events with ids that had happened already: acknowledged, and not handled again."""

    def refused(self, code: str) -> None:
        """A client was told this error code of the protocol."""

    def rate_limited(self, scope: Scope, count: int = 1) -> None:
        """Something was refused because it was too much, besides `refused`; or of messages, put off.

        ``scope``: events of a client or a user, connections from an address, of a user or of all, messages of all.
        """

    # Turns. One is made at a time, in this order: taken, (committing, committed or commit_failed) and again, done.

    def turn_taken(self, entries: int, since_s: float = 0.0) -> None:
        """``since_s``: how many seconds ago, where whoever makes it finds out in the middle how much it is."""

    def committing(self) -> None: ...

    def committed(self) -> None: ...

    def commit_failed(self, *, again: bool) -> None:
        """A try of the turn failed; ``again``: there will be another, else its inputs are refused."""

    def turn_done(self, turn: TurnTold) -> None: ...

    # Messages.

    def queued(self, messages: Sequence[OutboxMessage], how: How) -> None:
        """Each was put into the queue of at least one connection (or into a reply) just now.

        ``pushed``: right after its turn. ``waiting``: it had waited for somebody to come. ``again``: it was sent
        before, on a connection that broke.
        """

    def arrived(self, messages: Sequence[OutboxMessage]) -> None:
        """A client said for the first time that it has received these."""

    # Whoever writes messages.

    def responder(self, outcome: Asked, seconds: float) -> None:
        """A chat message was answered, or was not."""

    def composed(self, outcome: Asked, seconds: float) -> None:
        """A rule's message was written by the responder, or was not and says its plain text."""

    # Rules and store.

    def rules_hold(self, ids: Sequence[str]) -> None:
        """These rules hold from now on, in their order. Told at the start and after every change."""

    def reloaded(self, outcome: Reload, seconds: float) -> None: ...

    def store_trouble(self, why: str | None) -> None:
        """The store cannot be written to, and why; None once it can be again. The same may be told repeatedly."""

    def store_worked(self, work: Work, seconds: float, *, ok: bool = True) -> None:
        """Upkeep of the store has been done, or was tried."""


TOLD = tuple(name for name in vars(Observer) if not name.startswith("_"))
SILENT = Observer()


class Several(Observer):
    """Tells several observers what it is told. What only one of them wants to know goes straight to that one.

    Each gets its own trace back.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)
        for name in TOLD:
            if name in ("taken_in", "acknowledged", "turn_done"):
                continue
            concerned = [one for one in observers if getattr(type(one), name) is not getattr(Observer, name)]
            if len(concerned) == 1:
                setattr(self, name, getattr(concerned[0], name))
            elif concerned:
                setattr(self, name, _to_all([getattr(one, name) for one in concerned]))

    def taken_in(self, door: Door, events: int, parent: str = "") -> Trace:
        return tuple([one.taken_in(door, events, parent) for one in self._observers])

    def acknowledged(self, trace: Trace, *, ok: bool = True) -> None:
        for one, own in zip(self._observers, trace or [None] * len(self._observers), strict=True):
            one.acknowledged(own, ok=ok)

    def turn_done(self, turn: TurnTold) -> None:
        for place, one in enumerate(self._observers):
            traces = [(trace[place], ids) for trace, ids in turn.traces if trace is not None]
            one.turn_done(
                TurnTold(turn.entries, turn.decisions, turn.faults, turn.outbox, turn.requests, turn.due_at, traces)
            )


def _to_all(methods: Sequence[Any]) -> Any:
    def tell(*args: Any, **named: Any) -> None:
        for method in methods:
            method(*args, **named)

    return tell
