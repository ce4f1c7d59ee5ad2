"""What the doors and desks of a server need of whoever drives it: `Live` of one that is alone, `Front` of a gateway.

It is words alone: each driver says how it does what it promises here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.core.model import Json
from engine.core.remembered import Preferences
from engine.inbox import Inbox
from engine.intake import Input
from engine.observer import Observer, Trace
from engine.pending import Pending
from engine.storage.base import Entry, OutboxMessage


class Driver(Protocol):
    """Takes in what happens, and knows what waits for whom. `Overloaded` and `StoreError`: it did not happen."""

    observer: Observer

    # What happens.

    async def submit(self, inputs: list[Input]) -> list[str]:
        """Let these happen now, in order. When it returns they are durable; the ids are the events'.

        Raises `Overloaded` and `StoreError`.
        """

    def begin(self, inputs: list[Input], trace: Trace = None) -> Pending[list[str]]:
        """As `submit`, without waiting: they have their place in the order of all things when it returns."""

    def note(self, inputs: list[Input]) -> None:
        """As `begin`, for what nobody waits for."""

    def end(self, ends: list[Input]) -> None:
        """These connections are gone: their sessions end now, or later where that cannot be made durable now."""

    def send(self, messages: list[OutboxMessage], *, once: bool = False) -> Pending[list[Entry]]:
        """The application's own messages; ``once``: each by its id. Raises `Overloaded` and `StoreError`."""

    async def settled(self) -> None:
        """Returns when all that had been taken in by now has been made durable, or could not be."""

    async def erase(self, user: str) -> int:
        """Forget the user: of how many rows the store had. Raises `StoreError`."""

    # Sessions that this process does not have.

    async def resume(self, user: str, session: str) -> bool:
        """A client takes up a session that this process does not have: whether it can. Raises `StoreError`."""

    def has_arrived(self, user: str) -> None:
        """A session that `resume` let a client take up has what waits for its user, or did not come after all."""
        return

    def leave(self, user: str, session: str) -> None:
        """After all nobody came to this one, which `resume` let a client take up: it ends where nobody does in time."""

    def resumable(self, user: str) -> list[str]:
        """Sessions of the user of which this process knows, though it does not have them, and that may be resumed."""

    def abandon(self, user: str) -> None:
        """Nobody is to take up those of the user that this process does not have, nor are their ends to be noted."""

    # Messages.

    async def waiting(self, user: str) -> list[OutboxMessage]:
        """What waits for the user and has not expired, oldest first. Raises `StoreError`."""

    async def preferences(self, user: str) -> Preferences:
        """What the user wishes. Raises `StoreError`."""

    def received(self, messages: list[OutboxMessage]) -> None:
        """These have reached a client of theirs: rules come to know of it, of each message once."""

    def relayed(self, messages: list[OutboxMessage]) -> None:
        """These have reached all whom they are for here."""

    def withdraw(self, messages: list[OutboxMessage]) -> None:
        """Nobody needs to be shown these any more, received or not."""

    # Others. A server that is alone has none.

    async def elsewhere(self, users: Sequence[str] | None) -> set[str]:
        """Who of these users is at others, or for None, who is at any. Raises `StoreError`."""
        return set()

    async def users_of(self, client: str) -> list[str]:
        """Who has a session of a client of that name, wherever it is. Raises `StoreError`."""
        return []

    async def tell_unnamed(self, frame: dict[str, Json]) -> None:
        """Others hand the frame to their connections that have not said who they are. Raises `StoreError`."""
        return

    # How it is.

    @property
    def inbox(self) -> Inbox:
        """To be looked at."""

    def health(self) -> dict[str, Json]:
        """At least ``running``, ``trouble`` (None for none) and ``waiting``, the inputs that wait for their turn."""

    def trouble_over(self) -> None:
        """The store can be written to again."""
