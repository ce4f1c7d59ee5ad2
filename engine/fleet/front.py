"""The driver of a gateway: what clients say goes into the logs of a store, what workers make of it comes back.

It evaluates nothing. What it has acknowledged is durable, and not evaluated yet. Moments are those of the store's
clock, as far as the last beat can say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from engine.core.model import Json
from engine.core.remembered import Preferences
from engine.core.units import MILLISECOND, SECOND
from engine.driver import Driver
from engine.fleet.beating import LASTS_MS, Beating
from engine.fleet.forgetting import WITHIN_S, WITHOUT_WORKERS_S, Forgetting
from engine.fleet.former import Former
from engine.fleet.here import Here
from engine.fleet.listening import SETTLED_WITHIN, Listening
from engine.fleet.taking_in import TakingIn, of_reached
from engine.fleet.taking_up import TakingUp
from engine.fleet.waiting import Waiting
from engine.inbox import Inbox
from engine.intake import Input, Intake
from engine.observer import SILENT, Observer, Trace
from engine.pending import Pending
from engine.stale import GRACE, is_resumable
from engine.states import UNREADABLE, restored
from engine.storage.base import Entry, OutboxMessage, StoreError
from engine.storage.fleet import FleetStore, Notice, Presence

RETRY_SECONDS = (0.02, 0.1, 0.5, 2.0)  # between the tries of one call; then what was said is refused
WAIT_SECONDS_MAX = 60.0
KEPT_BACK_S = 0.1  # between tries of what is for a primary that is gone
COMPOSED_WITHIN = 7 * SECOND  # a message that is being written is handed over by whoever has it written
BEGINS_ANEW = "this gateway was not heard of for so long that it was taken for dead, and begins anew"

log = structlog.get_logger("gateway")


class Front(Driver):
    """Give it the people who are here by `bind` before the start.

    ``clock`` is that of this machine, in microseconds. ``composed_within``: how long a message waits for its text.
    """

    def __init__(
        self,
        store: FleetStore,
        *,
        clock: Callable[[], int],
        resume_within: int = GRACE,
        composed_within: int = COMPOSED_WITHIN,
        observer: Observer = SILENT,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
        lasts_ms: int = LASTS_MS,
        erase_within_s: tuple[float, float] = (WITHIN_S, WITHOUT_WORKERS_S),
    ) -> None:
        self._store = store
        self._clock = clock
        self.observer = observer
        self._retry_seconds = retry_seconds
        self._inbox = Inbox()
        self._wake_up = asyncio.Event()
        self._intake = Intake(self._inbox, self.now, self._wake_up.set, resume_within)
        self._one_at_a_time = asyncio.Lock()
        self._lasts_ms = lasts_ms
        self._beating = Beating(store, clock, self._begin_anew, lasts_ms=lasts_ms)
        self._taking_in = TakingIn(
            store, self._inbox, observer, retry_seconds=retry_seconds, began=self._began,
            is_silent=lambda: self._beating.is_silent,
        )  # fmt: skip
        self._taking_up = TakingUp(
            store, self._intake.stale, name=lambda: self.name, now=self.now, alive=self._beating.see_to_it,
            take_back=self._taking_in.take_back, ended=self._intake.ended, wake=self._wake_up.set,
        )  # fmt: skip
        self._waiting = Waiting(
            store, now=self.now, composed_within=composed_within, is_leaving=self._taking_in.is_leaving,
            wake=self._wake_up.set,
        )  # fmt: skip
        self._here: Here | None = None
        self._listening: Listening | None = None
        self._loop: asyncio.Task[None] | None = None
        self._beside: list[asyncio.Task[None]] = []
        self._former = Former(store, lambda: self.name)
        # A client that left a gateway moments before that was killed may come back so much later with its session.
        self._settled_within = max(SETTLED_WITHIN, 2 * resume_within + lasts_ms * MILLISECOND)
        self._forgetting: Forgetting | None = None
        self._erase_within_s = erase_within_s
        self._trouble = ""

    def bind(self, here: Here) -> None:
        self._here = here
        self._forgetting = Forgetting(
            self._store, here, self._beating, self._one_at_a_time, settled=self.settled, forget=self._forget,
            retry_seconds=self._retry_seconds, within_s=self._erase_within_s,
        )  # fmt: skip
        self._listening = Listening(
            self._store, here, hand_over=self.hand_over, waiting=self.waiting, erased=self._forgetting.let_go,
            settled=lambda user, message_id: self._withdraw([(user, message_id)]),
            caused=lambda message_id, cause: self._inbox.note_causes({message_id: cause}), trouble=self._in_trouble,
            replaced=self._replaced, ended=self._ended, settled_within=self._settled_within,
        )  # fmt: skip

    def on_abandoned(self, call: Callable[[str, list[str]], None]) -> None:
        """Call this with a user and the user's sessions whose ends were put off and are noted now."""
        self._intake.on_abandoned = call

    def now(self) -> int:
        """Microseconds, by the store's clock."""
        return self._clock() + self._beating.ahead

    @property
    def name(self) -> str:
        """By which the store and others know it: of this process, and another after it was taken for dead."""
        return self._beating.name

    # From the start to the end.

    async def start(self) -> None:
        """Be heard of, listen, and take in. Raises `StoreError`."""
        assert self._listening is not None
        await self._beating.beat()
        await self._listening.begin(self.name)
        self._intake.stopping = False
        self._loop = asyncio.create_task(self._run(), name="taking in")
        self._beside = [
            asyncio.create_task(self._beating.run(), name="beating"),
            asyncio.create_task(self._listening.run(), name="listening"),
        ]

    async def stop(self) -> None:
        """Tell what waits, then fall silent. Sessions stay open: their clients take them up at other gateways."""
        self._intake.stopping = True
        self._wake_up.set()
        if self._loop is not None:
            await self._loop
        others = [
            *self._taking_up.stop(),
            *self._former.stop(),
            *(() if self._forgetting is None else self._forgetting.stop()),
        ]
        for task in self._beside:
            task.cancel()
        if self._beside:
            await asyncio.wait([*self._beside, *others])
            await self._beating.fall_silent()

    # What happens.

    async def submit(self, inputs: list[Input]) -> list[str]:
        return await self.begin(inputs)

    def begin(self, inputs: list[Input], trace: Trace = None) -> Pending[list[str]]:
        return self._intake.begin(inputs, trace)

    def note(self, inputs: list[Input]) -> None:
        self._intake.note(inputs)

    def end(self, ends: list[Input]) -> None:
        self._intake.end(ends)

    def send(self, messages: list[OutboxMessage], *, once: bool = False) -> Pending[list[Entry]]:
        return self._intake.send(messages, once=once)

    async def settled(self) -> None:
        await self._intake.settled()

    async def turn(self) -> None:
        """Tell the store what waits: for the loop, and for tests. Raises `StoreError`: whoever waited was told."""
        self._intake.end_stale(self.now())
        if self._listening is not None and (users := self._waiting.due()):
            self._listening.look_again(users)
        if self._taking_in:
            try:
                await self._beating.see_to_it()
            except StoreError as error:
                self._taking_in.refuse(error)
                raise
        async with self._one_at_a_time:
            await self._taking_in.turn(self.name)
        self.trouble_over()

    async def erase(self, user: str) -> int:
        """Raises `Behind` besides."""
        assert self._forgetting is not None
        return await self._forgetting.erase(user)

    # Sessions.

    async def resume(self, user: str, session: str) -> bool:
        is_here = is_resumable(session) and await self._taking_up.take_up(user, session)
        if is_here:
            self._former.look([(user, session)])
        return is_here

    def has_arrived(self, user: str) -> None:
        self._taking_up.has_arrived(user)
        if self._listening is not None:
            self._listening.look_for_settled([user])

    def abandon(self, user: str) -> None:
        self._intake.stale.forget(user)

    def leave(self, user: str, session: str) -> None:
        self._intake.leave(user, session)

    def resumable(self, user: str) -> list[str]:
        return self._intake.stale.resumable(user)

    # Messages.

    async def waiting(self, user: str) -> list[OutboxMessage]:
        return await self._waiting.of(user)

    async def preferences(self, user: str) -> Preferences:
        encoded = (await self._store.load([user])).get(user)
        try:
            state = None if encoded is None else restored(user, encoded)
        except UNREADABLE as error:
            raise StoreError(str(error), "corrupt") from None
        return (None if state is None else state.preferences) or Preferences()

    def hand_over(self, messages: list[OutboxMessage]) -> None:
        """Let messages of the outbox go to whoever is here."""
        assert self._here is not None
        reached = set(self._here.deliver(messages))
        self.relayed([outgoing for outgoing in messages if outgoing.message.id in reached])

    def received(self, messages: list[OutboxMessage]) -> None:
        if messages:
            self._inbox.put_receipts(messages, self.now())
            self._wake_up.set()

    def relayed(self, messages: list[OutboxMessage]) -> None:
        if messages:
            # Of those whose session comes at this moment it may be the next that has to have them.
            self._inbox.put_relayed(outgoing for outgoing in messages if outgoing.user not in self._taking_up)
            if self._listening is not None:
                self._listening.note_seen(messages)
            self.received(messages)
            self._wake_up.set()

    def withdraw(self, messages: list[OutboxMessage]) -> None:
        if messages:
            self._withdraw(of_reached(messages))

    # Others.

    async def elsewhere(self, users: Sequence[str] | None) -> set[str]:
        if users is None:
            return set(await self._store.connected())
        where = await self._store.where(users)
        return {user for user, gateways in where.items() if any(name != self.name for name in gateways)}

    async def users_of(self, client: str) -> list[str]:
        return await self._store.users_of(client)

    async def tell_unnamed(self, frame: dict[str, Json]) -> None:
        await self._beating.beat()  # so that none is left out that has just come
        others = [name for name in self._beating.roll.gateways if name != self.name]
        if others:
            await self._store.tell({name: [Notice(frame=frame)] for name in others})

    # How it is.

    @property
    def inbox(self) -> Inbox:
        return self._inbox

    def health(self) -> dict[str, Json]:
        tasks = [self._loop, *self._beside]
        listening = self._listening
        return {
            "running": all(task is not None and not task.done() for task in tasks),
            "trouble": self._trouble or None,
            "waiting": self._inbox.count,
            "gateway": self.name,
            "gateways": len(self._beating.roll.gateways),
            "workers": len(self._beating.roll.workers),
            "events": self._taking_in.events,
            "retries": self._taking_in.retries,
            "notices": 0 if listening is None else listening.notices,
            "gaps": 0 if listening is None else listening.gaps,
        }

    def trouble_over(self) -> None:
        if self._trouble:
            self._trouble = ""
            self.observer.store_trouble(None)

    # Inside.

    async def _run(self) -> None:
        while self._taking_in or self._taking_in.keeps_back or not self._intake.stopping:
            if not self._taking_in:
                await self._sleep()
            try:
                await self.turn()
            except Exception as error:
                # Whoever waited has been told; what nobody waits for goes with the next call.
                self._in_trouble(str(error))
                if isinstance(error, StoreError):
                    log.error("! store", error=str(error))
                else:
                    log.exception("! taking in failed")
                if not self._intake.stopping:
                    # Where a part of the store is gone, the others are to go on.
                    await asyncio.sleep(KEPT_BACK_S if self._store.out_of_reach() else self._retry_seconds[-1])
                elif not self._inbox.has_requests and not self._inbox.receipts:
                    # What is kept back for another primary is waited for, and no turn comes any more.
                    self._taking_in.refuse(StoreError(f"this gateway stops, and could not store it: {error}"))
                    return

    async def _sleep(self) -> None:
        self._wake_up.clear()
        moments = [moment for moment in (self._intake.stale.until, self._waiting.until) if moment is not None]
        seconds = (min(moments) - self.now()) / SECOND if moments else WAIT_SECONDS_MAX
        if self._taking_in.keeps_back:
            seconds = min(seconds, KEPT_BACK_S)
        if seconds > 0 and not self._taking_in and (self._taking_in.keeps_back or not self._intake.stopping):
            with suppress(TimeoutError):
                async with asyncio.timeout(min(seconds, WAIT_SECONDS_MAX)):
                    await self._wake_up.wait()

    async def _begin_anew(self, name: str) -> None:
        """Others took the gateway for dead: nobody is here any more, and who comes back comes to another gateway."""
        assert self._here is not None
        assert self._listening is not None
        async with self._one_at_a_time:
            await self._store.beat("gateway", name, self._lasts_ms)
            await self._listening.begin(name)
            self._here.let_go()
            # Whoever was about to begin is asked to come back as well, and nobody would say that they are gone.
            self._taking_in.refuse_starts(StoreError(BEGINS_ANEW))

    def _began(self, sessions: list[Presence]) -> None:
        """Of plain sessions it was looked for what waits before the store knew that they are here."""
        plain = [each.user for each in sessions if not is_resumable(each.session)]
        if plain and self._listening is not None:
            self._listening.look_again(plain)
        self._former.look((each.user, each.session) for each in sessions if each.client)

    def _replaced(self, user: str, session: str) -> None:
        """Another gateway has it: its end is no longer for this one to note."""
        if self._intake.stale.resume(user, session):
            self._intake.on_abandoned(user, [session])

    def _ended(self, user: str, session: str) -> None:
        """Its client has a later one elsewhere; where nobody has come to it here its end is put off no longer."""
        if self._intake.stale.resume(user, session):
            self._intake.on_abandoned(user, [session])
            self._intake.end([Input(user, "session.end", {}, session=session)])

    def _withdraw(self, messages: list[tuple[str, str]]) -> None:
        self._taking_in.withdraw(messages)
        self._wake_up.set()

    def _in_trouble(self, why: str) -> None:
        self._trouble = why
        self.observer.store_trouble(why)

    def _forget(self, user: str) -> None:
        self._intake.stale.forget(user)
        self._taking_in.forget(user)
        self._taking_up.forget(user)
