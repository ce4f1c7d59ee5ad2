"""Frames to clients of level 1 as server-sent events (HTML standard, section 9.2). Which frames, the session says.

One look a second over all that are open finds out who is gone and who has heard nothing for a heartbeat, so that no
stream has a timer of its own.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

import msgspec
import structlog
from aiohttp import web

from engine.transport.admitted import admitted
from engine.transport.auth import Identity
from engine.transport.callers import Callers
from engine.transport.decoding import NAME_LENGTH_MAX, bad_frame
from engine.transport.frames import SEQ_MAX, Hello
from engine.transport.http_replies import read_number, read_query
from engine.transport.outgoing import GOING_AWAY, SLOW_CONSUMER_CODE, Outgoing
from engine.transport.reception import Reception
from engine.transport.routes_session import SessionRoutes
from engine.transport.session import REPLACED, Session
from engine.transport.wire import check_zone, encode

RETRY_MS = 1000  # after which a browser connects again
# What keeps a browser from coming back at once to where it is not wanted: it would throw out whoever replaced it.
STAY_AWAY_MS = 24 * 3600 * 1000
CLOSING_S = 2.0  # to take what was queued; then the line is cut
CHUNK_FRAMES = 64  # that are written at once
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # nginx would otherwise collect some kilobytes before it passes anything on
}
HEARTBEAT = ": \n\n"
_LAST_EVENT_ID = re.compile(r"(?:(?P<session>[^\s:]{1,128}):)?(?P<seq>\d{1,16})", re.ASCII)

log = structlog.get_logger("proactive")


class _Numbered(msgspec.Struct):
    seq: int | None = None


@dataclass(eq=False, slots=True)
class _Stream:
    """``qualified``: ids of events name the session too, for a client that was never told which one it has."""

    request: web.Request
    session: Session
    outgoing: Outgoing
    woken: asyncio.Event
    qualified: bool
    silent_looks: int = 0

    def wake(self) -> None:
        self.woken.set()
        closing = self.outgoing.closing
        if closing is not None and closing[0] == SLOW_CONSUMER_CODE:
            # It is blocked in a write that will not end.
            self.cut()

    def cut(self) -> None:
        transport = self.request.transport
        if transport is not None:
            transport.abort()

    def event(self, text: str) -> str:
        seq = _decoder.decode(text).seq
        if seq is None:
            return f"data: {text}\n\n"
        return f"id: {f'{self.session.name}:' if self.qualified else ''}{seq}\ndata: {text}\n\n"


class Streams:
    """``frames_max``: frames that wait for one stream. ``look_s``: seconds between looks at all of them."""

    def __init__(
        self, reception: Reception, callers: Callers, sessions: SessionRoutes, *, frames_max: int, look_s: float
    ) -> None:
        self._reception = reception
        self._callers = callers
        self._sessions = sessions
        self._frames_max = frames_max
        self._open: set[_Stream] = set()
        self._looking: asyncio.Task[None] | None = None
        self._heartbeat_looks = max(1, int(reception.heartbeat_s / look_s))
        self._look_s = look_s

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/stream", self.stream, allow_head=False)

    def start(self) -> None:
        self._looking = asyncio.create_task(self._look(), name="streams")

    async def close(self) -> None:
        """Tell all that the server goes away. Those who do not take it are cut off."""
        for stream in list(self._open):
            stream.outgoing.close(*GOING_AWAY)
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """``?session=`` goes on with a session; ``?clientId=`` opens one, and its first event is the ``welcome``."""
        given = read_query(request, "session", "clientId", "user", "timezone", "token", "after")
        if ("session" in given) == ("clientId" in given):
            raise bad_frame('expected either "session", of a session that is open, or "clientId", to open one')
        self._reception.check_not_draining()
        token = given.get("token")
        last_session, seq = _read_last_event_id(request, given)
        if "session" in given:
            session = self._sessions.find(request, given["session"], token)
            self._reception.sessions.received(session, seq)
            session.begin_at(seq)
            with admitted(self._reception, request, session.user, "stream"):
                return await self._serve(request, session, qualified=False)
        identity = self._callers.named_client(request, token)
        session = await self._open_session(given, identity, (last_session, seq) if last_session else None)
        with admitted(self._reception, request, session.user, "stream"):
            return await self._serve(request, session, qualified=True)

    async def _open_session(self, given: dict[str, str], identity: Identity, resume: tuple[str, int] | None) -> Session:
        for name in ("clientId", "user"):
            if name in given and not 0 < len(given[name]) <= NAME_LENGTH_MAX:
                raise bad_frame(f'expected "{name}" to have 1 to {NAME_LENGTH_MAX} characters, got {len(given[name])}')
        check_zone(given.get("timezone"))
        traits = {"timezone": given["timezone"]} if "timezone" in given else {}
        return await self._reception.open(Hello(given["clientId"], None, given.get("user"), traits, resume), identity)

    async def _serve(self, request: web.Request, session: Session, *, qualified: bool) -> web.StreamResponse:
        woken = asyncio.Event()
        outgoing = Outgoing(self._frames_max)
        stream = _Stream(request, session, outgoing, woken, qualified)
        outgoing.wake = stream.wake
        response = web.StreamResponse(headers=HEADERS)
        response.force_close()  # what ends a stream is the end of its connection
        beginning = f"retry: {RETRY_MS}\n\n"
        if qualified:
            beginning += f"id: {session.name}:0\ndata: {encode(self._reception.welcome(session))}\n\n"
        session.attach(outgoing, "stream")
        self._open.add(stream)
        self._reception.hub.stream_began(outgoing)
        try:
            await response.prepare(request)
            await response.write(beginning.encode())
            await self._write(stream, response)
        except ConnectionError:
            pass  # whoever is gone will be back
        finally:
            self._open.discard(stream)
            self._reception.hub.stream_ended(outgoing)
            session.detach(outgoing, self._reception.clock())
        return response

    async def _write(self, stream: _Stream, response: web.StreamResponse) -> None:
        outgoing = stream.outgoing
        while True:
            stream.woken.clear()
            events: list[str] = []
            while len(events) < CHUNK_FRAMES and (text := outgoing.take_nowait()) is not None:
                events.append(stream.event(text))
            if events:
                stream.silent_looks = 0
                self._reception.observer.frames_out("stream", len(events))
                await response.write("".join(events).encode())
            elif outgoing.closing is not None:
                await response.write(_farewell(*outgoing.closing).encode())
                return
            elif stream.request.transport is None:
                return
            elif stream.silent_looks >= self._heartbeat_looks:
                stream.silent_looks = 0
                await response.write(HEARTBEAT.encode())
            else:
                await stream.woken.wait()

    async def _look(self) -> None:
        looks_closing: dict[_Stream, int] = {}
        while True:
            await asyncio.sleep(self._look_s)
            now = self._reception.clock()
            for stream in list(self._open):
                stream.silent_looks += 1
                expires_at = stream.session.expires_at
                if expires_at is not None and expires_at <= now:
                    stream.outgoing.close(*EXPIRED)
                if stream.request.transport is None or stream.silent_looks >= self._heartbeat_looks:
                    stream.woken.set()
            closing = [stream for stream in self._open if stream.outgoing.closing is not None]
            looks_closing = {stream: looks_closing.get(stream, 0) + 1 for stream in closing}
            for stream, looks in looks_closing.items():
                if looks * self._look_s > CLOSING_S:
                    stream.cut()


EXPIRED = (1008, '{"code":"unauthorized"}')


def _farewell(code: int, reason: str) -> str:
    """The last event: the code with which a WebSocket would be closed. A browser then waits before it comes back."""
    wait = RETRY_MS if code == GOING_AWAY[0] else STAY_AWAY_MS if code in (REPLACED[0], EXPIRED[0]) else None
    retry = "" if wait is None else f"retry: {wait}\n"
    return f"{retry}event: close\ndata: {encode({'code': code, 'reason': reason})}\n\n"


def _read_last_event_id(request: web.Request, given: dict[str, str]) -> tuple[str | None, int]:
    """Session, where the id names one, and seq. A browser sends the header, others may say ``?after=``."""
    text = request.headers.get("Last-Event-ID", "").strip()
    if not text:
        return None, read_number(given, "after", 0, most=SEQ_MAX)
    found = _LAST_EVENT_ID.fullmatch(text)
    if found is None or int(found["seq"]) > SEQ_MAX:
        raise bad_frame(f'expected "Last-Event-ID" to be the id of an event of this stream, got "{text[:80]}"')
    return found["session"], int(found["seq"])


_decoder = msgspec.json.Decoder(_Numbered)
