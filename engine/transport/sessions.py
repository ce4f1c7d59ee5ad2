"""The sessions of level 1 of this process: who has one, who takes one up again, and when one is over.

Whether a session is one that a client of an earlier process had open, the driver knows, for it stands in the state of
its user. What a message has to do with sessions is the business of `delivery`.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable

import structlog

from engine.core.model import Json
from engine.core.units import MINUTE
from engine.driver import Driver
from engine.intake import Input
from engine.observer import SILENT, Observer
from engine.stale import RESUMABLE
from engine.storage.base import OutboxMessage
from engine.transport.auth import Identity
from engine.transport.decoding import WireError
from engine.transport.erasing import BeingErased, Erasing
from engine.transport.frames import Hello
from engine.transport.ledger import Ledger
from engine.transport.outgoing import GOING_AWAY
from engine.transport.refusing import refusal_of, told_to_client
from engine.transport.session import ERASED, REPLACED, WITHDRAWN_MAX, Session

SESSIONS_MAX = 200_000  # with and without a connection
USER_SESSIONS_MAX = 100  # of one user, those without a connection among them; then the one longest gone is over
ENDED_AT_ONCE = 200  # sessions whose ends are one request to the driver
OVER_MAX = 10_000  # names of sessions of which is remembered why they are over, some 100 bytes each

WHY_OVER = {
    "no_session": "there is no such session, or no longer; say hello again",
    "replaced": "the same client has opened another session meanwhile",
    "erased": "this user has been erased",
}

log = structlog.get_logger("proactive")


class Sessions:
    """``clock``: microseconds UTC. ``resume_within``: how long one without a connection stays, in microseconds.

    ``is_kept_back`` says of messages in the outbox that somebody else sees to them for now.
    """

    def __init__(
        self,
        live: Driver,
        ledger: Ledger,
        *,
        clock: Callable[[], int],
        resume_within: int = MINUTE,
        is_kept_back: Callable[[str], bool] = lambda message_id: False,
        observer: Observer = SILENT,
        erasing: Erasing | None = None,
    ) -> None:
        self._live = live
        self._ledger = ledger
        self._clock = clock
        self._within = resume_within
        self.is_kept_back = is_kept_back
        self._observer = observer
        self.erasing = Erasing() if erasing is None else erasing
        self._by_name: dict[str, Session] = {}
        self._by_user: dict[str, dict[str, Session]] = {}  # of each user, by client
        self._over: OrderedDict[str, str] = OrderedDict()  # by the name of a session, the code of why
        # What clients of an earlier process have missed: by user and session, messages and why they are withdrawn.
        self._missed: dict[str, dict[str, dict[str, str]]] = {}

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, name: str) -> Session | None:
        return self._by_name.get(name)

    def why_over(self, name: str) -> WireError:
        """What to say to whoever asks for a session that is not there: as a WebSocket would have been closed."""
        code = self._over.get(name, "no_session")
        return WireError(code, WHY_OVER[code])

    def of_user(self, user: str) -> list[Session]:
        return list(self._by_user.get(user, {}).values())

    def of_client(self, client: str) -> list[Session]:
        """Sessions of all users whose client calls itself so; one that polls has no connection most of the time."""
        return [each for each in self._by_name.values() if each.client == client]

    def are_owed(self, outgoing: OutboxMessage) -> bool:
        """Whether sessions are to have the message which a plain client has taken already."""
        for session in self._beginning(outgoing):
            session.add(outgoing)
        sessions = [each for each in self.of_user(outgoing.user) if outgoing.message.id in each.unreceived]
        others = [] if outgoing.client else self._live.resumable(outgoing.user)
        names = [*(each.name for each in sessions), *others]
        if names:
            self._ledger.owe(outgoing, names, has_arrived=True)
        return bool(names)

    def users(self) -> list[str]:
        return list(self._by_user)

    async def open(self, hello: Hello, identity: Identity) -> Session:
        """The session that a client takes up again, or a new one, which has then durably begun.

        What waits for it is owed to it; attach a connection. Raises `WireError`.
        """
        user = self._user_of(hello, identity)
        with told_to_client():
            self.erasing.check([user])
        self._check_not_overtaken(user, hello)
        # What the token says of the user goes before what the client says.
        traits = {**hello.traits, **identity.traits}
        session = self._by_name.get(hello.resume[0]) if hello.resume is not None else None
        if session is None or session.user != user or session.client != hello.client:
            session = await self._begin(user, hello, traits)
        else:
            if traits:
                with told_to_client():
                    await self._live.submit([Input(user, "user.identify", traits, session=session.name)])
            session.resumed = True
        session.attempt = hello.attempt
        session.capabilities = hello.capabilities
        session.expires_at = identity.expires_at
        seq = hello.resume[1] if session.resumed and hello.resume is not None else 0
        self.received(session, seq)
        session.begin_at(seq)
        self._observer.session_began(resumed=session.resumed)
        self._tell_handed(session)
        log.info("= session", user_id=user, client=session.client, session=session.name, resumed=session.resumed)
        return session

    def owe(self, session: Session, outgoing: OutboxMessage) -> None:
        """A message of the outbox is for this session, if it is for its client; and for others that may come back."""
        message_id = outgoing.message.id
        if outgoing.client not in ("", session.client) or self.is_kept_back(message_id):
            return
        sessions = {each.name: each for each in [session, *self._beginning(outgoing)]}
        for each in sessions.values():
            each.add(outgoing)
        others = [] if outgoing.client else self._live.resumable(session.user)
        self._ledger.owe(outgoing, [*sessions, *others])

    def withdraw(self, user: str, message_id: str, reason: str, by: str | None) -> None:
        """Nobody else needs to be shown the user's message; ``by`` is the session that settled it.

        Those whose clients are to come back yet are told then.
        """
        for session in self.of_user(user):
            session.withdraw(message_id)
            if session.name != by:
                session.tell_withdrawn(message_id, reason)
        for name in self._live.resumable(user):
            of_session = self._missed.setdefault(user, {}).setdefault(name, {})
            of_session[message_id] = reason
            if len(of_session) > WITHDRAWN_MAX:
                del of_session[next(iter(of_session))]

    def received(self, session: Session, seq: int) -> None:
        """The client says that it has all messages up to this number."""
        ids = session.received(seq)
        if not ids:
            return
        first, done = self._ledger.received(session.name, ids)
        self._observer.arrived(first)
        self._live.received(first)
        self._live.relayed(done)

    def left(self, session: Session) -> None:
        """The user has closed it on purpose: it is over, without waiting for anybody to come back."""
        self.end([session])

    def sweep(self) -> None:
        """End the sessions to which nobody came back in time. To be called every second or so."""
        now = self._clock()
        self._live.withdraw(self._drop_expired(now))
        gone = [each for each in self._by_name.values() if each.is_gone(now, self._within)]
        for start in range(0, len(gone), ENDED_AT_ONCE):
            self.end(gone[start : start + ENDED_AT_ONCE])

    def end(self, sessions: Iterable[Session]) -> None:
        """These are over, here at once, and for rules as soon as the driver has made it durable."""
        ends = []
        for session in sessions:
            if session.is_over:
                continue
            self._remove(session)
            ends.append(Input(session.user, "session.end", {}, session=session.name))
        if ends:
            self._live.end(ends)

    def drop(self, user: str) -> list[Session]:
        """Nothing of the user is to be known any more: the sessions that were, and no word of their end."""
        self._missed.pop(user, None)
        dropped = self.of_user(user)
        for session in dropped:
            session.farewell = ERASED
            self._remember(session, "erased")
            self._remove(session)
        return dropped

    def taken_elsewhere(self, user: str, name: str) -> None:
        """Another gateway has the session now; it goes on there, so nothing of it ends."""
        session = self._by_name.get(name)
        if session is None or session.user != user:
            return
        if session.outgoing is not None:
            session.outgoing.close(*REPLACED)
        self._remember(session, "replaced")
        self._remove(session)

    def followed(self, user: str, name: str) -> None:
        """Its client has a later session at another gateway."""
        session = self._by_name.get(name)
        if session is not None and session.user == user:
            self._replace(session)

    def let_go(self, names: Iterable[str] | None = None) -> None:
        """Others may have ended these sessions (None: all): clients say hello again, and take up what is left."""
        some = list(self._by_name) if names is None else names
        for session in [self._by_name[name] for name in some if name in self._by_name]:
            session.farewell = GOING_AWAY
            if session.outgoing is not None:
                session.outgoing.close(*GOING_AWAY)
            self._remove(session)

    def begun(self) -> dict[str, list[str]]:
        """By user, the names of the sessions to which their clients have come."""
        found = ((user, [each.name for each in by.values() if each.transport]) for user, by in self._by_user.items())
        return {user: names for user, names in found if names}

    def abandoned(self, user: str, names: Iterable[str]) -> None:
        """Clients of an earlier process did not come back to these."""
        for name in names:
            self._no_longer_missed(user, name)
            self._live.relayed(self._ledger.forget(name))

    # Inside.

    def _beginning(self, outgoing: OutboxMessage) -> list[Session]:
        """Sessions that ask at this moment what waits: once another has this message, they might not find it there."""
        sessions = self.of_user(outgoing.user)
        return [each for each in sessions if each.is_beginning and outgoing.client in ("", each.client)]

    def _tell_handed(self, session: Session) -> None:
        waited, again = session.to_hand()
        if waited:
            self._observer.queued(waited, "waiting")
        if again:
            self._observer.queued(again, "again")

    def _user_of(self, hello: Hello, identity: Identity) -> str:
        if identity.kind == "anonymous":
            raise WireError("unauthorized", "expected a token, for a session is somebody's; plain chat needs none")
        return identity.speaks_for(hello.user) or hello.client

    def _check_not_overtaken(self, user: str, hello: Hello) -> None:
        """A request may come long after its client gave it up and said hello anew; then it is not to win."""
        there = self._by_user.get(user, {}).get(hello.client)
        if there is None or there.attempt is None or hello.attempt is None:
            return
        run, number = there.attempt
        if hello.attempt[0] == run and hello.attempt[1] < number:
            raise WireError("replaced", "a later hello of the same client has come before this one")

    async def _begin(self, user: str, hello: Hello, traits: dict[str, Json]) -> Session:
        """A session that this process did not have; of an earlier process where it can be taken up again."""
        self._make_room(user)
        asked = "" if hello.resume is None else hello.resume[0]
        # One that is here is another's, or it would not be asked for: the driver knows nothing of clients.
        is_asked = bool(asked) and asked not in self._by_name
        with told_to_client():
            resumed = is_asked and await self._live.resume(user, asked)
        try:
            there = self._by_name.get(asked)
            if there is not None and there.user == user and there.client == hello.client:
                # The client has asked twice, and the other hello was the first to have it.
                there.resumed = True
                return there
            # Or else another client has asked at the same time, and was the first to have it.
            return await self._begin_as(user, hello, traits, asked if resumed and there is None else "")
        finally:
            if resumed:
                self._live.has_arrived(user)

    async def _begin_as(self, user: str, hello: Hello, traits: dict[str, Json], name: str) -> Session:
        """The session of this name, which has been taken up, or a new one."""
        resumed = bool(name)
        name = name or RESUMABLE + secrets.token_hex(12)
        session = Session(name, user, hello.client, left_at=self._clock())
        session.resumed = resumed
        session.comes_from_afar = hello.resume is not None and bool(hello.resume[0])
        session.attempt = hello.attempt
        former = self._by_user.get(user, {}).get(hello.client)
        # From here on it is owed what is said to its user, so that nothing is missed between this and its beginning.
        self._by_name[name] = session
        self._by_user.setdefault(user, {})[hello.client] = session
        inputs = [] if resumed else [Input(user, "session.start", {"client": hello.client}, session=name)]
        if traits:
            inputs.append(Input(user, "user.identify", traits, session=name))
        try:
            with told_to_client():
                if inputs:
                    await self._live.submit(inputs)
                waiting = await self._live.waiting(user)
            if session.is_over:
                if session.farewell == ERASED:
                    raise refusal_of(BeingErased())
                if session.farewell == GOING_AWAY:
                    raise WireError("overloaded", "the server begins anew; say hello again", retry_after_s=1)
                raise WireError("replaced", WHY_OVER["replaced"])
            for outgoing in waiting:
                self.owe(session, outgoing)
            session.is_beginning = False
            for message_id, reason in self._no_longer_missed(user, name).items():
                session.tell_withdrawn(message_id, reason)
        except BaseException:
            if resumed and not session.is_over:
                # That the store could not tell what waits says nothing of the client, which is to try again.
                self._take_out(session)
                self._live.leave(user, name)
            else:
                self.end([session])
            if former is not None and not former.is_over:
                if hello.client in self._by_user.get(user, {}):
                    # One that was asked for later has taken this one's place, and so that of the former as well.
                    self._replace(former)
                else:
                    self._by_user.setdefault(user, {})[hello.client] = former
            raise
        if former is not None:
            # After the new one has begun, so that the user is present all the time.
            self._replace(former)
        return session

    def _replace(self, former: Session) -> None:
        """The same client has another session now."""
        if former.outgoing is not None:
            former.outgoing.close(*REPLACED)
        self._remember(former, "replaced")
        self.end([former])

    def _remember(self, session: Session, why: str) -> None:
        self._over[session.name] = why
        if len(self._over) > OVER_MAX:
            self._over.popitem(last=False)

    def _no_longer_missed(self, user: str, name: str) -> dict[str, str]:
        missed = self._missed.get(user, {})
        of_session = missed.pop(name, {})
        if not missed:
            self._missed.pop(user, None)
        return of_session

    def _make_room(self, user: str) -> None:
        if len(self._by_name) >= SESSIONS_MAX:
            raise WireError("overloaded", "the server has as many sessions as it takes", retry_after_s=5)
        of_user = self.of_user(user)
        if len(of_user) < USER_SESSIONS_MAX:
            return
        gone = [each for each in of_user if each.left_at is not None]
        if not gone:
            why = f"this user has {len(of_user)} sessions, as many as may be"
            raise WireError("too_many_connections", why, retry_after_s=5)
        self.end([min(gone, key=lambda each: each.left_at or 0)])

    def _remove(self, session: Session) -> None:
        self._take_out(session)
        self._live.relayed(self._ledger.forget(session.name))
        if session.on_end is not None:
            session.on_end()

    def _take_out(self, session: Session) -> None:
        """It is not here any more; what it is owed it is owed yet."""
        session.is_over = True
        if self._by_name.get(session.name) is session:
            del self._by_name[session.name]
        of_user = self._by_user.get(session.user, {})
        if of_user.get(session.client) is session:
            del of_user[session.client]
            if not of_user:
                del self._by_user[session.user]

    def _drop_expired(self, now: int) -> list[OutboxMessage]:
        expired = self._ledger.expired(now)
        for outgoing in expired:
            for session in self.of_user(outgoing.user):
                session.withdraw(outgoing.message.id)
        return expired
