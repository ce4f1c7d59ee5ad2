"""Routes for backends: messages of their own, a user's timeline and its end, the rules. Each asks for a key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from engine.core.model import Json
from engine.storage.base import Store
from engine.transport.bodies import Order, read_message
from engine.transport.callers import Callers
from engine.transport.decoding import NAME_LENGTH_MAX, bad_frame
from engine.transport.desk import Sent, sent_id
from engine.transport.http_replies import read_body, read_flag, read_number, read_query, reply
from engine.transport.reception import Reception
from engine.transport.refusing import told_to_client
from engine.transport.timeline import FIRST, ITEMS_DEFAULT, ITEMS_MAX, read_before, timeline_of

REPEATS_MAX = 1000  # entries of a user, the latest, among which a message that is asked for again is recognised

# Plans what the rule files would change, and with True lets them hold. Raises `BadRules` and what a store does.
ChangeRules = Callable[[bool], Awaitable[dict[str, Json]]]


class BackendRoutes:
    def __init__(self, reception: Reception, callers: Callers, store: Store, change_rules: ChangeRules) -> None:
        self._reception = reception
        self._callers = callers
        self._store = store
        self._change_rules = change_rules
        self._one_order_at_a_time = asyncio.Lock()

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
            if order.id:
                # Of two requests with the same id the second has to see what came of the first.
                async with self._one_order_at_a_time:
                    sent = await self._send(order)
            else:
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
        if order.client is not None:
            users = desk.users_of_client(order.client)
        if not order.id:
            return await self._send_to(users, order)
        everybody = desk.present() if users is None else users
        new = [user for user in everybody if not await self._was_sent(sent_id(order.id, user), user)]
        sent = await self._send_to(new, order) if new else Sent([], [], [])
        ids = [sent_id(order.id, user) for user in everybody]
        return Sent(ids, everybody, [user for user in everybody if not desk.is_there(user)], sent.unnamed)

    async def _was_sent(self, message_id: str, user: str) -> bool:
        """Whether it is among the latest that is recorded of the user."""
        recorded = await self._store.recorded(user, FIRST, REPEATS_MAX)
        return any(entry.message is not None and entry.message.id == message_id for _, entry in recorded.entries)

    async def _send_to(self, users: list[str] | None, order: Order) -> Sent:
        return await self._reception.desk.send(
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
