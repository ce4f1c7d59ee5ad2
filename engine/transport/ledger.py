"""Which messages have yet to reach which sessions. It sends nothing and keeps nothing on a disk.

A message leaves the outbox when all sessions of its user that were there have it; until then it waits there for those
that lost their connection. After a restart the ledger is made anew from the sessions that are still open: then
somebody may be sent again what they have, by the same id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.storage.base import OutboxMessage
from engine.transport.session import UNRECEIVED_MAX


@dataclass(slots=True)
class _Entry:
    outgoing: OutboxMessage
    sessions: set[str]
    has_arrived: bool


class Ledger:
    """Messages by id. A session owes a receipt of each that names it."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._by_session: dict[str, dict[str, None]] = {}  # what each is to have, in the order in which it came

    def __len__(self) -> int:
        return len(self._entries)

    def owe(self, outgoing: OutboxMessage, sessions: Iterable[str], *, has_arrived: bool = False) -> None:
        """These sessions are to have the message, besides those that were to have it before.

        Of what one is to have, the oldest beyond `UNRECEIVED_MAX` are as if nobody had been there: they stay in the
        outbox for whoever comes, as long as there is room in it.
        """
        message_id = outgoing.message.id
        entry = self._entries.get(message_id)
        if entry is None:
            entry = self._entries[message_id] = _Entry(outgoing, set(), False)
        entry.has_arrived = entry.has_arrived or has_arrived
        for session in sessions:
            entry.sessions.add(session)
            of_session = self._by_session.setdefault(session, {})
            of_session[message_id] = None
            if len(of_session) > UNRECEIVED_MAX:
                self._give_up(session, next(iter(of_session)))

    def received(self, session: str, message_ids: Iterable[str]) -> tuple[list[OutboxMessage], list[OutboxMessage]]:
        """The session has these: of them those that nobody had before, and those that nobody is waiting for now."""
        first: list[OutboxMessage] = []
        done: list[OutboxMessage] = []
        for message_id in message_ids:
            entry = self._entries.get(message_id)
            if entry is None or session not in entry.sessions:
                continue
            if not entry.has_arrived:
                entry.has_arrived = True
                first.append(entry.outgoing)
            self._settle(session, message_id, entry)
            if not entry.sessions:
                done.append(entry.outgoing)
                del self._entries[message_id]
        return first, done

    def forget(self, session: str) -> list[OutboxMessage]:
        """The session is over: messages that have reached all others who were to have them.

        What nobody has is in nobody's debt any more, and goes on waiting in the outbox for whoever comes.
        """
        done = []
        for message_id in list(self._by_session.get(session, ())):
            entry = self._entries[message_id]
            self._settle(session, message_id, entry)
            if not entry.sessions:
                del self._entries[message_id]
                if entry.has_arrived:
                    done.append(entry.outgoing)
        return done

    def drop(self, message_id: str, user: str) -> OutboxMessage | None:
        """Nobody is to have the message any more, if it is one to this user."""
        entry = self._entries.get(message_id)
        if entry is None or entry.outgoing.user != user:
            return None
        del self._entries[message_id]
        for session in list(entry.sessions):
            self._settle(session, message_id, entry)
        return entry.outgoing

    def expired(self, now: int) -> list[OutboxMessage]:
        """Those that nobody should be shown any more; they are dropped."""
        found = [
            entry.outgoing
            for entry in self._entries.values()
            if entry.outgoing.message.expires_at is not None and entry.outgoing.message.expires_at <= now
        ]
        for outgoing in found:
            self.drop(outgoing.message.id, outgoing.user)
        return found

    def _give_up(self, session: str, message_id: str) -> None:
        entry = self._entries[message_id]
        self._settle(session, message_id, entry)
        if not entry.sessions:
            del self._entries[message_id]

    def _settle(self, session: str, message_id: str, entry: _Entry) -> None:
        entry.sessions.discard(session)
        of_session = self._by_session.get(session)
        if of_session is not None:
            of_session.pop(message_id, None)
            if not of_session:
                del self._by_session[session]
