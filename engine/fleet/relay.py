"""What became durable, told to the gateways of those whom it concerns: each at least once, in the order it was made.

It decides nothing and commits nothing. All that is told is in the store too: messages in the outbox, what users did in
the log, what was taken back among the decisions. So what is lost here with a worker is told by the next one, from where
the last commit says that all before it was told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

import structlog

from engine.core.model import Decision
from engine.storage.base import Entry, OutboxMessage, partition_of
from engine.storage.fleet import NOTICES_MAX, FleetStore, Notice
from engine.turn_work import TurnResult, caused_by_receipts

# After these, other devices of the user have something to learn.
SETTLING = frozenset({"message.answered", "message.dismissed", "message.muted"})
TOLD = SETTLING | {"user.preferences"}
WAITING_MAX = 20_000  # notices that wait while the store takes none
AT_ONCE = 2_000  # notices that are told at once
ANEW_MAX = 4_000  # messages that are told anew, or entries that are read for it, before the next round
ANEW_CROWDED = 8  # only the eighth part where a gateway does not hear them as fast as it is told
PARTITIONS_AT_ONCE = 32  # whose outboxes or logs are read at once
CROWDED = NOTICES_MAX // 2  # notices that wait for a gateway

Compose = Callable[[list[OutboxMessage]], None]

log = structlog.get_logger("worker")


class Relay:
    """``compose`` takes the messages that a responder is to write, and brings them to `hand_over`; None: nobody writes.

    ``compose_within``: how old, in microseconds, a message may be that is given to it again by another worker.
    ``on_settled`` is called with a user and the id of a message that is not to be shown to them any more.
    ``waiting_max``: notices that wait; where more would, they are read again from the store later.
    ``anew_max``: messages that are told anew, or entries that are read for it, in one call of `tell`.
    """

    def __init__(
        self,
        store: FleetStore,
        *,
        compose: Compose | None = None,
        compose_within: int = 0,
        on_settled: Callable[[str, str], None] = lambda user, message_id: None,
        waiting_max: int = WAITING_MAX,
        anew_max: int = ANEW_MAX,
    ) -> None:
        self._store = store
        self._compose = compose
        self._compose_within = compose_within
        self._on_settled = on_settled
        self._waiting_max = waiting_max
        self._anew_max = anew_max
        self._waiting: deque[Notice] = deque()
        self._waiting_of: set[int] = set()  # partitions, among them all of those of which something waits
        # Partitions that are told anew: the outbox from which number on, and after it the rest from which place on. In
        # this order, so that nobody is shown a message after it was settled.
        self._outboxes: dict[int, int] = {}
        self._rests: dict[int, tuple[int, int]] = {}
        self._missed: dict[str, set[int]] = {}  # gateways that could not be told, and of which partitions
        self._is_crowded = False  # whether much waits yet for a gateway of those that were told last
        self._held: set[int] = set()
        self.told = 0  # messages, each time they were

    @property
    def is_busy(self) -> bool:
        """Whether there is something to tell, and somebody who can be told it now."""
        return bool(self._waiting or self._outboxes or self._rests or self._told_again())

    @property
    def untold(self) -> set[int]:
        """Partitions of which not all is told that was noted, or that is to be told anew."""
        return self._waiting_of.union(self._outboxes, self._rests, *self._missed.values())

    def hold(self, partitions: set[int]) -> None:
        """These are the worker's now. What waits of others is for others to tell: they find it in the store."""
        lost = self._held - partitions
        for number in lost:
            self._outboxes.pop(number, None)
            self._rests.pop(number, None)
        if lost & self._waiting_of:
            self._waiting = deque(notice for notice in self._waiting if self.is_held(notice.user, partitions))
            self._waiting_of -= lost
        for missed in self._missed.values():
            missed -= lost
        self._held = set(partitions)

    def is_held(self, user: str, partitions: set[int] | None = None) -> bool:
        held = self._held if partitions is None else partitions
        return partition_of(user, self._store.partition_count) in held

    def tell_anew(self, partitions: Iterable[int]) -> None:
        """Nobody knows what of theirs has been told."""
        for number in partitions:
            self._outboxes[number] = 0
            self._rests.pop(number, None)

    def note(self, result: TurnResult) -> None:
        """This has become durable."""
        for entry in result.entries:
            notice = self._of_entry(entry)
            if notice is not None:
                self._wait(notice)
        for decision in result.decisions:
            if _is_taken_back(decision):
                assert decision.message is not None
                self._wait(self._of_taken_back(decision.user, decision.message.id))
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
        self._try_missed()
        try:
            await self._store.confirm(self._waiting_of.union(self._outboxes, self._rests))
        except BaseException:
            # What is not confirmed may yet be undone: the store will say what is to be told.
            self._leave_to_store()
            raise
        # The rest a call later: where others go on committing to a partition it would be read in vain.
        await self._tell_rests()
        await self._tell_outboxes()
        while self._waiting:
            # What is handed over meanwhile may leave what waits to the store, but not these.
            notices = [self._waiting.popleft() for _ in range(min(len(self._waiting), AT_ONCE))]
            try:
                await self._send(notices)
            except BaseException:
                self._waiting.extendleft(reversed(notices))
                raise
        self._waiting_of.clear()

    # Inside.

    def _told_again(self) -> set[str]:
        """Gateways that missed something, and can be told it."""
        return self._missed.keys() - self._store.cannot_be_told(self._missed) if self._missed else set()

    def _try_missed(self) -> None:
        """Gateways that can be told again are told all that they may have missed."""
        for name in self._told_again():
            self.tell_anew(self._missed.pop(name) & self._held)

    def _wait(self, notice: Notice) -> None:
        if len(self._waiting) >= self._waiting_max:
            log.warning("! more to tell than can wait", told_later=len(self._waiting))
            self._leave_to_store()
        self._waiting.append(notice)
        self._waiting_of.add(partition_of(notice.user, self._store.partition_count))

    def _leave_to_store(self) -> None:
        """What waits does so no longer: the store will say what is to be told."""
        self.tell_anew(self._waiting_of & self._held)
        self._waiting.clear()
        self._waiting_of.clear()

    async def _tell_outboxes(self) -> None:
        """As fast as gateways hear it; only so much at a time, so that rounds go on meanwhile."""
        room = self._room()
        while self._outboxes and room > 0:
            places = dict(islice(self._outboxes.items(), PARTITIONS_AT_ONCE))
            most = max(1, min(room, AT_ONCE) // len(places))
            for number in places:
                del self._outboxes[number]
            try:
                pages = await self._store.unsent(places, most)
                await self._send_outbox([each for page in pages.values() for _, each in page if each is not None])
            except BaseException:
                self._outboxes = {**places, **self._outboxes}
                raise
            for number, page in pages.items():
                room -= max(1, len(page))
                if number in self._outboxes:
                    continue  # it is to be told from its beginning: more has been left to it meanwhile
                if len(page) == most:
                    self._outboxes[number] = page[-1][0]
                else:
                    self._rests[number] = (0, 0)
            if self._is_crowded:
                return

    def _room(self) -> int:
        return max(1, self._anew_max // ANEW_CROWDED) if self._is_crowded else self._anew_max

    async def _send_outbox(self, page: list[OutboxMessage]) -> None:
        now = await self._store.clock()
        young: list[OutboxMessage] = []
        others: list[OutboxMessage] = []
        for outgoing in page:
            is_young = bool(outgoing.message.prompt) and now < outgoing.at + self._compose_within
            (young if self._compose is not None and is_young else others).append(outgoing)
        await self._send([Notice(user=outgoing.user, message=outgoing) for outgoing in others])
        if self._compose is not None and young:
            self._compose(young)

    async def _tell_rests(self) -> None:
        """As `_tell_outboxes`."""
        room = self._room()
        while self._rests and room > 0:
            places = dict(islice(self._rests.items(), PARTITIONS_AT_ONCE))
            pages = await self._store.untold(places, max(1, min(room, AT_ONCE) // len(places)))
            notices = []
            for page in pages.values():
                room -= max(1, len(page.entries))
                notices += [notice for entry in page.entries if (notice := self._of_entry(entry)) is not None]
                notices += [self._of_taken_back(user, message_id) for user, message_id in page.taken_back]
            await self._send(notices)
            for number, page in pages.items():
                if self._rests.pop(number, None) is not None and page.next is not None:
                    self._rests[number] = page.next
            if self._is_crowded:
                return

    def _of_entry(self, entry: Entry) -> Notice | None:
        """What other devices have to learn of it."""
        event = entry.event
        if event is None or event.type not in TOLD:
            return None
        message_id = event.data.get("message_id")
        if event.type in SETTLING and isinstance(message_id, str):
            self._on_settled(entry.user, message_id)
        return Notice(user=entry.user, entry=entry)

    def _of_taken_back(self, user: str, message_id: str) -> Notice:
        self._on_settled(user, message_id)
        return Notice(user=user, cancelled=message_id)

    async def _send(self, notices: list[Notice]) -> None:
        where = await self._store.where(list(dict.fromkeys(notice.user for notice in notices)))
        by_gateway: dict[str, list[Notice]] = {}
        self._is_crowded = False
        for notice in notices:
            for gateway in where.get(notice.user, ()):
                by_gateway.setdefault(gateway, []).append(notice)
        for gateway in self._store.cannot_be_told(by_gateway):
            missed = {partition_of(notice.user, self._store.partition_count) for notice in by_gateway.pop(gateway)}
            self._missed.setdefault(gateway, set()).update(missed)
        if by_gateway:
            waiting = await self._store.tell(by_gateway)
            self._is_crowded = max(waiting.values()) >= CROWDED
            self.told += sum(1 for each in by_gateway.values() for notice in each if notice.message is not None)


def _is_taken_back(decision: Decision) -> bool:
    return decision.outcome == "cancelled" and decision.was == "sent" and decision.message is not None
