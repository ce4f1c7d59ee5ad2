"""The people who are connected to a gateway, for what workers and other gateways tell of them. It decides nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager

from engine.core.model import Json
from engine.storage.base import OutboxMessage
from engine.transport.delivery import Delivery
from engine.transport.desk import Desk
from engine.transport.hub import Hub
from engine.transport.outgoing import GOING_AWAY
from engine.transport.sessions import Sessions
from engine.turn_work import TurnResult


class People:
    """``desk`` is there before anybody can connect."""

    desk: Desk

    def __init__(self, hub: Hub, sessions: Sessions, delivery: Delivery) -> None:
        self._hub = hub
        self._sessions = sessions
        self._delivery = delivery

    def deliver(self, messages: list[OutboxMessage]) -> list[str]:
        return self._delivery.deliver(messages)

    def after_turn(self, result: TurnResult) -> None:
        self._delivery.after_turn(result)

    def cancelled(self, user: str, message_id: str) -> None:
        self._delivery.cancelled(user, message_id)

    def taken_elsewhere(self, user: str, session: str) -> None:
        self._sessions.taken_elsewhere(user, session)

    def followed(self, user: str, session: str) -> None:
        self._sessions.followed(user, session)

    def tell_unnamed(self, frame: dict[str, Json]) -> None:
        self.desk.tell_unnamed(frame, droppable=frame.get("messageType") == "notification")

    def users(self) -> list[str]:
        named = [client for client in self._hub.clients() if self._hub.is_connected(client)]
        return list(dict.fromkeys([*named, *self._sessions.users()]))

    def sessions(self) -> dict[str, list[str]]:
        return self._sessions.begun()

    def let_go(self, sessions: list[str] | None = None) -> None:
        self._sessions.let_go(sessions)
        if sessions is None:
            self._hub.close_all(*GOING_AWAY)

    def erasing(self, user: str) -> AbstractContextManager[None]:
        return self._sessions.erasing.of(user)

    def forget(self, user: str) -> None:
        self.desk.forget(user)
