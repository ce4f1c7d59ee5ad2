"""Routes of level 0: a chat message with its answer, and events of whoever they are. What they mean, `wire` decides."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from aiohttp import web

from engine.intake import Input
from engine.responders.base import ChatMessage
from engine.transport.auth import Identity, is_backend_key
from engine.transport.bodies import read_events, read_one
from engine.transport.callers import Callers, credentials_of
from engine.transport.decoding import WireError, bad_frame
from engine.transport.http_replies import STATUS_OF, read_body, read_query, reply
from engine.transport.limits import network_of
from engine.transport.plain import to_input
from engine.transport.reception import Reception
from engine.transport.routes_session import SessionRoutes
from engine.transport.wire import FrameType, Ping, Said, pong

LOOK_S = 1.0  # between looks whether whoever waits for an answer is still there
STATUS_NOBODY_READS = 499  # as nginx has it in its log


class PlainRoutes:
    def __init__(self, reception: Reception, callers: Callers, sessions: SessionRoutes) -> None:
        self._reception = reception
        self._callers = callers
        self._sessions = sessions

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_post("/chat", self.chat)
        router.add_post("/events", self.events)

    async def chat(self, request: web.Request) -> web.Response:
        """One ``chat_message``; with its answer goes what waits for the client."""
        read_query(request)
        identity = self._callers.client(request)
        said = read_one(await read_body(request), depth_max=self._reception.depth_max)
        if isinstance(said, Ping):
            return reply(pong())
        if said.type != "chat_message":
            raise bad_frame(f'expected a frame of type "chat_message", got "{said.type}"; events go to /events')
        # Without a name nothing ties the next request to this one: a client for one message.
        named = None if identity.kind == "anonymous" else identity.user or said.client
        user = named or f"anon-{secrets.token_hex(8)}"
        desk = self._reception.desk
        inputs = [to_input(said, user, said.session)]
        self._take_rate(request, identity, inputs)
        if named is not None:
            self._reception.hub.saw_over_http(user)
        [event_id] = await desk.submit(inputs)
        answer = await self._answer(
            request, ChatMessage.from_data(said.client or user, said.data, user=user, id=event_id)
        )
        if answer is None:
            # What waits is not taken either, for nobody would ever have it.
            return web.Response(status=STATUS_NOBODY_READS)
        if answer["type"] == "error":
            # What waits is not taken: a client that gets an error may never look for messages in it.
            return reply(answer, STATUS_OF["responder_failed"])
        return reply({**answer, "messages": await desk.take_waiting(user)})

    async def _answer(self, request: web.Request, chat: ChatMessage) -> FrameType | None:
        """None where whoever asked has left meanwhile, which ends the asking of the responder."""
        asking = asyncio.ensure_future(self._reception.desk.answer(chat))
        try:
            while request.transport is not None:
                await asyncio.wait([asking], timeout=LOOK_S)
                if asking.done():
                    answer = asking.result()
                    return answer if request.transport is not None else None
            return None
        finally:
            asking.cancel()

    async def events(self, request: web.Request) -> web.Response:
        """Events of one client, of many clients by a backend, or with ``?session=`` any frames of a session."""
        given = read_query(request, "session")
        if "session" in given:
            return await self._sessions.frames(request, given["session"])
        identity = self._identity(request)
        said = read_events(await read_body(request), depth_max=self._reception.depth_max)
        inputs = [_to_input(number, item, identity) for number, item in enumerate(said)]
        if identity is not None:
            self._take_rate(request, identity, inputs)
        for user in {item.user: None for item in inputs}:
            self._reception.hub.saw_over_http(user)
        ids = await self._reception.desk.submit(inputs) if inputs else []
        return reply({"ids": ids}, 202)

    def _identity(self, request: web.Request) -> Identity | None:
        """Who tells the events; None for a backend, which tells them of anybody. Raises `WireError`."""
        if is_backend_key(credentials_of(request)):
            self._callers.backend(request, "events")
            return None
        return self._callers.named_client(request)

    def _take_rate(self, request: web.Request, identity: Identity, inputs: Sequence[Input]) -> None:
        """Raises `WireError` where it is too much. Where nobody proves who they are, whose events they say they are."""
        self._reception.check_not_draining()
        is_own = identity.kind == "open" and inputs
        client = inputs[0].user if is_own else network_of(request.remote or "")
        users = [item.user for item in inputs]
        refusal = self._reception.event_limits.take(f"http {client}", users, len(inputs), self._reception.seconds())
        if refusal is not None:
            self._reception.observer.rate_limited(refusal.scope)
            raise refusal.error()


def _to_input(number: int, said: Said, identity: Identity | None) -> Input:
    """An id of the client's own is unique among the events of its user: the same again is the same event."""
    user = said.client if identity is None or identity.kind == "open" else identity.user
    if user is None:
        why = f'expected "clientId" in event {number}: nothing else says whose event it is'
        raise WireError("no_client", why)
    found = to_input(said, user, said.session)
    return Input(found.user, found.type, found.data, found.id, found.session, found.at_reported, bool(found.id))
