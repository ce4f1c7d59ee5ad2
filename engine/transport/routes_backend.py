"""Routes for backends: messages of their own, a user's timeline and its end, the rules. Each asks for a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from engine.core.model import Json
from engine.storage.base import Store
from engine.transport.bodies import Order, read_message
from engine.transport.callers import Callers
from engine.transport.decoding import NAME_LENGTH_MAX, bad_frame
from engine.transport.desk import Sent
from engine.transport.http_replies import read_body, read_flag, read_number, read_query, reply
from engine.transport.reception import Reception
from engine.transport.refusing import told_to_client
from engine.transport.timeline import ITEMS_DEFAULT, ITEMS_MAX, read_before, timeline_of

# Plans what the rule files would change, and with True lets them hold. Raises `BadRules` and what a store does.
ChangeRules = Callable[[bool], Awaitable[dict[str, Json]]]


class BackendRoutes:
    def __init__(self, reception: Reception, callers: Callers, store: Store, change_rules: ChangeRules) -> None:
        self._reception = reception
        self._callers = callers
        self._store = store
        self._change_rules = change_rules

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_post("/messages", self.messages)
        router.add_get("/users/{id}/timeline", self.timeline)
        router.add_delete("/users/{id}", self.erase)
        router.add_post("/rules/reload", self.reload)

    async def messages(self, request: web.Request) -> web.Response:
        """A message of the application's own."""
        read_query(request)
        self._callers.backend(request, "messages")
        order = read_message(await read_body(request), depth_max=self._reception.depth_max)
        with told_to_client():
            sent = await self._send(order)
        return reply({"ids": sent.ids, "clients": sent.clients, "waiting": sent.waiting, "unnamed": sent.unnamed}, 202)

    async def timeline(self, request: web.Request) -> web.Response:
        """What is known of a user, and what was done, the newest first."""
        given = read_query(request, "before", "limit")
        self._callers.backend(request, "users")
        items_max = read_number(given, "limit", ITEMS_DEFAULT, least=1, most=ITEMS_MAX)
        before = read_before(given.get("before"))
        with told_to_client():
            found = await timeline_of(self._store, _user(request), before, items_max, self._reception.clock())
        return reply(found)

    async def erase(self, request: web.Request) -> web.Response:
        """Everything of the user is gone when the reply comes."""
        read_query(request)
        self._callers.backend(request, "users")
        user = _user(request)
        with told_to_client():
            erased = await self._reception.desk.erase(user)
        return reply({"user": user, "erased": erased.rows, "overwritten": erased.pages})

    async def reload(self, request: web.Request) -> web.Response:
        """``?plan=1`` says what would change and changes nothing."""
        given = read_query(request, "plan")
        self._callers.backend(request, "rules")
        with told_to_client():
            return reply(await self._change_rules(not read_flag(given, "plan")))

    async def _send(self, order: Order) -> Sent:
        desk = self._reception.desk
        users = None if order.user is None else [order.user]
        if order.client is not None and users is None:
            if self._reception.authenticator.is_on:
                why = "a client chooses its name itself, and another user's may have the same"
                raise bad_frame(f'expected "user" beside "client" where tokens are checked: {why}')
            users = await desk.users_of_client(order.client)
        return await desk.send(
            users,
            order.type,
            order.text,
            options=order.options,
            data=order.data,
            expires=order.expires,
            client=order.client or "",
            message_id=order.id,
        )


def _user(request: web.Request) -> str:
    """The name in the path, percent-decoded once; whatever it holds is only ever looked up. Raises `WireError`."""
    user = request.match_info["id"]
    if not 0 < len(user) <= NAME_LENGTH_MAX:
        raise bad_frame(f"expected the name of a user of 1 to {NAME_LENGTH_MAX} characters, got {len(user)}")
    return user
