"""What a gateway tells the store: all that waits, in one call at a time. It hands nothing over and listens to nobody.

Beside what clients say these are its own receipts, which messages have reached all who are here, and which nobody
needs to be shown any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

import msgspec
import structlog

from engine.core.model import derive_id
from engine.inbox import DELIVERED, Inbox, Request
from engine.observer import Observer, Trace, TurnTold
from engine.stale import is_resumable
from engine.storage.base import Entry, OutboxMessage, StoreError, partition_of
from engine.storage.fleet import FleetStore, Presence, Taken

WITHDRAWN_MAX = 10_000  # messages that are to leave the outbox and have not yet; the oldest beyond it expire in it
SILENT_TOO_LONG = "this gateway was not heard of for too long; it says first that it is alive"
TOLD_AT_ONCE = 1_000  # messages of which the store is told in one call
KEPT_BACK_MAX = 10_000  # entries that wait for a primary that does not answer; what is beyond it is refused at once
OUT_OF_REACH = "the primary of the cluster that has this user does not answer"

log = structlog.get_logger("gateway")


class TakingIn:
    """``began`` is told which sessions have begun, once they have.

    ``retry_seconds``: between the tries of what happens once; anything else is refused at the first failure, for it may
    have happened. While ``is_silent`` nothing is told, for the gateway may go by another name by now.
    """

    def __init__(
        self, store: FleetStore, inbox: Inbox, observer: Observer, *, retry_seconds: Sequence[float],
        began: Callable[[list[Presence]], None], is_silent: Callable[[], bool] = lambda: False,
        seconds: Callable[[], float] = time.monotonic, kept_back_max: int = KEPT_BACK_MAX,
    ) -> None:  # fmt: skip
        self._store = store
        self._inbox = inbox
        self._observer = observer
        self._retry_seconds = retry_seconds
        self._began = began
        self._is_silent = is_silent
        self._seconds = seconds
        self._kept_back_max = kept_back_max
        # What is for primaries of a cluster that are gone, in its order, and until when it waits for them.
        self._kept_back: list[tuple[float, Request]] = []
        self._withdrawn: dict[str, str] = {}  # by id of the message, its user
        self._reaching: set[str] = set()  # users of whose messages the store is being told at this moment
        self._reached = asyncio.Event()
        self.events = 0  # since the start
        self.retries = 0

    def __bool__(self) -> bool:
        """Whether anything waits that the store can be told."""
        if not (self._inbox or self._withdrawn):
            return False
        gone = self._store.out_of_reach()
        if not gone or self._inbox.has_requests or self._inbox.receipts:
            return True
        return any(self._is_there(user, gone) for user in (*self._inbox.relayed.values(), *self._withdrawn.values()))

    @property
    def keeps_back(self) -> bool:
        """Whether something waits for a primary that is gone: it is tried again with each turn, for a while."""
        return bool(self._kept_back)

    def is_leaving(self, message_id: str) -> bool:
        """Whether the message is about to leave the outbox as far as this gateway is concerned."""
        return message_id in self._withdrawn or message_id in self._inbox.relayed

    def withdraw(self, messages: Iterable[tuple[str, str]]) -> None:
        """``(user, id)``: nobody needs to be shown these any more."""
        self._withdrawn.update((message_id, user) for user, message_id in messages)
        while len(self._withdrawn) > WITHDRAWN_MAX:
            del self._withdrawn[next(iter(self._withdrawn))]

    async def take_back(self, user: str) -> None:
        """A session of the user comes that may not have what the others here have: it has not reached all."""
        self._inbox.drop_relayed([name for name, whose in self._inbox.relayed.items() if whose == user])
        while user in self._reaching:
            await self._reached.wait()

    def forget(self, user: str) -> None:
        self._inbox.forget(user)
        self._withdrawn = {name: whose for name, whose in self._withdrawn.items() if whose != user}

    def refuse(self, error: StoreError) -> None:
        """What the next turn would hold is not to be."""
        kept_back, self._kept_back = self._kept_back, []
        _fail([*(request for _, request in kept_back), *self._inbox.take()], error)

    def refuse_starts(self, error: StoreError) -> None:
        """No session that waits to begin is to."""
        starting = [request for _, request in self._kept_back if request.has("session.start")]
        self._kept_back = [(until, request) for until, request in self._kept_back if request not in starting]
        _fail(starting, error)
        self._inbox.refuse("session.start", error)

    async def turn(self, gateway: str) -> None:
        """Tell the store what waits. Raises `StoreError`: whoever waited has been told."""
        kept_back, self._kept_back = self._kept_back, []
        until = self._seconds() + sum(self._retry_seconds)
        taken = self._within_reach([*kept_back, *((until, request) for request in self._inbox.take())])
        if taken:
            await self._ingest(taken, gateway)
        # After it: what a client says stands in the log before its message is gone.
        await self._tell_reached(gateway)
        some = self._some(self._withdrawn)
        if some:
            await self._store.withdraw([(user, message_id) for message_id, user in some])
            for message_id, _ in some:
                self._withdrawn.pop(message_id, None)

    async def _tell_reached(self, gateway: str) -> None:
        some = self._some(self._inbox.relayed)
        if not some:
            return
        self._reaching = {user for _, user in some}
        self._reached.clear()
        try:
            await self._store.reached(gateway, [(user, message_id) for message_id, user in some])
        finally:
            self._reaching = set()
            self._reached.set()
        self._inbox.drop_relayed(message_id for message_id, _ in some)

    def _some(self, messages: Mapping[str, str]) -> list[tuple[str, str]]:
        gone = self._store.out_of_reach()
        there = (pair for pair in messages.items() if not gone or self._is_there(pair[1], gone))
        return list(islice(there, TOLD_AT_ONCE))

    def _is_there(self, user: str, gone: frozenset[int]) -> bool:
        return partition_of(user, self._store.partition_count) not in gone

    def _within_reach(self, requests: Sequence[tuple[float, Request]]) -> list[Request]:
        """Those that can be told now. Others are kept back until their moment; nobody's entries change their order."""
        gone = self._store.out_of_reach()
        if not gone:
            return [request for _, request in requests]
        there: list[Request] = []
        behind: set[str] = set()  # users of whom something is kept back
        count = 0
        for until, request in requests:
            users = {entry.user for entry in request.entries}
            waiting = {user for user in users if user in behind or not self._is_there(user, gone)}
            if not waiting:
                there.append(request)
                continue
            if request.done is None:
                # Receipts of many users, for which nobody waits.
                fine = [entry for entry in request.entries if entry.user not in waiting]
                there += [Request(fine, None, request.trace, request.lose)] if fine else []
                request.entries = [entry for entry in request.entries if entry.user in waiting]
            else:
                waiting = users
            count += len(request.entries)
            if count > self._kept_back_max or self._seconds() >= until:
                _fail([request], StoreError(OUT_OF_REACH, "io"))
                continue
            behind |= waiting
            self._kept_back.append((until, request))
        return there

    async def _ingest(self, requests: list[Request], gateway: str) -> None:
        """All of them, or each is told why not. Raises the last `StoreError`, where there was one."""
        for request in requests:
            request.entries = [_known(entry) for entry in request.entries]
        self._observer.turn_taken(sum(len(request.entries) for request in requests))
        for seconds in (*self._retry_seconds, None):
            try:
                if self._is_silent():
                    raise StoreError(SILENT_TOO_LONG)
                await self._put(requests, gateway)
                return
            except StoreError as error:
                self.retries += 1
                self._observer.commit_failed(again=seconds is not None)
                log.warning("! ingest failed", error=str(error), again=seconds is not None)
                _fail((each for each in requests if seconds is None or not _is_repeatable(each)), error)
                if seconds is None:
                    raise
                requests = [request for request in requests if _is_repeatable(request)]
                if not requests:
                    raise
                until = self._seconds() + sum(self._retry_seconds)
                requests = self._within_reach([(until, request) for request in requests])
                if not requests:
                    return
                await asyncio.sleep(seconds)
            except BaseException as error:
                _fail(requests, StoreError(f"it was given up: {error!r}"))
                raise

    async def _put(self, requests: list[Request], gateway: str) -> None:
        """Where one fails, those before it have left the list."""
        entries = [entry for request in requests for entry in request.entries]
        presence = presence_of(entries)
        self._observer.committing()
        try:
            taken = await self._store.ingest(entries, presence, gateway) if entries else []
        except ValueError as error:
            # What one says cannot be; the others need not suffer for it.
            if len(requests) == 1:
                log.error("! cannot be stored", error=str(error))
                requests[0].fail(StoreError(f"it cannot be stored: {error}"))
                return
            while requests:
                await self._put(requests[:1], gateway)
                del requests[0]
            return
        self._observer.committed()
        self._succeed(requests, taken)
        began = [each for each in presence if each.is_there]
        if began:
            self._began(began)

    def _succeed(self, requests: list[Request], taken: list[Taken]) -> None:
        place = 0
        traces: list[tuple[Trace, list[str]]] = []
        for request in requests:
            made = [each.entry for each in taken[place : place + len(request.entries)]]
            place += len(request.entries)
            request.succeed(made)
            if request.trace is not None:
                traces.append((request.trace, [entry.event.id for entry in made if entry.event is not None]))
        repeated = sum(1 for each in taken if each.is_repeated)
        events = sum(1 for each in taken if each.entry.kind == "event")
        self.events += events - min(repeated, events)
        if repeated:
            self._observer.repeated(repeated)
        entries = [each.entry for each in taken if not each.is_repeated]
        self._observer.turn_done(TurnTold(entries, (), (), (), len(requests), None, traces))


