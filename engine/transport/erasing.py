"""Who is being erased at this moment: nothing is taken in that would begin them anew. It erases nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from engine.inbox import Overloaded


class BeingErased(Overloaded):
    """The user is being erased. Tried again a moment later it happens, to somebody of whom nothing is known."""

    def __init__(self) -> None:
        super().__init__("this user is being erased: try again when that is done")


class Erasing:
    """The users that are being erased; one of them twice, where two ask for it at once."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}

    def __contains__(self, user: str) -> bool:
        return user in self._times

    def check(self, users: Iterable[str]) -> None:
        """Raises `BeingErased` where one of them is."""
        if self._times and any(user in self._times for user in users):
            raise BeingErased

    @contextmanager
    def of(self, user: str) -> Iterator[None]:
        self._times[user] = self._times.get(user, 0) + 1
        try:
            yield
        finally:
            self._times[user] -= 1
            if not self._times[user]:
                del self._times[user]
