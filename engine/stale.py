"""Sessions whose clients are gone and whose ends are not yet recorded. It ends none itself.

They are those of an earlier process, and those whose end could not be made durable at the time. Each ends when
its user comes back, or else when the grace is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.core.units import MINUTE

GRACE = MINUTE  # how long they stay open for clients to come back
USERS_AT_ONCE = 100


class StaleSessions:
    """By user, the names of the sessions. ``until`` is when the grace is over, None where there are none."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}
        self.until: int | None = None

    def add(self, sessions: Mapping[str, list[str]], now: int) -> None:
        for user, names in sessions.items():
            if names:
                self._names.setdefault(user, []).extend(names)
        if self._names and self.until is None:
            self.until = now + GRACE

    def pop(self, user: str) -> list[str]:
        return self._names.pop(user, [])

    def take(self) -> Iterator[dict[str, list[str]]]:
        """All of them, `USERS_AT_ONCE` at a time; none is left."""
        taken, self._names, self.until = list(self._names.items()), {}, None
        for start in range(0, len(taken), USERS_AT_ONCE):
            yield dict(taken[start : start + USERS_AT_ONCE])

    def __len__(self) -> int:
        return len(self._names)