def presence_of(entries: Iterable[Entry]) -> list[Presence]:
    """Who comes and goes by these entries."""
    found = []
    for entry in entries:
        event = entry.event
        if event is not None and event.session is not None and event.type in ("session.start", "session.end"):
            client = event.data.get("client")
            named = client if isinstance(client, str) and is_resumable(event.session) else ""
            found.append(Presence(event.user, event.session, event.type == "session.start", named))
    return found


def of_reached(messages: Iterable[OutboxMessage]) -> list[tuple[str, str]]:
    """As the store wants to be told of messages."""
    return [(outgoing.user, outgoing.message.id) for outgoing in messages]


def _known(entry: Entry) -> Entry:
    """What the gateway tells of itself happens once, so that it can be told again where no answer came: that a session
    begins, for its name is used once, that it ends, and that a message has reached its user, at however many gateways.
    """
    event = entry.event
    if event is None or entry.once or event.id:
        return entry
    if event.type in ("session.start", "session.end") and event.session is not None:
        event_id = derive_id(event.type, event.user, event.session)
    elif event.type == DELIVERED:
        event_id = derive_id(DELIVERED, event.user, str(event.data.get("message_id")))
    else:
        return entry
    return msgspec.structs.replace(entry, event=msgspec.structs.replace(event, id=event_id), once=True)


def _fail(requests: Iterable[Request], error: Exception) -> None:
    """Whoever knows already what became of theirs is told nothing."""
    for request in requests:
        if request.done is None or not request.done.done():
            request.fail(error)


def _is_repeatable(request: Request) -> bool:
    """Whether to tell the store all of it again does no harm."""
    return all(entry.once for entry in request.entries)
