"""What comes in, until its turn: inputs stamped and put into the inbox, and the sessions that their clients have left.

It evaluates nothing and writes to no store; `live` makes the turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import structlog

from engine.core.model import Event, Json
from engine.inbox import Inbox, Overloaded
from engine.observer import Trace
from engine.pending import Pending
from engine.stale import StaleSessions
from engine.storage.base import Entry, OutboxMessage, StoreError

log = structlog.get_logger("live")


class Input(msgspec.Struct, frozen=True):
    """What a client says happened. The driver stamps it; the client's own stamp is ``at_reported``, if it gave one.

    ``once``: an event of this user with this id that has happened does not happen again.
    """

    user: str
    type: str
    data: dict[str, Json]
    id: str = ""
    session: str | None = None
    at_reported: int | None = None
    once: bool = False


class Intake:
    """``clock``: microseconds. ``wake`` is called when something waits.

    ``on_abandoned`` is called with a user and the user's sessions to which nobody came back.
    """

    def __init__(self, inbox: Inbox, clock: Callable[[], int], wake: Callable[[], None], resume_within: int) -> None:
        self.inbox = inbox
        self.stale = StaleSessions(resume_within)
        self.stopping = False
        self.on_abandoned: Callable[[str, list[str]], None] = lambda user, sessions: None
        self._clock = clock
        self._wake = wake
        self._ending: dict[tuple[str, str], Pending[Any]] = {}  # by user and session, the end that is not written yet

    def begin(self, inputs: list[Input], trace: Trace = None) -> Pending[list[str]]:
        """Let these happen, in order; what is returned is done when they have, or could not be made durable."""
        entries: list[Entry] = []
        places: list[int] = []
        ended: dict[str, list[str]] = {}
        for item in inputs:
            places.append(len(entries))
            entries.append(self._entry(item))
            if item.type == "session.start":
                # The client is back: what its former connection left open has had its use.
                former = {item.user: self.stale.pop(item.user)}
                ended = {**former, **ended}
                entries += self._ends(former)
        ids: Pending[list[str]] = Pending()

        def done(entries: Pending[list[Entry]]) -> None:
            error = entries.exception()
            if error is not None:
                self.stale.add(ended, self._clock())
                ids.set_exception(error)
            else:
                made = entries.result()
                ids.set_result([event.id for place in places if (event := made[place].event) is not None])

        try:
            self._put(entries, trace).add_done_callback(done)
        except (StoreError, Overloaded) as error:
            self.stale.add(ended, self._clock())
            ids.set_exception(error)
        return ids

    def note(self, inputs: list[Input]) -> None:
        """Let these happen; that they could not be made durable is told to the operator alone."""

        def done(made: Pending[list[str]]) -> None:
            if (error := made.exception()) is not None:
                log.error("! not recorded", types=[item.type for item in inputs], error=str(error))

        self.begin(inputs).add_done_callback(done)

    def end(self, ends: list[Input]) -> None:
        """These connections are gone: their sessions end now, or later where that cannot be made durable now."""
        names = [(item.user, item.session or "") for item in ends]

        def done(made: Pending[list[str]]) -> None:
            self._end_is_known(names)
            if (error := made.exception()) is None:
                return
            log.warning("! sessions end later", error=str(error), sessions=len(ends))
            for item in ends:
                self.stale.add({item.user: [item.session or ""]}, self._clock())
            self._wake()

        ending = self.begin(ends)
        self._ending.update(dict.fromkeys(names, ending))
        ending.add_done_callback(done)

    def leave(self, user: str, session: str) -> None:
        """Nobody came to this session; somebody may yet."""
        self.stale.add({user: [session]}, self._clock())
        self._wake()

    async def ended(self, user: str, session: str) -> None:
        """Returns when no end of the session is on its way: it is over, or goes on for now."""
        while (ending := self._ending.get((user, session))) is not None:
            with suppress(Exception):
                await ending

    def send(self, messages: list[OutboxMessage], *, once: bool = False) -> Pending[list[Entry]]:
        """The application's own messages; ``once``: each by its id. Raises `Overloaded` and `StoreError`."""
        at = self._clock()
        return self._put(
            [Entry("send", at, each.user, message=each.message, once=once, client=each.client) for each in messages]
        )

    def settled(self) -> Pending[list[Entry]]:
        """Done when all that waits by now has had its turn."""
        done = self.inbox.put([])
        self._wake()
        return done

    def end_stale(self, now: int) -> None:
        """End the sessions whose clients had time to come back, and did not."""
        if self.stale.until is None or now < self.stale.until:
            return
        for some in self.stale.take():
            for user, names in some.items():
                self.on_abandoned(user, names)
            ending = self.inbox.put(self._ends(some))
            self._ending.update(((user, name), ending) for user, names in some.items() for name in names)
            ending.add_done_callback(partial(self._ended, some))

    def _put(self, entries: list[Entry], trace: Trace = None) -> Pending[list[Entry]]:
        if self.stopping:
            raise StoreError("the server is stopping")
        self.inbox.check_room(len(entries))
        done = self.inbox.put(entries, trace)
        self._wake()
        return done

    def _entry(self, item: Input) -> Entry:
        at = self._clock()
        event = Event(item.type, item.user, at, item.data, item.id, item.session, item.at_reported)
        return Entry("event", at, item.user, event, once=item.once)

    def _ends(self, sessions: dict[str, list[str]]) -> list[Entry]:
        named = ((user, name) for user, names in sessions.items() for name in names)
        return [self._entry(Input(user, "session.end", {}, session=name)) for user, name in named]

    def _end_is_known(self, sessions: Iterable[tuple[str, str]]) -> None:
        for session in sessions:
            self._ending.pop(session, None)

    def _ended(self, sessions: dict[str, list[str]], done: Pending[list[Entry]]) -> None:
        self._end_is_known((user, name) for user, names in sessions.items() for name in names)
        if done.exception() is not None:
            self.stale.add(sessions, self._clock())
