"""What became durable, told to the gateways of those whom it concerns: each at least once, in the order it was made.

It decides nothing and commits nothing. Messages that are not told yet are in the outbox too, so what is lost here with
a worker is told by the next one; of what users did, other devices of theirs then learn when they next ask.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import structlog

from engine.core.model import Decision
from engine.storage.base import Entry, OutboxMessage, partition_of
from engine.storage.fleet import FleetStore, Notice
from engine.turn_work import TurnResult, caused_by_receipts

# After these, other devices of the user have something to learn.
SETTLING = frozenset({"message.answered", "message.dismissed", "message.muted"})
TOLD = SETTLING | {"user.preferences"}
PAGE = 500  # messages of an outbox that are told at once
WAITING_MAX = 20_000  # notices that wait while the store takes none
AT_ONCE = 2_000  # notices that are told at once

Compose = Callable[[list[OutboxMessage]], None]

log = structlog.get_logger("worker")


class Relay:
    """``compose`` takes the messages that a responder is to write, and brings them to `hand_over`; None: nobody writes.

    ``compose_within``: how old, in microseconds, a message may be that is given to it again by another worker.
    ``on_settled`` is called with a user and the id of a message that is not to be shown to them any more.
    ``waiting_max``: notices that wait; where more would, the messages among them are told from the outbox later, and of
    the others the newer half is kept.
    """

    def __init__(
        self,
        store: FleetStore,
        *,
        compose: Compose | None = None,
        compose_within: int = 0,
        on_settled: Callable[[str, str], None] = lambda user, message_id: None,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self._store = store
        self._compose = compose
        self._compose_within = compose_within
        self._on_settled = on_settled
        self._waiting_max = waiting_max
        self._waiting: deque[Notice] = deque()
        self._anew: dict[int, int] = {}  # partitions whose outboxes are to be told, from which number on
        self._held: set[int] = set()
        self.told = 0  # messages, each time they were

    @property
    def is_busy(self) -> bool:
        return bool(self._waiting or self._anew)

    def hold(self, partitions: set[int]) -> None:
        """These are the worker's now. What waits of others is for others to tell: they find it in the outbox."""
        for number in self._held - partitions:
            self._anew.pop(number, None)
        if self._held - partitions:
            self._waiting = deque(
                notice for notice in self._waiting if notice.message is None or self.is_held(notice.user, partitions)
            )
        self._held = set(partitions)

    def is_held(self, user: str, partitions: set[int] | None = None) -> bool:
        held = self._held if partitions is None else partitions
        return partition_of(user, self._store.partition_count) in held

    def tell_anew(self, partitions: Iterable[int]) -> None:
        """Nobody knows what of their outboxes has been told."""
        for number in partitions:
            self._anew[number] = 0

    def note(self, result: TurnResult) -> None:
        """This has become durable."""
        for entry in result.entries:
            if entry.event is not None and entry.event.type in TOLD:
                self._wait(Notice(user=entry.user, entry=entry))
                self._settle(entry)
        for decision in result.decisions:
            if _is_taken_back(decision):
                assert decision.message is not None
                self._on_settled(decision.user, decision.message.id)
                self._wait(Notice(user=decision.user, cancelled=decision.message.id))
        causes = caused_by_receipts(result)
        prompted = []
        for outgoing in result.outbox:
            if self._compose is not None and outgoing.message.prompt:
                prompted.append(outgoing)
            else:
                cause = causes.get(outgoing.message.id, "")
                self._wait(Notice(user=outgoing.user, message=outgoing, cause=cause))
        if self._compose is not None and prompted:
            self._compose(prompted)

    def hand_over(self, messages: list[OutboxMessage]) -> None:
        """These have been written, or could not be; they are told with the next round, where they are ours to tell."""
        for each in messages:
            if self.is_held(each.user):
                self._wait(Notice(user=each.user, message=each))

    async def tell(self) -> None:
        """Tell what waits, once it is as durable as it is to be. Raises `StoreError`: then it goes on waiting."""
        if not self.is_busy:
            return
        try:
            await self._store.confirm()
        except BaseException:
            # What is not confirmed may yet be undone: the outbox will say what is to be told.
            self._leave_to_outbox()
            raise
        await self._tell_anew()
        while self._waiting:
            # What is handed over meanwhile may take what waits to the outbox, but not these.
            notices = [self._waiting.popleft() for _ in range(min(len(self._waiting), AT_ONCE))]
            try:
                await self._send(notices)
            except BaseException:
                self._waiting.extendleft(reversed(notices))
                raise

    # Inside.

    def _wait(self, notice: Notice) -> None:
        if len(self._waiting) >= self._waiting_max:
            messages = self._leave_to_outbox()
            lost = max(0, len(self._waiting) - self._waiting_max // 2)
            for _ in range(lost):
                self._waiting.popleft()
            log.warning("! more to tell than can wait", told_later=messages, lost=lost)
        self._waiting.append(notice)

    def _leave_to_outbox(self) -> int:
        """The messages that wait do so no longer: the outbox will say which are to be told. How many they were."""
        messages = [notice for notice in self._waiting if notice.message is not None]
        self.tell_anew({partition_of(notice.user, self._store.partition_count) for notice in messages})
        self._waiting = deque(notice for notice in self._waiting if notice.message is None)
        return len(messages)

    async def _tell_anew(self) -> None:
        """A page of the outbox of one partition at a time, so that rounds go on meanwhile."""
        if not self._anew:
            return
        number, after = next(iter(self._anew.items()))
        page = await self._store.unsent(number, after, PAGE)
        now = await self._store.clock()
        young: list[OutboxMessage] = []
        others: list[OutboxMessage] = []
        for _, outgoing in page:
            is_young = bool(outgoing.message.prompt) and now < outgoing.at + self._compose_within
            (young if self._compose is not None and is_young else others).append(outgoing)
        await self._send([Notice(user=outgoing.user, message=outgoing) for outgoing in others])
        if self._compose is not None and young:
            self._compose(young)
        del self._anew[number]
        if len(page) == PAGE:
            self._anew[number] = page[-1][0]

    async def _send(self, notices: list[Notice]) -> None:
        where = await self._store.where(list(dict.fromkeys(notice.user for notice in notices)))
        by_gateway: dict[str, list[Notice]] = {}
        for notice in notices:
            for gateway in where.get(notice.user, ()):
                by_gateway.setdefault(gateway, []).append(notice)
        if by_gateway:
            await self._store.tell(by_gateway)
            self.told += sum(1 for each in by_gateway.values() for notice in each if notice.message is not None)

    def _settle(self, entry: Entry) -> None:
        event = entry.event
        if event is not None and event.type in SETTLING:
            message_id = event.data.get("message_id")
            if isinstance(message_id, str):
                self._on_settled(entry.user, message_id)


def _is_taken_back(decision: Decision) -> bool:
    return decision.outcome == "cancelled" and decision.was == "sent" and decision.message is not None
