"""What a gateway is told by workers and other gateways, brought to the people who are here. It tells the store nothing.

Whatever it may have missed it finds in the outbox: it looks again for everybody who is here.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import TypeVar

import structlog

from engine.core.model import LIFECYCLE_PREFIX
from engine.core.units import MINUTE
from engine.fleet.here import Here
from engine.fleet.relay import TOLD
from engine.storage.base import Entry, OutboxMessage, StoreError, partition_of
from engine.storage.fleet import FleetStore, Notice
from engine.turn_work import TurnResult

WAIT_S = 5.0  # for which one call listens where nothing is said
SEEN_MAX = 20_000  # messages by which one that is told twice is recognised
LOOKED_AT_ONCE = 20  # users for whom it is looked again at the same time
AGAIN_S = 0.5  # after a look that failed
SETTLED_WITHIN = 10 * MINUTE  # what was settled before, all have been told, unless a session may be away for longer
DEAF_S = 1.0  # between looks into the outbox while what the gateway is told is at a primary that is gone

Told = TypeVar("Told")

log = structlog.get_logger("gateway")


class Listening:
    """``hand_over`` brings messages to who is here, ``waiting`` says what the outbox has for a user.

    ``settled`` is told ``(user, id)`` of what somebody has settled, ``caused`` which message was caused by which, and
    ``erased`` who has been erased at another gateway, ``replaced`` which session of whom another gateway has, and
    ``ended`` which is over, for its client has a later one at another. ``settled_within``: how old, in microseconds,
    what was settled elsewhere may be when it is looked for.
    """

    def __init__(
        self, store: FleetStore, here: Here, *, hand_over: Callable[[list[OutboxMessage]], None],
        waiting: Callable[[str], Awaitable[list[OutboxMessage]]], settled: Callable[[str, str], None],
        caused: Callable[[str, str], None], erased: Callable[[str], None], trouble: Callable[[str], None],
        replaced: Callable[[str, str], None], ended: Callable[[str, str], None], settled_within: int = SETTLED_WITHIN,
    ) -> None:  # fmt: skip
        self._store = store
        self._here = here
        self._hand_over = hand_over
        self._waiting = waiting
        self._settled = settled
        self._caused = caused
        self._erased = erased
        self._replaced = replaced
        self._ended = ended
        self._trouble = trouble
        self._settled_within = settled_within
        self._gateway = ""
        self._after: int | None = None
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()  # user and message
        self._to_look: dict[str, None] = {}
        self._to_settle: dict[str, None] = {}  # of whom it is not known what they settled meanwhile
        self._wake = asyncio.Event()
        self.notices = 0  # since the start
        self.gaps = 0

    async def begin(self, gateway: str) -> None:
        """From now on nothing that ``gateway`` is told is missed. Raises `StoreError`."""
        self._after = (await self._store.listen(gateway, None, 0)).last
        self._gateway = gateway

    async def run(self) -> None:
        """Until cancelled."""
        looking = asyncio.create_task(self._look(), name="looking again")
        deaf = asyncio.create_task(self._look_while_deaf(), name="looking while deaf")
        try:
            while True:
                try:
                    await self._listen()
                except Exception as error:
                    self._trouble(str(error))
                    log.exception("! listening failed")
                    await asyncio.sleep(AGAIN_S)
        finally:
            looking.cancel()
            deaf.cancel()
            await asyncio.wait([looking, deaf])

    def look_again(self, users: Iterable[str]) -> None:
        """Something may wait for these that they were not told of."""
        self._to_look.update(dict.fromkeys(users))
        self._wake.set()

    def look_for_settled(self, users: Iterable[str]) -> None:
        """Other gateways may have been told what these did, while what is here was elsewhere."""
        self._to_settle.update(dict.fromkeys(users))
        self._wake.set()

    def note_seen(self, messages: Iterable[OutboxMessage]) -> None:
        """Whoever is here and is to have these has them, or is owed them."""
        for outgoing in messages:
            self._see(outgoing.user, outgoing.message.id)

    def _see(self, user: str, message_id: str) -> None:
        """The user has this message, or is not to have it any more."""
        self._seen[user, message_id] = None
        self._seen.move_to_end((user, message_id))
        while len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)

    def hear(self, notices: Iterable[Notice]) -> None:
        """Bring to people what is told, in order."""
        messages: list[OutboxMessage] = []
        for notice in notices:
            self.notices += 1
            if notice.message is not None:
                if (notice.message.user, notice.message.message.id) not in self._seen:
                    if notice.cause:
                        self._caused(notice.message.message.id, notice.cause)
                    messages.append(notice.message)
                    self.note_seen([notice.message])
                continue
            self._hand_all(messages)
            messages = []
            try:
                self._hear(notice)
            except Exception:
                # A fault of ours must not make the gateway deaf.
                log.exception("! notice failed")
        self._hand_all(messages)

    # Inside.

    async def _listen(self) -> None:
        gateway, after = self._gateway, self._after
        try:
            heard = await self._store.listen(gateway, after, WAIT_S)
        except StoreError as error:
            self._trouble(str(error))
            log.error("! not listening", error=str(error))
            await asyncio.sleep(AGAIN_S)
            await self._after_trouble(gateway)
            return
        if gateway != self._gateway:
            return  # it has begun anew under another name meanwhile
        self._after = heard.last
        self.hear(heard.notices)
        if heard.has_gap:
            await self._missed_some(gateway)

    async def _after_trouble(self, gateway: str) -> None:
        """Once the store answers again: what was told meanwhile, or is lost with what the store has forgotten."""
        while gateway == self._gateway:
            try:
                heard = await self._store.listen(gateway, self._after, 0)
            except StoreError:
                await asyncio.sleep(AGAIN_S)
                continue
            if gateway == self._gateway:
                self._after = heard.last
                self.hear(heard.notices)
                await self._missed_some(gateway)
            return

    async def _missed_some(self, gateway: str) -> None:
        self.gaps += 1
        users = self._here.users()
        log.warning("= notices may be lost, looking again", users=len(users))
        while gateway == self._gateway:
            try:
                await self._let_go_of_lost(gateway)
                break
            except StoreError as error:
                log.error("! sessions not compared", error=str(error))
                await asyncio.sleep(AGAIN_S)
        self.look_for_settled(users)
        self.look_again(users)

    async def _let_go_of_lost(self, gateway: str) -> None:
        """Sessions that others have taken up or ended, of which this gateway was not told."""
        here = self._here.sessions()
        listed: dict[str, list[str]] = {}
        gone = self._store.out_of_reach()
        here = {user: names for user, names in here.items() if not self._is_of(user, gone)}
        if here:
            for partition in sorted(set(range(self._store.partition_count)) - gone):
                listed.update(await self._store.sessions_at(gateway, partition))
        lost = [name for user, names in here.items() for name in names if name not in listed.get(user, ())]
        if lost and gateway == self._gateway:
            log.warning("= sessions are elsewhere or over", sessions=len(lost))
            self._here.let_go(lost)

    def _hand_all(self, messages: list[OutboxMessage]) -> None:
        if not messages:
            return
        try:
            self._hand_over(messages)
        except Exception:
            log.exception("! messages not handed over")

    def _hear(self, notice: Notice) -> None:
        if notice.entry is not None:
            self._here.after_turn(TurnResult(entries=[notice.entry]))
            self._settle(notice.entry)
        elif notice.cancelled:
            self._see(notice.user, notice.cancelled)
            self._here.cancelled(notice.user, notice.cancelled)
        elif notice.replaced:
            self._here.taken_elsewhere(notice.user, notice.replaced)
            self._replaced(notice.user, notice.replaced)
        elif notice.ended:
            self._here.followed(notice.user, notice.ended)
            self._ended(notice.user, notice.ended)
        elif notice.frame is not None:
            self._here.tell_unnamed(notice.frame)
        elif notice.erased:
            self._erased(notice.user)

    def _settle(self, entry: Entry) -> None:
        """It leaves the outbox, though a gateway that is lost may not have handed it over."""
        event = entry.event
        if event is not None and event.type.startswith(LIFECYCLE_PREFIX):
            message_id = event.data.get("message_id")
            if isinstance(message_id, str):
                self._see(event.user, message_id)
                self._settled(event.user, message_id)

    def _is_of(self, user: str, partitions: frozenset[int]) -> bool:
        return bool(partitions) and partition_of(user, self._store.partition_count) in partitions

    async def _look_while_deaf(self) -> None:
        """So that those at other primaries of a cluster have what is for them, a moment later than usual."""
        while True:
            await asyncio.sleep(DEAF_S)
            if self._store.cannot_be_told([self._gateway]):
                gone = self._store.out_of_reach()
                if all(self._is_of(user, gone) for user in self._to_look):
                    self.look_again(user for user in self._here.users() if not self._is_of(user, gone))

    def _within_reach(self, users: Iterable[str]) -> list[str]:
        gone = self._store.out_of_reach()
        return list(islice((user for user in users if not self._is_of(user, gone)), LOOKED_AT_ONCE))

    async def _look_for_settled(self) -> bool:
        """Bring to some what they have settled elsewhere; whether there were any."""
        some = self._within_reach(self._to_settle)
        for user in some:
            del self._to_settle[user]
        found, failed = await self._ask(some, self._settled_by, "settled")
        for notices in found:
            self.hear(notices)
        if failed:
            self.look_for_settled(failed)
            await asyncio.sleep(AGAIN_S)
        return len(failed) < len(some)

    async def _ask(
        self, users: Sequence[str], ask: Callable[[str], Awaitable[Told]], what: str
    ) -> tuple[list[Told], list[str]]:
        """What the store tells of these users; and of whom to ask again, which of damaged ones is of no use."""
        found: list[Told] = []
        failed = []
        for user, told in zip(users, await asyncio.gather(*map(ask, users), return_exceptions=True), strict=True):
            if not isinstance(told, BaseException):
                found.append(told)
            elif isinstance(told, StoreError) and told.state != "corrupt":
                failed.append(user)
            else:
                why = {"error": str(told)} if isinstance(told, StoreError) else {"exc_info": told}
                log.error("! what a user is to be told is not known", user_id=user, what=what, **why)
        return found, failed

    async def _settled_by(self, user: str) -> list[Notice]:
        since = await self._store.clock() - self._settled_within
        settled = await self._store.settled(user, since, TOLD)
        notices = [Notice(user=user, entry=entry) for entry in settled.entries]
        return notices + [Notice(user=user, cancelled=message_id) for _, message_id in settled.taken_back]

    async def _look(self) -> None:
        while True:
            if not self._to_look and not self._to_settle:
                self._wake.clear()
                await self._wake.wait()
            # Before what waits: nobody is to be shown what was settled.
            if await self._look_for_settled():
                continue
            some = self._within_reach(self._to_look)
            if not some:
                await asyncio.sleep(AGAIN_S)
                continue
            for user in some:
                del self._to_look[user]
            found, failed = await self._ask(some, self._waiting, "waiting")
            unseen = [each for waiting in found for each in waiting if (each.user, each.message.id) not in self._seen]
            self.note_seen(unseen)
            self._hand_all(unseen)
            if failed:
                self.look_again(failed)
                await asyncio.sleep(AGAIN_S)
