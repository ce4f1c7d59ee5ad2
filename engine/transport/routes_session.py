"""Routes of level 1: a session opened by a request, and the frames of its client. Frames to it are for `streams`.

What a frame means, `reception` decides.
"""

from __future__ import annotations

from aiohttp import web

from engine.core.model import Json
from engine.transport.bodies import read_frames
from engine.transport.callers import Callers, credentials_of
from engine.transport.decoding import WireError, bad_frame, decode_json, kind_of
from engine.transport.frames import ack
from engine.transport.http_replies import read_body, read_query, reply
from engine.transport.reception import Heard, Reception, complaint, together
from engine.transport.refusing import refusal_of
from engine.transport.session import Session
from engine.transport.sessions import WHY_OVER
from engine.transport.wire import FrameType


class SessionRoutes:
    def __init__(self, reception: Reception, callers: Callers) -> None:
        self._reception = reception
        self._callers = callers

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_post("/hello", self.hello)

    async def hello(self, request: web.Request) -> web.Response:
        """A ``hello`` frame; the reply is the ``welcome``. Who neither streams nor polls then is gone after a while."""
        read_query(request)
        value = decode_json(await read_body(request))
        if not isinstance(value, dict) or value.get("type") != "hello":
            got = kind_of(value) if not isinstance(value, dict) else "another frame"
            raise bad_frame(f'expected a frame of type "hello", got {got}')
        session = await self._reception.greet(value, credentials_of(request))
        if session.outgoing is None:
            # What is said meanwhile comes with the first poll, or as soon as a stream is open.
            session.transport = "poll"
        return reply(self._reception.welcome(session))

    def find(self, request: web.Request, name: str, token: str | None = None) -> Session:
        """The session of that name, if the request may speak for its user. Raises `WireError`."""
        identity = self._callers.named_client(request, token)
        session = self._reception.sessions.find(name)
        if session is None:
            raise self._reception.sessions.why_over(name)
        # Whoever has another's token learns no more than that there is nothing for them.
        if identity.kind == "token" and identity.user != session.user:
            raise WireError("no_session", WHY_OVER["no_session"])
        return session

    async def frames(self, request: web.Request, name: str) -> web.Response:
        """``POST /events?session=``: the ids of the events, and what there is to say to each frame.

        One frame that cannot be taken does not keep the others from being taken, as on any connection.
        """
        session = self.find(request, name)
        values = read_frames(await read_body(request))
        replies: list[FrameType] = []
        heard: list[Heard] = []
        for value in values:
            try:
                one = self._reception.hear(session, value)
            except WireError as error:
                self._reception.observer.refused(error.code)
                replies.append(complaint(error, value))
                continue
            replies += one.replies
            if one.inputs:
                heard.append(one)
        ids: list[str] = []
        acknowledged: list[Json] = []
        for some, durable in [(some, self._reception.take_in(session, some, "http")) for some in together(heard)]:
            try:
                ids += await durable
                acknowledged += [name for one in some for name in one.ids]
            except Exception as error:
                replies += [complaint(refusal_of(error), one.frame) for one in some]
        if acknowledged:
            replies.append(ack(acknowledged))
        return reply({"ids": ids, "frames": replies}, 202)
