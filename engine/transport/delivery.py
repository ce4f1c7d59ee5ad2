"""How messages of the outbox get to whoever is there: plain connections, sessions, all in their turn.

It decides nothing about what is said. The driver calls `deliver` with what a turn made durable, and `after_turn` with
what came of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from engine.core.model import ANSWER_TYPE
from engine.driver import Driver
from engine.observer import SILENT, Observer
from engine.storage.base import OutboxMessage, StoreError
from engine.transport.frames import preferences_frame
from engine.transport.hub import Hub
from engine.transport.ledger import Ledger
from engine.transport.limits import Pacer
from engine.transport.session import Session
from engine.transport.sessions import Sessions
from engine.turn_work import TurnResult

# After these a message is settled on all devices of its user; and what other devices are told of it.
SETTLING = {"message.answered": "answered", "message.dismissed": "dismissed", "message.muted": "muted"}
# After these the user may wish for something else than before.
WISHING = frozenset({"user.preferences", "message.muted"})

log = structlog.get_logger("proactive")


class Delivery:
    """``clock`` is monotonic, in seconds. Give it the driver and the sessions by `bind` before the first turn."""

    def __init__(
        self, hub: Hub, ledger: Ledger, pacer: Pacer[OutboxMessage], clock: Callable[[], float], *,
        observer: Observer = SILENT,
    ) -> None:  # fmt: skip
        self._hub = hub
        self._ledger = ledger
        self._pacer = pacer
        self._clock = clock
        self._observer = observer
        self._live: Driver | None = None
        self._sessions: Sessions | None = None
        self._on_settled: Callable[[str, str], None] | None = None
        self._paced: dict[str, OutboxMessage] = {}  # by id; whatever else the pacer has is not to be handed over
        self._timer: asyncio.TimerHandle | None = None
        self._telling: set[asyncio.Task[None]] = set()

    def bind(self, live: Driver, sessions: Sessions, on_settled: Callable[[str, str], None] | None = None) -> None:
        """``on_settled`` is called with a user and the id of what is not to be shown to them any more."""
        self._live = live
        self._sessions = sessions
        self._on_settled = on_settled

    def is_paced(self, message_id: str) -> bool:
        """Whether a message waits for its second; nobody else is to hand it over meanwhile."""
        return message_id in self._paced

    def deliver(self, messages: list[OutboxMessage]) -> list[str]:
        """Hand them to whoever is there; the ids of those that have reached all whom they are for.

        Those over the rate go a moment later, and go on waiting in the outbox until then.
        """
        # A message for nobody who is there costs nothing and takes no place.
        there = [outgoing for outgoing in messages if self._is_there(outgoing.user)]
        # What somebody waits for goes at once: the pace is for what is said unasked.
        answers = [outgoing for outgoing in there if outgoing.message.type == ANSWER_TYPE]
        unasked = [outgoing for outgoing in there if outgoing.message.type != ANSWER_TYPE] if answers else there
        return [*self._hand(answers), *self._hand_at_pace(unasked)]

    def forget(self, user: str) -> None:
        """The user is being erased: what waits for its second is handed to nobody."""
        self._paced = {name: outgoing for name, outgoing in self._paced.items() if outgoing.user != user}

    def after_turn(self, result: TurnResult) -> None:
        """Devices learn what other devices did with a message, and what the user wishes now."""
        wishing: dict[str, None] = {}
        for entry in result.entries:
            event = entry.event
            if event is None:
                continue
            reason = SETTLING.get(event.type)
            if reason is not None:
                self._settle(event.user, event.data.get("message_id"), event.session, reason)
            if event.type in WISHING:
                wishing[event.user] = None
        for decision in result.decisions:
            if decision.outcome == "cancelled" and decision.was == "sent" and decision.message is not None:
                self.cancelled(decision.user, decision.message.id)
        for user in wishing:
            if self._of(user):
                task = asyncio.get_running_loop().create_task(self._tell_wishes(user))
                self._telling.add(task)
                task.add_done_callback(self._telling.discard)

    def cancelled(self, user: str, message_id: str) -> None:
        """The user is not to be shown the message any more."""
        self._settle(user, message_id, None, "cancelled")

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for task in self._telling:
            task.cancel()
        if self._telling:
            await asyncio.wait(self._telling)

    # Inside.

    def _of(self, user: str) -> list[Session]:
        return [] if self._sessions is None else self._sessions.of_user(user)

    def _is_there(self, user: str) -> bool:
        return self._hub.is_connected(user) or bool(self._of(user))

    def _hand_at_pace(self, messages: list[OutboxMessage]) -> list[str]:
        """As `_hand`. Of those that go some may have waited since before, and some of these wait in their place."""
        assert self._live is not None
        self._paced.update((outgoing.message.id, outgoing) for outgoing in messages)
        offered = [(outgoing, outgoing.message.type == "question") for outgoing in messages]
        going = self._still(self._pacer.offer(offered, self._clock()))
        # These stay in the outbox, for whoever asks next what waits.
        for outgoing in self._pacer.overflow:
            self._paced.pop(outgoing.message.id, None)
        reached = self._hand(going)
        here = {outgoing.message.id for outgoing in messages}
        before = set(reached).difference(here)
        self._live.relayed([outgoing for outgoing in going if outgoing.message.id in before])
        put_off = len(here.intersection(self._paced)) + len(self._pacer.overflow)
        if put_off:
            self._observer.rate_limited("messages", put_off)
            self._wait()
        return reached

    def _hand(self, messages: Iterable[OutboxMessage]) -> list[str]:
        assert self._live is not None
        reached = []
        queued = []
        for outgoing in messages:
            message_id = outgoing.message.id
            self._paced.pop(message_id, None)
            taken = bool(self._hub.deliver([outgoing]))
            sessions = [each for each in self._of(outgoing.user) if outgoing.client in ("", each.client)]
            for session in sessions:
                session.add(outgoing)
            if taken or any(session.is_there for session in sessions):
                queued.append(outgoing)
            others = [] if outgoing.client else self._live.resumable(outgoing.user)
            names = [*(session.name for session in sessions), *others]
            if names:
                self._ledger.owe(outgoing, names, has_arrived=taken)
                if taken:
                    self._live.received([outgoing])
            elif taken:
                reached.append(message_id)
        if queued:
            self._observer.queued(queued, "pushed")
        return reached

    def _still(self, going: Iterable[OutboxMessage]) -> list[OutboxMessage]:
        """Of these, those that have not been settled while they waited, nor their user erased."""
        return [outgoing for outgoing in going if self._paced.get(outgoing.message.id) is outgoing]

    def _wait(self) -> None:
        if self._timer is None and self._pacer.next_at is not None:
            seconds = max(self._pacer.next_at - self._clock(), 0.001)
            self._timer = asyncio.get_running_loop().call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        assert self._live is not None
        self._timer = None
        going = self._still(self._pacer.due(self._clock()))
        reached = set(self._hand(going))
        self._live.relayed([outgoing for outgoing in going if outgoing.message.id in reached])
        self._wait()

    def _settle(self, user: str, message_id: object, by: str | None, reason: str) -> None:
        """Nobody else needs to be shown the user's message; ``by`` is the session that settled it."""
        assert self._live is not None
        if not isinstance(message_id, str):
            return
        # Clients say any id: of messages to others it settles nothing.
        if self._on_settled is not None:
            self._on_settled(user, message_id)
        paced = self._paced.get(message_id)
        if paced is not None and paced.user == user:
            del self._paced[message_id]
            self._live.withdraw([paced])
        outgoing = self._ledger.drop(message_id, user)
        if outgoing is not None:
            self._live.withdraw([outgoing])
        if self._sessions is not None:
            self._sessions.withdraw(user, message_id, reason, by)

    async def _tell_wishes(self, user: str) -> None:
        assert self._live is not None
        try:
            frame = preferences_frame(await self._live.preferences(user))
        except StoreError as error:
            log.warning("! wishes not told", user_id=user, why=str(error))
            return
        for session in self._of(user):
            session.tell(frame)
