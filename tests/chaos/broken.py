"""A server with one fault in it, to see that the storm notices: ``python -m tests.chaos.broken FAULT serve …``.

Each fault is a promise broken in one place of the real code; nothing else differs from ``proactive``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from engine.cli.main import main
from engine.inbox import Inbox
from engine.live import Live
from engine.storage.base import OutboxMessage
from engine.storage.sqlite import SqliteStore
from engine.transport.frames import SEQ_MAX
from engine.transport.ledger import Ledger
from engine.transport.session import Session
from engine.transport.sessions import Sessions


def ack_before_commit() -> None:
    """What came in is acknowledged at once, and gets to the disk a moment later, if it ever does."""
    put, take_turn = Inbox.put, Live.take_turn

    def hasty(self: Inbox, entries: list[Any], trace: Any = None) -> asyncio.Future[list[Any]]:
        put(self, entries, trace)
        done: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        done.set_result(entries)
        return done

    async def slow(self: Live, now: int) -> None:
        await asyncio.sleep(0.3)
        await take_turn(self, now)

    Inbox.put = hasty  # type: ignore[method-assign]
    Live.take_turn = slow  # type: ignore[method-assign]


def ledger_forgets() -> None:
    """A message is settled when the first device has it."""
    received = Ledger.received

    def forgetful(self: Ledger, session: str, message_ids: Any) -> tuple[list[OutboxMessage], list[OutboxMessage]]:
        first, _ = received(self, session, list(message_ids))
        for outgoing in first:
            self.drop(outgoing.message.id)
        return first, first

    Ledger.received = forgetful  # type: ignore[method-assign]


def next_session_gets_nothing() -> None:
    """What a session is owed goes with it, rather than wait for whoever comes next."""
    forget = Ledger.forget

    def careless(self: Ledger, session: str) -> list[OutboxMessage]:
        owed = [self._entries[message_id].outgoing for message_id in self._by_session.get(session, ())]
        forget(self, session)
        return owed

    Ledger.forget = careless  # type: ignore[method-assign]


def no_memory_of_ids() -> None:
    """An event that is sent again happens again."""

    async def known(self: SqliteStore, ids: list[tuple[str, str]]) -> set[tuple[str, str]]:
        return set()

    SqliteStore.known = known  # type: ignore[method-assign]


def nothing_again() -> None:
    """What was written to a connection counts as received."""
    received = Sessions.received

    def hopeful(self: Sessions, session: Session, seq: int) -> None:
        received(self, session, SEQ_MAX)

    Sessions.received = hopeful  # type: ignore[method-assign]


FAULTS: dict[str, Callable[[], None]] = {
    "ack-before-commit": ack_before_commit,
    "ledger-forgets": ledger_forgets,
    "next-session-gets-nothing": next_session_gets_nothing,
    "no-memory-of-ids": no_memory_of_ids,
    "nothing-again": nothing_again,
}

if __name__ == "__main__":
    FAULTS[sys.argv.pop(1)]()
    main()
