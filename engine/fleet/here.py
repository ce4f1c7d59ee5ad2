"""What a gateway asks of the people who are connected to it: words alone, which `engine.transport.here` keeps."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from engine.core.model import Json
from engine.storage.base import OutboxMessage
from engine.turn_work import TurnResult


class Here(Protocol):
    def deliver(self, messages: list[OutboxMessage]) -> list[str]:
        """Hand them to whoever is here; the ids of those that have reached all here whom they are for."""

    def after_turn(self, result: TurnResult) -> None:
        """Devices learn what other devices did with a message, and what the user wishes now."""

    def cancelled(self, user: str, message_id: str) -> None:
        """The user is not to be shown the message any more."""

    def taken_elsewhere(self, user: str, session: str) -> None:
        """Another gateway has the session now."""

    def followed(self, user: str, session: str) -> None:
        """Its client has a later session at another gateway: this one is over."""

    def tell_unnamed(self, frame: dict[str, Json]) -> None:
        """For every connection that has not said who it is, once."""

    def users(self) -> list[str]:
        """Everybody with a connection or a session here."""

    def sessions(self) -> dict[str, list[str]]:
        """By user, the names of the sessions that have begun here and may be resumed."""

    def let_go(self, sessions: list[str] | None = None) -> None:
        """These sessions are no longer here (None: nothing and nobody is): clients are asked to come back."""

    def erasing(self, user: str) -> AbstractContextManager[None]:
        """While it is entered nothing is taken in of the user."""

    def forget(self, user: str) -> None:
        """Nothing is known of the user here any more, and their connections are closed."""
