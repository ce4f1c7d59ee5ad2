"""Frames to clients of level 1 that can only ask: a request waits until there is something to say.

What there is, the session says.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from engine.transport.admitted import admitted
from engine.transport.frames import SEQ_MAX
from engine.transport.http_replies import read_number, read_query
from engine.transport.reception import Reception
from engine.transport.routes_session import SessionRoutes
from engine.transport.session import REPLACED, Session

POLL_S = 25  # how long a request waits; many proxies give up after 30 seconds


class Polls:
    """At most one request of a session waits. A second one is the same client, which no longer waits for the first."""

    def __init__(self, reception: Reception, sessions: SessionRoutes) -> None:
        self._reception = reception
        self._sessions = sessions
        self._waiting: dict[Session, asyncio.Event] = {}
        self._is_closing = False

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/poll", self.poll, allow_head=False)

    def close(self) -> None:
        """Answer all that wait, with what there is."""
        self._is_closing = True
        for woken in self._waiting.values():
            woken.set()

    async def poll(self, request: web.Request) -> web.Response:
        """What comes after ``?after=``, which says that all up to it has been received."""
        given = read_query(request, "session", "after", "timeout")
        after = read_number(given, "after", 0, most=SEQ_MAX)
        timeout_s = read_number(given, "timeout", POLL_S, most=POLL_S)
        session = self._sessions.find(request, given.get("session", ""))
        with admitted(self._reception, request, session.user, "poll"):
            if session.outgoing is not None:
                session.outgoing.close(*REPLACED)
                session.detach(session.outgoing, self._reception.clock())
            texts = await self._frames(session, after, timeout_s)
        if texts:
            self._reception.observer.frames_out("poll", len(texts))
        # They are encoded already, each once.
        return web.Response(text=f'{{"frames":[{",".join(texts)}]}}', content_type="application/json")

    async def _frames(self, session: Session, after: int, timeout_s: float) -> list[str]:
        """What there is, as soon as there is some. Raises `WireError` where the session is over meanwhile."""
        session.transport = "poll"
        self._reception.sessions.received(session, after)
        woken = asyncio.Event()
        former = self._waiting.get(session)
        if former is not None:
            former.set()
        self._waiting[session] = woken
        session.wake = woken.set
        session.left_at = None
        session.polls += 1
        try:
            if not session.has_some and not self._is_closing:
                await _wait(woken, timeout_s)
            if session.is_over:
                raise self._reception.sessions.why_over(session.name)
            is_mine = self._waiting.get(session) is woken and session.outgoing is None
            return session.frames_after(after) if is_mine else []
        finally:
            session.polls -= 1
            if self._waiting.get(session) is woken:
                del self._waiting[session]
                session.wake = None
            if session.outgoing is None and not session.polls:
                session.left_at = self._reception.clock()


async def _wait(woken: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await woken.wait()
    except TimeoutError:
        pass
